"""23: tables on which two models are equally good, or one is better by three standard errors: 18 of 20 are told so.

Of equally good models one in twenty is held for better or worse by chance, since 95 % is what is asked for. Of 20
tables chance makes 17 every tenth time, so more are tried.
What the models say is made up, row by row; how it is compared and what is said of it is what a study says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from search_service.records.finalists import Average, Finalist, FinalistsResult
from search_service.report.worth import Answer, judge, worth
from tests.plans import plain
from trainables.advantage import Drawn
from trainables.metrics import METRICS
from trainables.records import Advantage, Baseline
from trainables.row_tensors import RowTensors

ROWS, TABLES = 400, 60


def verdict(metric, outputs, others, targets) -> Answer:
    """Of a study whose model says ``outputs`` of its test rows, where boosting says ``others``."""
    rows = RowTensors(torch.empty(ROWS, 0), torch.as_tensor(targets), None)
    compared = Drawn(torch.as_tensor(outputs), rows, metric)
    lead = compared.over(torch.as_tensor(others))
    boosting = Baseline("boosting", "boosting", test={metric: 0.5}, lead=lead, leads={metric: lead})
    finalist = Finalist("r1-000", plain(), (1,), (0.5,), ((),), None, None, ())
    final = FinalistsResult((finalist,), metric, (0.5,), 0, {metric: 0.0}, Path("x"), 1.0, baselines=(boosting,))
    found = judge(final)
    assert found is not None
    return found.answer


def test_23_probabilities_that_say_less_than_how_frequent_classes_are_are_told():
    """A study whose classes were weighted was registered as champion without a word on its probabilities."""
    lead = Advantage(0.1, 0.01, ROWS)
    linear = Baseline("linear", "logistic regression", test={"roc_auc": 0.6}, lead=lead, leads={"roc_auc": lead})
    for config, why in (
        (plain(), ""),
        (plain().replace({"class_weights": "balanced"}), ", as weighted classes make them"),
    ):
        finalist = Finalist("r1-000", config, (1,), (0.7,), ((),), None, None, ())
        trivial = {"roc_auc": 0.5, "log_loss": 0.1538}

        def said(log_loss, finalist=finalist, trivial=trivial):
            metrics = {"roc_auc": 0.7, "log_loss": log_loss}
            final = FinalistsResult(
                (finalist,), "roc_auc", (0.7,), 0, trivial, Path("x"), 1.0, test_metrics=metrics, baselines=(linear,)
            )
            return worth(final)

        clause = "; but its networks' probabilities are further off than the classes' frequencies (log_loss "
        assert said(0.2389).endswith(f"{clause}0.2389 against 0.1538){why}")
        assert "probabilities" not in said(0.1389)
        # Where another model is ahead by its probabilities, that is one thing more; and of an average it is its own.
        ahead = Baseline(
            "linear", "ridge", test={"roc_auc": 0.6, "log_loss": 0.1},
            lead=lead, leads={"roc_auc": lead, "log_loss": Advantage(-0.1, 0.01, ROWS)},
        )  # fmt: skip
        average = Average((), 0.7, 0.7, 1, 1.0, 1.0, test_metrics={"roc_auc": 0.7, "log_loss": 0.25})
        final = FinalistsResult(
            (finalist,), "roc_auc", (0.7,), 0, trivial, Path("x"), 1.0,
            test_metrics={"roc_auc": 0.7, "log_loss": 0.2389}, baselines=(ahead,), average=average,
        )  # fmt: skip
        assert "; and its probabilities are further off than the classes' frequencies (log_loss 0.25 " in worth(final)
        assert worth(final).count("; but ") == 1


def classes(log_odds):
    return np.stack([-log_odds / 2, log_odds / 2], axis=1).astype(np.float32)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "rmse"])
def test_23_models_that_are_equally_good_cannot_be_told_apart(metric):
    verdicts = []
    for table in range(TABLES):
        random = np.random.default_rng(table)
        errors = random.normal(size=(2, ROWS))
        if METRICS[metric].task == "regression":
            targets = random.normal(size=ROWS).astype(np.float32)
            said = [(targets + 0.5 * error)[:, None].astype(np.float32) for error in errors]
        else:
            targets = (random.random(ROWS) < 0.4).astype(np.int64)
            said = [classes(2.0 * targets - 1 + 1.2 * error) for error in errors]
        verdicts.append(verdict(metric, *said, targets))
    assert verdicts.count("cannot be told") >= 0.9 * TABLES


@pytest.mark.parametrize(("sign", "said"), [(1, "better"), (-1, "not better")])
def test_23_a_model_that_is_better_or_worse_by_three_standard_errors_is_said_to_be(sign, said):
    """Of the rows that one of the two gets wrong so many more are the worse one's (McNemar's test, in closed form)."""
    verdicts = []
    for table in range(TABLES):
        random = np.random.default_rng(table)
        unlike = random.integers(40, 160)
        # (right - wrong) rows are three of their standard errors, sqrt(unlike - (right - wrong)² / rows).
        more = round(3 * (unlike / (1 + 9 / ROWS)) ** 0.5)
        right = (unlike + more + 1) // 2
        targets = (random.random(ROWS) < 0.4).astype(np.int64)
        better, worse = targets.copy(), targets.copy()
        rows = random.permutation(ROWS)
        worse[rows[:right]] ^= 1
        better[rows[right:unlike]] ^= 1
        # Both are wrong in some others.
        for one in (better, worse):
            one[rows[unlike : unlike + 60]] ^= 1
        outputs = [classes(2.0 * one - 1) for one in ((better, worse) if sign > 0 else (worse, better))]
        verdicts.append(verdict("accuracy", *outputs, targets))
    assert verdicts.count(said) >= 0.9 * TABLES
