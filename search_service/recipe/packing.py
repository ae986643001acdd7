"""After the last act: the winner's network and the preparation of its rows, packed into a model for raw rows.

Why: what people want at the end is something they can call, not a checkpoint of a population. The network is the one
that learnt from training and validation rows, or the mean of several such; where there is none, the one of the winner's
seeds with the best validation score.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from search_service.folder import layout
from search_service.records.events import ModelPacked
from search_service.records.finalists import FinalistsResult
from search_service.spec.study_spec import StudySpec
from trainables import checkpoint
from trainables.data.dataset import Loaded
from trainables.model import TableModel
from trainables.training import PopulationTraining


def prepare() -> None:
    """Import what the packing takes long to import, the longer the more there is.

    skops looks for each of numpy's functions in all modules that were imported before it: half a second before MLflow
    is, and two after it.
    """
    importlib.import_module("skops.io")


def run(
    spec: StudySpec, final: FinalistsResult, table: Loaded, folder: Path, versions: Mapping[str, str]
) -> ModelPacked:
    """Pack the model.

    Args:
        spec: What was asked.
        final: Says which network.
        table: The table, whose preparation the model needs.
        folder: The study's folder; the model becomes a folder in it.
        versions: The libraries' versions by name.
    """
    model = TableModel.from_training(
        _networks(final, table),
        table.dataset,
        table.preparation,
        name=spec.name,
        target=table.target,
        shares=() if final.average is None else [network.share for network in final.average.networks],
        null_values=spec.data.csv.null_values,
        temperature=1.0 if final.calibration is None else final.calibration.temperature,
        threshold=0.5 if final.threshold is None else final.threshold.probability,
        prediction_interval=final.prediction_interval,
        example=table.example,
        versions=versions,
    )
    model.save(folder / layout.MODEL)
    return ModelPacked(
        folder=folder / layout.MODEL,
        metric=final.metric,
        test_score=final.model_test_score,
        test_fingerprint=table.test_fingerprint,
        register_as=spec.name if spec.model.register else None,
        shortfall=final.shortfall,
    )


def _networks(final: FinalistsResult, table: Loaded) -> list[tuple[PopulationTraining, int]]:
    """Each network of the model: its population, and its index there."""
    places = [final.network]
    if final.average is not None:
        places = [(network.checkpoint, network.place) for network in final.average.networks]
    populations = {path: checkpoint.load(path, table.dataset) for path in dict.fromkeys(path for path, _ in places)}
    return [(populations[path], place) for path, place in places]
