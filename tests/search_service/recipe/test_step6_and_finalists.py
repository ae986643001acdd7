"""B, step 6 and the last act: the reason is a sentence, and test rows are used once, for the winner."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from search_service.recipe import finalists, step6_repeat
from search_service.recipe.step6_repeat import standard_error
from search_service.results import Cycle, EpochPoint, LearningRatesResult, RoundResult, TrialResult, TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.spec import parse
from tests.plans import make_plan, plain
from trainables import checkpoint
from trainables.losses import ChanceScale


def spec_of(**changes):
    return parse({"name": "x", "data": {"source": "digits"}} | changes)


def round_of(tmp_path, *scores, epochs=6):
    trials = tuple(
        TrialResult(
            trial_id=f"r1-{i:03d}", number=i, config=plain(seed=i), values={}, status=TrialStatus.COMPLETED,
            reason="", curve=(EpochPoint(epochs, 0.1, 0.1, score),), metric="accuracy",
        )
        for i, score in enumerate(scores)
    )  # fmt: skip
    return RoundResult(make_plan(tmp_path), trials, "", 1.0)


def scale_of(config):
    return ChanceScale(least=0.0, chance=math.log(10))


def cycle_of(tmp_path, coarse, refined):
    rates = LearningRatesResult(3, "learning rates", True, "", "", {}, {})
    return Cycle(rates, round_of(tmp_path, coarse), round_of(tmp_path, *([] if refined is None else [refined])))


@pytest.mark.parametrize(
    ("cycles", "changes", "time_is_up", "stop", "words"),
    [
        (
            [(0.5, 0.9)],
            {},
            False,
            False,
            "validation accuracy 0.9, 0.4 better than the coarse round, more than the noise",
        ),
        ([(0.5, 0.9), (0.9, 0.905)], {}, False, True, "no further improvement"),
        ([(0.9, 0.9)], {}, False, True, "the same as the coarse round"),
        ([(0.9, 0.8)], {}, False, True, "0.1 worse than the coarse round"),
        ([(0.3, 0.5), (0.5, 0.9)], {}, False, True, "all 2 cycles are done"),
        ([(0.5, 0.9)], {"objective": {"target": 0.9}}, False, True, "the target is reached"),
        ([(0.9, 0.85)], {}, False, True, "0.05 worse than the coarse round (noise: ±0.019"),
        (
            [(0.95, None)],
            {"objective": {"target": 0.9}},
            False,
            True,
            "the target is reached: validation accuracy 0.95",
        ),
        ([(0.95, None)], {}, False, True, "the refined round brought nothing"),
        ([(0.5, 0.9)], {"search": {"time_budget_s": 60}}, True, True, "the time budget of 60 s is spent"),
    ],
)
def test_b6_decides_and_says_why(tmp_path, cycles, changes, time_is_up, stop, words):
    history = [cycle_of(tmp_path, *scores) for scores in cycles]
    decision = step6_repeat.run(spec_of(**changes), history, 360, scale_of=scale_of, time_is_up=time_is_up)
    assert decision.stop is stop
    assert words in decision.reason


def test_b6_smaller_is_better_for_rmse(tmp_path):
    spec = spec_of(trial={"loss": "mse"})
    assert not step6_repeat.run(
        spec,
        [cycle_of(tmp_path, 60.0, 50.0)],
        360,
        scale_of=scale_of,
        time_is_up=False,
    ).stop
    assert step6_repeat.run(
        spec,
        [cycle_of(tmp_path, 50.0, 60.0)],
        360,
        scale_of=scale_of,
        time_is_up=False,
    ).stop


def test_standard_errors_match_simulation():
    random = np.random.default_rng(0)
    n, runs = 400, 4000
    accuracies = (random.random((runs, n)) < 0.9).mean(axis=1)
    assert standard_error("accuracy", 0.9, n) == pytest.approx(accuracies.std(), rel=0.05)
    rmses = np.sqrt((random.normal(0, 3, (runs, n)) ** 2).mean(axis=1))
    assert standard_error("rmse", 3.0, n) == pytest.approx(rmses.std(), rel=0.05)
    assert standard_error("accuracy", 1.0, 50) == standard_error("roc_auc", 1.0, 50) == 1 / 50
    errors = np.abs(random.normal(0, 3, (runs, n)))
    assert standard_error("mae", errors.mean(), n) == pytest.approx(errors.mean(axis=1).std(), rel=0.05)
    losses = random.exponential(0.7, (runs, n)).mean(axis=1)
    assert standard_error("log_loss", 0.7, n) == pytest.approx(losses.std(), rel=0.05)
    # Exponential scores, as Hanley and McNeil have them: the area is a/(a + 1) with a the ratio of the means.
    negative, positive = random.exponential(1.0, (500, n // 2)), random.exponential(4.0, (500, n // 2))
    labels = np.repeat([0, 1], n // 2)
    areas = [roc_auc_score(labels, np.concatenate(pair)) for pair in zip(negative, positive, strict=True)]
    assert np.mean(areas) == pytest.approx(0.8, abs=0.005)
    assert standard_error("roc_auc", 0.8, n) == pytest.approx(np.std(areas), rel=0.1)


@pytest.fixture(scope="module")
def outcome(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finalists")
    dataset, test_rows = digits
    plan = make_plan(folder / "round", max_trials=6, space=make_plan(folder).space)
    result = InlineRunner().run_round(plan, dataset, lambda event: None)
    spec = spec_of(finalists={"top": 2, "seeds": 3})
    return spec, result, finalists.run(spec, [result], dataset, test_rows, folder), folder


def test_finalists_are_the_best_of_those_that_went_furthest_from_fresh_seeds(outcome):
    _, result, final, _ = outcome
    assert {f.trial_id for f in final.finalists} == {trial.trial_id for trial in result.ranked[:2]}
    assert all(len(f.scores) == 3 for f in final.finalists)
    searched = {trial.config.seed for trial in result.trials}
    assert not searched & set(final.winner.seeds)
    assert final.winner.mean == max(f.mean for f in final.finalists)
    assert final.winner.std == pytest.approx(np.std(final.winner.scores, ddof=1))


def test_the_score_of_a_seed_is_that_of_the_weights_kept(outcome, digits):
    """The checkpoint holds the winner's networks at their best epochs: they score what the record says."""
    _, _, final, _ = outcome
    dataset, test_rows = digits
    networks = checkpoint.load(final.checkpoint, dataset)
    assert networks.evaluate(networks.validation_rows)[1].tolist() == pytest.approx(list(final.winner.scores))
    again = networks.evaluate(test_rows.to_tensors("cpu", networks.dtype))[1].tolist()
    assert again == pytest.approx(list(final.test_scores))
    assert final.winner.scores[final.exported] == max(final.winner.scores)
    assert final.trivial_test_score < 0.2 < final.test_mean


def test_test_rows_cannot_reach_any_other_step(digits):
    dataset, test_rows = digits
    rows = {row.tobytes() for row in np.vstack([dataset.train.inputs, dataset.validation.inputs])}
    assert not any(row.tobytes() in rows for row in test_rows.inputs)
    assert not hasattr(dataset, "test")


def test_a_configuration_is_no_finalist_twice(outcome, tmp_path):
    spec, result, _, _ = outcome
    twice = finalists._candidates(spec, [result, result])
    assert len({trial.config.replace({"seed": 0}) for trial in twice}) == len(twice) == 2


def test_an_empty_round_has_no_best(tmp_path):
    empty = round_of(tmp_path)
    assert empty.best is None
    assert math.isnan(step6_repeat._best_score(empty))
