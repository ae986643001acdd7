"""A study's model in MLflow: saved as a pyfunc, logged, registered, crowned champion or not, and fetched again.

The champion of a registered model is the version with the alias ``champion``. It changes only to a version that is
better *on the same test rows*, beyond what they leave to chance; scores on other rows say nothing about which of two
models is better. So what each model says of its test rows stands on the run of its study.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.artifacts
import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import AnyType
from sqlalchemy.exc import SQLAlchemyError

import trainables
from search_service.errors import RecorderError
from search_service.folder import layout
from search_service.recorders.mlflow.store import once, open_client, without_login
from search_service.records.events import ModelPacked
from trainables.advantage import compare
from trainables.metrics import METRICS
from trainables.model import TableModel
from trainables.records import Advantage
from trainables.redaction import redact

CHAMPION = "champion"
# Tag of a version: why it became champion, or not.
_REASON = "champion_reason"
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


# ---- logging and registering -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Registered:
    """What became of a model in the registry.

    Attributes:
        name: The registered model's name.
        version: The new one.
        is_champion: Whether the alias now means it.
        reason: Why, or why not.
    """

    name: str
    version: str
    is_champion: bool
    reason: str

    def __str__(self) -> str:
        standing = f"{CHAMPION}: " if self.is_champion else f"not {CHAMPION}: "
        return f"models:/{self.name}/{self.version}, {standing}{self.reason}"


def log(client: MlflowClient, event: ModelPacked, *, experiment: str, run: str, study_id: str) -> str:
    """Log a model as the output of a study's run, or go on with one that was begun.

    Returns:
        Its URI in MLflow.
    """
    logged = _logged(client, event, experiment=experiment, run=run, study_id=study_id)
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
    uri = f"models:/{logged.model_id}"
    client.set_tag(run, URI_TAG, uri)
    return uri


def _logged(client: MlflowClient, event: ModelPacked, *, experiment: str, run: str, study_id: str) -> LoggedModel:
    """The model of a study in MLflow: one that was begun before, or a new one.

    Where a kill or a lost answer made several of them, all but the one that is furthest are deleted.
    """
    found = _logged_before(client, experiment, study_id)
    if not found:
        tags = _tags(event, study_id)
        try:
            with once():
                return client.create_logged_model(
                    experiment, name="model", source_run_id=run, tags=tags, model_type="search-service"
                )
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


def register(client: MlflowClient, event: ModelPacked, uri: str, *, run: str, study_id: str) -> Registered:
    """Enter a logged model in the registry, and decide who is champion.

    Args:
        client: The client of the MLflow store.
        event: The packed model, with the name to register it as.
        uri: The logged model's URI.
        run: Id of the study's run.
        study_id: The study's id.
    """
    name = event.register_as
    assert name is not None
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        _create_registered_model(client, name)
    version = _version(client, event, uri, run=run, study_id=study_id)
    number, reason = str(version.version), version.tags.get(_REASON, "")
    if reason and str(client.get_registered_model(name).aliases.get(CHAMPION)) == number:
        # It was crowned before, and only the study's run does not say so yet.
        return Registered(name, number, True, reason)
    crowned, reason = _judge(client, name, event)
    client.set_model_version_tag(name, number, _REASON, reason)
    if crowned:
        client.set_registered_model_alias(name, CHAMPION, number)
    return Registered(name, number, crowned, reason)


def _create_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        # By another study, or by this request, whose first answer was lost.
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _version(client: MlflowClient, event: ModelPacked, uri: str, *, run: str, study_id: str) -> ModelVersion:
    """The version that a study's model is: one that was made before, or a new one.

    Where a lost answer made several of them, all but the first are deleted.
    """
    name, model_id = str(event.register_as), uri.removeprefix("models:/")

    def before() -> list[ModelVersion]:
        found = client.search_model_versions(f"run_id = '{run}'")
        return sorted((v for v in found if v.name == name), key=lambda v: int(v.version))

    found = before()
    if not found:
        # Not ``uri``, which MLflow would look for in the process's default store.
        source = client.get_logged_model(model_id).artifact_location
        tags, said = _tags(event, study_id), f"Test {event.metric} {event.test_score:.4g}, of study {study_id}."
        try:
            with once():
                return client.create_model_version(
                    name, source, run_id=run, tags=tags, description=said, model_id=model_id
                )
        except MlflowException:
            found = before()
            if not found:
                raise
    for other in found[1:]:
        client.delete_model_version(name, str(other.version))
    return found[0]


def _tags(event: ModelPacked, study_id: str) -> dict[str, str]:
    return {
        "study_id": study_id,
        "metric": event.metric,
        "test_score": repr(float(event.test_score)),
        "test_fingerprint": event.test_fingerprint,
    }


def _judge(client: MlflowClient, name: str, event: ModelPacked) -> tuple[bool, str]:
    """Whether a new version becomes champion, and why."""
    if event.shortfall:
        return False, event.shortfall
    holder = client.get_registered_model(name).aliases.get(CHAMPION)
    if holder is None:
        return True, f"{name} had none"
    tags: Mapping[str, str] = client.get_model_version(name, holder).tags
    if not {"metric", "test_score", "test_fingerprint"} <= set(tags):
        return False, f"version {holder}, which is, has no test score to compare with"
    if tags["test_fingerprint"] != event.test_fingerprint:
        return False, f"version {holder}, which is, was tested on other rows: scores cannot be compared"
    if tags["metric"] != event.metric:
        return False, f"version {holder}, which is, was tested by {tags['metric']}, not {event.metric}"
    found = _compare(client, name, holder, event)
    return _judge_by_score(event, float(tags["test_score"]), holder) if found is None else _judge_by_rows(found, holder)


def _judge_by_rows(found: Advantage, holder: str) -> tuple[bool, str]:
    than = "better" if found.difference > 0 else "worse"
    by = f"{than} by {abs(found.difference):.2g} ± {found.error:.2g} on the same {found.rows:,} rows"
    if found.sign == 0:
        return False, f"it cannot be told from version {holder}, which is: {by}"
    return found.sign > 0, f"compared with version {holder}, {by}"


def _judge_by_score(event: ModelPacked, score: float, holder: str) -> tuple[bool, str]:
    """Of a version of earlier times nothing is known but its score."""
    rank = METRICS[event.metric].rank
    # By rank: a score that is no number loses to every other.
    better = rank(event.test_score) < rank(score)
    scores = f"test {event.metric} {_digits(event.test_score, score)} {'beats' if better else 'does not beat'}"
    return better, f"{scores} the {_digits(score, event.test_score)} of version {holder}, on the same rows"


def _compare(client: MlflowClient, name: str, holder: str, event: ModelPacked) -> Advantage | None:
    """By how much a model is better than a version, row by row; None where a version of earlier times kept no rows."""
    own = event.folder.parent / layout.TEST_PREDICTIONS
    run = client.get_model_version(name, holder).run_id
    if not run or not own.exists():
        return None
    with TemporaryDirectory(prefix="search-service-") as scratch:
        try:
            theirs = client.download_artifacts(run, layout.TEST_PREDICTIONS, scratch)
            return compare(own, Path(theirs), event.metric)
        except (MlflowException, OSError, ValueError):
            # Deleted, or of a version that did not keep them.
            return None


def _digits(score: float, other: float) -> str:
    """Four digits, or all where four would show two different scores as the same."""
    short = f"{score:.4g}"
    return short if score == other or short != f"{other:.4g}" else repr(score)


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
    # Text of a query to the store: nothing else is an id.
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", study_id):
        return None
    with _errors(uri):
        client = open_client(uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, f"tags.study_id = '{study_id}' and tags.kind = 'study'", max_results=1)
    return runs[0].data.tags.get(URI_TAG) if runs else None


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = redact(str(error).splitlines()[0], uri)
        raise RecorderError(f"MLflow at {uri} cannot be asked: {reason}") from error
