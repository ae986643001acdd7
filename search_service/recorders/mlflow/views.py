"""Tables of MLflow's UI that are worth a link: studies by their result, trials by their score, checks.

The UI keeps a view (which runs, in which order, with which columns) as a tag of the experiment and opens it by a link
with its key; without one it lists the newest hundred runs of any kind, without a score. MLflow has no call for it: the
tag is written as its "Share" button writes it (MLflow 3.17). A UI that does not know it shows its usual list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mlflow import MlflowClient

from trainables.metrics import METRICS, MetricName

_TAG = "mlflow.sharedViewState."
# The UI's default is the view for generative AI.
TRAINING = "workflowType=machine_learning"
# Columns of leaves at most: what fits beside the score on a screen.
MOST_LEAVES = 8


def page(experiment: str, run: str) -> str:
    """Path of a run's page; of the experiment's list without one."""
    return f"/#/experiments/{experiment}/{f'runs/{run}' if run else 'runs'}?{TRAINING}"


def link(experiment: str, key: str) -> str:
    """Path of a view below the UI's address."""
    return f"/#/experiments/{experiment}/runs?viewStateShareKey={key}&{TRAINING}"


def write(client: MlflowClient, experiment: str, study_id: str, metric: MetricName, leaves: Iterable[str]) -> None:
    """Write the views of an experiment: one of its studies, and two of one study.

    Args:
        client: The client of the MLflow store.
        experiment: The experiment's id.
        study_id: The study whose trials and checks are shown.
        metric: The study's.
        leaves: What it searches.
    """
    is_max = METRICS[metric].mode == "max"
    params = [_column("params", leaf) for leaf in list(leaves)[:MOST_LEAVES]]
    numbers = [_column("metrics", name) for name in ("score", "epochs", "training_seconds")]
    results = [_column("metrics", name) for name in (f"test_{metric}", "test_low", "test_high", "baseline", "trials")]
    mine = f"tags.study_id = '{study_id}' and tags.kind ="
    newest = "attributes.start_time"
    words = [_column("tags", name) for name in ("status", "reason")]
    verdicts = [_column("tags", name) for name in ("verdict", "summary", "advice")]
    tables = {
        "studies": ("Studies", "tags.kind = 'study'", newest, False, [*results, _column("tags", "worth"), *words]),
        f"trials-{study_id}": (
            f"Trials of {study_id} by score", f"{mine} 'trial'", "metrics.`score`", not is_max,
            [*numbers, *params, *words],
        ),
        f"checks-{study_id}": (f"Checks of {study_id}", f"{mine} 'check'", newest, True, verdicts),
    }  # fmt: skip
    for key, (name, where, order, is_ascending, columns) in tables.items():
        state = {
            "searchFilter": where, "orderByKey": order, "orderByAsc": is_ascending, "startTime": "ALL",
            "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "ALL_RUNS",
            "selectedColumns": columns, "compareRunsMode": "TABLE",
        }  # fmt: skip
        client.set_experiment_tag(experiment, _TAG + key, json.dumps(_view(name, state)))


def _view(name: str, state: dict[str, Any]) -> dict[str, Any]:
    # Made once and for all: the UI shows no time.
    return {"name": name, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
