"""What a study's results are as metrics of MLflow: names, values and steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from mlflow.entities import Metric

from search_service.recorders.mlflow import search as mlflow_search
from search_service.records.checks import CheckResult, LearningRatesResult, OverfitResult
from search_service.records.finalists import FinalistsResult
from search_service.records.readings import HealthReading
from search_service.records.rounds import TrialResult
from trainables.metrics import METRICS
from trainables.records import EpochPoint


def of_trial(trial: TrialResult) -> list[Metric]:
    """A trial's curves, with the epoch as step, its best score, and how long it was trained."""
    metrics = [m for point in trial.curve for m in of_point(point, trial.metric)]
    if trial.best_point is not None:
        metrics += [metric("score", trial.score), metric("best_epoch", trial.best_point.epoch)]
    if trial.times is not None:
        metrics.append(metric("training_seconds", trial.times.seconds))
    return [*metrics, metric("epochs", trial.epochs)]


def metric(key: str, value: float, step: int = 0) -> Metric:
    """One value; its time is that of the event, which whoever writes it knows."""
    # MLflow takes no plus sign in a name, as in 1e+03.
    return Metric(key.replace("+", ""), float(value), 0, step)


def finite(values: Mapping[str, float]) -> list[Metric]:
    """Those that are numbers: an area under a curve is none where only one class occurs."""
    return [metric(name, value) for name, value in values.items() if math.isfinite(value)]


def of_answer(final: FinalistsResult) -> dict[str, float]:
    """What the study's own run says: the model's test score first; the rest in groups, which the UI folds.

    ``test_accuracy``, ``test_low`` and ``test_high`` are of the model, ``baseline`` and ``ignoring_inputs`` what the
    best baseline and a constant reach on the same rows, ``score_mean`` is the winner's validation score over its seeds.
    ``model/``, ``seeds/``, ``baseline/linear/`` … have every metric of the model, of the winner's seeds, and so on.
    """
    values: dict[str, float] = {f"test_{final.metric}": final.model_test_score, "score_mean": final.winner.mean}
    values |= dict(zip(("test_low", "test_high"), final.test_interval or (), strict=False))
    values["ignoring_inputs"] = final.trivial_test_score
    scored = [b.test[final.metric] for b in final.baselines if final.metric in b.test]
    if scored:
        values["baseline"] = min(scored, key=METRICS[final.metric].rank)
    of_seeds = {f"validation_{name}": value for name, value in final.winner.validation_metrics.items()}
    of_seeds |= {f"test_{name}": value for name, value in final.test_metrics.items()}
    of_seeds |= {f"test_{final.metric}_mean": final.test_mean, f"test_{final.metric}_std": final.test_std}
    values |= {f"seeds/{name}": value for name, value in of_seeds.items()}
    values |= {f"ignoring_inputs/test_{name}": value for name, value in final.trivial_test_metrics.items()}
    for baseline in final.baselines:
        values |= {f"baseline/{baseline.name}/validation_{name}": value for name, value in baseline.validation.items()}
        values |= {f"baseline/{baseline.name}/test_{name}": value for name, value in baseline.test.items()}
    values |= {f"winner/{name}": value for name, value in mlflow_search.finalist_metrics(final.winner).items()}
    of_model = final.refit.test_metrics if final.refit is not None and final.is_refit else {}
    if final.average is not None:
        average, of_model = final.average, final.average.test_metrics
        values |= {"model/networks": float(len(average.networks)), "model/parameters": float(average.parameters)}
        values |= {"model/prediction_ms": average.prediction_ms, "model/alone_prediction_ms": average.alone_ms}
        values[f"model/alone_test_{final.metric}"] = final.network_test_score
    # The objective's is written with the model itself (models.py).
    values |= {f"model/test_{name}": value for name, value in of_model.items() if name != final.metric}
    if final.calibration is not None:
        values |= {f"calibration/{name}": value for name, value in asdict(final.calibration).items()}
    if (interval := final.prediction_interval) is not None:
        values |= {f"prediction_interval/{name}": float(value) for name, value in asdict(interval).items()}
    if final.threshold is not None:
        values["threshold/probability"] = final.threshold.probability
        values |= {f"threshold/test_{name}": value for name, value in final.threshold.test.items()}
        values |= {f"threshold/test_{name}_at_half": value for name, value in final.threshold.test_at_half.items()}
    return values


def of_point(point: EpochPoint, score: str) -> list[Metric]:
    """The losses and the score of one epoch; ``score`` is the metric that it is of."""
    return [
        metric("train_loss", point.train_loss, point.epoch),
        metric("validation_loss", point.validation_loss, point.epoch),
        metric(f"validation_{score}", point.validation_score, point.epoch),
    ]


def of_check(check: CheckResult) -> list[Metric]:
    """Loss curves of a check, as metrics by learning rate."""
    if isinstance(check, OverfitResult):
        return [
            metric(_by_rate(rate), loss, step)
            for rate, curve in check.curves
            for step, loss in zip(check.steps, curve, strict=True)
        ]
    if isinstance(check, LearningRatesResult):
        return [
            metric(_by_rate(outcome.rate), sum(at_step) / len(at_step), step)
            for outcome in check.outcomes
            for step, at_step in enumerate(zip(*outcome.curves, strict=True))
        ]
    return []


def of_health(reading: HealthReading) -> list[Metric]:
    """What was measured of each layer, with the parameter update as step; layers are numbered from 1."""
    return [
        metric(f"layer_{number}/{name}", value, look.step)
        for look in reading.history
        for number, layer in enumerate(look.layers, start=1)
        for name, value in asdict(layer).items()
    ]


def _by_rate(rate: float) -> str:
    return f"loss.lr_{rate:.3g}"
