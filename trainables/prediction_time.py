"""How long a network takes to predict: milliseconds per 1 000 rows, on one thread of this machine's CPU.

Measured, not counted: what a layer costs depends on its width and on the processor more than on its multiplications.
The network is computed as a model computes it, in float64 (trainables/model.py), with weights that mean nothing;
reading and preparing the rows is not included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.config import NetworkConfig
from trainables.plain_network import Architecture

ROWS = 1_000
# The median of 15 is not moved by a handful that were interrupted. The first ones fill caches and are not counted.
REPEATS, WARM_UP = 15, 3
# Digits kept: beyond the second, two measurements of the same network differ.
DIGITS = 2


@torch.no_grad()
def prediction_ms(config: NetworkConfig, n_inputs: int, n_outputs: int) -> float:
    """Measure a network.

    Args:
        config: Its shape and activation.
        n_inputs: D, features of a row.
        n_outputs: C, outputs of a row.

    Returns:
        Median milliseconds per 1 000 rows, to two significant digits, above 0.
    """
    module = Architecture.of(config, (n_inputs, *config.hidden_sizes, n_outputs)).build().double()
    inputs = torch.randn(ROWS, n_inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with _one_thread():
        times = [_seconds(module, inputs) for _ in range(WARM_UP + REPEATS)][WARM_UP:]
    return float(f"{1_000 * statistics.median(times):.{DIGITS}g}")


def _seconds(module: torch.nn.Module, inputs: torch.Tensor) -> float:
    started = time.perf_counter()
    module(inputs)
    return time.perf_counter() - started


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
