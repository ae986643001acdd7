"""The name and the note of a study's run in MLflow: what a reviewer reads first, while it runs and afterwards.

The list of runs cuts names after some twenty letters, so that the score comes first; a page folds its note after four
lines, so that the first two are the verdict, and what was done with links to what is worth a look. Then comes the
report.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from search_service.recorders.mlflow import views
from search_service.records.checks import CheckResult
from search_service.records.events import (
    CheckFinished,
    FinalistsFinished,
    RoundFinished,
    RoundStarted,
    StepStarted,
    StudyEvent,
)
from search_service.records.numbers import score_text
from search_service.records.results import StudyResult, StudyStatus
from search_service.records.rounds import RoundResult
from search_service.report.worth import worth
from trainables.metrics import METRICS
from trainables.visible import visible_lines


class Progress:
    """What is known of a study so far, for the note of a run that has not ended."""

    def __init__(self) -> None:
        self._checks: dict[tuple[int, int], CheckResult] = {}
        self._rounds: dict[int, RoundResult] = {}
        self._now = "It begins."

    def hear(self, event: StudyEvent) -> bool:
        """Take an event; returns whether the note says something else now."""
        match event:
            case StepStarted(step, name, cycle):
                again = f" (cycle {cycle})" if cycle > 1 else ""
                self._now = f"Step {step}, {name}{again}." if step <= 6 else f"{name.capitalize()}."
            case CheckFinished(check):
                self._checks[check.step, check.cycle] = check
            case RoundStarted(plan):
                limits, name = plan.limits, plan.name.partition(" ")[2]
                asked = f"{limits.max_trials} trials of at most {limits.max_epochs} epochs"
                self._now = f"Step {plan.step}, {name}: {asked}."
            case RoundFinished(result):
                self._rounds[result.plan.number] = result
            case FinalistsFinished():
                self._now = "The winner is tested; the model is packed."
            case _:
                return False
        return True

    def text(self, at_ms: int) -> str:
        """The note, as of a time in milliseconds since 1970."""
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))
        parts = [_strip(list(self._checks.values())), _searched(list(self._rounds.values())), f"last news {at}"]
        return f"**Running.** {self._now}\n\n{_joined(parts)}"


def name_while_running(study: str) -> str:
    """The run's name before it has a result."""
    return f"running {study}"


def name(study: str, result: StudyResult) -> str:
    """The run's name once the study is over.

    Args:
        study: The study's name.
        result: What it found.
    """
    final = result.finalists
    if final is not None:
        verdict = worth(final) or ""
        answer = next((word for start, word in _WORTH.items() if verdict.startswith(start)), "")
        return f"{score_text(final.model_test_score)} {study}" + (f" · worth it: {answer}" if answer else "")
    failed = [check for check in result.checks if not check.passed]
    if result.status is StudyStatus.FAILED and failed:
        return f"step {failed[-1].step} failed {study}"
    return f"{result.status} {study}"


# How verdicts begin, and what they are in a word.
_WORTH = {"Yes": "yes", "No": "no", "It cannot be told": "unclear"}


def text(result: StudyResult, report: str, *, experiment: str, run: str) -> str:
    """The note once the study is over.

    Args:
        result: What it found.
        report: The report as Markdown, whose first line is a heading.
        experiment: Id of the run's experiment.
        run: The run's id.
    """
    study = result.study_id
    heading, _, rest = report.partition("\n")
    verdict, _, rest = rest.lstrip("\n").partition("\n\n")
    if result.finalists is None:
        verdict = f"**{str(result.status).capitalize()}.** {visible_lines(result.reason)}"
        rest = report.partition("\n")[2]
    did = [_strip(result.checks), _searched(result.rounds), f"{result.seconds:.0f} s"]
    links = {
        "the whole report": f"#/experiments/{experiment}/runs/{run}/artifacts/report.html?{views.TRAINING}",
        "trials by score": views.link(experiment, f"trials-{study}")[1:] if result.rounds else "",
        "checks": views.link(experiment, f"checks-{study}")[1:],
        "all studies": views.link(experiment, "studies")[1:],
    }
    linked = " · ".join(f"[{words}]({where})" for words, where in links.items() if where)
    return f"{verdict}\n\n{_joined([*did, linked])}\n\n{heading}\n{rest}"


def _strip(checks: Sequence[CheckResult]) -> str:
    """``✓ 1 initial loss · ✗ 2 overfit a small sample``: the last verdict of each check."""
    last = {check.step: check for check in checks}
    return " · ".join(f"{'✓' if check.passed else '✗'} {step} {check.name}" for step, check in sorted(last.items()))


def _searched(rounds: Sequence[RoundResult]) -> str:
    trials = [trial for done in rounds for trial in done.trials]
    if not trials:
        return ""
    said = f"{len(trials)} trials in {len(rounds)} round{'s' if len(rounds) > 1 else ''}"
    # Of the study, as the page has it, and not of its last round.
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    best = min(scored, key=lambda trial: METRICS[trial.metric].rank(trial.score), default=None)
    return said if best is None else f"{said}, best {score_text(best.score)} ({best.trial_id})"


def _joined(parts: Sequence[str]) -> str:
    return " · ".join(part for part in parts if part)
