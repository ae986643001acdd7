"""B, finalists: who qualifies, by a rule that is said as it went."""

from __future__ import annotations

import pytest

from search_service.recipe.qualifying import qualify
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.spec.study_spec import parse
from tests.plans import make_plan, plain
from trainables.records import EpochPoint


def trial_of(name, score, epochs, *, lr=None, status=TrialStatus.COMPLETED):
    config = plain(seed=hash(name) % 2**31).replace({"optimizer.lr": lr or 0.01 * (1 + hash(name) % 1000)})
    return TrialResult(name, int(name[3:]), config, {}, status, "", (EpochPoint(epochs, 0.1, 0.1, score),), "accuracy")


@pytest.fixture
def rounds(tmp_path):
    coarse = (
        trial_of("r1-000", 0.99, 20),
        trial_of("r1-001", 0.97, 20, lr=0.5),
        trial_of("r1-002", 0.98, 2, status=TrialStatus.PRUNED),
    )
    refined = (
        trial_of("r2-000", 0.95, 60),
        trial_of("r2-001", 0.96, 60),
        trial_of("r2-002", 0.94, 60),
        trial_of("r2-003", 0.93, 60),
        trial_of("r2-004", 0.90, 7, lr=0.5, status=TrialStatus.PRUNED),
    )
    return [RoundResult(make_plan(tmp_path), trials, "", 1.0) for trials in (coarse, refined)]


def qualified(rounds, top, *, folds=None, noise=0.0, size=lambda trial: 1.0):
    spec = parse({"name": "x", "data": {"source": "digits"}, "finalists": {"top": top, "folds": folds}})
    trials, rule = qualify(spec, rounds, noise=lambda score: noise, size=size)
    return [trial.trial_id for trial in trials], rule


def test_b_the_best_trial_of_the_study_is_a_finalist_whatever_round_it_is_of(rounds):
    chosen, rule = qualified(rounds, 3)
    assert chosen == ["r2-001", "r2-000", "r1-000"]
    assert rule == (
        "r2-001 (0.96) and r2-000 (0.95) qualified as the best of all trials that were trained furthest (60 epochs), "
        "no configuration twice. r1-000 qualified with the best accuracy of the study, 0.99, though it was trained for "
        "20 epochs only. Next would have been r2-002 (0.94)."
    )
    assert qualified(rounds, 1)[0] == ["r1-000"]


def test_b_where_the_best_was_trained_furthest_the_rule_is_one_sentence(rounds):
    assert qualified([rounds[1]], 5) == (
        ["r2-001", "r2-000", "r2-002", "r2-003", "r2-004"],
        "r2-001 (0.96), r2-000 (0.95), r2-002 (0.94), r2-003 (0.93) and r2-004 (0.9) qualified as the best of all "
        "trials that were trained furthest (7 to 60 epochs), no configuration twice.",
    )


@pytest.mark.parametrize(
    ("top", "small", "noise", "chosen"),
    [
        # r2-002 (0.94) is within 1.96 × 0.026 of the best, 0.99; r2-003 (0.93) is not.
        (3, {"r2-002": 0.5, "r2-003": 0.1}, 0.026, ["r2-001", "r2-002", "r1-000"]),
        (2, {"r2-002": 0.5}, 0.026, ["r2-002", "r1-000"]),
        # One place is the best's.
        (1, {"r2-002": 0.5}, 0.026, ["r1-000"]),
        # No smaller than who is there.
        (3, {"r2-002": 0.5, "r2-000": 0.5}, 0.026, ["r2-001", "r2-000", "r1-000"]),
        (3, {"r2-002": 0.5}, 0.025, ["r2-001", "r2-000", "r1-000"]),
        (3, {"r1-000": 0.2, "r2-002": 0.5}, 0.026, ["r2-001", "r2-000", "r1-000"]),
    ],
)
def test_e1_with_folds_the_smallest_that_few_validation_rows_cannot_tell_from_the_best_is_a_finalist(
    rounds, top, small, noise, chosen
):
    """Of 90 positives the best of 56 trials is lucky: the linear model, which was nearly as good, was no finalist."""
    found, rule = qualified(rounds, top, folds=5, noise=noise, size=lambda trial: small.get(trial.trial_id, 1.0))
    assert found == chosen
    said = "r2-002 (0.94) qualified as the smallest network that validation rows cannot tell from r1-000"
    assert (said in rule) == ("r2-002" in chosen)
    # Without folds the rows that cannot tell would decide.
    if top == 3:
        assert "r2-002" not in qualified(rounds, top, noise=noise, size=lambda trial: small.get(trial.trial_id, 1.0))[0]


def test_b_the_best_keeps_its_place_where_the_smallest_takes_the_last(rounds):
    coarse, refined = rounds
    rounds = [RoundResult(coarse.plan, (*refined.trials[:2], coarse.trials[0]), "", 1.0), refined]
    # By epochs: r2-001, r2-000, r2-002, r2-003, r1-000, so that r1-000, the best, has the fifth and last place.
    small = {"r2-004": 0.1}
    found, _ = qualified(rounds, 5, folds=5, noise=0.1, size=lambda trial: small.get(trial.trial_id, 1.0))
    assert found == ["r2-001", "r2-000", "r2-002", "r1-000", "r2-004"]
