"""Studies that a page is made of: small real ones, however they end, and large ones made of their trials."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_service import wiring
from search_service.errors import SearchServiceError
from search_service.records.events import Event, RoundFinished, StudyFinished, StudyStarted, TrialFinished
from search_service.records.results import StudyResult
from search_service.records.rounds import TrialResult, TrialStatus, TrialTimes
from search_service.report.page.document import ReportPage
from search_service.report.page.story import Story
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from trainables.records import EpochPoint, PartialDependence

SPEC: dict[str, Any] = {
    "name": "wine",
    "experiment": "pages",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {
        "optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
        "network.activation": {"choices": ["relu", "tanh"]},
    },
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "max_cycles": 1,
    },
    "finalists": {"top": 2, "seeds": 2},
}
# All weights are 0: step 1 sees it.
ZERO_WEIGHTS = SPEC | {"trial": SPEC["trial"] | {"network": {"hidden_sizes": [8], "init": "zeros"}}}
# A penalty that no loss survives, in the trials alone: the checks train without it.
NOTHING_FINITE = SPEC | {
    "trial": SPEC["trial"] | {"optimizer": {"name": "sgd", "lr": 0.1}},
    "search_space": {"regularization.l2": {"choices": [1e37, 1e38]}},
}
# Not one candidate rate works.
ABSURD_RATES = SPEC | {"checks": {"learning_rates": {"candidates": [1e9, 1e10]}}}


def tell(spec: dict[str, Any], folder: Path, *, trials: float = math.inf) -> list[Event]:
    """The events of a study that is run here; interrupted once so many trials have ended."""
    study = wiring.prepare(parse(spec))
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if not isinstance(event, StudyFinished) and sum(isinstance(e, TrialFinished) for e in events) >= trials:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt, SearchServiceError):
        run_study(
            study.spec, study.table, InlineRunner(), hear, study_id="wine-1", folder=folder, versions={"torch": "2.x"}
        )
    return events


def page_of(events: Sequence[Event]) -> ReportPage:
    """The page of a study that told these events."""
    story = Story()
    for event in events:
        story.hear(event)
    finished = events[-1]
    assert isinstance(finished, StudyFinished)
    page = story.page(finished)
    assert page is not None
    return page


def result_of(events: Sequence[Event]) -> StudyResult:
    """What the study found."""
    finished = events[-1]
    assert isinstance(finished, StudyFinished)
    return finished.result


def with_trials(events: Sequence[Event], count: int, epochs: int) -> list[Event]:
    """The same study as if its first round had had so many trials, each of so many epochs."""
    dice = random.Random(0)
    changed = []
    for event in events:
        if isinstance(event, RoundFinished) and event.result.plan.number == 1:
            trials = tuple(_another(event.result.trials, i, epochs, dice) for i in range(count))
            changed.append(RoundFinished(dataclasses.replace(event.result, trials=trials)))
        elif isinstance(event, StudyFinished):
            rounds = [e.result for e in changed if isinstance(e, RoundFinished)]
            changed.append(StudyFinished(dataclasses.replace(event.result, rounds=tuple(rounds)), event.report))
        else:
            changed.append(event)
    return changed


def _another(trials: Sequence[TrialResult], number: int, epochs: int, dice: random.Random) -> TrialResult:
    like = trials[number % len(trials)]
    status = dice.choices(list(TrialStatus)[1:], [5, 12, 2, 1])[0]
    length = epochs if status is TrialStatus.COMPLETED else dice.randint(1, epochs)
    top = dice.uniform(0.5, 0.99)
    curve = tuple(
        EpochPoint(e, 2 * dice.random() / e, 2.5 * dice.random() / e, top * (1 - dice.random() / (e + 1)))
        for e in range(1, length + 1)
    )
    began = trials[0].times.began_at + number / 4 if trials[0].times else 0.0
    times = TrialTimes(began, began + 3, 2.5)
    values = dict(like.values) | {"optimizer.lr": 10 ** dice.uniform(-3, -1)}
    return dataclasses.replace(
        like, trial_id=f"r1-{number:05}", number=number, curve=curve, status=status, times=times, values=values,
        reason="stopped at epoch 3: not among the best third", worker=f"machine:{number % 8}",
    )  # fmt: skip


# What a name may hold: markup, a script's end, JavaScript's ends of lines, quotes, a turned direction, 500 letters.
HOSTILE = (
    "</script><script>document.title = 'broken out'</script>",
    "<img src=x onerror=\"document.title='broken out'\">",
    "a\u2028b\u2029c\nd\te",
    "'\"`${document.title}{{data}}{{title}}",
    "\u202eright to left\u202c עברית",
    "\x00\x1b[31m red, and a bell \a",
    "n" * 500,
)
HALF_A_LETTER = "\ud800"


def _of_hostile_columns() -> tuple[PartialDependence, ...]:
    """What is said at values of columns, of classes and at categories with such names."""
    values, classes = tuple(dict.fromkeys(HOSTILE)), HOSTILE[:2]
    flat = dict.fromkeys(classes, (0.5,) * len(values))
    shares = (0.1,) * len(values)
    days = ("1999-12-31T23:59:59.999999", "2024-02-29T00:00:00")
    ends = dict.fromkeys(classes, (0.25, 0.75))
    return (
        *(PartialDependence(name, "categorical", values, flat, flat, shares, 9, 2) for name in HOSTILE[:3]),
        PartialDependence("when", "date", days, ends, ends, (), 9, 2),
        PartialDependence("clock", "date", ("1970-01-01T08:30:00", "1970-01-01T17:00:00"), ends, ends, (), 9, 2),
    )


def hostile(events: Sequence[Event]) -> list[Event]:
    """The same study with such names wherever a table, a worker or a library's error can bring some."""
    changed = []
    for event in events:
        if isinstance(event, StudyStarted):
            changed.append(event)
        elif isinstance(event, RoundFinished):
            trials = tuple(
                dataclasses.replace(
                    trial, reason=HOSTILE[i % len(HOSTILE)] + HALF_A_LETTER, worker=HOSTILE[(i + 1) % len(HOSTILE)]
                )
                for i, trial in enumerate(event.result.trials)
            )
            changed.append(RoundFinished(dataclasses.replace(event.result, trials=trials, stop_reason=HOSTILE[0])))
        elif isinstance(event, StudyFinished):
            result = event.result
            assert result.data is not None
            data = dataclasses.replace(
                result.data, target=HOSTILE[0], source=HOSTILE[4], class_names=HOSTILE, notes=HOSTILE, warnings=HOSTILE
            )
            rounds = tuple(e.result for e in changed if isinstance(e, RoundFinished))
            assert result.finalists is not None
            final = dataclasses.replace(result.finalists, partial_dependences=_of_hostile_columns())
            found = dataclasses.replace(result, reason=HOSTILE[1], data=data, rounds=rounds, finalists=final)
            changed.append(StudyFinished(found, event.report))
        else:
            changed.append(event)
    return changed
