"""E1, D6: six studies killed at random moments; `make chaos` does hundreds (docs/operations.md has the table).

tests/faults/test_killed.py has what is killed of a study on Ray: its driver, its workers, and Ray itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.run import Ground, disturb
from tests.chaos.variants import VARIANTS, Variant
from tests.processes import imported

# Three cohorts of four and two, so that some are paused and merged.
SMALL = {name: replace(variant, trials=(12, 8)) for name, variant in VARIANTS.items()}
# Times that a study takes of the undisturbed one's, which draws the pictures that the others copy.
LASTS = 0.5


class OneCalm(Ground):
    """One undisturbed study for all: others have its numbers, or only need to know how long they take."""

    def calm(self, variant: Variant) -> tuple[dict[str, Any], float]:
        found, seconds = super().calm(SMALL["inline-random-4"])
        return found, seconds * LASTS


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Iterator[Ground]:
    with imported("tests.chaos.attempt"):
        yield OneCalm(tmp_path_factory.mktemp("chaos"))


@pytest.mark.parametrize(
    ("variant", "seed"),
    [
        *(("inline-random-4", seed) for seed in range(3)),
        ("inline-tpe-4", 6),
        ("inline-tpe-4", 7),
        ("inline-server-4", 8),
    ],
)
def test_e1_a_killed_study_ends_with_everything_once(ground, variant, seed):
    outcome = disturb(SMALL[variant], seed, ground)
    assert outcome.violations == [], outcome
