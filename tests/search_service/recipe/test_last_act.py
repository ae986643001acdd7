"""E3: what of the last act there is time for: the refit's length goes first, then simpler models, then the refit."""

from __future__ import annotations

import pytest

from search_service.folder.study_folder import StudyFolder
from search_service.recipe.costs import Costs
from search_service.recipe.last_act import Extras, LastActInMinutes
from search_service.records.finalists import Finalist
from search_service.runners.base import Task
from tests.plans import plain
from trainables.records import EpochPoint

# One worker; a second for each of effort is what costs are made to say below.
COSTS = Costs(epoch=1.0, network_epoch=1.0, single_epoch=1.0, baselines=10.0, slots=1)
SLACK_S = 2.0


@pytest.fixture
def decide(digits, tmp_path):
    """What follows where so many seconds are left; the refit alone takes ``refit_s``, simpler models 13."""
    curve = tuple(EpochPoint(epoch, 0.1, 0.1, 0.9) for epoch in range(1, 21))
    winner = Finalist("r1-000", plain(), (0, 1), (0.9, 0.9), (curve,) * 2, None, None, ())
    simpler = [Task(f"baseline-{name}", print, effort=5.0) for name in ("linear", "boosting")]

    def act(left):
        files = StudyFolder(tmp_path / f"{left:.3f}")
        files.path.mkdir()
        return LastActInMinutes(digits[0], COSTS, files, left=lambda: left, most_seeds=10, slack_s=SLACK_S)

    asked = act(0.0)
    refit_s = asked._refit_s([winner.config], 20, asked._prior([winner.config]))

    def extras(left):
        deciding = act(left)
        return deciding.extras(winner, None, simpler), deciding.said

    extras.refit_s = refit_s
    return extras


def test_e3_with_time_there_is_everything(decide):
    assert decide(10 * decide.refit_s + 100) == (Extras(), "")


def test_e3_the_refits_length_goes_first(decide):
    found, said = decide(decide.refit_s + 13)
    assert found == Extras(length=False)
    assert "no other length" in said


def test_e3_for_simpler_models_the_end_may_be_missed_by_more(decide):
    """They say whether the network is worth it."""
    late = 1.1 * SLACK_S
    assert decide(decide.refit_s + 13 - late)[0] == Extras(length=False)
    found, said = decide(decide.refit_s + 13 - 3 * SLACK_S)
    assert found == Extras(length=False, baselines=False)
    assert "no simpler models" in said


def test_e3_without_time_for_the_refit_simpler_models_are_fitted_if_they_can_be(decide):
    assert decide.refit_s > 20
    assert decide(14.0)[0] == Extras(refit=False, length=False)
    assert decide(1.0)[0] == Extras(refit=False, length=False, baselines=False)
