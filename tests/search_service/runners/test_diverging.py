"""C2: rounds of which a third diverges. What diverges stops at once, is recorded as that, and harms nothing else."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from search_service.records.rounds import RoundResult, TrialStatus
from search_service.runners import inline
from search_service.runners.base import Cohort, Member
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.space.ranges import NumericRange
from tests.plans import make_plan, plain

LR = "optimizer.lr"
# Plain gradient descent: beyond a rate of about 40 this network's loss is no number within a few steps. The best rates
# are around 1.
BASE = plain().replace({"network.hidden_sizes": (8,), "optimizer.name": "sgd", "batch_size": 16})
RATES = NumericRange(1e-3, 1e4, log=True)
SOUND = NumericRange(1e-3, 30.0, log=True)


class Watched:
    """What a round did, watched from outside: its book, and how many networks each cohort held after each report."""

    def __init__(self, monkeypatch) -> None:
        self.books: list[RoundBook] = []
        self.reports: Counter[str] = Counter()
        watched = self

        class KeptBook(RoundBook):
            def __init__(self, *arguments) -> None:
                super().__init__(*arguments)
                watched.books.append(self)

        class CountedCohort(CohortTraining):
            def advance(self):
                before = list(self._alive)
                report = super().advance()
                # Reported are those that were alive, and after it as many networks are left as go on.
                assert [news.trial_id for news in report.members] == before
                going_on = [news.trial_id for news in report.members if news.status is TrialStatus.RUNNING]
                assert self._alive == going_on
                assert not going_on or self._training.size == len(going_on)
                watched.reports.update(before)
                return report

        monkeypatch.setattr(inline, "RoundBook", KeptBook)
        monkeypatch.setattr(inline, "CohortTraining", CountedCohort)

    def run(self, dataset, folder, **changes) -> RoundResult:
        plan = make_plan(
            folder, **{"space": {LR: RATES}, "base": BASE, "metric": "log_loss", "sampler": "tpe"} | changes
        )
        return inline.InlineRunner().run_round(plan, dataset, lambda event: None)


def is_finite(point) -> bool:
    return math.isfinite(point.train_loss) and math.isfinite(point.validation_loss)


def share_diverged(trials) -> float:
    return sum(trial.status is TrialStatus.DIVERGED for trial in trials) / len(trials)


@pytest.mark.parametrize(("trials", "population", "left"), [(500, 25, 0.5), (60, 1, 0.9)])
def test_c2_a_round_of_which_a_third_diverges(wine, tmp_path, monkeypatch, trials, population, left):
    watched = Watched(monkeypatch)
    size = {"max_trials": trials, "population_size": population, "max_epochs": 4, "grace_period": 2}
    result = watched.run(wine[0], tmp_path / "all", **size)
    assert len(result.trials) == trials
    assert result.count(TrialStatus.FAILED) == 0
    # Diverged is what had a loss that is not finite: in its last epoch, and in none before.
    for trial in result.trials:
        assert (trial.status is TrialStatus.DIVERGED) == (not is_finite(trial.curve[-1]))
        assert all(is_finite(point) for point in trial.curve[:-1])
        assert [point.epoch for point in trial.curve] == list(range(1, len(trial.curve) + 1))
        if trial.status is TrialStatus.DIVERGED:
            assert trial.reason == f"the loss was not finite in epoch {trial.epochs}"
            # Reported once for the rungs it got to, and never again.
            assert watched.reports[trial.trial_id] == 1 + (trial.epochs > 2)

    # The sampler knows of nothing that is still being trained.
    model = watched.books[0]._sampler._source
    assert all(trial.state.is_finished() for trial in model.study.trials)
    assert model._trials == {}
    # It has learnt to keep away, and found what it finds where nothing diverges.
    # of its last fifth alone goes up again once the model forgets its oldest observations.
    part = trials // 5
    assert share_diverged(result.trials[part:]) < left * share_diverged(result.trials[:part])
    assert share_diverged(result.trials[-part:]) < left * share_diverged(result.trials[:part])
    sound = watched.run(wine[0], tmp_path / "sound", **size, space={LR: SOUND})
    assert share_diverged(sound.trials) < 0.05
    assert result.best.score <= sound.best.score + 0.01


def test_c2_a_third_of_what_is_drawn_at_random_diverges(wine, tmp_path):
    """That the round above is the round it says it is."""
    size = {"max_trials": 100, "population_size": 25, "max_epochs": 4, "sampler": "random"}
    plan = make_plan(tmp_path, space={LR: RATES}, base=BASE, metric="log_loss", **size)
    result = inline.InlineRunner().run_round(plan, wine[0], lambda event: None)
    assert 0.25 < share_diverged(result.trials) < 0.45


def test_c2_members_that_diverge_do_not_disturb_their_cohort(wine, tmp_path):
    rates = {"a": 0.01, "bad": 1e4, "b": 0.1, "worse": 1e20, "c": 1.0}
    plan = make_plan(tmp_path, base=BASE, metric="log_loss", max_epochs=6, early_stopping=False)

    def trained(names):
        members = tuple(
            Member(name, i, BASE.replace({LR: rates[name], "seed": ord(name[0])}), {LR: rates[name]})
            for i, name in enumerate(names)
        )
        report = CohortTraining(Cohort("cohort", members), plan, wine[0], lambda rung, scores: set(scores)).advance()
        return {news.trial_id: news for news in report.members}

    mixed, alone = trained(rates), trained("abc")
    assert {name for name, news in mixed.items() if news.status is TrialStatus.DIVERGED} == {"bad", "worse"}
    for name, news in alone.items():
        assert news.status is mixed[name].status is TrialStatus.COMPLETED
        for point, same in zip(news.points, mixed[name].points, strict=True):
            assert point.train_loss == pytest.approx(same.train_loss, rel=1e-4)
            assert point.validation_score == pytest.approx(same.validation_score, rel=1e-4)
