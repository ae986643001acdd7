"""The last act in MLflow: who qualified and who won, a run per finalist, per baseline and for the refit."""

from __future__ import annotations

from functools import partial
from typing import Literal

from mlflow import MlflowClient

from search_service.recorders.figures import gradients, losses, schedules
from search_service.recorders.mlflow import metrics as values
from search_service.recorders.mlflow import search as mlflow_search
from search_service.recorders.mlflow.pictures import log_picture
from search_service.recorders.mlflow.runs import Runs
from search_service.records import curves
from search_service.records.finalists import Finalist, FinalistsResult
from search_service.records.numbers import score_text
from search_service.report.looking_back import describe_contenders
from search_service.report.study_report import describe_interval, describe_model
from search_service.report.worth import not_compared, worth
from trainables.records import Baseline
from trainables.visible import visible_lines


def write(client: MlflowClient, runs: Runs, final: FinalistsResult, *, parent: str, start_ms: int) -> None:
    """Write the run "finalists" and those below it.

    Args:
        client: The client of the MLflow store.
        runs: The study's runs.
        final: What was found.
        parent: Id of the study's run.
        start_ms: When the last act began, in milliseconds since 1970.
    """
    tags = {"winner": final.winner.trial_id, "rule": final.rule}
    group = runs.start("finalists", "finalists", parent=parent, tags=tags, start_ms=start_ms)
    for finalist in final.finalists:
        if runs.ended("finalist", f"finalist {finalist.trial_id}") is None:
            _write_finalist(client, runs, final, finalist, group)
    for baseline in final.baselines:
        if runs.ended("baseline", f"baseline {baseline.name}") is None:
            _write_baseline(runs, baseline, group)
    if final.refit is not None and runs.ended("refit", "refit") is None:
        _write_refit(runs, final, group)
    runs.batch(group, metrics=[values.metric("seconds", final.seconds)], tags={"mlflow.note.content": _note(final)})
    log_picture(client, group, "finalists.png", partial(losses.draw_finalists, final))
    log_picture(client, group, "learning_rates.png", partial(schedules.draw, final))
    runs.end(group)


def verdict(final: FinalistsResult) -> str:
    """What the model reaches and whether it was worth it."""
    worth_it = worth(final) or not_compared(final)
    return (
        f"Test {final.metric} {score_text(final.model_test_score)}{describe_interval(final)}. **Worth it?** {worth_it}."
    )


def _note(final: FinalistsResult) -> str:
    """Who won and what it is worth, then how the finalists were chosen and compared."""
    # Whoever wins although another has the best mean was preferred as the simplest.
    prefer: Literal["best", "simplest"] = "best" if final.winner.trial_id == final.contenders[0] else "simplest"
    head = f"**{final.winner.trial_id} won**. {verdict(final)}"
    compared = [f"{describe_contenders(final, prefer)}."] if len(final.finalists) > 1 else []
    return visible_lines("\n\n".join([head, *compared, final.rule, f"The model is {describe_model(final)}."]))


def _write_finalist(client: MlflowClient, runs: Runs, final: FinalistsResult, finalist: Finalist, parent: str) -> None:
    run = runs.start(f"finalist {finalist.trial_id}", "finalist", parent=parent)
    metrics = [values.metric("score_mean", finalist.mean), values.metric("score_std", finalist.std)]
    metrics += values.finite(mlflow_search.finalist_metrics(finalist))
    metrics += [values.metric("score_by_seed", s, step=i) for i, s in enumerate(finalist.scores)]
    metrics += [
        values.metric("score_by_fold", sum(scores) / len(scores), step=i)
        for i, scores in enumerate(finalist.fold_scores, start=1)
    ]
    if finalist is final.winner:
        metrics += [values.metric("test_by_seed", s, step=i) for i, s in enumerate(final.test_scores)]
    metrics += values.finite({f"validation_mean_{name}": v for name, v in finalist.validation_metrics.items()})
    metrics += [m for point in curves.mean(finalist.curves) for m in values.of_point(point, final.metric)]
    metrics += [values.metric("learning_rate", r, step=e) for e, r in enumerate(finalist.learning_rates, start=1)]
    metrics += values.of_health(finalist.health)
    tags = {
        "contender": str(finalist.trial_id in final.contenders).lower(),
        "won": str(finalist is final.winner).lower(),
        "seeds": " ".join(map(str, finalist.seeds)),
        "gradient_health": finalist.health.verdict.name,
        "fit": finalist.fit.name,
        "mlflow.note.content": f"{finalist.fit.summary}\n\n{finalist.health.verdict.summary}",
    }
    runs.batch(run, metrics=metrics, params=finalist.config.flat(), tags=tags)
    title = f"Finalist {finalist.trial_id}, first seed"
    log_picture(client, run, "gradient_health.png", partial(gradients.draw, finalist.health, title))
    runs.end(run)


def _write_baseline(runs: Runs, baseline: Baseline, parent: str) -> None:
    run = runs.start(f"baseline {baseline.name}", "baseline", parent=parent)
    scores = {f"validation_{name}": value for name, value in baseline.validation.items()}
    scores |= {f"test_{name}": value for name, value in baseline.test.items()}
    for name, lead in baseline.leads.items():
        scores |= {f"model_is_better_by/{name}": lead.difference, f"model_is_better_by/{name}_error": lead.error}
    said = baseline.unavailable or baseline.note
    tags = {"model": baseline.model, "mlflow.note.content": f"{baseline.model}{f': {said}' if said else ''}"}
    counts = {"rows": float(baseline.rows), "seconds": baseline.seconds}
    runs.batch(run, metrics=values.finite(scores | counts), tags=tags)
    runs.end(run, "FAILED" if baseline.unavailable else "FINISHED")


def _write_refit(runs: Runs, final: FinalistsResult, parent: str) -> None:
    refit = final.refit
    assert refit is not None
    run = runs.start("refit", "refit", parent=parent)
    numbers = {"rows": refit.rows, "epochs": refit.epochs, "epochs_spent": refit.epochs_spent}
    metrics = values.finite({name: float(value) for name, value in numbers.items()})
    metrics += values.finite({f"test_{name}": value for name, value in refit.test_metrics.items()})
    metrics += [values.metric("score_by_length", score, step=epochs) for epochs, score in refit.lengths]
    tags = {"seed": str(refit.seed), "mlflow.note.content": f"The model is {describe_model(final)}."}
    if final.average is not None:
        tags["average"] = " ".join(f"{n.trial_id}/{n.seed}:{n.share:.4g}" for n in final.average.networks)
    runs.batch(run, metrics=metrics, params=final.winner.config.flat(), tags=tags)
    runs.end(run, "FINISHED" if final.is_refit else "FAILED")
