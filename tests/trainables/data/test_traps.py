"""Leaks and traps: each is found where it was put, and honest tables have none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from trainables.data import traps
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

N = 500


@pytest.fixture
def honest():
    random = np.random.default_rng(0)
    a, b = random.normal(size=N), random.normal(size=N)
    return {"a": a, "b": b, "town": random.choice(["x", "y", "z"], N), "y": np.where(a + b > 0, "yes", "no")}


def found(tmp_path, columns, **config):
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    return read(DataConfig(source=str(tmp_path / "t.parquet"), target="y", **config)).warnings


def says(problems, value, words):
    return any(value in str(problem.value) and words in problem.rule for problem in problems)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "diabetes"])
def test_honest_tables_have_none(name):
    assert read(DataConfig(source=name)).warnings == ()


def test_iris_has_a_strong_column_and_is_not_accused(repository):
    assert not says(
        read(DataConfig(source=str(repository / "configs/iris.csv"), target="species")).warnings, "", "alone"
    )


def test_rows_on_both_sides(tmp_path, honest):
    assert found(tmp_path, honest) == ()
    twice = {name: np.concatenate([values, values[:100]]) for name, values in honest.items()}
    problems = found(tmp_path, twice)
    assert says(problems, "test rows", "stand among the training rows")
    assert says(problems, "validation rows", "stand among the training rows")
    # Equal inputs with another target are a contradiction, not a leak.
    other = twice | {"y": np.concatenate([honest["y"], np.where(honest["y"][:100] == "no", "yes", "no")])}
    assert not says(found(tmp_path, other), "rows", "stand among")


@pytest.mark.parametrize("disguise", ["copy", "code", "number"])
def test_a_column_that_gives_the_target_away(tmp_path, honest, disguise):
    random, yes = np.random.default_rng(1), honest["y"] == "yes"
    leak = {
        "copy": honest["y"],
        "code": np.where(yes, random.choice(["p", "q"], N), random.choice(["r", "s"], N)),
        "number": yes * 10 + random.normal(size=N),
    }[disguise]
    problems = found(tmp_path, honest | {"outcome": leak})
    assert says(problems, "outcome", "gives the target away")
    assert len(problems) == 1


def test_a_column_that_gives_a_number_away_and_one_that_is_missing_when_it_matters(tmp_path, honest):
    target = honest["a"] * 100
    problems = found(tmp_path, honest | {"y": target + np.random.default_rng(1).normal(size=N)})
    assert says(problems, "a", "gives the target away")
    paid = pa.array([1.0 if yes else None for yes in honest["y"] == "yes"])
    assert says(found(tmp_path, honest | {"paid": paid}), "paid", "gives the target away")


def test_ids_constants_and_empty_columns(tmp_path, honest):
    problems = found(
        tmp_path,
        honest
        | {
            "ticket": np.arange(N) * 3,
            "same": ["x"] * N,
            "one": np.ones(N),
            "rare": pa.array([1.0 * i if i % 60 == 0 else None for i in range(N)]),
        },
    )
    assert says(problems, "ticket", "as ids do")
    assert says(problems, "same, one", "one value")
    assert says(problems, "rare", "miss more than")
    # Whole numbers that do not count the rows may be amounts.
    amounts = np.random.default_rng(0).permutation(N * 100)[:N]
    assert found(tmp_path, honest | {"amount": amounts}) == ()


def test_a_class_without_rows_in_a_part(tmp_path, honest):
    times = np.arange(N)
    late = np.where(times < 400, np.where(times % 2, "p", "q"), np.where(times % 2, "q", "r"))
    problems = found(tmp_path, honest | {"y": late, "when": times}, time="when")
    assert says(problems, "r", "train rows have none")
    assert says(problems, "p", "test rows have none")


def test_strict_makes_them_errors(tmp_path, honest):
    with pytest.raises(DataError, match="as ids do"):
        found(tmp_path, honest | {"ticket": np.arange(N) * 3}, strict=True)
    assert found(tmp_path, honest | {"ticket": np.arange(N) * 3}, strict=True, drop=["ticket"]) == ()


def test_rows_are_told_apart_by_every_bit():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 7)).astype(np.float32)
    targets = random.integers(0, 3, 300)
    hashes = traps.row_hashes(traps.Side(inputs, targets))
    assert len(np.unique(hashes)) == 300
    assert np.array_equal(hashes, traps.row_hashes(traps.Side(inputs.copy(order="F"), targets)))
    changed = inputs.copy()
    changed[5, 3] = np.nextafter(changed[5, 3], np.float32(9))
    assert np.flatnonzero(hashes != traps.row_hashes(traps.Side(changed, targets))).tolist() == [5]
    zeros = np.zeros((2, 1), dtype=np.float32) * np.array([[1], [-1]], dtype=np.float32)
    assert len(np.unique(traps.row_hashes(traps.Side(zeros, np.array([1, 1]))))) == 1


def between(tmp_path, honest, key, **config):
    """What is said of a table and of a file of test rows, each with a column ``key``: 500 and 40 values."""
    for name, keys in zip(("train", "test"), key, strict=True):
        table = pa.table({name: values[: len(keys)] for name, values in honest.items()} | {"key": keys})
        # Other rows than those of the training file.
        shift = pa.array([n + (name == "test") * 0.001 for n in honest["a"][: len(keys)]])
        pyarrow.parquet.write_table(table.set_column(0, "a", shift), tmp_path / f"{name}.parquet")
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "test")}
    return read(DataConfig(**files, target="y", **config)).warnings


def test_e1_a_file_of_test_rows_has_groups_of_its_own(tmp_path, honest):
    """What is divided here keeps groups apart; that a file does not was told by nothing, and the score was too good."""
    known, others = [f"g{n % 50}" for n in range(N)], [f"h{n % 5}" for n in range(40)]
    assert not between(tmp_path, honest, (known, others), group="key")
    (said,) = between(tmp_path, honest, (known, [*others[:-3], "g1", "g1", "g49"]), group="key")
    assert (said.path, said.value) == ("data.group", "3 of 40 test rows")
    # The same group, written as a number with and without a fraction.
    numbers = [n % 50 for n in range(N)]
    (said,) = between(tmp_path, honest, (numbers, [1.0, *([99.5] * 39)]), group="key")
    assert said.value == "1 of 40 test rows"


def test_e1_a_file_of_test_rows_is_later(tmp_path, honest):
    days = [f"{1 + n % 28:02d}.{1 + n // 28 % 12:02d}.2023" for n in range(N)]
    assert not between(tmp_path, honest, (days, ["01.02.2024"] * 40), time="key")
    (said,) = between(tmp_path, honest, (days, [*["01.02.2024"] * 38, "28.12.2023", "01.01.2023"]), time="key")
    assert (said.path, said.value) == ("data.time", "2 of 40 test rows")
    assert "leave out data.test" in said.fix


def test_e1_numbers_beyond_those_of_float64_are_not_said_to_be_one_value(tmp_path):
    columns = {"code": [2**60 + n % 7 for n in range(60)], "x": [1, 2, 5] * 20, "y": ["no", "yes"] * 30}
    said = " ".join(f"{problem.path} {problem.rule} {problem.fix}" for problem in found(tmp_path, columns))
    assert "data.columns.code " in said and "code: categorical" in said and "columns that vary" not in said
