"""A study's model in MLflow: saved as a pyfunc, logged, and fetched again; ``registry.py`` registers it."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.artifacts
import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType
from sqlalchemy.exc import SQLAlchemyError

import trainables
from search_service.errors import RecorderError
from search_service.recorders.mlflow.store import find_study, once, open_client, reason_of, without_login
from search_service.records.events import ModelPacked
from trainables.model import TableModel

# Of the run of a study: where its model is.
URI_TAG = "model_uri"
# Where the folder of the TableModel lies in a pyfunc model.
WITHIN = Path("artifacts") / "model"

_SCRIPT = Path(__file__).with_name("served.py")
# What ``trainables.model`` and the script import (a test compares).
_REQUIREMENTS = (
    "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "pydantic-core", "scikit-learn", "scipy", "skops", "torch",
)  # fmt: skip


# ---- saving ----------------------------------------------------------------------------------------------------------


def save(folder: Path, target: Path, *, of: Model | None = None) -> TableModel:
    """Write a model folder as an MLflow model that serves without this project installed, and without pickle.

    Args:
        folder: The folder of a ``TableModel``.
        target: Folder to make.
        of: MLflow's description, if the model is to be logged.

    Returns:
        The model.
    """
    model = TableModel.load(folder)
    description = of or Model()
    example = pd.DataFrame(list(model.facts.example), columns=model.preparation.schema.names(), dtype=object)
    mlflow.pyfunc.save_model(
        path=str(target),
        mlflow_model=description,
        python_model=str(_SCRIPT),
        artifacts={"model": str(folder)},
        code_paths=[str(Path(trainables.__file__).parent)],
        pip_requirements=_requirements(),
        signature=_signature(model),
        input_example=example if len(example) else None,
        metadata={"columns": {column.name: column.kind for column in model.preparation.schema.columns}},
    )
    # MLflow notes where on this machine things were copied from, which is nobody's business.
    flavor = description.flavors[mlflow.pyfunc.FLAVOR_NAME]
    flavor["artifacts"]["model"]["uri"] = WITHIN.as_posix()
    flavor["model_code_path"] = _SCRIPT.name
    description.save(str(target / "MLmodel"))
    return model


def _signature(model: TableModel) -> ModelSignature:
    """Names of the columns, all of them required; values of any type, which the model itself judges.

    MLflow's own types refuse rows that are fine: double refuses a data frame's whole numbers, long a missing value,
    string a column that happens to be empty, and boolean makes of null False.
    """
    inputs = Schema([ColSpec(AnyType(), name) for name in model.preparation.schema.names()])
    prediction = "string" if model.facts.class_names else "double"
    names = model.facts.prediction_columns
    outputs = Schema([ColSpec(prediction, names[0]), *(ColSpec("double", name) for name in names[1:])])
    return ModelSignature(inputs, outputs)


def _requirements() -> list[str]:
    # A local version (torch's +cpu) is in no package index.
    return [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in _REQUIREMENTS]


# ---- logging ---------------------------------------------------------------------------------------------------------


def log(
    client: MlflowClient,
    event: ModelPacked,
    *,
    experiment: str,
    run: str,
    study_id: str,
    params: Mapping[str, str] | None = None,
) -> str:
    """Log a model as the output of a study's run, or go on with one that was begun.

    Args:
        client: The client of the MLflow store.
        event: The packed model.
        experiment: Id of the run's experiment.
        run: Id of the study's run.
        study_id: The study's id.
        params: The model's hyperparameters, for its page.

    Returns:
        Its URI in MLflow.
    """
    logged = _logged(client, event, experiment=experiment, run=run, study_id=study_id, params=params or {})
    if logged.status != LoggedModelStatus.READY:
        description = Model(
            artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run, model_id=logged.model_id
        )
        with TemporaryDirectory(prefix="search-service-") as scratch:
            save(event.folder, Path(scratch) / "model", of=description)
            client.log_model_artifacts(logged.model_id, str(Path(scratch) / "model"))
        client.finalize_logged_model(logged.model_id, "READY")
    if logged.model_id not in _outputs(client, run):
        try:
            with once():
                client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
        except MlflowException:
            # The answer may have been lost, and not the request.
            if logged.model_id not in _outputs(client, run):
                raise
    name = f"model/test_{event.metric}"
    if not any(metric.key == name for metric in client.get_logged_model(logged.model_id).metrics or ()):
        now = int(time.time() * 1000)
        score = Metric(name, float(event.test_score), now, 0, model_id=logged.model_id, run_id=run)
        client.log_batch(run, metrics=[score])
    uri = f"models:/{logged.model_id}"
    client.set_tag(run, URI_TAG, uri)
    return uri


def _logged(
    client: MlflowClient,
    event: ModelPacked,
    *,
    experiment: str,
    run: str,
    study_id: str,
    params: Mapping[str, str],
) -> LoggedModel:
    """The model of a study in MLflow: one that was begun before, or a new one.

    Where a kill or a lost answer made several of them, all but the one that is furthest are deleted.
    """
    found = _logged_before(client, experiment, study_id)
    if not found:
        tags = tags_of(event, study_id)
        try:
            with once():
                return client.create_logged_model(
                    experiment, name="model", source_run_id=run, tags=tags, params=dict(params),
                    model_type="search-service",
                )  # fmt: skip
        except MlflowException:
            found = _logged_before(client, experiment, study_id)
            if not found:
                raise
    found.sort(key=lambda model: (model.status != LoggedModelStatus.READY, model.creation_timestamp))
    for other in found[1:]:
        client.delete_logged_model(other.model_id)
    return found[0]


def _logged_before(client: MlflowClient, experiment: str, study_id: str) -> list[LoggedModel]:
    found = client.search_logged_models([experiment], f"tags.study_id = '{study_id}'")
    return [model for model in found if model.status != LoggedModelStatus.FAILED]


def _outputs(client: MlflowClient, run: str) -> set[str]:
    outputs = client.get_run(run).outputs
    return {output.model_id for output in outputs.model_outputs} if outputs is not None else set()


def tags_of(event: ModelPacked, study_id: str) -> dict[str, str]:
    """What a model is found by, and compared by with others."""
    return {
        "study_id": study_id,
        "metric": event.metric,
        "test_score": repr(float(event.test_score)),
        "test_fingerprint": event.test_fingerprint,
    }


# ---- fetching --------------------------------------------------------------------------------------------------------


def fetch(uri: str, model_uri: str, target: Path) -> Path | None:
    """Download the folder of a ``TableModel`` out of an MLflow model.

    Args:
        uri: The store's address.
        model_uri: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS`` or ``models:/ID``.
        target: Existing folder.

    Returns:
        The folder; None if the store knows no such model.

    Raises:
        RecorderError: The store cannot be reached, or broke.
    """
    with _errors(uri):
        client = open_client(uri)
        try:
            location = _location(client, model_uri.removeprefix("models:/"))
        except MlflowException as error:
            # No such name, version or alias; or a text that can be none.
            if error.get_http_status_code() in (400, 404):
                return None
            raise
        found = mlflow.artifacts.download_artifacts(location, dst_path=str(target), tracking_uri=without_login(uri))
    return Path(found) / WITHIN


def _location(client: MlflowClient, name: str) -> str:
    """Where the files of a model are. MLflow would look for models:/ in the process's default store."""
    if "@" in name:
        registered, alias = name.rsplit("@", maxsplit=1)
        version = client.get_model_version_by_alias(registered, alias).version
        return str(client.get_model_version_download_uri(registered, version))
    if "/" in name:
        registered, version = name.rsplit("/", maxsplit=1)
        return str(client.get_model_version_download_uri(registered, version))
    return str(client.get_logged_model(name).artifact_location)


def find(uri: str, study_id: str) -> str | None:
    """The URI of a study's model, by the study's id; None if the store knows no such study or it has no model.

    Raises:
        RecorderError: The store cannot be reached, or broke.
    """
    with _errors(uri):
        run = find_study(open_client(uri), study_id)
    return None if run is None else run.data.tags.get(URI_TAG)


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = reason_of(error, uri)
        raise RecorderError(f"MLflow at {uri} cannot be asked: {reason}") from error
