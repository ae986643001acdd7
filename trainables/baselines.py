"""What simpler models reach on the same rows: was the network worth it?

A linear model and gradient boosting, scikit-learn's own with its own defaults, learn from the rows that the networks
learn from (same preparation, but for the bins of numbers, which are a network's; same row weights, and class weights as
the winner's) and are scored by the same metrics in the same units. Where the model learns once more, from training and
validation rows together, so do they before they meet the test rows: a network with a third more rows would be ahead by
these alone. They choose nothing: whether a table needs a network is for its owner to say, and here is what it costs.

Their cost is bounded, whatever the table, by learning from fewer rows, evenly spread; a baseline that would be too
expensive all the same, or that fails, says so and has no scores.
Source: Grinsztajn et al. 2022, "Why do tree-based models still outperform deep learning on typical tabular data?"
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import threadpoolctl
import torch
from numpy.typing import NDArray

from trainables.advantage import Drawn
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, Rows
from trainables.losses import class_weights
from trainables.metrics import MetricName, metrics_for
from trainables.records import Baseline, BaselineName
from trainables.row_tensors import RowTensors, to_tensors
from trainables.scores import LEAST_FREQUENCY
from trainables.threshold import best_shift, scores_at, shift_at

# The simplest first.
NAMES: tuple[BaselineName, ...] = ("linear", "boosting")
# Training rows at most: beyond, either model's score moves by less than the seeds of a network do.
MOST_ROWS = 200_000
# Fewer say nothing about a table that has more.
LEAST_ROWS = 1_000
# Features × rows of a linear model, in numbers: 240 MB in float64.
LINEAR_NUMBERS = 30_000_000
# Features × rows × classes of logistic regression. An iteration took 0.8 ns for each on one core: 200 of them, at most
# 80 s; most tables need 20.
LOGISTIC_WORK = 500_000_000
LOGISTIC_ITERATIONS = 200
# Features × rows × trees of gradient boosting, at 10 ns each on one core (measured: 8 to 12): at most three to four
# minutes. A tree costs 70 µs per feature besides, whatever the rows (its histograms), and a millisecond in any case.
BOOSTING_WORK = 20_000_000_000
ROWS_PER_FEATURE, NUMBERS_PER_TREE = 7_000, 100_000
# Seconds of one core for each of these numbers; of a linear model in 20 iterations.
BOOSTING_S, LINEAR_S = 1e-8, 20 * 0.8e-9
# scikit-learn's own number of rounds; it stops early, on a tenth of the rows, where there are more rows than this, and
# may then go on for longer.
ROUNDS, MOST_ROUNDS, STOPS_EARLY_ABOVE = 100, 500, 10_000


@dataclass(frozen=True)
class _Plan:
    """How a baseline is fitted.

    Attributes:
        model: What people call it.
        rows: Training rows that its budget allows.
        make: The estimator, given the rows that it really gets.
    """

    model: str
    rows: int
    make: Callable[[int], Any]


def seconds(name: BaselineName, dataset: Dataset, *, again: bool) -> float:
    """About how many seconds a baseline takes on one core.

    Args:
        name: Which.
        dataset: Its rows.
        again: Whether it learns once more, from training and validation rows.
    """
    train = len(dataset.train)
    fits = [train, train + len(dataset.validation)] if again else [train]
    return sum(_seconds(name, dataset, min(rows, MOST_ROWS)) for rows in fits)


def _seconds(name: BaselineName, dataset: Dataset, rows: int) -> float:
    outputs, features = dataset.n_outputs, _n_features(dataset)
    if name == "linear":
        return rows * features * outputs * LINEAR_S
    trees = ROUNDS * (outputs if outputs > 2 else 1)
    return ((rows + ROWS_PER_FEATURE) * features + NUMBERS_PER_TREE) * trees * BOOSTING_S


def _n_features(dataset: Dataset) -> int:
    """Features that the models take."""
    return dataset.n_inputs - len(dataset.bins)


def _features(dataset: Dataset, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of prepared rows ``[N, D]`` what the models take: bins are a network's."""
    return np.delete(inputs, dataset.bins, axis=1) if dataset.bins else inputs


@dataclass(frozen=True)
class Fitted:
    """A baseline, and what it says of the test rows.

    Attributes:
        baseline: Its scores.
        outputs: ``[1, N, C]`` float64; None if there is no model.
        shift: The log-odds above which it names the second of two classes.
    """

    baseline: Baseline
    outputs: torch.Tensor | None = None
    shift: float = 0.0

    def compared(self, network: Drawn, config: TrialConfig) -> Baseline:
        """With what the network is ahead by, row by row.

        Args:
            network: What the network says of the same rows.
            config: The network's.
        """
        if self.outputs is None:
            return self.baseline
        names = metrics_for(config.task, gives_probabilities=config.gives_probabilities)
        each = list(dict.fromkeys([network.metric, *names]))
        leads = network.over_by_each(self.outputs[0], each, shift=self.shift)
        return replace(self.baseline, lead=leads[network.metric], leads=leads)


def fit(
    name: BaselineName,
    config: TrialConfig,
    dataset: Dataset,
    test_rows: Rows,
    *,
    seed: int,
    threshold: float | MetricName | None = None,
    again: bool = False,
) -> Fitted:
    """Fit and score a baseline.

    Args:
        name: Which.
        config: The winner; its class weights are the baseline's too.
        dataset: It learns from the training rows.
        test_rows: Scored at the end, and nothing else.
        seed: Decides the rows on which gradient boosting stops.
        threshold: The probability from which on the second of two classes is named, or the score by which it is chosen
            on validation rows; None: one half.
        again: Whether the test rows are for one that has learnt once more, from training and validation rows.
    """
    plan = _linear(dataset) if name == "linear" else _boosting(dataset, seed)
    return _fit(name, plan, config, dataset, test_rows, threshold, again=again)


def _linear(dataset: Dataset) -> _Plan:
    # Here and below: whoever only carries results around (each of Ray's workers) need not hold scikit-learn.
    from sklearn.linear_model import LogisticRegression, Ridge

    features = _n_features(dataset)
    if dataset.task == "regression":
        return _Plan("ridge regression", LINEAR_NUMBERS // features, lambda rows: Ridge())
    rows = min(LINEAR_NUMBERS // features, LOGISTIC_WORK // (features * dataset.n_outputs))
    return _Plan("logistic regression", rows, lambda rows: LogisticRegression(max_iter=LOGISTIC_ITERATIONS))


def _boosting(dataset: Dataset, seed: int) -> _Plan:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    classifies = dataset.task == "classification"
    # A round grows one tree for a number or two classes, and one per class for more.
    trees = dataset.n_outputs if dataset.n_outputs > 2 else 1
    affordable = (BOOSTING_WORK // (ROUNDS * trees) - NUMBERS_PER_TREE) // _n_features(dataset) - ROWS_PER_FEATURE

    def make(rows: int) -> Any:
        rounds = BOOSTING_WORK // (((rows + ROWS_PER_FEATURE) * _n_features(dataset) + NUMBERS_PER_TREE) * trees)
        kind = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
        return kind(
            max_iter=min(max(rounds, ROUNDS), MOST_ROUNDS) if rows > STOPS_EARLY_ABOVE else ROUNDS,
            early_stopping=rows > STOPS_EARLY_ABOVE,
            random_state=seed % 2**32,
        )

    return _Plan("gradient boosting", max(0, affordable), make)


def _fit(
    name: BaselineName,
    plan: _Plan,
    config: TrialConfig,
    dataset: Dataset,
    test_rows: Rows,
    threshold: float | MetricName | None,
    *,
    again: bool,
) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning

    started = time.monotonic()
    if plan.rows < min(len(dataset.train), LEAST_ROWS):
        size = f"{_n_features(dataset)} features and {dataset.n_outputs} outputs"
        reason = f"too expensive with {size}: it could learn from {plan.rows} rows"
        return Fitted(Baseline(name, plan.model, unavailable=reason))
    try:
        # As many threads as networks train with: the machine may be busy with other things.
        with threadpoolctl.threadpool_limits(torch.get_num_threads()), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            learnt = dataset
            model, rows = _learnt(plan, config, learnt)
            said = _outputs(model, dataset, dataset.validation.inputs)
            judged = to_tensors(dataset.validation, "cpu", torch.float64)
            shift = _shift(threshold, judged, said)
            validation = _scores(said, judged, dataset, shift)
            if again:
                learnt = dataset.with_validation_rows_trained()
                model, rows = _learnt(plan, config, learnt)
            said = _outputs(model, dataset, test_rows.inputs)
            test = _scores(said, to_tensors(test_rows, "cpu", torch.float64), dataset, shift)
    except Exception as error:  # Whatever a model stumbles over, the study has its answer and keeps it.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Fitted(Baseline(name, plan.model, unavailable=reason, seconds=time.monotonic() - started))
    available = len(learnt.train)
    notes = [f"learnt from {rows:,} of {available:,} rows"] if rows < available else []
    if any(issubclass(warning.category, ConvergenceWarning) for warning in heard):
        notes.append(f"not converged in {LOGISTIC_ITERATIONS} iterations")
    seconds = time.monotonic() - started
    return Fitted(Baseline(name, plan.model, validation, test, rows, "; ".join(notes), seconds=seconds), said, shift)


def _learnt(plan: _Plan, config: TrialConfig, dataset: Dataset) -> tuple[Any, int]:
    """The estimator, fitted to a dataset's training rows, and from how many of them it has learnt."""
    rows = to_tensors(dataset.train, "cpu", torch.float32).spread(min(plan.rows, MOST_ROWS))
    inputs = _features(dataset, rows.inputs.numpy()).astype(np.float64)
    return plan.make(len(rows)).fit(inputs, rows.targets.numpy(), _weights(config, dataset, rows)), len(rows)


def _weights(config: TrialConfig, dataset: Dataset, rows: RowTensors) -> NDArray[np.float64] | None:
    """What each row counts in the winner's loss, ``[N]``; None if all count alike."""
    weights = None if rows.weights is None else rows.weights.double()
    if dataset.task == "classification":
        of_classes = class_weights(config, rows.targets, dataset.n_outputs, weights)
        if of_classes is not None:
            weights = of_classes[rows.targets] * (1.0 if weights is None else weights)
    if weights is None:
        return None
    as_array: NDArray[np.float64] = weights.numpy()
    return as_array


def _shift(threshold: float | MetricName | None, rows: RowTensors, outputs: torch.Tensor) -> float:
    """The log-odds above which the second of two classes is named."""
    if threshold is None:
        return 0.0
    return shift_at(threshold) if isinstance(threshold, float) else best_shift(outputs[0], rows, threshold)


def _scores(outputs: torch.Tensor, rows: RowTensors, dataset: Dataset, shift: float) -> dict[MetricName, float]:
    """Every metric of the task on ``rows``, of which ``outputs`` are ``[1, N, C]``."""
    names = metrics_for(dataset.task, gives_probabilities=True)
    scores = scores_at(outputs, rows, names, scaling=dataset.scaling, shift=shift)
    return {name: score.item() for name, score in scores.items()}


def _outputs(model: Any, dataset: Dataset, inputs: NDArray[np.float32]) -> torch.Tensor:
    """What the model says, as a network of one member would: ``[N, D]`` -> ``[1, N, C]``, float64."""
    inputs = _features(dataset, inputs)
    if dataset.task == "regression":
        return torch.from_numpy(np.asarray(model.predict(inputs), dtype=np.float64)).view(1, -1, 1)
    # Classes that are not among the training rows have no column of their own.
    p = np.zeros((len(inputs), dataset.n_outputs))
    p[:, model.classes_] = model.predict_proba(inputs)
    return torch.from_numpy(np.log(np.maximum(p, LEAST_FREQUENCY))).unsqueeze(0)
