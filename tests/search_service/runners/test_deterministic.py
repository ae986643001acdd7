"""22: under ``search.deterministic`` a study is the same whoever is quicker, wherever and however it is run."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from search_service import wiring
from search_service.early_stopping.brackets import Brackets
from search_service.records.events import TrialFinished
from search_service.records.rounds import TrialStatus
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.inline import InlineRunner
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.plans import make_plan
from trainables.metrics import METRICS

SPACE = {
    "network.hidden_sizes": Choices(((8,), (16,), (8, 8))),
    "optimizer.lr": NumericRange(1e-5, 1.0, log=True),
    "network.dropout": NumericRange(0.0, 0.5),
}
SPEC = {
    "name": "same",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {"network.hidden_sizes": {"choices": [[8], [16]]}, "network.dropout": {"low": 0.0, "high": 0.5}},
    "search": {
        "deterministic": True,
        "max_cycles": 1,
        "coarse": {"max_trials": 32, "max_epochs": 6},
        "refined": {"max_trials": 8, "max_epochs": 9},
    },
    "finalists": {"top": 2, "seeds": 2, "baselines": False},
}


def plan_in(folder, **changes):
    settings = {"sampler": "tpe", "space": SPACE, "population_size": 2, "max_trials": 21, "wave": 3, "max_epochs": 9}
    return make_plan(folder, grace_period=1, rung_spacing=2.0, **settings | changes)


class Disturbed:
    """Trains the cohorts of a round here, so many at once, of which any may be the next to report."""

    def __init__(self, plan, dataset, seed, workers):
        self._plan, self._dataset, self._workers = plan, dataset, workers
        self._chance = random.Random(seed)

    def run(self, listen=lambda event: None):
        plan = self._plan
        book = RoundBook(plan, CohortSizes(plan, self._dataset, MeasuredSizes()), listen)
        mode = METRICS[plan.metric].mode
        judge = Brackets(plan.asha, max_epochs=plan.limits.max_epochs, mode=mode, seed=plan.seed, folder=plan.folder)
        under_way = []
        while True:
            while len(under_way) < self._workers and (cohort := book.next_cohort()) is not None:
                own = lambda rung, scores, cohort=cohort: judge.report(rung, scores, cohort.beside)  # noqa: E731
                under_way.append(CohortTraining(cohort, plan, self._dataset, own))
            if not under_way:
                assert book.is_closed
                return book.result()
            training = self._chance.choice(under_way)
            report = training.advance()
            book.report(report)
            assert not book.is_to_pause(report)
            if report.finished:
                under_way.remove(training)


def told(result):
    """All of a round that does not tell the time."""
    return [(trial.values, trial.status, trial.reason, trial.curve) for trial in result.trials]


@pytest.fixture(scope="module")
def calm(wine, tmp_path_factory):
    plan = plan_in(tmp_path_factory.mktemp("calm"))
    return InlineRunner().run_round(plan, wine[0], lambda event: None)


@pytest.mark.parametrize("seed", range(4))
def test_22_who_is_quicker_changes_nothing(seed, calm, wine, tmp_path):
    result = Disturbed(plan_in(tmp_path), wine[0], seed, workers=1 + seed).run()
    assert told(result) == told(calm)
    assert {trial.status for trial in result.trials} == {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    assert result.stop_reason == calm.stop_reason


def test_22_without_it_who_is_quicker_decides_who_is_stopped(calm, wine, tmp_path):
    """Else the test above would show nothing: of some orders one at least is another round."""
    plans = [plan_in(tmp_path / str(seed), wave=None, sampler="random") for seed in range(4)]
    results = [Free(plan, wine[0], seed, workers=3).run() for seed, plan in enumerate(plans)]
    assert len({tuple(trial.status for trial in result.trials) for result in results}) > 1


class Free(Disturbed):
    """Of a round that nobody wants to be the same; nothing is paused."""

    def run(self, listen=lambda event: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RoundBook, "is_to_pause", lambda book, report: False)
            return super().run(listen)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("after", [1, 5, 11])
def test_d6_killed_within_a_wave_it_goes_on_as_if_nobody_had_disturbed_it(sampler, after, wine, tmp_path):
    ended = []

    def die(event):
        ended.extend([event] if isinstance(event, TrialFinished) else [])
        if len(ended) == after:
            raise KeyboardInterrupt

    plan = plan_in(tmp_path / "killed", sampler=sampler)
    with pytest.raises(KeyboardInterrupt):
        Disturbed(plan, wine[0], after, workers=3).run(die)
    again = Disturbed(plan, wine[0], 99, workers=2).run()
    calm = InlineRunner().run_round(plan_in(tmp_path / "calm", sampler=sampler), wine[0], lambda event: None)
    assert told(again) == told(calm)


def test_22_patience_counts_by_the_numbers_of_trials(wine, tmp_path):
    calm = InlineRunner().run_round(plan_in(tmp_path / "calm", patience_trials=6), wine[0], lambda event: None)
    assert "patience" in calm.stop_reason
    for seed in range(3):
        plan = plan_in(tmp_path / str(seed), patience_trials=6)
        result = Disturbed(plan, wine[0], seed, workers=3).run()
        assert (told(result), result.stop_reason) == (told(calm), calm.stop_reason)


def test_22_all_of_a_wave_is_asked_for_at_once_and_the_next_when_all_have_ended(wine, tmp_path):
    plan = plan_in(tmp_path)
    book = RoundBook(plan, CohortSizes(plan, wine[0], MeasuredSizes()), lambda event: None)
    first = [book.next_cohort() for _ in range(3)]
    assert book.next_cohort() is None
    assert not book.is_closed
    asked = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert [entry["wave"] for entry in asked] == [0] * 6
    names = [{member.trial_id for member in cohort.members} for cohort in first]
    assert [cohort.beside for cohort in first] == [names[1] | names[2], names[0] | names[2], names[0] | names[1]]
    for cohort in first:
        book.fail(cohort.cohort_id, "for the test")
    following = book.next_cohort()
    assert following.wave == 1
    assert not following.beside & set().union(*names)


def test_22_a_whole_study_is_the_same_inline_and_on_ray(ray_runner, tmp_path):
    """TPE under ASHA, sizes that are not given: trials, decisions, finalists, and what the model scores."""
    study, results = wiring.prepare(parse(SPEC)), []
    for name, runner in (("inline", InlineRunner()), ("ray", ray_runner)):
        (tmp_path / name).mkdir()
        kept = {"study_id": "same", "folder": tmp_path / name, "versions": {}}
        results.append(run_study(study.spec, study.table, runner, lambda event: None, **kept))
    here, there = results
    for one, other in zip(here.rounds, there.rounds, strict=True):
        assert told(one) == told(other)
    # Two waves at least, and more than one in a population.
    assert here.rounds[0].plan.population_size == 2
    assert len(here.rounds[0].trials) == 32
    assert here.decisions == there.decisions
    assert [each.scores for each in here.finalists.finalists] == [each.scores for each in there.finalists.finalists]
    assert here.finalists.test_scores == there.finalists.test_scores


@pytest.mark.parametrize("bad", [{"wave": 0}, {"wave": 3, "population_size": "auto"}])
def test_22_a_plan_in_waves_has_cohorts_of_a_known_size(bad, tmp_path):
    with pytest.raises(ValueError, match="waves of"):
        dataclasses.replace(plan_in(tmp_path), **bad)
