"""B5: how many networks to train as one, as it is measured here."""

from __future__ import annotations

import pytest

from tests.plans import plain
from trainables import population_size
from trainables.population_size import choose, member_bytes


def test_b5_narrow_networks_are_trained_together_and_wide_ones_one_by_one(digits):
    # A schedule spans the whole training, whose length is of no matter here.
    leaves = {"network.hidden_sizes": (16, 16), "batch_size": 16, "schedule.name": "cosine"}
    # In bench/step_throughput.py about ten times as fast; a busy machine may undo most of that, but not five times.
    config = plain().replace(leaves)
    narrow = max((choose(config, digits[0], most=64) for _ in range(5)), key=lambda choice: choice.gain)
    assert narrow.size > 1
    assert narrow.gain > 1.5
    assert narrow.layer_sizes == (64, 16, 16, 10)
    assert str(narrow).startswith(f"{narrow.size} networks of 64 × 16 × 16 × 10 at a time")
    wide = choose(plain().replace({"network.hidden_sizes": (2048, 2048), "batch_size": 256}), digits[0], most=64)
    # A core is full with one: whatever was chosen is not slower.
    assert wide.gain >= 1


def test_b5_a_moment_in_which_the_machine_was_busy_decides_nothing(digits, monkeypatch):
    """Which is how a study came to train its narrow networks one by one."""
    asked = []

    def busy_once(config, dataset, size, device):
        asked.append(size)
        return 0.01 if asked == [1, 4] else 0.001

    monkeypatch.setattr(population_size, "_seconds_per_step", busy_once)
    choice = choose(plain(), digits[0], most=64)
    assert choice.size == 64
    assert choice.measured == ((1, 1.0), (4, 4.0), (16, 16.0), (64, 64.0))


def test_b5_a_size_is_chosen_by_what_was_timed(digits, monkeypatch):
    """The smallest that is nearly the fastest; one where several are hardly faster; no more than may be."""

    def timed(**seconds):
        steps = {int(size[1:]): taken for size, taken in seconds.items()}
        monkeypatch.setattr(population_size, "_seconds_per_step", lambda config, dataset, size, device: steps[size])
        return choose(plain(), digits[0], most=max(steps))

    flat = timed(_1=1.0, _4=1.0, _16=1.0, _64=3.8)
    assert flat.size == 16
    assert dict(flat.measured) == pytest.approx({1: 1.0, 4: 4.0, 16: 16.0, 64: 64 / 3.8})
    assert flat.gain == dict(flat.measured)[16]
    # A report that takes as long as hundreds of steps is worth sharing, even where steps are not.
    monkeypatch.setattr(population_size, "_seconds_per_step", lambda config, dataset, size, device: 0.001 * size)
    assert choose(plain(), digits[0], most=16).size == 1
    assert choose(plain(), digits[0], most=16, report_s=5.0).size == 16
    assert timed(_1=1.0, _4=4.1, _16=0.0).size == 1
    assert timed(_1=1.0, _4=3.9, _16=0.0).size == 1
    assert timed(_1=1.0, _3=1.0).size == 3
    assert timed(_1=1.0).size == 1


def test_b5_a_population_fits_into_its_share_of_the_memory(digits, monkeypatch):
    config = plain().replace({"network.hidden_sizes": (16,), "batch_size": 16})
    monkeypatch.setattr(population_size, "_memory_bytes", lambda device: 10 * 4 * member_bytes(config, digits[0]))
    assert choose(config, digits[0], most=64).measured[-1][0] <= 10
    assert choose(config, digits[0], most=64, share=0.1).measured == ((1, 1.0),)


@pytest.mark.parametrize("batch_size", [32, "full"])
def test_b5_what_a_member_takes_grows_with_its_network_and_batch(digits, batch_size):
    small, large = (plain().replace({"network.hidden_sizes": (w,), "batch_size": batch_size}) for w in (16, 256))
    assert member_bytes(small, digits[0]) < member_bytes(large, digits[0])
    # Parameters alone, six times in float32.
    assert member_bytes(large, digits[0]) > 4 * 6 * (64 * 256 + 256 * 10)
