"""E1, D6: ten studies killed at random moments; `make chaos` does hundreds (docs/operations.md has the table)."""

from __future__ import annotations

import pytest

from tests.chaos.run import Ground, disturb
from tests.chaos.variants import VARIANTS


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Ground:
    return Ground(tmp_path_factory.mktemp("chaos"))


@pytest.mark.parametrize(
    ("variant", "seed"),
    [
        *(("inline-random-4", seed) for seed in range(6)),
        ("inline-tpe-4", 6),
        ("inline-tpe-4", 7),
        ("inline-server-4", 8),
        # One kill of a worker.
        ("ray-random-1", 31),
    ],
)
def test_e1_a_killed_study_ends_with_everything_once(ground, variant, seed):
    outcome = disturb(VARIANTS[variant], seed, ground)
    assert outcome.violations == [], outcome
