"""How many training steps a population saves, against a Python loop over torch.nn networks.

One thread. Both sides train K networks (two hidden layers of ``width``, digits-shaped inputs) with AdamW, each with
its own learning rate and weight decay, on the same batches; a population step advances all K, a loop step too.
Prints steps per second of the population and the ratio to the loop; the timings of the two alternate, so that a
noisy machine disturbs both alike.

    python bench/step_throughput.py            about two minutes
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, Rows
from trainables.data.preparation import Scaling
from trainables.process import prepare_process
from trainables.training import PopulationTraining

# (width, K, batch): from where overhead dominates to where the arithmetic of one network fills a core.
CASES = [(32, 128, 64), (64, 64, 64), (128, 32, 128), (256, 16, 256)]
SINGLES = [(32, 1, 64), (64, 1, 64), (128, 1, 128), (256, 1, 256)]
N_INPUTS, N_CLASSES = 64, 10
REPEATS = 9


def make_configs(width: int, members: int, batch: int) -> list[TrialConfig]:
    rates = np.geomspace(1e-4, 1e-2, members)
    return [
        TrialConfig(seed=k, batch_size=batch).replace(
            {
                "network.hidden_sizes": (width, width),
                "optimizer.lr": float(rate),
                "optimizer.weight_decay": float(rate) * 10,
            }
        )
        for k, rate in enumerate(rates)
    ]


def make_dataset(rows: int) -> Dataset:
    random = np.random.default_rng(0)
    part = Rows(
        random.normal(size=(rows, N_INPUTS)).astype(np.float32), random.integers(N_CLASSES, size=rows).astype(np.int64)
    )
    return Dataset(
        train=part,
        validation=part,
        task="classification",
        n_outputs=N_CLASSES,
        feature_names=tuple(f"x{i}" for i in range(N_INPUTS)),
        class_names=tuple("0123456789"),
        target_mean=0.0,
        target_scale=1.0,
        scaling=Scaling.identity(N_INPUTS),
        fingerprint="random",
    )


def population_step(configs: list[TrialConfig], batch: int) -> Callable[[], None]:
    training = PopulationTraining(configs, make_dataset(batch), order_seed=0)
    inputs, targets = training.train_rows.inputs, training.train_rows.targets

    def step() -> None:
        training.step(inputs, targets)

    return step


def loop_step(configs: list[TrialConfig], batch: int) -> Callable[[], None]:
    rows = make_dataset(batch).train.to_tensors("cpu", torch.float32)
    pairs = []
    for config in configs:
        (width, _) = config.network.hidden_sizes
        network = torch.nn.Sequential(
            torch.nn.Linear(N_INPUTS, width),
            torch.nn.ReLU(),
            torch.nn.Linear(width, width),
            torch.nn.ReLU(),
            torch.nn.Linear(width, N_CLASSES),
        )
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay
        )
        pairs.append((network, optimizer))

    def step() -> None:
        for network, optimizer in pairs:
            loss = torch.nn.functional.cross_entropy(network(rows.inputs), rows.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return step


def seconds(step: Callable[[], None], steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def compare(width: int, members: int, batch: int) -> tuple[float, float]:
    """Population steps per second, and the median over pairs of (loop time / population time)."""
    configs = make_configs(width, members, batch)
    population, loop = population_step(configs, batch), loop_step(configs, batch)
    seconds(population, 5), seconds(loop, 5)
    # About 0.3 s a measurement: long against the clock, short against the machine's moods.
    steps_population = max(3, int(0.3 / seconds(population, 5)))
    steps_loop = max(3, int(0.3 / seconds(loop, 3)))
    pairs = [(seconds(loop, steps_loop), seconds(population, steps_population)) for _ in range(REPEATS)]
    return 1 / statistics.median(p for _, p in pairs), statistics.median(loop / p for loop, p in pairs)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    prepare_process()  # Both sides profit from it.
    print(f"{'width':>6} {'K':>4} {'batch':>6} {'population steps/s':>19} {'× a loop over torch.nn':>23}")
    for width, members, batch in CASES + SINGLES:
        rate, ratio = compare(width, members, batch)
        print(f"{width:>6} {members:>4} {batch:>6} {rate:>19.0f} {ratio:>23.2f}", flush=True)


if __name__ == "__main__":
    main()
