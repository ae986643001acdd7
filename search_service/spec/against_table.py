"""What a config says that its table does not bear."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from search_service.errors import Problem
from search_service.spec.rules import NO_ENDS
from search_service.spec.search_space import ChoicesSpec, RangeSpec
from search_service.spec.study_spec import StudySpec
from trainables import conformal
from trainables.data.dataset import Dataset, Folds
from trainables.metrics import METRICS

# Metrics of pairs of rows of two classes.
OF_PAIRS: Collection[str] = ("roc_auc",)


def problems_against_table(
    spec: StudySpec, dataset: Dataset, test_rows: int, folds: Folds | None = None
) -> list[Problem]:
    """What the config says of rows and classes must be true of this table.

    Args:
        spec: What was asked.
        dataset: Training and validation rows.
        test_rows: How many test rows there are.
        folds: The divisions of a cross-validation, if one was asked for.
    """
    rows = len(dataset.train)
    return [
        *_batches_too_large(spec, rows),
        *_warmup_too_long(spec, rows),
        *_wrong_classes(spec, dataset),
        *_nothing_to_rank(spec, dataset, folds),
        *_threshold_of_other_than_two(spec, dataset),
        *_prediction_interval(spec, dataset, test_rows),
    ]


def metric_of_another_task(spec: StudySpec, task: str, reason: str) -> Problem:
    """A metric that alone says what is predicted, and a target that says otherwise.

    Args:
        spec: What was asked.
        task: What the target column makes of the table.
        reason: Why, in words.
    """
    fitting = ", ".join(name for name, metric in METRICS.items() if metric.task == task)
    fix = f"use one of {fitting}, or choose another target"
    return Problem("objective.metric", spec.objective.metric, f"a metric for {task}, since {reason}", fix)


def _batches_too_large(spec: StudySpec, rows: int) -> list[Problem]:
    """Batches that the user asks for must fit into the training rows; the default's are cut to them."""
    asked: dict[str, object] = {}
    if "batch_size" in spec.trial.model_fields_set:
        asked["trial.batch_size"] = spec.trial.batch_size
    searched = spec.search_space.get("batch_size")
    if isinstance(searched, RangeSpec):
        asked["search_space.batch_size.high"] = searched.high
    elif isinstance(searched, ChoicesSpec):
        asked |= {f"search_space.batch_size.choices.{i}": value for i, value in enumerate(searched.choices)}
    fix = "lower it, or use full for all rows in one batch"
    return [
        Problem(path, value, f"at most {rows}, the training rows of this table", fix)
        for path, value in asked.items()
        if isinstance(value, (int, float)) and value > rows
    ]


def _warmup_too_long(spec: StudySpec, rows: int) -> list[Problem]:
    """Warm-up in steps; how long a training is follows from the table. In epochs, the spec itself finds it."""
    schedule, batch = spec.trial.schedule, spec.trial.batch_size
    steps = spec.search.coarse.max_epochs * (1 if batch == "full" else math.ceil(rows / batch))
    if schedule.unit != "steps" or schedule.warmup < steps:
        return []
    rule = f"fewer than the {steps} steps that a training of the coarse search has"
    return [Problem("trial.schedule.warmup", schedule.warmup, rule, "lower it, or train longer")]


def _threshold_of_other_than_two(spec: StudySpec, dataset: Dataset) -> list[Problem]:
    """A probability from which on the second class is named, where there is not one second class."""
    asked, classes = spec.model.threshold, len(dataset.class_names)
    if not isinstance(asked, float) or classes == 2:
        return []
    has = f"has {classes}" if classes else "has a number for each row"
    rule = f"none or auto, since a threshold is between two classes and {spec.data.target or 'the target'} {has}"
    return [Problem("model.threshold", asked, rule, "remove it")]


def _nothing_to_rank(spec: StudySpec, dataset: Dataset, folds: Folds | None) -> list[Problem]:
    """A metric of pairs of rows of two classes, where rows to judge by are of one: it is no number for any network."""
    if spec.metric not in OF_PAIRS:
        return []
    if dataset.class_names and len(np.unique(dataset.validation.targets)) == 1:
        name = dataset.class_names[int(dataset.validation.targets[0])]
        rule = f"rows of two classes to judge by: all {len(dataset.validation):,} validation rows are {name!r}"
        others = [name for name, metric in METRICS.items() if metric.task == dataset.task and name not in OF_PAIRS]
        otherwise = "raise data.validation_fraction" if spec.data.time else "choose another data.split_seed"
        otherwise = "give data.validation rows of others, too" if spec.data.validation else otherwise
        return [Problem("objective.metric", spec.metric, rule, f"{otherwise}, or use {', '.join(others)}")]
    if folds is not None and folds.lack_a_second_class:
        rule = f"folds with rows of two classes each, without which there is no {spec.metric}"
        return [Problem("finalists.folds", spec.finalists.folds, rule, "lower it, or leave it out")]
    return []


def _prediction_interval(spec: StudySpec, dataset: Dataset, test_rows: int) -> list[Problem]:
    """Test rows set an interval's width, half of them at a time where it is judged by the others."""
    asked = spec.model.prediction_interval
    if asked is not None and dataset.class_names:
        return [Problem("model.prediction_interval", asked, NO_ENDS, "remove it")]
    if asked is None or (needed := 2 * conformal.fewest_rows(asked)) <= test_rows:
        return []
    rule = f"a share that {test_rows} test rows can tell: {asked:g} takes {needed}"
    return [Problem("model.prediction_interval", asked, rule, "lower it, or raise data.test_fraction")]


def _wrong_classes(spec: StudySpec, dataset: Dataset) -> list[Problem]:
    """Binary cross-entropy is for two classes, and class weights are one per class."""
    if dataset.task != "classification":
        return []
    n, first = dataset.n_outputs, dataset.class_names[:8]
    names = ", ".join(first) + (", …" if n > len(first) else "")
    problems = []
    if spec.trial.loss == "binary_cross_entropy" and n != 2:
        rule = f"a loss for {n} classes, which this table has ({names})"
        problems.append(Problem("trial.loss", spec.trial.loss, rule, "use cross_entropy"))
    asked: dict[str, object] = {"trial.class_weights": spec.trial.class_weights}
    searched = spec.search_space.get("class_weights")
    if isinstance(searched, ChoicesSpec):
        asked |= {f"search_space.class_weights.choices.{i}": value for i, value in enumerate(searched.choices)}
    rule, fix = f"{n} weights, one for each class in this order: {names}", "give as many, or use balanced"
    problems += [
        Problem(path, list(value), rule, fix)
        for path, value in asked.items()
        if isinstance(value, tuple) and len(value) != n
    ]
    return problems
