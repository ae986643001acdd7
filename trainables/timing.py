"""How long training takes here: a few steps of a population are timed, after some that nobody times.

pace = measure([config], dataset)
pace.seconds_per_epoch          # steps of an epoch and the look at the validation rows
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from statistics import median

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import MetricName
from trainables.recorded_step import UNRECORDED
from trainables.records import Pace
from trainables.training import PopulationTraining

# The first steps allocate memory and choose kernels; three have done so.
WARM_UP_STEPS = 3
# On a GPU, until steps are replayed from a recording, as nearly all of a training are; and of those, as many are timed
# together: waiting for each would be what takes the time.
WARM_UP_STEPS_GPU, STEPS_AT_ONCE_GPU = UNRECORDED + 2, 10
# Steps timed; their median ignores one that the machine was busy with something else.
TIMED_STEPS = 20
# Validation passes timed, after one that is not.
TIMED_PASSES = 3
# Seconds after which steps of a large table are no longer repeated.
ENOUGH_S = 5.0


def measure(
    configs: Sequence[TrialConfig], dataset: Dataset, *, metric: MetricName | None = None, device: str = "cpu"
) -> Pace:
    """Time a few training steps and validation passes.

    Args:
        configs: One per member, of one structure.
        dataset: Training rows are trained on, and validation rows looked at.
        metric: Score of a validation pass.
        device: torch device.
    """
    # As long as a training can be: a schedule that spans it must be told some length.
    training = PopulationTraining(configs, dataset, order_seed=0, max_epochs=10**6, metric=metric, device=device)
    timed_steps = time_steps(training, TIMED_STEPS, ENOUGH_S)

    def validate() -> None:
        training.evaluate(training.validation_rows)[0].tolist()

    validate()
    return Pace(
        training.size,
        seconds_per_step=median(timed_steps),
        seconds_per_validation=median(_times(validate, TIMED_PASSES, ENOUGH_S)),
        steps_per_epoch=training.steps_per_epoch,
    )


def time_steps(training: PopulationTraining, repetitions: int, enough_s: float) -> list[float]:
    """Seconds that steps take, once the first are over.

    Args:
        training: Is trained.
        repetitions: How many times are measured.
        enough_s: No more are, once they are that long together.
    """
    warm_up, at_once = (WARM_UP_STEPS, 1) if training.device == "cpu" else (WARM_UP_STEPS_GPU, STEPS_AT_ONCE_GPU)
    steps = training.steps()

    def go(count: int) -> None:
        *_, losses = itertools.islice(steps, count)
        # Reading them waits for the device.
        losses.tolist()

    go(warm_up)
    return [seconds / at_once for seconds in _times(lambda: go(at_once), repetitions, enough_s)]


def _times(action: Callable[[], object], repetitions: int, enough_s: float) -> list[float]:
    times: list[float] = []
    while len(times) < repetitions and sum(times) < enough_s:
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return times
