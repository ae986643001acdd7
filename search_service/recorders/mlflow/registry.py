"""Models in MLflow's registry: a version for each study's, and which of them is the champion.

The champion of a registered model is the version with the alias ``champion``. It changes only to a version that is
better *on the same test rows*, beyond what they leave to chance; scores on other rows say nothing about which of two
models is better. So what each model says of its test rows stands on the run of its study.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from search_service.folder import layout
from search_service.recorders.mlflow.models import tags_of
from search_service.recorders.mlflow.store import once
from search_service.records.events import ModelPacked
from search_service.records.numbers import score_text, spread_text
from trainables.advantage import compare
from trainables.metrics import METRICS
from trainables.records import Advantage

CHAMPION = "champion"
# Tag of a version: why it became champion, or not.
_REASON = "champion_reason"
# What a registered model's page says.
_ABOUT = """The models of the study "{name}", a version for each time that it was run. `champion` is the one that is
better than the others on the same test rows, beyond chance.

    search-service predict models:/{name}@champion ROWS.csv

    mlflow.pyfunc.load_model("models:/{name}@champion").predict(rows)
"""


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


def register(
    client: MlflowClient, event: ModelPacked, uri: str, *, run: str, study_id: str, verdict: str = ""
) -> Registered:
    """Enter a logged model in the registry, and decide who is champion.

    Args:
        client: The client of the MLflow store.
        event: The packed model, with the name to register it as.
        uri: The logged model's URI.
        run: Id of the study's run.
        study_id: The study's id.
        verdict: What the model is worth, in a sentence or two, for its page.
    """
    name = event.register_as
    assert name is not None
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        _create_registered_model(client, name)
    version = _version(client, event, uri, run=run, study_id=study_id, verdict=verdict)
    _link(client, uri, name, str(version.version))
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
        client.create_registered_model(name, description=_ABOUT.format(name=name))
    except MlflowException as error:
        # By another study, or by this request, whose first answer was lost.
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _link(client: MlflowClient, uri: str, name: str, version: str) -> None:
    """Say on the logged model's page that it is registered, as MLflow's own ``register_model`` does."""
    model = client.get_logged_model(uri.removeprefix("models:/"))
    known = json.loads(model.tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if (one := {"name": name, "version": version}) not in known:
        client.set_logged_model_tags(model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*known, one])})


def _version(
    client: MlflowClient, event: ModelPacked, uri: str, *, run: str, study_id: str, verdict: str
) -> ModelVersion:
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
        tags = tags_of(event, study_id)
        said = f"{verdict or f'Test {event.metric} {score_text(event.test_score)}'}\n\nOf study {study_id}."
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
    if found.difference == 0:
        return False, f"it cannot be told from version {holder}, which is: as good on the same {found.rows:,} rows"
    than = "better" if found.difference > 0 else "worse"
    by = f"{than} by {spread_text(abs(found.difference))} ± {spread_text(found.error)} on the same {found.rows:,} rows"
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
    short = score_text(score)
    return short if score == other or short != score_text(other) else repr(score)
