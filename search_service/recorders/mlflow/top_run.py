"""The run of a whole study or comparison: what was asked, of which table, with which versions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from search_service.recorders.mlflow.runs import Runs
from search_service.records.events import ComparisonStarted, StudyStarted
from search_service.records.results import StudyStatus
from search_service.records.rounds import TrialStatus
from search_service.report.study_report import describe_data
from search_service.spec import config_file

RUN_STATUS = {
    StudyStatus.COMPLETED: "FINISHED",
    StudyStatus.FAILED: "FAILED",
    StudyStatus.INTERRUPTED: "KILLED",
    TrialStatus.COMPLETED: "FINISHED",
    # Stopped by ASHA: that is the search working, not a failure.
    TrialStatus.PRUNED: "FINISHED",
    TrialStatus.DIVERGED: "FAILED",
    TrialStatus.FAILED: "FAILED",
}


def begin(
    client: MlflowClient,
    runs: Runs,
    kind: str,
    name: str,
    event: StudyStarted | ComparisonStarted,
    *,
    unasked: Collection[str],
) -> str:
    """A run without a parent, with the whole config but the sections ``unasked``, which it does not use."""
    tags = {f"{kind}_id": name, "data.fingerprint": event.data.fingerprint}
    tags |= {"data.described": "\n".join(describe_data(event.data))}
    tags |= {"data.suspicious": "\n".join(event.data.warnings)}
    if isinstance(event, StudyStarted) and event.extends:
        tags["extends"] = event.extends
    tags |= {f"version.{library}": version for library, version in event.versions.items()}
    run = runs.start(name, kind, parent=None, tags=tags)
    data = event.data
    facts = {
        "data.rows.train": data.n_train,
        "data.rows.validation": data.n_validation,
        "data.rows.test": data.n_test,
        "data.features": data.n_inputs,
        "data.outputs": data.n_outputs,
        "data.is": data.task,
        **{f"data.columns.of_kind.{kind}": count for kind, count in data.columns.items()},
    }
    # Of the trial, the leaves that mean something for its choices; of the rest what was asked for: what was not is as
    # this version of the package has it.
    plain = event.spec.model_dump(mode="json", exclude={"trial", *unasked}, exclude_unset=True)
    # A column may have any name, a key of MLflow's may not.
    if "columns" in plain["data"]:
        plain["data"]["columns"] = json.dumps(plain["data"]["columns"], ensure_ascii=False)
    asked = _flatten(plain)
    trial = {f"trial.{leaf}": value for leaf, value in event.spec.trial.flat().items()}
    runs.batch(run, params={**asked, **trial, **facts})
    _log_table(client, run, event)
    client.log_text(run, event.spec.model_dump_json(indent=2, exclude_unset=True), "spec.json")
    client.log_text(run, config_file.to_run_again(event.spec), "config.yaml")
    return run


def _log_table(client: MlflowClient, run: str, event: StudyStarted | ComparisonStarted) -> None:
    """The table as MLflow's data set of the run: it stands in the list of runs and can be filtered by."""
    data = event.data
    counts = {"num_rows": data.n_train + data.n_validation + data.n_test, "num_features": data.n_inputs}
    table = Dataset(
        # MLflow's limits.
        name=Path(data.source).name[:500] or "table",
        digest=data.fingerprint[:36],
        source_type="search-service",
        source=json.dumps({"source": data.source, "target": data.target}),
        profile=json.dumps(counts | {"num_outputs": data.n_outputs}),
    )
    client.log_inputs(run, [DatasetInput(table, [InputTag("mlflow.data.context", "training")])])


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} to {"a.b": 1}; what is not set is left out."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value
    return flat
