"""From a config to rows: disjoint, reproducible, in their units, weighted, and without leaks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from trainables.data import dataset as datasets
from trainables.data.config import DataConfig
from trainables.data.dataset import load, read
from trainables.data.splits import Division, split
from trainables.errors import DataError
from trainables.row_tensors import to_tensors

N = 200


@pytest.fixture
def columns():
    """A column of each kind, some with gaps, and a target of two classes."""
    random = np.random.default_rng(0)
    gaps = random.random(N) < 0.1
    return {
        "a": pa.array(random.normal(3, 5, N), mask=gaps),
        "heavy": random.standard_t(1, N),
        "town": pa.array(random.choice(["Bonn", "Kiel", "Ulm"], N), mask=random.random(N) < 0.1),
        "code": [f"c{i}" for i in random.integers(0, 60, N)],
        "day": pa.array(np.datetime64("2026-01-01") + random.integers(0, 300, N)),
        "yes": random.random(N) < 0.5,
        "w": random.random(N) + 0.5,
        "y": ["no"] * 150 + ["yes"] * 50,
    }


def write(path, columns):
    pyarrow.parquet.write_table(pa.table(columns), path)
    return str(path)


def test_parts_are_disjoint_complete_and_stratified(tmp_path, columns):
    loaded = read(DataConfig(source=write(tmp_path / "t.parquet", columns), target="y"))
    dataset, test = loaded.dataset, loaded.test_rows
    assert (len(dataset.train), len(dataset.validation), len(test)) == (120, 40, 40)
    for part in (dataset.train, dataset.validation, test):
        assert (part.targets == 1).mean() == pytest.approx(0.25)
        assert part.inputs.dtype == np.float32
        assert np.isfinite(part.inputs).all()
    assert dataset.class_names == ("no", "yes")
    assert dataset.n_inputs == len(dataset.feature_names)
    assert (loaded.target, loaded.task_reason) == ("y", "the target is text")
    assert loaded.example.column_names == ["a", "heavy", "town", "code", "day", "yes", "w"]


def test_nothing_is_fitted_on_validation_and_test_rows(tmp_path, columns):
    """The same division with poisoned validation and test rows: every statistic and every training row stays."""
    config = {"target": "y", "preparation": {"one_hot_limit": 10, "log": ["w"]}}
    clean = read(DataConfig(source=write(tmp_path / "t.parquet", columns), **config))
    held = ~_in_training(columns)
    assert held.sum() == 80
    poisoned = dict(columns)
    poisoned["a"] = pa.array(np.where(held, 1e6, columns["a"].to_numpy(zero_copy_only=False)), from_pandas=True)
    poisoned["heavy"] = np.where(held, -1e9, columns["heavy"])
    poisoned["town"] = pa.array(
        np.where(held, "Atlantis", columns["town"].to_numpy(zero_copy_only=False)), from_pandas=True
    )
    poisoned["code"] = np.where(held, "poison", columns["code"])
    poisoned["day"] = pa.array(
        np.where(held, np.datetime64("1900-01-01"), columns["day"].to_numpy(zero_copy_only=False))
    )
    poisoned["w"] = np.where(held, 1e12, columns["w"])
    # The poison must not be a trap's business to see, but it changes which rows are drawn for nothing: same seed.
    dirty = read(DataConfig(source=write(tmp_path / "p.parquet", poisoned), **config))
    assert np.array_equal(dirty.dataset.train.inputs, clean.dataset.train.inputs)
    assert np.array_equal(dirty.dataset.train.targets, clean.dataset.train.targets)
    assert not np.array_equal(dirty.dataset.validation.inputs, clean.dataset.validation.inputs)
    assert _statistics(dirty) == _statistics(clean)


def _in_training(columns):
    classes = (np.array(columns["y"]) == "yes").astype(np.int64)
    rows = split(N, Division("stratified", 0, classes), {"validation": 0.2, "test": 0.2})["train"]
    return np.isin(np.arange(N), rows)


def _statistics(loaded):
    """Every fitted array of the preparation, as bytes."""

    def walk(thing, path):
        if isinstance(thing, np.ndarray):
            yield path, thing.tobytes() if thing.dtype != object else repr(thing.tolist())
        elif isinstance(thing, (list, tuple)):
            for i, inner in enumerate(thing):
                yield from walk(inner, f"{path}.{i}")
        elif type(thing).__module__.startswith(("sklearn", "trainables")):
            for name, inner in sorted(vars(thing).items()):
                yield from walk(inner, f"{path}.{name}")

    found = dict(walk(loaded.preparation.encoder.transformers_, ""))
    assert len(found) > 10
    return found


def test_a_regression_target_is_not_scaled_by_validation_rows(tmp_path, columns):
    target = np.random.default_rng(0).normal(7, 2, N)
    config = {"target": "y"}
    clean, _ = load(DataConfig(source=write(tmp_path / "t.parquet", columns | {"y": target}), **config))
    rows = split(N, Division("random", 0), {"validation": 0.2, "test": 0.2})["train"]
    held = ~np.isin(np.arange(N), rows)
    dirty, _ = load(
        DataConfig(
            source=write(tmp_path / "p.parquet", columns | {"y": np.where(held, target * 1e3, target)}), **config
        )
    )
    assert dirty.scaling == clean.scaling


def test_the_seed_decides_the_division_and_the_fingerprint_tells(tmp_path, columns):
    source = write(tmp_path / "t.parquet", columns)
    first, again, other = (load(DataConfig(source=source, target="y", split_seed=seed))[0] for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.train.inputs, again.train.inputs)
    changed = columns["heavy"].copy()
    changed[7] += 1e-9
    touched, _ = load(DataConfig(source=write(tmp_path / "c.parquet", columns | {"heavy": changed}), target="y"))
    assert touched.fingerprint != first.fingerprint


def test_test_rows_have_a_fingerprint_of_their_own(tmp_path, columns):
    test = write(tmp_path / "test.parquet", pa.table(columns).slice(100))
    whole, half = (write(tmp_path / f"{n}.parquet", pa.table(columns).slice(0, n)) for n in (200, 180))
    first, second = (read(DataConfig(train=train, test=test, target="y")) for train in (whole, half))
    assert first.test_fingerprint == second.test_fingerprint
    assert first.dataset.fingerprint != second.dataset.fingerprint


def test_explicit_files_are_used_as_they_are(tmp_path, columns):
    table = pa.table(columns)
    odd, even = (table.take(list(range(start, N, 2))) for start in (1, 0))
    files = {"train": write(tmp_path / "train.parquet", odd), "test": write(tmp_path / "test.parquet", even)}
    dataset, test = load(DataConfig(**files, target="y"))
    assert (len(dataset.train), len(dataset.validation), len(test)) == (80, 20, 100)
    files["validation"] = write(tmp_path / "validation.parquet", even.slice(0, 30))
    dataset, test = load(DataConfig(**files, target="y"))
    assert (len(dataset.train), len(dataset.validation), len(test)) == (100, 30, 100)


def test_d2_explicit_files_must_fit_together(tmp_path, columns):
    table = pa.table(columns)
    train = write(tmp_path / "train.parquet", table)
    unknown = write(tmp_path / "v.parquet", columns | {"y": ["new"] * N})
    with pytest.raises(DataError, match=r"data.validation: 'new'"):
        load(DataConfig(train=train, validation=unknown, target="y"))
    fewer = write(tmp_path / "w.parquet", table.drop_columns(["a", "town"]))
    with pytest.raises(DataError, match="it lacks a, town"):
        load(DataConfig(train=train, test=fewer, target="y"))
    with pytest.raises(DataError, match=r"data.test: .column a, row 1: 'x'(.|\n)*numbers, as column a has"):
        load(DataConfig(train=train, test=write(tmp_path / "x.parquet", columns | {"a": ["x"] * N}), target="y"))
    # More columns than needed do no harm.
    load(DataConfig(train=train, test=write(tmp_path / "m.parquet", columns | {"more": ["x"] * N}), target="y"))


def test_regression_targets_are_standardised_and_know_their_units(diabetes):
    from sklearn.datasets import load_diabetes

    dataset, test = diabetes
    assert dataset.train.targets.mean() == pytest.approx(0, abs=1e-6)
    assert dataset.train.targets.std() == pytest.approx(1, rel=1e-5)
    own = np.concatenate([p.targets for p in (dataset.train, dataset.validation, test)])
    raw = load_diabetes().target
    assert np.sort(dataset.scaling.restore(own)) == pytest.approx(np.sort(raw), rel=1e-4)


def test_tensors_share_the_arrays_memory(digits):
    rows = digits[0].train
    tensors = to_tensors(rows, "cpu", torch.float32)
    assert tensors.inputs.data_ptr() == rows.inputs.ctypes.data
    assert to_tensors(rows, "cpu", torch.float64).inputs.dtype == torch.float64


@pytest.mark.parametrize(
    ("target", "task", "reason"),
    [
        (["no", "yes"] * 100, "classification", "text"),
        ([True, False] * 100, "classification", "true or false"),
        ([1, 2, 3, 4] * 50, "classification", "4 different whole numbers"),
        ([1.0, 2.0] * 100, "classification", "2 different whole numbers"),
        (list(range(100)) * 2, "regression", "100 different numbers"),
        ([0.5, 1.0] * 100, "regression", "2 different numbers"),
    ],
)
def test_the_task_follows_from_the_target(tmp_path, columns, target, task, reason):
    path = write(tmp_path / "t.parquet", columns | {"y": target})
    loaded = read(DataConfig(source=path, target="y"))
    assert loaded.dataset.task == task
    assert reason in loaded.task_reason
    if len(set(target)) < 30 and not isinstance(target[0], str):
        other = "regression" if not isinstance(target[0], bool) else "classification"
        assert read(DataConfig(source=path, target="y", task=other)).dataset.task == other
    with pytest.raises(DataError, match="data.task"):
        read(DataConfig(source=path, target="y", task="regression"), "classification")


def test_columns_with_a_role_are_no_features(tmp_path, columns):
    random = np.random.default_rng(0)
    table = columns | {"patient": random.integers(0, 40, N), "junk": range(N)}
    loaded = read(
        DataConfig(source=write(tmp_path / "t.parquet", table), target="y", group="patient", weight="w", drop=["junk"])
    )
    assert loaded.preparation.schema.names() == ["a", "heavy", "town", "code", "day", "yes"]
    weights = np.concatenate([p.weights for p in (loaded.dataset.train, loaded.dataset.validation, loaded.test_rows)])
    assert np.sort(weights) == pytest.approx(np.sort(columns["w"]), rel=1e-6)
    by_time = read(DataConfig(source=write(tmp_path / "t.parquet", table), target="y", time="day"))
    assert "day" not in by_time.preparation.schema.names()


def test_d2_roles_that_cannot_be(tmp_path, columns):
    path = write(tmp_path / "t.parquet", columns)

    def says(words, **config):
        with pytest.raises(DataError, match=words):
            read(DataConfig(source=path, target="y", **config))

    says("data.group: 'patient'", group="patient")
    says("data.drop: 'x'(.|\n)*data.columns: 'z'", drop=["x"], columns={"z": "numeric"})
    says("row weights above 0", weight="heavy")
    says("data.time(.|\n)*column town|column town: .* missing", time="town")
    says("column a: .* missing", time="a")
    says("numeric feature column", preparation={"log": ["town"]})
    says("data.columns.w: 'numeric'", weight="w", columns={"w": "numeric"})
    numbers = write(tmp_path / "n.parquet", columns | {"y": np.arange(N) / 7})
    with pytest.raises(DataError, match="use split: random"):
        read(DataConfig(source=numbers, target="y", split="stratified"))


@pytest.mark.parametrize("division", ["stratified", "grouped", "time"])
def test_folds_divide_training_and_validation_rows_and_are_prepared_by_themselves(tmp_path, columns, division):
    table = columns | {"patient": np.random.default_rng(0).integers(0, 40, N)}
    roles = {"stratified": {}, "grouped": {"group": "patient"}, "time": {"time": "day"}}[division]
    loaded = read(DataConfig(source=write(tmp_path / "t.parquet", table), target="y", **roles), folds=4)
    assert loaded.folds is not None
    assert len(loaded.folds) == 4
    together = len(loaded.dataset.train) + len(loaded.dataset.validation)
    judged = 0
    for fold in loaded.folds:
        judged += len(fold.validation)
        assert fold.class_names == loaded.dataset.class_names
        if division != "time":
            assert len(fold.train) + len(fold.validation) == together
        standard = fold.train.inputs[:, fold.feature_names.index("a")]
        assert standard.mean() == pytest.approx(0, abs=1e-4)
    assert judged == together or division == "time"


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_e3_folds_of_which_one_has_nothing_to_learn_are_refused_before_anything_starts(tmp_path, kind):
    """By time the rare class came late: the fold was prepared after the whole search, which ended there for ever."""
    late = np.arange(N) >= N // 3
    targets = np.where(late & (np.arange(N) % 3 == 0), "yes", "no") if kind == "classes" else late * np.arange(N) / 7
    table = {"when": np.arange(N), "a": np.random.default_rng(0).normal(size=N), "y": targets}
    config = DataConfig(source=write(tmp_path / "t.parquet", table), target="y", time="when")
    assert read(config).folds is None
    with pytest.raises(DataError, match=r"finalists.folds: .*of fold 1, all .* training rows have the target"):
        read(config, folds=5)


def test_row_weights_count_in_the_scaling_of_a_regression_target(tmp_path, columns):
    target = np.arange(N) / 7
    path = write(tmp_path / "t.parquet", columns | {"y": target})
    dataset, _ = load(DataConfig(source=path, target="y", weight="w"))
    own = dataset.scaling.restore(dataset.train.targets)
    assert dataset.scaling.mean == pytest.approx(np.average(own, weights=dataset.train.weights), rel=1e-5)


def test_nothing_travels_to_workers_but_rows(digits):
    import pickle

    size = len(pickle.dumps(digits[0]))
    rows = sum(part.inputs.nbytes + part.targets.nbytes for part in (digits[0].train, digits[0].validation))
    assert size < rows + 10_000


def test_codes_keep_their_leading_zeros_where_the_config_says_that_they_are_codes(tmp_path):
    rows = "".join(f"0{1000 + i % 7},{i},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("zip,n,y\n" + rows)
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y", columns={"zip": "categorical"}))
    assert "zip_01000" in loaded.dataset.feature_names
    assert loaded.example["zip"][0].as_py().startswith("01")


def test_a_profile_describes_every_column(tmp_path, columns):
    path = write(tmp_path / "t.parquet", columns | {"empty": pa.nulls(N), "junk": range(N)})
    profile = read(DataConfig(source=path, target="y", weight="w", drop=["junk"]), profiled=True).profile
    assert profile is not None
    seen = {column.name: column for column in profile.columns}
    assert list(seen) == [*columns, "empty", "junk"]
    assert [seen[name].role for name in ("a", "y", "w", "empty", "junk")] == [
        "feature", "target", "weight", "empty", "left out",
    ]  # fmt: skip
    assert seen["a"].missing == columns["a"].null_count
    assert seen["a"].prepared == "standard, flag"
    assert seen["code"].prepared == "mean target"
    assert seen["town"].distinct == 3
    assert profile.target == {"no": 0.75, "yes": 0.25}
    assert datasets.EXAMPLE_ROWS >= 2


@pytest.mark.parametrize(
    ("written", "first"),
    [("1,200|3,400|900", 1200.0), ("42.5%|10%|7.5%", 42.5), ("$7|$12|$9", 7.0), ("2.5|1|3", 2.5)],
)
def test_e1_weights_are_numbers_as_people_write_them(tmp_path, written, first):
    """Features and targets were, and no key of a config could say how weights are written."""
    cells = written.split("|")
    lines = [f'{n % 11},"{cells[n % 3]}",{"ab"[n % 2]}' for n in range(90)]
    (tmp_path / "t.csv").write_text("x,w,y\n" + "\n".join(lines) + "\n")
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y", weight="w"))
    assert first in loaded.dataset.train.weights
    with pytest.raises(DataError, match="numbers above 0"):
        (tmp_path / "t.csv").write_text("x,w,y\n" + "\n".join([*lines[:-1], "1,many,a"]) + "\n")
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y", weight="w"))
