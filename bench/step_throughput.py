"""How many training steps a population saves, against a Python loop over torch.nn networks, and what features cost.

One thread. Both sides train K networks (two hidden layers of ``width``, digits-shaped inputs) with AdamW, each with
its own learning rate and weight decay, on the same batches; a population step advances all K, a loop step too.

First table: steps per second of the population and the ratio to the loop. Second: the same for widths from tiny to wide
at the size that ``search.population_size: auto`` takes. Third, at width 64 and K = 64: what each feature adds to the
step of a plain network under SGD, on either side, and the quotient of the two: above 1.5 a feature would cost a
population more than its torch.nn counterpart costs a network. All timings alternate, so that a noisy machine disturbs
all sides alike.

    python bench/step_throughput.py            about seven minutes; --sizes, --auto or --features for one table
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, Rows
from trainables.optimizers import OPTIMIZERS
from trainables.population_size import choose
from trainables.process import prepare_process
from trainables.row_tensors import to_tensors
from trainables.target_scaling import UNSCALED
from trainables.training import PopulationTraining

# (width, K, batch): from where overhead dominates to where the arithmetic of one network fills a core.
CASES = [(32, 128, 64), (64, 64, 64), (128, 32, 128), (256, 16, 256)]
SINGLES = [(32, 1, 64), (64, 1, 64), (128, 1, 128), (256, 1, 256)]
# (width, batch) for auto: from tiny networks to ones whose weights leave every cache.
WIDTHS = [(8, 64), (16, 64), (32, 64), (64, 64), (128, 128), (256, 256), (512, 256), (1024, 256), (2048, 256)]
# Of auto, as of a round of many trials.
MOST_MEMBERS = 256
N_INPUTS, N_CLASSES = 64, 10
REPEATS = 9


# Feature -> leaves of the trial; the torch.nn side is built from the same config.
PLAIN = {"network.dropout": 0.0, "schedule.name": "none"}
BASE = {"optimizer.name": "sgd"}
FEATURES: dict[str, dict[str, object]] = {
    "batch normalisation": {"network.normalization": "batch_norm"},
    "dropout": {"network.dropout": 0.3},
    "DropConnect": {"network.dropconnect": 0.3},
    "leaky ReLU": {"network.activation": "leaky_relu"},
    "GELU": {"network.activation": "gelu"},
    "label smoothing": {"label_smoothing": 0.1},
    "L2": {"regularization.l2": 1e-4},
    "clipping by value": {"clipping.value": 0.1},
    "clipping by norm": {"clipping.norm": 1.0},
    "schedule in steps": {"schedule.name": "cosine", "schedule.unit": "steps", "schedule.duration": 100_000},
    **{name: {"optimizer.name": name} for name in OPTIMIZERS if name != "sgd"},
}


def make_configs(width: int, members: int, batch: int, leaves: Mapping[str, object] | None = None) -> list[TrialConfig]:
    """Rates differ; with AdamW (the default) decays do too."""
    rates = np.geomspace(1e-4, 1e-2, members)
    leaves = PLAIN | {"network.hidden_sizes": (width, width), "optimizer.name": "adamw"} | (leaves or {})
    decays = leaves["optimizer.name"] == "adamw"
    return [
        TrialConfig(seed=k, batch_size=batch).replace(
            leaves | {"optimizer.lr": float(rate)} | ({"optimizer.weight_decay": float(rate) * 10} if decays else {})
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
        scaling=UNSCALED,
        fingerprint="random",
    )


def population_step(configs: list[TrialConfig], batch: int) -> Callable[[], None]:
    training = PopulationTraining(configs, make_dataset(batch), order_seed=0)

    def step() -> None:
        training.step(training.train_rows)

    return step


class DropConnectLinear(torch.nn.Linear):
    """DropConnect by hand: torch.nn has no module for it."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return functional.linear(inputs, functional.dropout(self.weight, 0.3), self.bias)


def make_network(config: TrialConfig) -> torch.nn.Sequential:
    network = config.network
    linear = DropConnectLinear if network.dropconnect else torch.nn.Linear
    activation = {"relu": torch.nn.ReLU, "leaky_relu": torch.nn.LeakyReLU, "gelu": torch.nn.GELU}[network.activation]
    modules: list[torch.nn.Module] = []
    fan_in = N_INPUTS
    for width in network.hidden_sizes:
        normalized = network.normalization == "batch_norm"
        modules += [linear(fan_in, width, bias=not normalized)]
        modules += [torch.nn.BatchNorm1d(width)] if normalized else []
        modules += [activation()]
        modules += [torch.nn.Dropout(network.dropout)] if network.dropout else []
        fan_in = width
    return torch.nn.Sequential(*modules, linear(fan_in, N_CLASSES))


def make_torch_optimizer(config: TrialConfig, network: torch.nn.Module) -> torch.optim.Optimizer:
    ours = config.optimizer
    make = {
        "sgd": partial(torch.optim.SGD, weight_decay=config.regularization.l2),
        "momentum": partial(torch.optim.SGD, momentum=ours.momentum),
        "nesterov": partial(torch.optim.SGD, momentum=ours.momentum, nesterov=True),
        "adagrad": torch.optim.Adagrad,
        "rmsprop": torch.optim.RMSprop,
        "adadelta": torch.optim.Adadelta,
        "adam": torch.optim.Adam,
        "adamw": partial(torch.optim.AdamW, weight_decay=ours.weight_decay),
    }[ours.name]
    return make(network.parameters(), lr=ours.lr)


def loop_step(configs: list[TrialConfig], batch: int) -> Callable[[], None]:
    rows = to_tensors(make_dataset(batch).train, "cpu", torch.float32)
    clipping, smoothing, scheduled = configs[0].clipping, configs[0].label_smoothing, configs[0].schedule.name
    trios = []
    for config in configs:
        network = make_network(config)
        optimizer = make_torch_optimizer(config, network)
        trios.append((network, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100_000)))

    def step() -> None:
        for network, optimizer, scheduler in trios:
            loss = functional.cross_entropy(network(rows.inputs), rows.targets, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            if clipping.value is not None:
                torch.nn.utils.clip_grad_value_(network.parameters(), clipping.value)
            if clipping.norm is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clipping.norm)
            optimizer.step()
            if scheduled != "none":
                scheduler.step()

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


def cost_of(leaves: Mapping[str, object], members: int = 64) -> tuple[float, float, float]:
    """Relative cost of a feature in a population and in the loop, and the speed-up over the loop with the feature."""
    pairs = [make_configs(64, members, 64, BASE | own) for own in ({}, leaves)]
    steps = [make(configs, 64) for make in (population_step, loop_step) for configs in pairs]
    counts = [max(3, int(0.2 / seconds(step, 5))) for step in steps]
    times = [[seconds(step, n) for step, n in zip(steps, counts, strict=True)] for _ in range(REPEATS)]
    population = statistics.median(feature / plain for plain, feature, _, _ in times)
    loop = statistics.median(feature / plain for _, _, plain, feature in times)
    return population, loop, statistics.median(t[3] / t[1] for t in times)


def print_sizes() -> None:
    print(f"{'width':>6} {'K':>4} {'batch':>6} {'population steps/s':>19} {'× a loop over torch.nn':>23}")
    for width, members, batch in CASES + SINGLES:
        rate, ratio = compare(width, members, batch)
        print(f"{width:>6} {members:>4} {batch:>6} {rate:>19.0f} {ratio:>23.2f}", flush=True)


def print_auto() -> None:
    print(f"{'width':>6} {'batch':>6} {'K by auto':>10} {'population steps/s':>19} {'× a loop over torch.nn':>23}")
    for width, batch in WIDTHS:
        (config,) = make_configs(width, 1, batch)
        members = choose(config, make_dataset(batch), most=MOST_MEMBERS).size
        rate, ratio = compare(width, members, batch)
        print(f"{width:>6} {batch:>6} {members:>10} {rate:>19.1f} {ratio:>23.2f}", flush=True)


def print_features() -> None:
    columns = ("feature", "cost here", "cost in torch.nn", "quotient", "× loop", "× loop, K = 1")
    print("{:<20} {:>10} {:>17} {:>9} {:>7} {:>14}".format(*columns))
    for name, leaves in FEATURES.items():
        population, loop, ratio = cost_of(leaves)
        _, _, single = cost_of(leaves, members=1)
        numbers = (population, loop, population / loop, ratio, single)
        print("{:<20} {:>10.2f} {:>17.2f} {:>9.2f} {:>7.2f} {:>14.2f}".format(name, *numbers), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {"sizes": print_sizes, "auto": print_auto, "features": print_features}
    for name in tables:
        parser.add_argument(f"--{name}", action="store_true", help=f"the table of {name}")
    chosen = vars(parser.parse_args())
    prepare_process()  # Both sides profit from it.
    for name, show in tables.items():
        if chosen[name] or not any(chosen.values()):
            show()


if __name__ == "__main__":
    main()
