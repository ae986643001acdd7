"""What a command takes before and after its study: Python, imports, the table; the record, the report.

Machines differ, and one machine differs from hour to hour. So what is yet to come is reckoned from what the same kind
of work has taken in this process: imports and files, no arithmetic. Measured: docs/performance/rounds.md.
"""

from __future__ import annotations

from search_service.recipe.pace import Beside
from search_service.runners.registry import RunnerKind

# Seconds from a command to its study's first step on an idle machine, where nobody has measured anything.
IDLE_START_S = 8.0
# A run imports Ray and MLflow and opens the record beside what a plan has imported when it has its table.
RUN_TO_PLAN = 2.0
# From the end of a study to the last line of its command, at least and as a share of what its start took: with the
# record in MLflow, which is completed then, and without.
LEAST_RECORD_S, RECORD_SHARE = 4.0, 0.5
LEAST_END_S, END_SHARE = 1.0, 0.15


def start_s(prepared_s: float | None) -> float:
    """Seconds from a run's command to its first step.

    Args:
        prepared_s: That this process has taken until it had the table; None if that is not known.
    """
    return IDLE_START_S if prepared_s is None else RUN_TO_PLAN * prepared_s


def load(start: float) -> float:
    """How many times as long as on an idle machine things take, by what a run's start takes.

    Args:
        start: Seconds of the start.
    """
    return max(1.0, start / IDLE_START_S)


def beside(start: float, kind: RunnerKind) -> Beside:
    """What takes time and is not training.

    Args:
        start: Seconds that a run's start takes.
        kind: Where trials run.
    """
    busy = load(start)
    return Beside(busy * kind.report_s, busy * kind.task_s, busy)


def end_s(start: float, *, record: bool) -> float:
    """Seconds from a study's end to the last line.

    Args:
        start: Seconds that its start has taken.
        record: Whether it is recorded in MLflow.
    """
    return max(LEAST_RECORD_S, RECORD_SHARE * start) if record else max(LEAST_END_S, END_SHARE * start)
