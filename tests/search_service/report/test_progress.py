"""C8: what a person at a terminal is told while a study runs, where that is not good news."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from search_service import wiring
from search_service.records.events import RoundFinished, TrialFinished
from search_service.records.rounds import TrialStatus
from search_service.report.progress import ProgressDisplay
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.search_service.test_study import SMALL


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Of a study without simpler models."""
    heard = []
    study = wiring.prepare(parse(SMALL | {"finalists": {"top": 1, "seeds": 2, "baselines": False}}))
    folder = tmp_path_factory.mktemp("study")
    run_study(study.spec, study.table, InlineRunner(), heard.append, study_id="s", folder=folder, versions={})
    return heard


def shown(events, **console) -> str:
    written = io.StringIO()
    display = ProgressDisplay(Console(file=written, width=200, **console))
    for event in events:
        display(event)
    return " ".join(written.getvalue().split())


def test_c8_where_nothing_simpler_was_fitted_nobody_is_left_to_think_that_it_was_worth_it(events):
    assert "Worth it? Not known: there is no simpler model to compare with" in shown(events)


def test_c8_a_round_without_trials_was_left_out_and_has_not_failed(events):
    before = events[: next(i for i, event in enumerate(events) if isinstance(event, RoundFinished))]
    result = events[len(before)].result
    text = shown([*before, RoundFinished(replace(result, trials=(), stop_reason="the time budget is spent"))])
    assert text.endswith("left out: the time budget is spent")
    assert "no score" not in text


def test_c8_a_round_of_which_no_trial_was_trained_to_the_end_says_so(events):
    before = events[: next(i for i, event in enumerate(events) if isinstance(event, RoundFinished))]
    result = events[len(before)].result
    warning = "no trial was trained to the end"
    assert any(trial.status is TrialStatus.COMPLETED for trial in result.trials)
    assert warning not in shown([*before, RoundFinished(result)])
    stopped = tuple(replace(trial, status=TrialStatus.PRUNED) for trial in result.trials)
    assert warning in shown([*before, RoundFinished(replace(result, trials=stopped))])


def test_c8_the_bar_counts_a_trial_once_that_is_told_again(events):
    """As happens where Ray has died: the round goes on, and those that had ended are heard of once more."""
    end = next(i for i, event in enumerate(events) if isinstance(event, RoundFinished))
    trials = [event for event in events[:end] if isinstance(event, TrialFinished)]
    told = [*events[:end], *trials, events[end]]
    counts = re.findall(r"(\d+)/(\d+)", shown(told, force_terminal=True, no_color=True))
    assert counts[-1] == (str(len(trials)), str(len(trials)))
    assert max(int(done) for done, _ in counts) == len(trials)
