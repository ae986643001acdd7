"""Division and preparation of a table: disjoint, stratified, reproducible, and without leaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from trainables.data import sources
from trainables.data.config import DataConfig
from trainables.data.dataset import load
from trainables.errors import DataError


def csv(path, features, target):
    lines = ["a,b,y", *(f"{a!r},{b!r},{t}" for (a, b), t in zip(features.tolist(), target, strict=True))]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    return random.normal(3, 5, size=(200, 2)), np.array(["no"] * 150 + ["yes"] * 50)


def test_parts_are_disjoint_complete_and_stratified(tmp_path, table):
    features, target = table
    dataset, test = load(DataConfig(source=csv(tmp_path / "t.csv", features, target), target="y"), "classification")
    assert (len(dataset.train), len(dataset.validation), len(test)) == (120, 40, 40)
    for part in (dataset.train, dataset.validation, test):
        assert (part.targets == 1).mean() == pytest.approx(0.25)
    scaling, parts = dataset.scaling, (dataset.train, dataset.validation, test)
    restored = [part.inputs * scaling.scale + scaling.mean for part in parts]
    assert np.sort(np.vstack(restored)[:, 0]) == pytest.approx(np.sort(features[:, 0]), rel=1e-5, abs=1e-5)


def test_features_are_standardised_with_the_training_rows_only(tmp_path, table):
    features, target = table
    clean, _ = load(DataConfig(source=csv(tmp_path / "t.csv", features, target), target="y"), "classification")
    scaler = StandardScaler().fit(clean.train.inputs * clean.scaling.scale + clean.scaling.mean)
    assert clean.scaling.mean == pytest.approx(scaler.mean_, rel=1e-5)
    # The same division with poisoned validation rows: statistics must not move.
    from trainables.data import splits

    rows = splits.split(
        (target == "yes").astype(np.int64), stratify=True, fractions={"validation": 0.2, "test": 0.2}, seed=0
    )
    poisoned = features.copy()
    poisoned[rows["validation"]] *= 1e6
    dirty, _ = load(DataConfig(source=csv(tmp_path / "p.csv", poisoned, target), target="y"), "classification")
    assert np.array_equal(dirty.scaling.mean, clean.scaling.mean)
    assert np.array_equal(dirty.scaling.scale, clean.scaling.scale)
    assert np.array_equal(dirty.train.inputs, clean.train.inputs)


def test_the_seed_decides_the_division_and_the_fingerprint_tells(tmp_path, table):
    source = csv(tmp_path / "t.csv", *table)
    first, again, other = (
        load(DataConfig(source=source, target="y", split_seed=seed), "classification")[0] for seed in (0, 0, 1)
    )
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(first.train.inputs, again.train.inputs)
    changed = table[0].copy()
    changed[7, 0] += 1e-9
    touched, _ = load(DataConfig(source=csv(tmp_path / "c.csv", changed, table[1]), target="y"), "classification")
    assert touched.fingerprint != first.fingerprint


def test_explicit_files_are_used_as_they_are(tmp_path, table):
    features, target = table
    odd, even = slice(1, None, 2), slice(0, None, 2)
    files = {
        "train": csv(tmp_path / "train.csv", features[odd], target[odd]),
        "test": csv(tmp_path / "test.csv", features[even], target[even]),
    }
    dataset, test = load(DataConfig(**files, target="y"), "classification")
    assert (len(dataset.train), len(dataset.validation), len(test)) == (80, 20, 100)
    files["validation"] = csv(tmp_path / "validation.csv", features[:60:2], target[:60:2])
    dataset, test = load(DataConfig(**files, target="y"), "classification")
    assert (len(dataset.train), len(dataset.validation), len(test)) == (100, 30, 100)


def test_explicit_files_must_fit_together(tmp_path, table):
    features, target = table
    train = csv(tmp_path / "train.csv", features, target)
    unknown = csv(tmp_path / "v.csv", features[:9], ["new"] * 9)
    with pytest.raises(DataError, match=r"data.validation: 'new'"):
        load(DataConfig(train=train, validation=unknown, target="y"), "classification")
    (tmp_path / "w.csv").write_text("a,c,y\n1,2,no\n")
    with pytest.raises(DataError, match="mend: b, c"):
        load(DataConfig(train=train, validation=str(tmp_path / "w.csv"), target="y"), "classification")


def test_regression_targets_are_standardised_and_know_their_units(diabetes):
    dataset, test = diabetes
    raw = sources.read("diabetes", None, "data.source").target
    assert dataset.train.targets.mean() == pytest.approx(0, abs=1e-6)
    assert dataset.train.targets.std() == pytest.approx(1, rel=1e-5)
    own = np.concatenate([p.targets for p in (dataset.train, dataset.validation, test)])
    assert np.sort(own * dataset.target_scale + dataset.target_mean) == pytest.approx(np.sort(raw), rel=1e-4)


def test_tensors_share_the_arrays_memory(digits):
    rows = digits[0].train
    tensors = rows.to_tensors("cpu", torch.float32)
    assert tensors.inputs.data_ptr() == rows.inputs.ctypes.data
    assert rows.to_tensors("cpu", torch.float64).inputs.dtype == torch.float64


def test_constant_columns_become_zero_and_standardising_can_be_switched_off():
    dataset, _ = load(DataConfig(source="digits"), "classification")
    assert (dataset.train.inputs[:, 0] == 0).all()  # The top left pixel is never inked.
    raw, _ = load(DataConfig(source="digits", standardize=False), "classification")
    assert raw.train.inputs.max() == 16.0
