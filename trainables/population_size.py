"""How many networks to train as one: measured, for networks of one shape on this device.

Of narrow networks, a core trains dozens in hardly more time than one, since what takes the time is not arithmetic; wide
ones fill it by themselves, and a population of them only leaves the cache. Which is which depends on shape, batch and
machine, so a few steps at a few sizes are timed. What a report costs beside training is shared by a population, too.

    choice = choose(config, dataset, most=64)
    choice.size, choice.gain            # 64, 7.3: that many times as fast as one by one
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.losses import count_outputs
from trainables.machine import usable_memory_bytes
from trainables.network import count_parameters
from trainables.records import PopulationSize
from trainables.timing import time_steps
from trainables.training import PopulationTraining

# Of the sizes timed, each is four times the one before: what lies between differs little.
STEP_UP = 4
# The smallest size is taken that is at least this share as fast as the fastest: a smaller cohort learns sooner from
# those before it.
NEARLY = 0.9
# A size that is not at least this much faster per network than the one before it ends the search for larger ones, and
# one that is not this much faster than one by one is no reason to train several at once: a measurement of some
# milliseconds is that exact.
WORTH = 1.05
# Steps timed; the fastest is what they cost, the others were kept waiting by something else on the machine.
TIMED_STEPS = 7
# Seconds after which no more steps of a size are timed.
ENOUGH_S = 0.25
# Seconds for which a machine may be busy with something else. A size whose steps together took less is timed twice
# before it ends the search: one such moment would be all that is known of it.
BUSY_S = 0.1
# Share of the memory that populations may take: the rest is the data's, the evaluation's and other processes'.
MEMORY_SHARE = 0.25
# Numbers held per parameter: itself, its gradient, two of an optimiser's and one of scratch, and a copy of it while
# members are dropped.
COPIES_OF_PARAMETERS = 6
# And per activation of a batch: z, a, a mask and their derivatives.
COPIES_OF_ACTIVATIONS = 5


def choose(
    config: TrialConfig,
    dataset: Dataset,
    *,
    most: int,
    device: str = "cpu",
    share: float = 1.0,
    epochs: int = 1,
    report_s: float = 0.0,
) -> PopulationSize:
    """Time a few sizes.

    Args:
        config: A configuration of the shape in question; members would differ in other leaves.
        dataset: Training rows; a few batches of them are trained on.
        most: No larger size is chosen.
        device: torch device.
        share: Share of the device's memory that this population may count on.
        epochs: Epochs from one report of a population to the next.
        report_s: What a report takes beside training, in seconds, however many members it is of.
    """
    fits = int(share * MEMORY_SHARE * _memory_bytes(device) / member_bytes(config, dataset))
    first = _population(config, dataset, 1, device)
    steps = epochs * first.steps_per_epoch
    per_step = {1: _seconds_per_step(config, dataset, 1, device)}

    def is_worth(smaller: int, larger: int) -> bool:
        return seconds(smaller) / smaller >= WORTH * seconds(larger) / larger

    def seconds(size: int) -> float:
        return steps * per_step[size] + report_s

    before = 1
    for size in _sizes(max(1, min(most, fits))):
        per_step[size] = _seconds_per_step(config, dataset, size, device)
        if not is_worth(before, size) and TIMED_STEPS * per_step[size] < BUSY_S:
            for again in (before, size):
                per_step[again] = min(per_step[again], _seconds_per_step(config, dataset, again, device))
        if not is_worth(before, size):
            break
        before = size
    gains = {size: seconds(1) * size / seconds(size) for size in per_step}
    best = max(gains.values())
    size = min(size for size, gain in gains.items() if gain >= NEARLY * best) if best >= WORTH else 1
    measured = tuple(sorted(gains.items()))
    return PopulationSize(first.network.layer_sizes, first.batch_rows, size, gains[size], measured)


def member_bytes(config: TrialConfig, dataset: Dataset) -> int:
    """What one member of a population takes while it is trained, about."""
    n_outputs = count_outputs(config.loss, dataset.n_outputs)
    parameters = count_parameters(config.network, dataset.n_inputs, n_outputs)
    rows = len(dataset.train) if config.batch_size == "full" else min(config.batch_size, len(dataset.train))
    activations = rows * (sum(config.network.hidden_sizes) + n_outputs)
    return 4 * (COPIES_OF_PARAMETERS * parameters + COPIES_OF_ACTIVATIONS * activations)


def _sizes(most: int) -> Iterator[int]:
    """Those above 1, up to ``most`` itself."""
    powers = itertools.takewhile(lambda size: size < most, (STEP_UP**i for i in itertools.count(1)))
    yield from powers
    if most > 1:
        yield most


def _memory_bytes(device: str) -> int:
    if device != "cpu":
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    return usable_memory_bytes()


def _population(config: TrialConfig, dataset: Dataset, size: int, device: str) -> PopulationTraining:
    # As long as a training can be: a schedule that spans it must be told some length.
    return PopulationTraining([config] * size, dataset, order_seed=0, max_epochs=10**6, device=device)


def _seconds_per_step(config: TrialConfig, dataset: Dataset, size: int, device: str) -> float:
    return min(time_steps(_population(config, dataset, size, device), TIMED_STEPS, ENOUGH_S))
