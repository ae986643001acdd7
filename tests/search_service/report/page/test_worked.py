"""F17: the time line of a study that paused for a night, or extends one of last week, shows what was trained."""

from __future__ import annotations

import pytest

from search_service.report.page.worked import PAUSE_S, WorkedClock, pauses_said

BEGAN, NIGHT = 1.8e9, 12 * 3600.0


def test_f17_a_study_without_a_pause_has_the_seconds_since_its_first_training():
    spans = [(BEGAN + 50, BEGAN + 60), (BEGAN, BEGAN + 40), (BEGAN + 60 + PAUSE_S, BEGAN + 70 + PAUSE_S)]
    clock = WorkedClock(spans)
    assert [clock.since(began) for began, _ in spans] == [50, 0, 60 + PAUSE_S]
    assert (clock.first, clock.paused, pauses_said(clock.paused)) == (BEGAN, 0, "")


def test_f17_pauses_are_left_out_and_said():
    evening = [(BEGAN, BEGAN + 100), (BEGAN + 20, BEGAN + 30)]
    morning = [(began + NIGHT, ended + NIGHT) for began, ended in evening]
    clock = WorkedClock([*morning, *evening])
    assert [clock.since(began) for began, _ in evening] == [0, 20]
    # What began first after the pause begins where the last one before it ended.
    assert [clock.since(began) for began, _ in morning] == pytest.approx([100, 120])
    assert clock.since(morning[0][1]) == pytest.approx(200)
    assert clock.paused == pytest.approx(NIGHT - 100)
    assert pauses_said(clock.paused) == "without 12 hours in which nothing was trained"


def test_f17_who_trained_meanwhile_leaves_no_pause():
    clock = WorkedClock([(BEGAN, BEGAN + 10), (BEGAN + 5, BEGAN + NIGHT), (BEGAN + NIGHT, BEGAN + NIGHT + 5)])
    assert clock.paused == 0
    assert WorkedClock([]).paused == 0
