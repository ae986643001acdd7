"""Prediction times are of the network that is asked about, in milliseconds per 1 000 rows."""

from __future__ import annotations

import time

import pytest
import torch

from trainables.config import NetworkConfig
from trainables.plain_network import Architecture
from trainables.prediction_time import ROWS, prediction_ms


def test_b_a_larger_network_takes_longer_and_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    small, large = (prediction_ms(NetworkConfig(hidden_sizes=sizes), 64, 10) for sizes in ((8,), (512, 512, 512)))
    # 130 times the arithmetic.
    assert 0 < small < large
    assert torch.get_num_threads() == before
    assert all(float(f"{ms:.2g}") == ms for ms in (small, large))


def test_b_the_unit_is_milliseconds_per_thousand_rows():
    config = NetworkConfig(hidden_sizes=(256, 256))
    module = Architecture.of(config, (64, 256, 256, 10)).build().double()
    rows = torch.zeros(ROWS, 64, dtype=torch.float64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        module(rows)
        started = time.perf_counter()
        for _ in range(20):
            module(rows)
        mean_ms = (time.perf_counter() - started) / 20 * 1_000
    torch.set_num_threads(threads)
    # A factor of 5 either way: other work on the machine may be in one of them, a wrong unit is a factor of 1 000.
    assert (
        prediction_ms(config, 64, 10) == pytest.approx(mean_ms, rel=0.8)
        or 0.2 < prediction_ms(config, 64, 10) / mean_ms < 5
    )
