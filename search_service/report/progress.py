"""What a person sees while a study runs: each step with its verdict, a bar for a round, the answer at the end.

Of a comparison of optimisers: a line for each, and the table.
On a terminal the bar is live; elsewhere (a file, a pipe, CI) everything is plain lines.
"""

from __future__ import annotations

import math
from typing import assert_never

from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from search_service.records.checks import CheckResult
from search_service.records.comparison_results import ComparisonResult, OptimizerOutcome
from search_service.records.events import (
    CheckFinished,
    ComparisonFinished,
    ComparisonStarted,
    CycleDecided,
    Event,
    FinalistsFinished,
    ModelPacked,
    OptimizerCompared,
    RoundFinished,
    RoundStarted,
    StepStarted,
    StudyFinished,
    StudyStarted,
    TasksProgressed,
    TrialFinished,
    TrialProgressed,
)
from search_service.records.finalists import FinalistsResult
from search_service.records.numbers import mean_text, score_text
from search_service.records.results import DataSummary, StudyResult, StudyStatus
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.records.steps import Step
from search_service.report.columns import describe_columns
from search_service.report.comparison_report import score, table
from search_service.report.study_report import (
    counted,
    describe,
    describe_calibration,
    describe_data,
    describe_interval,
    describe_prediction_interval,
    describe_threshold,
    format_value,
    model_in_short,
    trainings,
)
from search_service.report.terminal_text import for_terminal
from search_service.report.worth import not_compared, worth
from trainables.metrics import METRICS

# Characters of the column that says which step a line is about.
LABEL_WIDTH = 11
PASSED, FAILED, DOUBTFUL = "[bold green]✓[/]", "[bold red]✗[/]", "[bold yellow]⚠[/]"


class ProgressDisplay:
    """Hears a study's events and shows them.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._round = _RoundSoFar()

    def __call__(self, event: Event) -> None:  # noqa: PLR0912 (one for each kind of event)
        """Show one event."""
        match event:
            case StudyStarted():
                self._show_start(event)
            case StepStarted(step=Step.FINALISTS):
                self._print("Finalists", "training the best configurations again from fresh seeds ...")
            case TasksProgressed():
                self._show_tasks(event)
            case CheckFinished(check):
                self._show_check(check)
            case RoundStarted():
                self._start_round(event)
            case TrialProgressed(trial_id, epoch, _):
                self._round.epochs[trial_id] = epoch
                self._update_bar()
            case TrialFinished(trial):
                self._round.add(trial)
                self._update_bar()
            case RoundFinished(result):
                self._finish_round(result)
            case CycleDecided(decision):
                verdict = "stop" if decision.stop else "again"
                self._print("Step 6", f"repeat? [bold]{verdict}[/]: {for_terminal(decision.reason)}")
            case FinalistsFinished(result):
                self._stop_bar()
                self._show_answer(result)
            case StudyFinished(result):
                self._stop_bar()
                self._show_end(result)
            case ComparisonStarted() | OptimizerCompared() | ComparisonFinished():
                self._show_comparison(event)
            case StepStarted() | ModelPacked():
                # What they begin or hold is shown by those that follow.
                pass
            case _:
                assert_never(event)

    def _print(self, label: str, text: str) -> None:
        """One line: a label in a column of its own, so that a long text wraps beside it and not below."""
        label = label.ljust(LABEL_WIDTH)
        if not self._console.is_terminal:
            # One event is one line in a log, however long.
            self._console.print(f"[bold]{label}[/]{text}", highlight=False, soft_wrap=True)
            return
        grid = Table.grid()
        grid.add_column(width=LABEL_WIDTH, no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_row(f"[bold]{label}[/]", text)
        self._console.print(grid, highlight=False)

    def _show_end(self, result: StudyResult | ComparisonResult) -> None:
        # Who interrupts is told by the command, with how to go on.
        if result.status not in (StudyStatus.COMPLETED, StudyStatus.INTERRUPTED):
            self._print(str(result.status).capitalize(), f"[red]{for_terminal(result.reason)}[/]")

    def _show_start(self, event: StudyStarted) -> None:
        goes_on = ", which goes on; what was finished is read and not done again" if event.resumed else ""
        if event.extends:
            goes_on = f", which goes on from where {event.extends} ended; its trials are read and not trained again"
        self._print("Study", f"[bold]{event.study_id}[/]{goes_on}")
        self._show_data(event.data)

    def _show_data(self, data: DataSummary) -> None:
        for sentence in describe_data(data):
            warns = sentence.startswith("⚠")
            self._print("", f"[yellow]{for_terminal(sentence)}[/]" if warns else for_terminal(sentence))

    def _show_check(self, check: CheckResult) -> None:
        mark = PASSED if check.passed else FAILED
        cycle = f" (cycle {check.cycle})" if check.cycle > 1 else ""
        self._print(f"Step {check.step}", f"{mark} {check.name}{cycle}: {for_terminal(check.summary)}")
        if check.advice and check.passed:
            self._print("", f"  {for_terminal(check.advice)}")

    def _start_round(self, event: RoundStarted) -> None:
        plan = event.plan
        cycle = f" (cycle {plan.cycle})" if plan.cycle > 1 else ""
        name = plan.step.title
        epochs = counted(plan.limits.max_epochs, "epoch")
        budget = f"up to {counted(plan.limits.max_trials, 'configuration')}, of up to {epochs} each"
        self._print(f"Step {plan.step}", f"{name}{cycle}: {budget}")
        for sentence in event.sentences:
            self._print("", f"  {for_terminal(sentence)}")
        self._round = _RoundSoFar()
        self._start_bar(f"best {plan.metric} —", plan.limits.max_trials, MofNCompleteColumn())

    def _start_bar(self, description: str, total: float, amount: ProgressColumn) -> None:
        """A line that is renewed until ``_stop_bar``, on a terminal."""
        self._stop_bar()
        self._bar = Progress(
            TextColumn("         "),
            BarColumn(bar_width=16),
            amount,
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar.start()
        self._bar.add_task(description, total=total)

    def _show_tasks(self, event: TasksProgressed) -> None:
        """How far the training beside the rounds is, and how long it will still take at the pace so far."""
        if event.last is None:
            self._start_bar(f"{counted(event.of, 'part')} to train", 1.0, TaskProgressColumn())
        if self._bar is None:
            return
        task, left = self._bar.tasks[0], ""
        if 0 < event.share < 1 and task.elapsed is not None:
            left = f" · about {math.ceil(task.elapsed * (1 - event.share) / event.share)} s left"
        if event.last is not None:
            parts = f"{event.done} of {counted(event.of, 'part')} trained{left}"
            self._bar.update(task.id, completed=event.share, description=parts)
        if event.done == event.of:
            self._stop_bar()

    def _update_bar(self) -> None:
        if self._bar is not None:
            task = self._bar.tasks[0].id
            self._bar.update(task, completed=self._round.finished, description=self._round.describe())

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _finish_round(self, result: RoundResult) -> None:
        self._stop_bar()
        counts = ", ".join(f"{result.count(s)} {_WORDS[s]}" for s in _WORDS if result.count(s))
        if not result.trials:
            self._print("", f"{DOUBTFUL} left out: {result.stop_reason}")
            return
        best = f"no score ({result.stop_reason})"
        if result.best is not None:
            score = score_text(result.best.score)
            best = f"best validation {result.plan.metric} [bold]{score}[/] (trial {result.best.trial_id})"
        self._print(
            "", f"{PASSED if result.best else FAILED} {best}; {counts or 'no trials'} in {result.seconds:.0f} s"
        )
        if result.best is not None and not result.count(TrialStatus.COMPLETED):
            self._print("", f"{DOUBTFUL} no trial was trained to the end: scores are those of where they were stopped")

    def _show_answer(self, final: FinalistsResult) -> None:
        winner, metric = final.winner, final.metric
        over = trainings(winner)
        how = "best" if winner.trial_id == final.contenders[0] else "simplest that cannot be told from the best"
        self._print("", f"{PASSED} {how} of {len(final.finalists)} by mean over {over}: trial {winner.trial_id}")
        if not winner.health.verdict.is_healthy:
            self._print(
                "", f"  gradients are {for_terminal(winner.health.verdict.summary)}; {winner.health.verdict.remedy}"
            )
        to_do = f": {winner.fit.remedy}" if winner.fit.remedy else ""
        self._print("", f"  its loss curves read {for_terminal(winner.fit.summary)}{for_terminal(to_do)}")
        table = Table.grid(padding=(0, 3))
        for leaf, value in describe(winner.config).items():
            table.add_row(f"[dim]{leaf}[/]", f"[bold]{for_terminal(format_value(value))}[/]")
        scores = Table.grid(padding=(0, 3))
        interval = f"{describe_interval(final).removeprefix(', ')}; " if final.test_interval is not None else ""
        trivial = score_text(final.trivial_test_score)
        scores.add_row(
            f"[bold]test {metric}[/]",
            f"[bold]{score_text(final.model_test_score)}[/]",
            f"{interval}ignoring the inputs gives {trivial}",
        )
        if final.average is not None:
            alone = "the winner's network by itself; the model is the mean of several"
            scores.add_row("test, alone", score_text(final.network_test_score), alone)
        spread = f"mean ± standard deviation over {counted(len(winner.seeds), 'seed')}"
        scores.add_row("test, its seeds", mean_text(final.test_mean, final.test_std, len(final.test_scores)), spread)
        spread = f"mean ± standard deviation over {over}"
        scores.add_row("validation", mean_text(winner.mean, winner.std, len(winner.units)), spread)
        for block in (table, scores):
            self._console.print(Padding(block, (1, 0, 0, 2), expand=False), highlight=False)
        self._console.print()
        self._print("The model", f"is {for_terminal(model_in_short(final))}")
        self._print("Worth it?", for_terminal(worth(final) or not_compared(final)))
        # What a network goes by that is no better than a guess is nothing to go by.
        if final.columns is not None and not final.shortfall:
            self._print("Columns", for_terminal(describe_columns(final.columns)))
        if final.calibration is not None:
            self._print("Calibrated", for_terminal(describe_calibration(final.calibration)))
        if final.threshold is not None:
            self._print("Threshold", for_terminal(describe_threshold(final)))
        if final.prediction_interval is not None:
            self._print("Interval", for_terminal(describe_prediction_interval(final.prediction_interval)))

    def _show_comparison(self, event: ComparisonStarted | OptimizerCompared | ComparisonFinished) -> None:
        match event:
            case ComparisonStarted():
                self._show_plan(event)
            case OptimizerCompared(outcome):
                self._show_optimizer(outcome)
            case ComparisonFinished(result):
                self._show_table(result)
                self._show_end(result)

    def _show_plan(self, event: ComparisonStarted) -> None:
        self._print("Comparison", f"[bold]{event.comparison_id}[/]")
        self._show_data(event.data)
        asked = event.spec.comparison
        each = f"{counted(asked.seeds, 'seed')} and {counted(asked.epochs, 'epoch')} each"
        names = ", ".join(asked.optimizers)
        self._print("", f"{names}: from the same start, each at its own best learning rate; {each}")

    def _show_optimizer(self, outcome: OptimizerOutcome) -> None:
        tried = counted(len(outcome.rates), "learning rate")
        if outcome.config is None:
            self._print(outcome.name, f"{FAILED} diverged at all of {tried}, in {outcome.seconds:.0f} s")
        else:
            best = f"learning rate [bold]{outcome.config.optimizer.lr:.3g}[/] ({len(outcome.rates)} tried)"
            found = f"validation {outcome.metric} [bold]{score(outcome)}[/]"
            self._print(outcome.name, f"{PASSED} {best}, {found} in {outcome.seconds:.0f} s")
        for sentence in outcome.swept:
            self._print("", f"  {for_terminal(sentence)}")

    def _show_table(self, result: ComparisonResult) -> None:
        titles, rows = table(result)
        if not rows:
            return
        shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for title in titles:
            # Titles wrap where the screen is narrow, numbers do not.
            shown.add_column(title, min_width=max(len(row[len(shown.columns)]) for row in rows))
        for row in rows:
            shown.add_row(*row)
        self._console.print(Padding(shown, (1, 0, 1, 2), expand=False), highlight=False)
        if result.status is StudyStatus.COMPLETED:
            self._print("Result", f"{for_terminal(result.reason)}")


_WORDS = {
    TrialStatus.COMPLETED: "completed",
    TrialStatus.PRUNED: "stopped early",
    TrialStatus.DIVERGED: "diverged",
    TrialStatus.FAILED: "failed",
}


class _RoundSoFar:
    """Counts for the bar."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}
        # By trial: where Ray has died and the round goes on, those that had ended are told again.
        self._ended: dict[str, TrialResult] = {}
        self._best: TrialResult | None = None

    @property
    def finished(self) -> int:
        return len(self._ended)

    def add(self, trial: TrialResult) -> None:
        self._ended[trial.trial_id] = trial
        self.epochs.pop(trial.trial_id, None)
        if math.isfinite(trial.score) and (
            self._best is None or METRICS[trial.metric].better(trial.score, self._best.score)
        ):
            self._best = trial

    def describe(self) -> str:
        best = f"best {self._best.metric} {score_text(self._best.score)}" if self._best else "no score yet"
        rung = f" · highest rung {max(self.epochs.values())}" if self.epochs else ""
        stopped = sum(trial.status is not TrialStatus.COMPLETED for trial in self._ended.values())
        return f"{best}{rung} · {stopped} stopped"
