"""What a run would do, with the pace that is measured here."""

from __future__ import annotations

import time
from dataclasses import replace

from search_service.early_stopping.defaults import asha_rules
from search_service.recipe import budgeting, pace, step2_overfit_small_sample, step3_learning_rates
from search_service.recipe.asked import AskedSize
from search_service.recipe.budgeting import Sizing
from search_service.recipe.clock import RECORD_S_PER_TRIAL
from search_service.recipe.costs import Costs
from search_service.recipe.planning import Around, StudyPlan
from search_service.recipe.planning import plan as plan_study
from search_service.records.round_plan import Resources
from search_service.runners.registry import RunnerKind, runner_kind
from search_service.runners.sizing import most_members, place_of, size_of_population
from search_service.spec.sections import CoarseSpec, RefinedSpec, SearchSpec
from search_service.spec.study_spec import StudySpec
from search_service.wiring import times
from search_service.wiring.preparing import PreparedStudy
from trainables import population_size, timing
from trainables.process import device_for, prepared_process
from trainables.records import Pace

# Seconds of steps 1 to 3 beside their trainings.
CHECKS_S = 1.0


@prepared_process()
def plan(study: PreparedStudy, *, runner: str = "ray", began_at: float | None = None) -> StudyPlan:
    """What a run of the study would do, with the pace of its trial on this machine; nothing is written.

    Args:
        study: What ``prepare`` gave.
        runner: Name of the runner (``runners.registry.RUNNERS``), which says how many populations train at once.
        began_at: Instant of ``time.monotonic()`` at which the command was given: how long a run takes until it has its
            table follows from it; None: as on an idle machine.
    """
    prepared_s = None if began_at is None else time.monotonic() - began_at
    spec, kind = study.spec, runner_kind(runner)
    concurrency = kind.concurrency(Resources.of(spec.search))
    measured = _pace(study, kind, concurrency)
    start = times.start_s(prepared_s)
    beside = times.beside(start, kind)
    costs = pace.before_rounds(spec, study.dataset, spec.space(), measured, concurrency, beside)
    around = _around(study, kind, measured, start)
    left_out: tuple[str, ...] = ()
    if spec.search.minutes is not None:
        spec, left_out = _sized(spec, costs, around)
    elif spec.search.time_budget_s is not None:
        spec, around, left_out = _bounded(spec, spec.search.time_budget_s, costs, around)
    return plan_study(spec, concurrency=concurrency, pace=measured, costs=costs, around=around, left_out=left_out)


def _pace(study: PreparedStudy, kind: RunnerKind, concurrency: int) -> Pace:
    """The pace of a population of the config's trial."""
    spec, search = study.spec, study.spec.search
    size = size_of_population(search, search.coarse.max_trials)
    if size == "auto":
        coarse, rules = search.coarse, asha_rules(search, search.coarse)
        most = most_members(coarse.max_trials, concurrency)
        size = population_size.choose(
            spec.trial,
            study.dataset,
            most=most,
            **place_of(search.gpus_per_trial, concurrency),
            epochs=min(rules.grace_period if rules else coarse.max_epochs, coarse.max_epochs),
            report_s=kind.report_s,
        ).size
    return timing.measure(
        [spec.trial] * size, study.dataset, metric=spec.metric, device=device_for(search.gpus_per_trial)
    )


def _around(study: PreparedStudy, kind: RunnerKind, measured: Pace, start: float) -> Around:
    """Seconds that are not training."""
    spec, dataset, checks = study.spec, study.dataset, study.spec.checks
    factor = pace.factor_of(measured, spec.trial, dataset)
    small = step2_overfit_small_sample.task(spec.trial, dataset, checks.overfit_small_sample, spec)
    rates = step3_learning_rates.task(spec.trial, dataset, checks.learning_rates, spec, cycle=1, allowed=None)
    trials = sum(round_.max_trials for round_ in (spec.search.coarse, spec.search.refined))
    return Around(
        start=start,
        checks=CHECKS_S * times.load(start) + factor * (small.effort + rates.effort),
        workers=kind.start_share * start,
        end=times.end_s(start, record=True) + _record_s(trials),
    )


def _record_s(trials: int) -> float:
    """Seconds that the record of trials takes when a study is over."""
    return RECORD_S_PER_TRIAL * trials


def _sized(spec: StudySpec, costs: Costs, around: Around) -> tuple[StudySpec, tuple[str, ...]]:
    """The spec as large as its minutes bear, and what there is no time for."""
    minutes = spec.search.minutes
    assert minutes is not None
    found, least = _fitting(60 * minutes, AskedSize.of(spec), costs, around)
    assert found.coarse is not None
    left_out = found.left_out
    if not found.fits:
        left_out = (f"too short: the least for this table is about {least / 60:.2g} minutes", *left_out)
    # What is left is shown as what further cycles have.
    update: dict[str, object] = {"max_cycles": 1} | {
        "coarse": CoarseSpec(max_trials=found.coarse.trials, max_epochs=found.coarse.epochs),
        "refined": RefinedSpec(max_trials=found.refined.trials, max_epochs=found.refined.epochs),
    }
    return _with_last_act(spec, found).model_copy(update={"search": spec.search.model_copy(update=update)}), left_out


def _bounded(
    spec: StudySpec, seconds: float, costs: Costs, around: Around
) -> tuple[StudySpec, Around, tuple[str, ...]]:
    """The spec with what its time budget bears but for trials, what is around it, and what there is no time for."""
    search, asked, missing = spec.search, AskedSize.at_most(spec), list[str]()
    without = replace(around, end=around.end - _record_s(search.coarse.max_trials + search.refined.max_trials))
    found, _ = _fitting(seconds, asked, costs, without)
    assert found.coarse is not None
    # Trials that are never started leave nothing to be recorded.
    around = replace(without, end=without.end + _record_s(found.coarse.trials + found.refined.trials))
    found, _ = _fitting(seconds, asked, costs, around)
    assert found.coarse is not None
    spec = _with_last_act(spec, found).model_copy(update={"search": _search_of(spec, found)})
    if not found.fits:
        return spec, around, (f"the time budget of {seconds:g} s is too short: this is the least for this table",)
    if found.refined.epochs < search.refined.max_epochs:
        missing.append(f"{found.refined.epochs} instead of {search.refined.max_epochs} epochs")
    for name, own, most in (
        ("coarse", found.coarse.trials, search.coarse.max_trials),
        ("refined", found.refined.trials, search.refined.max_trials),
    ):
        if own < most:
            missing.append(f"about {own} instead of {most} {name} trials")
    return spec, around, (*missing, *found.left_out)


def _search_of(spec: StudySpec, found: Sizing) -> SearchSpec:
    """The search with the epochs that there is time for; and with the trials, where that is the least there is."""
    search = spec.search
    update: dict[str, object] = {}
    for name, size, own in (("coarse", found.coarse, search.coarse), ("refined", found.refined, search.refined)):
        assert size is not None
        changes = {"max_epochs": size.epochs} | ({} if found.fits else {"max_trials": size.trials})
        update[name] = own.model_copy(update=changes)
    # The least takes what it takes, and is not shown as if it ended in time.
    return search.model_copy(update=update | ({} if found.fits else {"max_cycles": 1, "time_budget_s": None}))


def _fitting(seconds: float, asked: AskedSize, costs: Costs, around: Around) -> tuple[Sizing, float]:
    """What fits into so many seconds, and the seconds of the least."""
    beside = around.start + around.checks + around.workers + around.end
    return budgeting.size(seconds - beside, costs, asked), beside + budgeting.least_seconds(costs, asked)


def _with_last_act(spec: StudySpec, found: Sizing) -> StudySpec:
    last = {"top": found.last.top, "seeds": found.last.seeds, "baselines": found.last.baselines}
    return spec.model_copy(
        update={
            "finalists": spec.finalists.model_copy(update=last),
            "model": spec.model.model_copy(update={"refit": found.last.refit}),
        }
    )
