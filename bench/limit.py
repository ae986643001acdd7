"""How far a training step is from what the machine could do, and where the rest of the time goes.

One thread, networks of two hidden layers of ``width`` on 64 inputs and 10 classes, AdamW, no dropout. The limit of a
step of K networks on a batch of B rows is the sum of

- products: the multiplications and additions of forward, weight gradients and input gradients, at the peak that one
  large product of matrices reaches here, measured in the same run;
- parameters: one pass of the optimiser, which reads weights, gradients and two moments and writes weights and moments,
  at the rate at which memory is read and written here (of what fits into a cache of a core: at the cache's);
- activations: eight passes over those of the hidden layers (written, made non-linear and read on the way forward;
  their gradients likewise on the way back), at the same rate.

The share of the limit is that over the measured step, whatever machine it is. With ``--profile`` five lines for each
size say which operations take the time.

    python bench/limit.py                      about a minute; --profile for the operations, --device cuda for a GPU
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from step_throughput import N_CLASSES, N_INPUTS, make_configs, make_dataset
from torch.profiler import ProfilerActivity, profile

from trainables.process import prepare_process
from trainables.training import PopulationTraining

# (width, K, batch): populations as large as ``auto`` takes, and one network of each width.
CASES = [(8, 256, 64), (16, 256, 64), (32, 128, 64), (64, 64, 64), (128, 32, 128), (256, 16, 256)]
SINGLES = [(width, 1, batch) for width, _, batch in CASES]
# Side of the matrices of the peak; numbers of what is read and written for the rates of memory and of a cache.
SIDE, OF_MEMORY, OF_CACHE = 2_048, 32_000_000, 100_000
# Seconds of a turn, and turns: of steps the median counts, as a noisy machine disturbs some.
TURN_S, TURNS = 0.25, 9
# Over activations.
PASSES = 8
# Operations that are named.
NAMED = 5


@dataclass(frozen=True)
class Machine:
    """What it can do: floating-point operations and bytes a second."""

    flops: float
    memory: float
    cache: float


def rate(step: Callable[[], object], seconds: float, device: str) -> float:
    """Calls a second."""
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        step()
        count += 1
        if device != "cpu" and count % 16 == 0:
            torch.cuda.synchronize()
    if device != "cpu":
        torch.cuda.synchronize()
        passed = time.perf_counter() - started
    return count / passed


def machine(device: str) -> Machine:
    """Measure the peaks: the best of some turns, since nothing makes a machine faster than it is."""
    a, b = (torch.randn(SIDE, SIDE, device=device) for _ in range(2))
    product = torch.empty(SIDE, SIDE, device=device)
    flops = max(rate(lambda: torch.mm(a, b, out=product), TURN_S, device) for _ in range(3)) * 2 * SIDE**3
    rates = []
    for numbers in (OF_MEMORY, OF_CACHE):
        one, other = (torch.zeros(numbers, device=device) for _ in range(2))
        # Two are read and one is written.
        adds = max(rate(lambda one=one, other=other: one.add_(other), TURN_S, device) for _ in range(3))
        rates.append(adds * 3 * 4 * numbers)
    return Machine(flops, rates[0], max(rates))


def limit(width: int, members: int, batch: int, can: Machine, cache_bytes: float) -> tuple[float, float, float]:
    """Seconds of products, parameters and activations of a step."""
    forward = N_INPUTS * width + width * width + width * N_CLASSES
    multiplications = 2 * forward + width * width + width * N_CLASSES
    products = 2 * multiplications * batch * members / can.flops
    parameters = members * (forward + 2 * width + N_CLASSES)
    # Weights, gradients and two moments are read; weights and moments are written.
    touched = 7 * 4 * parameters
    of_parameters = touched / (can.cache if 4 * 4 * parameters <= cache_bytes else can.memory)
    activations = members * batch * 2 * width
    of_activations = PASSES * 4 * activations / (can.cache if 4 * activations <= cache_bytes else can.memory)
    return products, of_parameters, of_activations


def step_of(width: int, members: int, batch: int, device: str) -> Callable[[], None]:
    """A parameter update of the population."""
    training = PopulationTraining(make_configs(width, members, batch), make_dataset(batch), order_seed=0, device=device)
    return lambda: training.step(training.train_rows)


def where(step: Callable[[], None], device: str) -> list[tuple[str, float]]:
    """The operations that take most, with their shares of the time."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device != "cpu" else [])
    with profile(activities=activities) as seen:
        for _ in range(30):
            step()
    own = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    times = {event.key: float(getattr(event, own)) for event in seen.key_averages()}
    total = sum(times.values())
    return [(name, taken / total) for name, taken in sorted(times.items(), key=lambda item: -item[1])[:NAMED]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true", help="name the operations that take the time")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--cache-mb", type=float, default=2.0, help="of a core, which weights may stay in (L2)")
    given = parser.parse_args()
    prepare_process()
    can = machine(given.device)
    named = torch.cuda.get_device_name() if given.device != "cpu" else platform.processor() or platform.machine()
    capability = "" if given.device != "cpu" else f", {torch.backends.cpu.get_cpu_capability()}, one thread"
    print(f"{named}{capability}: {can.flops / 1e9:,.0f} GFLOP/s, {can.memory / 1e9:.0f} GB/s of memory, ", end="")
    print(f"{can.cache / 1e9:.0f} GB/s of a cache\n")
    print("| width | K | batch | step, ms | products | parameters | activations | share of the limit |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for width, members, batch in CASES + SINGLES:
        step = step_of(width, members, batch, given.device)
        # The first steps allocate.
        rate(step, 0.2, given.device)
        taken = statistics.median(1 / rate(step, TURN_S, given.device) for _ in range(TURNS))
        parts = limit(width, members, batch, can, given.cache_mb * 2**20)
        cells = [f"{1e3 * taken:.3f}", *(f"{1e3 * part:.3f}" for part in parts), f"**{sum(parts) / taken:.0%}**"]
        print("| " + " | ".join([str(width), str(members), str(batch), *cells]) + " |", flush=True)
        if given.profile:
            for name, share in where(step, given.device):
                print(f"|   | | | {name} | {share:.0%} | | | |", flush=True)


if __name__ == "__main__":
    main()
