"""What a run would do, with the pace that is measured here."""

from __future__ import annotations

import os
from functools import partial

import torch

from search_service.early_stopping.defaults import asha_rules
from search_service.recipe.planning import StudyPlan
from search_service.recipe.planning import plan as plan_study
from search_service.runners.sizing import RAY_REPORT_S, most_members, place_of
from search_service.spec.study_spec import StudySpec
from search_service.wiring.preparing import PreparedStudy
from search_service.wiring.surroundings import RunnerName
from trainables import population_size, timing
from trainables.process import device_for, prepare_process


def plan(study: PreparedStudy, *, runner: RunnerName = "ray") -> StudyPlan:
    """What a run of the study would do, with the pace of its trial on this machine; nothing is written.

    Args:
        study: From ``prepare``.
        runner: Says how many populations train at once.
    """
    prepare_process()
    spec, search = study.spec, study.spec.search
    concurrency = _concurrency(spec, runner)
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
            report_s=RAY_REPORT_S if runner == "ray" else 0.0,
        ).size
    measure = partial(timing.measure, metric=spec.metric, device=device_for(search.gpus_per_trial))
    pace = measure([spec.trial] * size, study.dataset)
    # The finalists train in this process, the seeds of each as one population.
    last = measure([spec.trial] * spec.finalists.seeds, study.dataset)
    return plan_study(spec, concurrency=concurrency, pace=pace, finalists_pace=last)


def _concurrency(spec: StudySpec, runner: RunnerName) -> int:
    """Populations that train at once on this machine."""
    search = spec.search
    if runner == "inline":
        return 1
    # Those that this process may use, where the system can say it.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slots = cpus // search.cpus_per_trial
    if search.gpus_per_trial > 0:
        slots = min(slots, torch.cuda.device_count() // search.gpus_per_trial)
    return max(1, int(min(slots, search.max_concurrent_trials or slots)))
