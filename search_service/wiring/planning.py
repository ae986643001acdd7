"""What a run would do, with the pace that is measured here."""

from __future__ import annotations

from functools import partial

from search_service.early_stopping.defaults import asha_rules
from search_service.recipe.planning import StudyPlan
from search_service.recipe.planning import plan as plan_study
from search_service.records.round_plan import Resources
from search_service.runners.registry import RUNNERS
from search_service.runners.sizing import most_members, place_of
from search_service.wiring.preparing import PreparedStudy
from trainables import population_size, timing
from trainables.process import device_for, prepare_process


def plan(study: PreparedStudy, *, runner: str = "ray") -> StudyPlan:
    """What a run of the study would do, with the pace of its trial on this machine; nothing is written.

    Args:
        study: What ``prepare`` gave.
        runner: Name of the runner (``runners.registry.RUNNERS``), which says how many populations train at once.
    """
    prepare_process()
    spec, search = study.spec, study.spec.search
    kind = RUNNERS[runner]
    concurrency = kind.concurrency(Resources.of(search))
    size = search.population_size
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
    measure = partial(timing.measure, metric=spec.metric, device=device_for(search.gpus_per_trial))
    pace = measure([spec.trial] * size, study.dataset)
    # The finalists train in this process, the seeds of each as one population.
    last = measure([spec.trial] * spec.finalists.seeds, study.dataset)
    return plan_study(spec, concurrency=concurrency, pace=pace, finalists_pace=last)
