"""Frozen records that pass between the parts of a study, from what a round should do to what the study learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from search_service.records.checks import CheckResult
from search_service.records.finalists import Decision, FinalistsResult
from search_service.records.rounds import RoundResult


class StudyStatus(StrEnum):
    """How a study ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class DataSummary:
    """What the record says about the table.

    Attributes:
        columns: How many feature columns there are of each kind, before preparation.
        notes: What was found out about the files.
        warnings: Leaks and traps, a sentence each.
    """

    source: str
    fingerprint: str
    n_train: int
    n_validation: int
    n_test: int
    n_inputs: int
    n_outputs: int
    task: str
    class_names: tuple[str, ...] = ()
    target: str = ""
    task_reason: str = ""
    columns: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyResult:
    """Everything that a study learnt.

    Attributes:
        study_id: Names its folder and its record.
        status: How it ended.
        reason: Why, in a sentence: the last decision, or the diagnosis.
        checks: Results of the checks in the order done.
        rounds: Results of the rounds in the order done.
        decisions: What step 6 decided, a cycle each.
        finalists: None if it did not come to that.
        seconds: Time taken.
        data: The table.
        extends: Id of the study from whose end it went on; empty if there is none.
    """

    study_id: str
    status: StudyStatus
    reason: str
    checks: tuple[CheckResult, ...]
    rounds: tuple[RoundResult, ...]
    decisions: tuple[Decision, ...]
    finalists: FinalistsResult | None
    seconds: float
    data: DataSummary | None = None
    extends: str = ""
