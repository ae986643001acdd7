"""C2: where the rungs lie, and which numbers are no rules."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from search_service.records.asha_rules import AshaRules

RULES = AshaRules(grace_period=3, reduction_factor=3, rung_spacing=3, standing=0.5)


@pytest.mark.parametrize(
    ("grace_period", "spacing", "max_epochs", "rungs"),
    [(3, 3, 27, (3, 9)), (3, 3, 28, (3, 9, 27)), (1, 3, 81, (1, 3, 9, 27)), (3, 3, 3, ()), (1, 1.2, 4, (1, 2, 3))],
)
def test_c2_rungs_lie_below_the_end_each_once(grace_period, spacing, max_epochs, rungs):
    assert AshaRules(grace_period, 3, rung_spacing=spacing).rungs(max_epochs) == rungs


def test_c2_later_brackets_begin_later():
    rules = dataclasses.replace(RULES, brackets=3)
    assert rules.rungs_by_bracket(81) == ((3, 9, 27), (9, 27), (27,))
    # The third one's first rung lies at the end: it judges nobody.
    assert rules.rungs_by_bracket(27) == ((3, 9), (9,), ())
    assert rules.rungs(27) == (3, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grace_period", 0),
        ("reduction_factor", 1.0),
        ("rung_spacing", 1.0),
        ("standing", 0.0),
        ("standing", 1.5),
        ("brackets", 0),
    ],
)
def test_rules_that_cannot_be_are_refused_where_they_are_made(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        dataclasses.replace(RULES, **{name: value})


def test_the_process_that_judges_loads_neither_torch_nor_configs():
    """Whatever its actor has to load takes seconds and memory on every cluster."""
    code = (
        "import search_service.early_stopping.brackets, sys; print({'torch', 'pydantic', 'ray'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
