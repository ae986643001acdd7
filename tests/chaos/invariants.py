"""What must hold of a study, however often it was killed: one function, which lists what does not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from search_service.folder import journals
from tests.chaos.variants import TRIALS

Content = Mapping[str, Any]
ENDED = ("FINISHED", "FAILED")


def violations(
    home: Path, record: str, calm: Content | None, name: str = "chaos", trials: tuple[int, int] = TRIALS
) -> list[str]:
    """What does not hold of the one study under a home.

    Args:
        home: Of the study, which has ended.
        record: Address of MLflow's store.
        calm: ``content`` of the undisturbed study, if this one is to be equal to it.
        name: Of the study's experiment and model.
        trials: How many were asked for in its two rounds.
    """
    folders = [path for path in home.glob("studies/*") if (path / "spec.json").exists()]
    if len(folders) != 1:
        return [f"{len(folders)} studies, where one was asked for"]
    (folder,) = folders
    found = [*_of_journals(folder, trials), *_of_record(folder, record, name, trials), *_of_ending(folder, trials)]
    if calm is not None and not found:
        mine = content(folder)
        found += [f"{name} is not that of the undisturbed study" for name in calm if mine[name] != calm[name]]
    return found


def content(folder: Path) -> Content:
    """What two studies of one config and seed have in common, to the last bit."""
    rounds = [
        [{key: entry[key] for key in ("trial", "status", "curve", "config")} for entry in _told(path)]
        for path in sorted(folder.glob("round-*"))
    ]
    result = json.loads((folder / "result.json").read_text())
    final = json.loads((folder / "done" / "finalists.json").read_text())
    return {
        "every trial": [sorted(of_round, key=lambda entry: entry["trial"]) for of_round in rounds],
        "the order in which trials ended": [[entry["trial"] for entry in of_round] for of_round in rounds],
        "the winner": [result["best"][key] for key in ("trial_id", "config", "validation_mean", "seeds")],
        "its test scores": [final["test_scores"], final["test_metrics"], final["refit"]["test_metrics"]],
    }


def _told(path: Path) -> list[dict[str, Any]]:
    return journals.read(path / "told.jsonl")


def _of_journals(folder: Path, trials: tuple[int, int]) -> Iterator[str]:
    """Every trial that was asked for has one end, none two, as many as planned, and curves have no gaps."""
    for number, planned in enumerate(trials, start=1):
        path = folder / f"round-{number}"
        asked = [entry["trial"] for entry in journals.read(path / "asked.jsonl")]
        if asked != [f"r{number}-{i:03d}" for i in range(planned)]:
            yield f"round {number} asked for {len(asked)} trials, and not for {planned} in their order"
        told = _told(path)
        if sorted(entry["trial"] for entry in told) != sorted(asked):
            yield f"round {number}: trials with an end are {sorted(entry['trial'] for entry in told)}"
        for entry in told:
            if entry["status"] == "failed":
                yield f"{entry['trial']} failed: {entry['reason']}"
            if [point["epoch"] for point in entry["curve"]] != list(range(1, len(entry["curve"]) + 1)):
                yield f"{entry['trial']} has gaps in its curve"
        judged = Counter((entry["rung"], entry["trial"]) for entry in journals.read(path / "rungs.jsonl"))
        yield from (f"{key} was judged {n} times" for key, n in judged.items() if n > 1)
        if (path / "paused").exists():
            yield f"round {number} left paused cohorts"


def _of_record(folder: Path, record: str, called: str, trials: tuple[int, int]) -> Iterator[str]:
    """One run for every part, all ended, with parents; no value twice; curves as told; one model, one version."""
    client = MlflowClient(tracking_uri=record, registry_uri=record)
    experiment = client.get_experiment_by_name(called)
    if experiment is None:
        yield "there is no experiment"
        return
    runs = client.search_runs([experiment.experiment_id], f"tags.study_id = '{folder.name}'", max_results=1000)
    named = Counter((run.data.tags["kind"], run.data.tags["part"]) for run in runs)
    yield from (f"{n} runs are {key}" for key, n in named.items() if n > 1)
    parts = {
        "check": 3,
        "round": 2,
        "decision": 1,
        "finalists": 1,
        "finalist": 2,
        "study": 1,
        "trial": sum(trials),
    }
    kinds = Counter(run.data.tags["kind"] for run in runs)
    yield from (f"{kinds[kind]} runs of kind {kind}, not {n}" for kind, n in parts.items() if kinds[kind] != n)
    ids = {run.info.run_id for run in runs}
    told = {entry["trial"]: entry for path in folder.glob("round-*") for entry in _told(path)}
    for run in runs:
        name = run.data.tags["part"]
        if run.info.status not in ENDED:
            yield f"{name} is {run.info.status} in MLflow"
        if run.data.tags["kind"] != "study" and run.data.tags.get("mlflow.parentRunId") not in ids:
            yield f"{name} has no parent"
        if run.data.tags["kind"] == "trial":
            values = client.get_metric_history(run.info.run_id, "validation_loss")
            curve = [(point["epoch"], point["validation_loss"]) for point in told[name]["curve"]]
            if sorted((value.step, value.value) for value in values) != curve:
                yield f"{name}: MLflow has another curve"
        if run.data.tags["kind"] in ("study", "round", "finalist"):
            for key in run.data.metrics:
                steps = Counter(value.step for value in client.get_metric_history(run.info.run_id, key))
                # How long a study has taken is said by each process that ended in order.
                if max(steps.values()) > 1 and (run.data.tags["kind"], key) != ("study", "seconds"):
                    yield f"{name}: MLflow has {key} twice"
    models = client.search_logged_models([experiment.experiment_id])
    if [str(model.status) for model in models] != ["READY"]:
        yield f"logged models: {[str(model.status) for model in models]}"
    versions = client.search_model_versions(f"name = '{called}'")
    if len(versions) != 1 or str(client.get_registered_model(called).aliases.get("champion")) != "1":
        yield f"{len(versions)} versions are registered"


def _of_ending(folder: Path, trials: tuple[int, int]) -> Iterator[str]:
    """Result, report, events and folder say the same, and nobody holds the lock."""
    for name in ("result.json", "report.txt", "report.html", "ended.json", "recorded.json"):
        if not (folder / name).exists():
            yield f"{name} is missing"
            return
    result, ended = (json.loads((folder / name).read_text()) for name in ("result.json", "ended.json"))
    events = journals.read(folder / "events.jsonl")
    said = [event for event in events if event["type"] == "study_finished"]
    if not result["status"] == ended["status"] == said[-1]["status"] == "completed":
        yield f"it ended {result['status']}, {ended['status']} and {said[-1]['status']}"
    of_trials = Counter(event["trial"] for event in events if event["type"] == "trial_finished")
    if len(of_trials) != sum(trials) or max(of_trials.values()) > 1:
        yield "events.jsonl has not every trial once"
    if (folder / "tmp").exists():
        yield "temporary files are left"
    try:
        FileLock(folder / "study.lock").acquire(timeout=0).__exit__(None, None, None)
    except Timeout:
        yield "somebody holds the lock"
