"""What looks back on the search, in MLflow: pictures and tables, on each round's run and on the study's.

- A round has its search map, history, slices and parallel coordinates (with the rounds before it), its rungs, what
  mattered in it (``importance.png`` and ``importance.LEAF`` as metrics) and ``trials.csv``.
- The study has the same of all rounds but the rungs and, where there is a second objective, ``pareto.csv`` and
  ``pareto.png``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from mlflow import MlflowClient

from search_service.recorders.figures import history, parallel, pareto, rungs, search_map, slices
from search_service.recorders.figures import importance as importance_bars
from search_service.recorders.figures.trials import leaves_of
from search_service.recorders.mlflow.pictures import log_picture
from search_service.records.finalists import Finalist, FinalistsResult
from search_service.records.rounds import RoundResult, TrialResult
from search_service.report.importance import Importance, importance

TRIAL_COLUMNS = ("trial_id", "round", "status", "reason", "epochs", "score", "best_epoch")


def importance_metrics(done: RoundResult) -> Mapping[str, float]:
    """Shares of a round as metrics by name; none where they are not known."""
    return {f"importance.{leaf}": share for leaf, share in importance(done).shares.items()}


def finalist_metrics(finalist: Finalist) -> Mapping[str, float]:
    """How sure its mean is and how large it is, as metrics by name; no interval with fewer than two seeds."""
    ends = dict(zip(("score_interval_low", "score_interval_high"), finalist.interval or (), strict=False))
    return ends | {"parameters": finalist.parameters}


def log_round(client: MlflowClient, run: str, rounds: Sequence[RoundResult]) -> None:
    """Write what a round's run shows.

    Args:
        client: The client of the MLflow store.
        run: Id of the run of the last of ``rounds``.
        rounds: So far, in order.
    """
    last, weighed = rounds[-1], [importance(done) for done in rounds]
    for name, draw in _pictures(rounds, weighed):
        log_picture(client, run, name, draw)
    log_picture(client, run, "rungs.png", partial(rungs.draw, last))
    log_picture(client, run, "importance.png", partial(importance_bars.draw, weighed[-1:]))
    client.log_text(run, trials_table([last]), "trials.csv")


def log_study(client: MlflowClient, run: str, rounds: Sequence[RoundResult], winner: str = "") -> None:
    """Write what the study's run shows of all rounds; nothing if it did not come to any.

    Args:
        client: The client of the MLflow store.
        run: Id of the study's run.
        rounds: The study's rounds in order.
        winner: Id of the trial that won, if it came to that.
    """
    if not rounds:
        return
    weighed = [importance(done) for done in rounds]
    for name, draw in _pictures(rounds, weighed, winner):
        log_picture(client, run, name, draw)
    log_picture(client, run, "importance.png", partial(importance_bars.draw, weighed))
    client.log_text(run, trials_table(rounds), "trials.csv")


def log_pareto(client: MlflowClient, run: str, final: FinalistsResult) -> None:
    """Write the trials by both objectives, as a table and a picture; nothing with a single objective.

    Args:
        client: The client of the MLflow store.
        run: Id of the study's run.
        final: The study's finalists.
    """
    if final.pareto is None:
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["trial_id", final.metric, final.pareto.second, "optimal"])
    rows.writerows([p.trial_id, p.score, p.second, str(p.is_optimal).lower()] for p in final.pareto.points)
    client.log_text(run, text.getvalue(), "pareto.csv")
    finalists = tuple(finalist.trial_id for finalist in final.finalists)
    log_picture(client, run, "pareto.png", partial(pareto.draw, final.pareto, final.metric, finalists))


def trials_table(rounds: Sequence[RoundResult]) -> str:
    """CSV: a line per trial with its fate and what was sampled; a leaf that it does not have is empty."""
    text = io.StringIO()
    leaves = leaves_of(rounds)
    rows = csv.DictWriter(text, [*TRIAL_COLUMNS, *leaves], restval="", lineterminator="\n")
    rows.writeheader()
    rows.writerows(_row(trial, done.plan.number) for done in rounds for trial in done.trials)
    return text.getvalue()


def _row(trial: TrialResult, number: int) -> dict[str, Any]:
    best = trial.best_point
    row = {
        "trial_id": trial.trial_id,
        "round": number,
        "status": str(trial.status),
        "reason": trial.reason,
        "epochs": trial.epochs,
        "score": best.validation_score if best else "",
        "best_epoch": best.epoch if best else "",
    }
    return row | {leaf: v if isinstance(v, str) else json.dumps(v) for leaf, v in trial.values.items()}


def _pictures(
    rounds: Sequence[RoundResult], weighed: Sequence[Importance], winner: str = ""
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "search_map.png", partial(search_map.draw, rounds, weighed=weighed, winner=winner)
    yield "history.png", partial(history.draw, rounds)
    yield "slices.png", partial(slices.draw, rounds)
    yield "parallel.png", partial(parallel.draw, rounds, winner=winner)
