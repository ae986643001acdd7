"""C2: the rules that a spec and a round's budget lead to."""

from __future__ import annotations

import pytest

from search_service.early_stopping.defaults import asha_rules, grace_period, rung_spacing
from search_service.records.asha_rules import AshaRules
from search_service.spec.sections import RoundSpec, SearchSpec


@pytest.mark.parametrize(
    ("trials", "epochs", "spacing"),
    [
        (24, 9, 3 ** (1 / 2)),  # Rungs at 3 and 5.
        (24, 45, 15 ** (1 / 2)),  # 3 and 12.
        (8, 45, 15.0),  # 3 alone: one in 2.5 of eight are three.
        (500, 52, (52 / 3) ** (1 / 6)),
        (10**6, 52, 1.6),
        (1, 5, 5 / 3),
    ],
)
def test_c2_rungs_lie_as_close_as_leaves_two_trials_at_the_end(trials, epochs, spacing):
    budget = RoundSpec(max_trials=trials, max_epochs=epochs)
    assert rung_spacing(SearchSpec(), budget) == pytest.approx(max(spacing, 1.6))
    assert rung_spacing(SearchSpec(rung_spacing=3.0), budget) == 3.0


def test_c2_the_first_rung_is_the_users_or_an_eighteenth_and_3_at_least():
    assert [grace_period(SearchSpec(), epochs) for epochs in (2, 9, 52, 100, 180)] == [3, 3, 3, 6, 10]
    assert grace_period(SearchSpec(grace_period=1), 180) == 1


def test_c2_what_the_user_says_is_what_the_rules_are():
    search = SearchSpec(grace_period=2, reduction_factor=4.0, rung_spacing=2.5, standing=None, brackets=2)
    budget = RoundSpec(max_trials=10, max_epochs=20)
    assert asha_rules(search, budget) == AshaRules(2, 4.0, 2.5, standing=None, brackets=2)
    assert asha_rules(SearchSpec(early_stopping=False), budget) is None
