"""Models out of a study: found by name wherever they are, exported as a folder, and asked about the rows of a file.

A model is named by a folder (of a study, a model, an export or an MLflow model), a study's id, or its address in
MLflow's registry. However it is found, what is loaded is the folder of a ``TableModel``, which cannot run code.
MLflow's own loader, which runs the code in a model, is for those who serve it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

# It looks for each of numpy's functions in whatever was imported before it: before MLflow and ONNX that is little.
import skops.io  # noqa: F401
import torch

from search_service.export import texts as export_texts
from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.settings import Settings
from trainables.data import locations, sources
from trainables.data.types import few
from trainables.errors import DataError, Problem
from trainables.model import MODEL_FILE, NETWORK_FILE, TableModel
from trainables.visible import visible

# Where the folder of a TableModel lies in a folder that a person may name.
_PLACES = (".", layout.MODEL, "artifacts/model", "mlflow_model/artifacts/model")
REGISTRY = "models:/"
# Names of an export's files.
MLFLOW_FOLDER, SOURCE_FILE, FACTS_FILE, ONNX_FILE = "mlflow_model", "network.py", "network.json", "network.onnx"
_ONNX_PACKAGES = ("onnx", "onnxscript")


@contextmanager
def find(name: str, settings: Settings, path: str) -> Iterator[Path]:
    """The folder of a model, for as long as it is needed.

    Args:
        name: A folder, a study's id, or ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``.
        settings: Where studies and their record are.
        path: What the name is called in messages.

    Raises:
        DataError: There is no such model.
        RecorderError: The record cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="search-service-") as scratch:
        if name.startswith(REGISTRY):
            found = _fetch(name, settings, Path(scratch))
            rule = f"a registered model of the record at {settings.shown_record}"
            fix = "check the name; it is models:/NAME/VERSION or models:/NAME@champion"
        elif Path(name).is_dir():
            found, rule = _within(Path(name)), "the folder of an export, a model, an MLflow model or a study"
            fix = f"check the path; no {MODEL_FILE} lies in this one"
        else:
            found = _of_study(name, settings, Path(scratch))
            rule = f"a folder, a study under {settings.home} or in its record, or models:/NAME/VERSION"
            fix = _why_none(name, settings)
        if found is None:
            raise DataError([Problem(path, name, rule, fix)])
        yield found


def _why_none(name: str, settings: Settings) -> str:
    """What to do where there is no model of that name."""
    known = StudyFolder(settings.studies / name) if Path(name).name == name else None
    if known is not None and (known.path / layout.SPEC).is_file():
        if known.ending is None:
            return f"it has not ended: go on with search-service run --study {name}"
        return f"it has no model, since it {known.ending}"
    fix = "check the name, or --home; a study that failed has no model"
    if service := os.environ.get("SEARCH_SERVICE_URL"):
        fix += f"; for a study of the service at {service}, first search-service export {name} --to FOLDER"
    return fix


def export(study: str, target: Path, settings: Settings) -> tuple[str, ...]:
    """Write a study's model into a folder of its own, whole or not at all.

    Args:
        study: A study's id, a folder or a model of the registry, as ``find`` takes it.
        target: Folder to make, or an empty one.
        settings: Where studies and their record are.

    Returns:
        What to tell the user: what is not there, and why.

    Raises:
        DataError: There is no such model, or the folder cannot be made.
        RecorderError: The record cannot be reached.
    """
    _require_free(target)
    with find(study, settings, "STUDY") as folder, _whole(target) as made:
        from search_service.recorders.mlflow import models as mlflow_models

        model = mlflow_models.save(folder, made / MLFLOW_FOLDER)
        (made / SOURCE_FILE).write_text(export_texts.network_source(model), encoding="utf-8")
        (made / FACTS_FILE).write_text(export_texts.network_facts(model), encoding="utf-8")
        torch.save(model.state(), made / NETWORK_FILE)
        missing = [package for package in _ONNX_PACKAGES if importlib.util.find_spec(package) is None]
        if not missing:
            _write_onnx(model, made / ONNX_FILE)
        (made / "README.md").write_text(export_texts.readme(model, has_onnx=not missing), encoding="utf-8")
    return (f"no {ONNX_FILE}: pip install 'search-service[onnx]'",) if missing else ()


def predict(
    model: str,
    source: str,
    settings: Settings,
    *,
    carried: Sequence[str] | None = (),
    say: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Predict the rows of a file.

    Args:
        model: A study's id, a folder or a model of the registry, as ``find`` takes it.
        source: A path or URL of a table, as in the config's ``data.source``; it needs no target column.
        settings: Where studies and their record are, and what may be read.
        carried: Columns of the file that stand before the predictions, as they are written there; None for all.
        say: Hears of what the model cannot know, in sentences.

    Returns:
        As ``TableModel.predict`` says.

    Raises:
        DataError: There is no such model or file, or it lacks a column or holds values that are not of their kind; or
            a carried column is called as a prediction is.
        RecorderError: The record cannot be reached.
    """
    if settings.allowed_sources is not None:
        locations.require_allowed({"FILE": source}, settings.allowed_sources)
    with find(model, settings, "MODEL") as folder:
        loaded = TableModel.load(folder)
    names = loaded.preparation.schema.names()
    rows = sources.read_rows(source, "FILE", loaded.reading, names)
    found = loaded.predict(rows, "FILE")
    for name, (count, value) in loaded.preparation.unseen(rows, "FILE").items():
        where = f"{count:,} {'row has' if count == 1 else 'rows have'} a value that no training row had"
        say(visible(f"column {name}: {where}, such as {value!r}; the model knows nothing of it"))
    if carried is not None and not carried:
        return found
    beside = _carried(source, carried, loaded)
    if len(beside) != len(found):
        rule = f"as many rows in the columns to carry as in those of the model, which has {len(found):,}"
        raise DataError([Problem("FILE", f"{len(beside):,} rows", rule, "leave out --id and --with-rows")])
    return pd.concat([beside, found], axis="columns")


def _carried(source: str, wanted: Sequence[str] | None, model: TableModel) -> pd.DataFrame:
    """Columns of a file as they are written there."""
    # What its columns are called is known when it has been read.
    present = sources.read_rows(source, "FILE", model.reading, wanted).column_names
    lacking = [name for name in wanted or () if name not in present]
    if lacking:
        fix = f"one of: {few(sources.read_rows(source, 'FILE', model.reading).column_names)}"
        raise DataError([Problem("--id", few(lacking), "a column of the file", fix)])
    if taken := sorted(set(present) & set(model.facts.prediction_columns)):
        rule, fix = (
            "columns that are called otherwise than predictions are",
            "rename them, or carry others: --id COLUMN",
        )
        raise DataError([Problem("FILE", few(taken), rule, fix)])
    # With the model's columns, so that what is no row there, as names that stand once more within, is none here.
    names = list(dict.fromkeys([*present, *model.preparation.schema.names()]))
    return sources.read_rows(source, "FILE", model.reading, names, as_written=names).select(present).to_pandas()


def _within(folder: Path) -> Path | None:
    return next((folder / place for place in _PLACES if (folder / place / MODEL_FILE).is_file()), None)


def _of_study(name: str, settings: Settings, scratch: Path) -> Path | None:
    """Find a study's model by its id: under home, else in the record."""
    folder = settings.studies / name
    # An id is one name: anything else would lead out of the folder.
    local = _within(folder) if folder.name == name and folder.is_dir() else None
    if local is not None or not _has_record(settings):
        return local
    from search_service.recorders.mlflow import models as mlflow_models

    uri = mlflow_models.find(settings.record_uri, name)
    return None if uri is None else _fetch(uri, settings, scratch)


def _fetch(uri: str, settings: Settings, scratch: Path) -> Path | None:
    if not _has_record(settings):
        return None
    from search_service.recorders.mlflow import models as mlflow_models

    found = mlflow_models.fetch(settings.record_uri, uri, scratch)
    return found if found is not None and (found / MODEL_FILE).is_file() else None


def _has_record(settings: Settings) -> bool:
    """Asking a SQLite file that is not there would make it."""
    return settings.tracking_uri is not None or settings.record_file.exists()


def _require_free(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise DataError([Problem("--to", str(target), "a folder", "there is a file of that name: choose another")])
    if target.is_dir() and any(target.iterdir()):
        rule, fix = "a new or empty folder", "choose another one, or remove what is in it"
        raise DataError([Problem("--to", str(target), rule, fix)])


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``target`` at the end, and goes if there is none."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        rule, fix = "a folder that can be written", f"choose another one ({error.strerror})"
        raise DataError([Problem("--to", str(target), rule, fix)]) from error
    try:
        yield made
        # Private, as temporary folders are made, is not what a model to hand on should be.
        made.chmod(0o755)
        if target.is_dir():
            target.rmdir()
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _write_onnx(model: TableModel, file: Path) -> None:
    """The network for ONNX Runtime: ``features`` ``[rows, D]`` to ``outputs`` ``[rows, C]``."""
    # Two rows: with one, the exporter would take the number of rows for fixed.
    rows = torch.zeros(2, model.facts.architecture.layer_sizes[0])
    # It warns of packages for images that nobody needs here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        torch.onnx.export(
            model.network,
            (rows,),
            str(file),
            input_names=["features"],
            output_names=["outputs"],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            external_data=False,
            verbose=False,
        )
