"""What ``search-service plan`` says."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from search_service.recipe.clock import LEAST_EXACT_S
from search_service.recipe.planned_rounds import PlannedRound
from search_service.recipe.planning import StudyPlan, duration
from search_service.report.study_report import counted
from search_service.report.terminal_text import for_terminal
from search_service.space.ranges import conditions
from search_service.spec.study_spec import StudySpec
from trainables.data.dataset import Dataset
from trainables.redaction import shown


def show(spec: StudySpec, dataset: Dataset, plan: StudyPlan, console: Console) -> None:
    """Print a plan, to be read."""
    facts = Table.grid(padding=(0, 2))
    rows = f"{len(dataset.train)} training, {len(dataset.validation)} validation rows"
    facts.add_row("[bold]table[/]", f"{for_terminal(shown(str(spec.data.source or spec.data.train)))}: {rows}")
    facts.add_row("[bold]searched[/]", for_terminal(_searched(spec)))
    facts.add_row("[bold]optimised[/]", f"validation {spec.metric}")
    for block in (facts, _steps(spec, plan)):
        console.print(Padding(block, (0, 0, 1, 0), expand=False), highlight=False)
    for sentence in (_trials(plan), _epochs(spec, plan), *_time(plan)):
        console.print(for_terminal(sentence), highlight=False, soft_wrap=True)


def _searched(spec: StudySpec) -> str:
    ranges = {leaf: f"{range_} {conditions(range_)}".rstrip() for leaf, range_ in spec.asked.ranges().items()}
    ranges.setdefault("optimizer.lr", "where step 3 sees the loss fall")
    return "; ".join(f"{leaf} {text}" for leaf, text in sorted(ranges.items()))


def _steps(spec: StudySpec, plan: StudyPlan) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("step", "", "trainings", "epochs", "rungs", "in total", "at most"):
        numbers = title in ("trainings", "epochs", "in total", "at most")
        # Where there is little room, words and rungs take several lines; numbers are never cut off.
        whole = numbers or title == "step"
        shown.add_column(title, justify="right" if numbers else "left", no_wrap=whole, overflow="fold")
    shown.add_row("[bold]1 – 3[/]", "checks", "", "", "", "", "")
    for round_ in plan.rounds:
        shown.add_row(f"[bold]{round_.step}[/]", f"{round_.name}, {spec.search.sampler}", *_numbers(round_))
    again = "" if plan.max_cycles == 1 else f" steps 3 to 5 {counted(plan.max_cycles, 'time')} at most"
    if plan.minutes is not None:
        again = " as long as there is time"
    shown.add_row("[bold]6[/]", f"again?{again}", "", "", "", "", "")
    last, n = plan.finalists, plan.finalists.trainings
    what = f"finalists: {last.configurations} × {counted(last.seeds, 'seed')}"
    what += f" × (1 + {counted(last.folds, 'fold')})" if last.folds else ""
    total = str(n * last.epochs)
    shown.add_row("", what, str(n), str(last.epochs), "", total, total)
    if last.refit:
        # A shorter length is tried by the winner's seeds first.
        averaged = min(last.averaged, last.configurations * last.seeds)
        n = averaged + last.seeds
        model = "the winner" if averaged == 1 else f"about {averaged} networks"
        shown.add_row("", f"model: {model}", str(n), str(last.epochs), "", str(n * last.epochs), str(n * last.epochs))
    return shown


def _numbers(round_: PlannedRound) -> tuple[str, ...]:
    rungs = ", ".join(map(str, round_.rungs)) or "none"
    return str(round_.trials), str(round_.epochs), rungs, f"{round_.epochs_expected:.0f}", str(round_.epochs_at_most)


def _trials(plan: StudyPlan) -> str:
    per_cycle = plan.trials_at_most // plan.max_cycles
    if plan.max_cycles == 1:
        return f"At most {counted(plan.trials_at_most, 'trial')}."
    return f"At most {counted(plan.trials_at_most, 'trial')}: {per_cycle} in each of {plan.max_cycles} cycles."


def _epochs(spec: StudySpec, plan: StudyPlan) -> str:
    expected, most = f"{plan.epochs_expected:.0f}", counted(plan.epochs_at_most, "epoch")
    cycle = " in one cycle" if plan.max_cycles > 1 else ""
    budget = "" if plan.max_total_epochs is None else f" No trial is started after {plan.max_total_epochs} in total."
    if not any(round_.rungs for round_ in plan.rounds):
        return f"Their epochs: {expected}{cycle}, since none is stopped early; at most {most}.{budget}"
    share = f"{spec.search.reduction_factor:g}"
    return (
        f"Their epochs: about {expected}{cycle}, if one trial in {share} goes on at each rung; at most {most}.{budget}"
    )


def _time(plan: StudyPlan) -> list[str]:
    parts = plan.parts
    if plan.pace is None or parts is None or plan.seconds_expected is None or plan.seconds_at_most is None:
        return []
    at_once = f"{counted(plan.concurrency, 'cohort')} at once"
    budget = ""
    if plan.time_budget_s is not None:
        budget = f" The time budget of {plan.time_budget_s:g} s bounds all of it"
        budget += f"; for want of time: {'; '.join(plan.left_out)}." if plan.left_out else "."
    elif plan.left_out:
        budget = f" But {'; '.join(plan.left_out)}."
    by_part = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in parts.items())
    measured = (
        f"Measured: an epoch of the config's own trial takes {plan.pace.seconds_per_epoch / plan.pace.size:.2g} s here "
        f"({plan.pace.steps_per_epoch} steps); the others' follow from their sizes."
    )
    if plan.minutes is not None:
        return [*_minutes(plan), f"By part: {by_part}.", measured]
    second = " (half of a second cycle, which may be worth it or not)" if "second cycle" in parts else ""
    return [
        f"From the command to its last line: {duration(plan.seconds_expected)}{second}, "
        f"{duration(plan.seconds_at_most)} at most, with {at_once}.{budget}",
        f"By part: {by_part}.",
        measured,
    ]


def _minutes(plan: StudyPlan) -> list[str]:
    """What follows from ``search.minutes``."""
    assert plan.minutes is not None and plan.seconds_expected is not None
    spare = 60 * plan.minutes - plan.seconds_expected
    lines = [
        f"Sized for {plan.minutes:g} minutes, from the command to its last line, at the pace measured now; while it "
        "runs, each round and the finalists are sized anew by what those before have taken."
    ]
    if spare > 0.1 * 60 * plan.minutes:
        lines.append(f"One cycle takes {duration(plan.seconds_expected)}: the rest of the time goes into further ones.")
    if plan.minutes * 60 < LEAST_EXACT_S:
        lines.append(f"Less than {LEAST_EXACT_S / 60:g} minutes are kept as well as can be, and no better.")
    if plan.left_out:
        lines.append(f"For want of time: {'; '.join(plan.left_out)}.")
    return lines
