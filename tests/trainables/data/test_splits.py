"""Dividing rows: shares, nothing on both sides, later rows later, every fold once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.splits import Division, folds, split
from trainables.errors import DataError

FRACTIONS = {"validation": 0.2, "test": 0.2}


def divide(method, keys, n=None, seed=0, fractions=None):
    return split(len(keys) if n is None else n, Division(method, seed, keys), fractions or FRACTIONS)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["random", "stratified", "grouped", "time"]),
    st.integers(60, 200),
    st.integers(0, 2**64),
    st.integers(0, 2**32),
)
def test_parts_are_disjoint_complete_and_of_the_size_asked_for(method, n, seed, drawn):
    keys = np.random.default_rng(drawn).integers(0, 3 if method == "stratified" else 20, n)
    try:
        parts = divide(method, keys, seed=seed)
    except DataError:
        assert method == "stratified"  # A class of one row cannot be in each part.
        assert np.bincount(keys).min() < 4
        return
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(n))
    for part in ("validation", "test"):
        assert (np.diff(parts[part]) > 0).all()
        tolerance = 0.25 if method in ("grouped", "time") else 2 / n
        assert len(parts[part]) / n == pytest.approx(0.2, abs=tolerance)


def test_stratified_keeps_the_share_of_each_class():
    keys = np.array([0] * 150 + [1] * 50)
    for rows in divide("stratified", keys).values():
        assert (keys[rows] == 1).mean() == pytest.approx(0.25)


def test_no_group_is_on_both_sides():
    keys = np.random.default_rng(0).integers(0, 30, 300)
    parts = divide("grouped", keys)
    groups = [set(keys[rows].tolist()) for rows in parts.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_later_rows_validate_and_the_latest_test_and_a_time_is_on_one_side():
    random = np.random.default_rng(0)
    times = np.datetime64("2026-01-01") + random.integers(0, 40, 500).astype("timedelta64[D]")
    parts = divide("time", times)
    assert times[parts["train"]].max() < times[parts["validation"]].min()
    assert times[parts["validation"]].max() < times[parts["test"]].min()


@pytest.mark.parametrize("method", ["random", "stratified", "grouped", "time"])
def test_each_fold_validates_on_rows_of_its_own(method):
    keys = np.random.default_rng(0).integers(0, 12, 240)
    made = list(folds(len(keys), Division(method, 0, keys), 4))
    assert len(made) == 4
    judged = np.concatenate([validation for _, validation in made])
    assert len(set(judged.tolist())) == len(judged)
    assert method == "time" or len(judged) == 240
    for train, validation in made:
        assert not set(train.tolist()) & set(validation.tolist())
        if method == "grouped":
            assert not set(keys[train].tolist()) & set(keys[validation].tolist())
        if method == "time":
            assert keys[train].max() < keys[validation].min()


@pytest.mark.parametrize(
    ("method", "keys"), [("grouped", [1, 1, 1, 1]), ("time", [5, 5, 5, 5]), ("stratified", [0, 0, 0, 1])]
)
def test_d2_too_few_groups_times_or_rows_of_a_class_are_refused(method, keys):
    with pytest.raises(DataError, match="add rows"):
        divide(method, np.array(keys))
    with pytest.raises(DataError, match="finalists.folds"):
        list(folds(4, Division(method, 0, np.array(keys)), 5))
