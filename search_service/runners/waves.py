"""Cohorts of a deterministic round: which of them are under way together, and who is not compared with whom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from search_service.runners.base import Cohort


def next_wave(cohorts: Collection[Cohort]) -> int:
    """Number of the wave after those of some cohorts, from 0."""
    return 1 + max((cohort.wave for cohort in cohorts if cohort.wave is not None), default=-1)


def beside_others(cohort: Cohort, cohorts: Collection[Cohort]) -> Cohort:
    """A cohort with the trials of the others of its wave; as it is where there are no waves."""
    if cohort.wave is None:
        return cohort
    others = (each for each in cohorts if each.wave == cohort.wave and each.cohort_id != cohort.cohort_id)
    return replace(cohort, beside=frozenset(member.trial_id for each in others for member in each.members))
