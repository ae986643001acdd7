"""E3: what of the last act there is time for: more seeds; then the refit's length goes first, then simpler models."""

from __future__ import annotations

import pytest

from search_service.folder.study_folder import StudyFolder
from search_service.recipe.costs import Costs
from search_service.recipe.finalist_training import FinalistTraining
from search_service.recipe.last_act import Extras, LastActInMinutes
from search_service.records.finalists import Finalist
from search_service.records.rounds import TrialResult, TrialStatus
from search_service.runners.base import Task
from search_service.spec.study_spec import parse
from tests.plans import plain
from trainables.records import EpochPoint

# One worker; a second for each of effort is what costs are made to say below.
COSTS = Costs(epoch=1.0, network_epoch=1.0, single_epoch=1.0, baselines=10.0, slots=1)
SLACK_S = 2.0


def finalist(best_epoch, score_at_end=0.9):
    """Two seeds' trainings of 20 epochs, best at one of them."""
    scores = [0.9] * best_epoch + [score_at_end] * (20 - best_epoch)
    scores[best_epoch - 1] = 0.91
    curve = tuple(EpochPoint(epoch, 0.1, 0.1, score) for epoch, score in enumerate(scores, start=1))
    return Finalist("r1-000", plain(), (0, 1), (0.91, 0.91), (curve,) * 2, None, None, ())


@pytest.fixture
def act(digits, tmp_path):
    """The last act where so many seconds are left."""

    def at(left):
        files = StudyFolder(tmp_path / f"{left:.3f}")
        files.path.mkdir()
        times = {"left": lambda: left, "slack_s": SLACK_S}
        return LastActInMinutes(digits[0], COSTS, files, metric="accuracy", most_seeds=10, **times)

    return at


@pytest.fixture
def decide(act):
    """What follows where so many seconds are left; the refit alone takes ``refit_s``, simpler models 13."""
    winner = finalist(20)
    simpler = [Task(f"baseline-{name}", print, effort=5.0) for name in ("linear", "boosting")]
    asked = act(0.0)
    refit_s = asked._refit_s([winner.config], 20, asked._prior([winner.config]))

    def extras(left, winner=winner):
        deciding = act(left)
        return deciding.extras(winner, None, simpler), deciding.said

    extras.refit_s = refit_s
    return extras


def test_e3_with_time_there_is_everything(decide):
    assert decide(10 * decide.refit_s + 100) == (Extras(), "")


def test_e3_the_refits_length_goes_first(decide):
    found, said = decide(decide.refit_s + 13, finalist(12))
    assert found == Extras(length=False)
    assert found.lengths == "whole"
    assert "no other length" in said


def test_e3_nothing_is_kept_for_a_length_that_is_the_whole(decide):
    assert decide(decide.refit_s + 13) == (Extras(), "")


def test_e3_a_winner_that_was_best_early_is_trained_for_as_long_where_the_whole_would_take_too_long(decide):
    """Its curves say so: after 2 of 20 epochs it has become worse and worse."""
    early = finalist(2, score_at_end=0.7)
    found, said = decide(decide.refit_s / 2 + 13, early)
    assert found == Extras(length=False, whole=False)
    assert found.lengths == "shorter"
    assert "as long as the winner's seeds took to their best" in said
    assert decide(10 * decide.refit_s + 100, early) == (Extras(), "")


def test_e3_more_seeds_have_the_time_that_a_likely_shorter_refit_leaves(act, digits):
    """What is left is the same; ending 20 times 20 epochs early leaves more of it than ending at the last."""
    spec = parse({"name": "x", "data": {"source": "digits"}, "finalists": {"top": 1, "seeds": 2, "baselines": False}})
    last = EpochPoint(20, 0.1, 0.1, 0.9)
    trial = TrialResult("r1-000", 0, plain(), {}, TrialStatus.COMPLETED, "", (last,), "accuracy")
    training = FinalistTraining(spec, [trial], digits[0])
    asked = act(0.0)
    refit_s = asked._refit_s([trial.config] * 5, 20, asked._prior([trial.config]))
    seeds = {epoch: act(refit_s + epoch / 1e3).more_seeds(training, [finalist(epoch, 0.7)]) for epoch in (2, 20)}
    assert 0 <= seeds[20] < seeds[2] <= 8


def test_e3_for_simpler_models_the_end_may_be_missed_by_more(decide):
    """They say whether the network is worth it."""
    late = 1.1 * SLACK_S
    assert decide(decide.refit_s + 13 - late, finalist(12))[0] == Extras(length=False)
    found, said = decide(decide.refit_s + 13 - 3 * SLACK_S, finalist(12))
    assert found == Extras(length=False, baselines=False)
    assert "no simpler models" in said


def test_e3_without_time_for_the_refit_simpler_models_are_fitted_if_they_can_be(decide):
    assert decide.refit_s > 20
    assert decide(14.0)[0] == Extras(refit=False, length=False)
    assert decide(1.0)[0] == Extras(refit=False, length=False, baselines=False)
