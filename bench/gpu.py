"""Populations on a GPU: steps per second by size, against one by one there, and against a core of this machine.

Stands alone: torch and this project's ``trainables``; no Ray, no MLflow. Each row is a shape; K networks of it train
with AdamW on the same batches, and the numbers are steps of single networks per second. The loop is over ``torch.nn``
networks on the GPU (four of them, since each costs the same), with ``torch.optim.AdamW(fused=True)``. ``unrecorded`` is
K = 64 without the recording of steps (trainables/recorded_step.py), ``auto`` what a round would take of 256 at most.

    python bench/gpu.py                 # about a minute; prints the GPU's name first
    python bench/gpu.py --device cpu    # the same table on one core
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from step_throughput import MOST_MEMBERS, make_configs, make_dataset, make_network

from trainables import training as population_training
from trainables.population_size import choose
from trainables.process import prepare_process
from trainables.row_tensors import to_tensors
from trainables.training import PopulationTraining

# (width, batch): tiny networks, the default's width, and ones that fill a device by themselves.
SHAPES = [(32, 64), (64, 64), (128, 128), (256, 256), (1024, 1024)]
SIZES = [1, 4, 16, 64, 256, 1024]
MEASURED_S = 0.4
# Of the last column.
UNRECORDED_SIZE = 64
LOOPED = 4


def rate(step: Callable[[], object], device: str) -> float:
    """Calls per second, without the first ones."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    # The first ones allocate memory, and one is recorded (trainables.recorded_step.UNRECORDED).
    for _ in range(15):
        step()
    wait()
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < MEASURED_S:
        for _ in range(5):
            step()
        wait()
        calls += 5
    return calls / (time.perf_counter() - started)


def population_rate(width: int, members: int, batch: int, device: str, *, recorded: bool = True) -> float:
    """Steps of single networks per second."""
    limit = population_training.RECORDED_UP_TO
    population_training.RECORDED_UP_TO = limit if recorded else 0
    training = PopulationTraining(make_configs(width, members, batch), make_dataset(batch), order_seed=0, device=device)
    population_training.RECORDED_UP_TO = limit
    return members * rate(lambda: training.step(training.train_rows), device)


def loop_rate(width: int, batch: int, device: str) -> float:
    """The same of a loop over torch.nn networks."""
    configs = make_configs(width, LOOPED, batch)
    rows = to_tensors(make_dataset(batch).train, device, torch.float32)
    networks = [make_network(config).to(device) for config in configs]
    optimizers = [
        torch.optim.AdamW(network.parameters(), lr=config.optimizer.lr, fused=True)
        for network, config in zip(networks, configs, strict=True)
    ]

    def step() -> None:
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(rows.inputs), rows.targets).backward()
            optimizer.step()

    return LOOPED * rate(step, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = parser.parse_args().device
    prepare_process()
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device is visible to torch; --device cpu prints the table for one core")
    print(torch.cuda.get_device_name() if device == "cuda" else "one core", f"· torch {torch.__version__}")
    print(
        f"{'width':>6}{'batch':>6}{'loop':>9}"
        + "".join(f"{f'K = {size}':>10}" for size in SIZES)
        + f"{'unrecorded':>12}   auto"
    )
    for width, batch in SHAPES:
        loop = loop_rate(width, batch, device)
        cells = []
        for size in SIZES:
            try:
                cells.append(f"{population_rate(width, size, batch, device):>10.0f}")
            except torch.OutOfMemoryError:
                cells.append(f"{'memory':>10}")
        chosen = choose(make_configs(width, 1, batch)[0], make_dataset(batch), most=MOST_MEMBERS, device=device)
        unrecorded = population_rate(width, UNRECORDED_SIZE, batch, device, recorded=False)
        print(
            f"{width:>6}{batch:>6}{loop:>9.0f}{''.join(cells)}{unrecorded:>12.0f}   {chosen.size}, {chosen.gain:.1f} ×",
            flush=True,
        )


if __name__ == "__main__":
    main()
