"""After the last act: the winner's network and the preparation of its rows, packed into a model for raw rows.

Why: what people want at the end is something they can call, not a checkpoint of a population. Of the winner's networks,
one per seed, the one with the best validation score is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search_service.events import ModelPacked
from search_service.results import FinalistsResult
from search_service.spec import StudySpec
from trainables import checkpoint
from trainables.data.dataset import Loaded
from trainables.model import TableModel

# Below the study's folder.
FOLDER = "model"


def run(
    spec: StudySpec, final: FinalistsResult, table: Loaded, folder: Path, versions: Mapping[str, str]
) -> ModelPacked:
    """Pack the exported network.

    Args:
        spec: Of the study.
        final: Says which network.
        table: Whose preparation the model needs.
        folder: Of the study; the model becomes a folder in it.
        versions: Of the libraries.
    """
    model = TableModel.from_training(
        checkpoint.load(final.checkpoint, table.dataset),
        final.exported,
        table.dataset,
        table.preparation,
        name=spec.name,
        target=table.target,
        null_values=spec.data.csv.null_values,
        temperature=1.0 if final.calibration is None else final.calibration.temperature,
        example=table.example,
        versions=versions,
    )
    model.save(folder / FOLDER)
    return ModelPacked(
        folder=folder / FOLDER,
        metric=final.metric,
        test_score=final.test_scores[final.exported],
        test_fingerprint=table.test_fingerprint,
        register_as=spec.name if spec.model.register else None,
    )
