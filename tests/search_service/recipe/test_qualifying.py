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


def qualified(rounds, top):
    spec = parse({"name": "x", "data": {"source": "digits"}, "finalists": {"top": top}})
    trials, rule = qualify(spec, rounds)
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
