"""Reading tables, and every way in which one can be refused: the error names the columns and says what to do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from trainables.data import sources
from trainables.data.config import DataConfig
from trainables.data.dataset import load
from trainables.errors import DataError


def refused(source, target="y") -> str:
    with pytest.raises(DataError) as error:
        sources.read(str(source), target, "data.source")
    return str(error.value)


def write(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits", (1797, 64)), ("wine", (178, 13)), ("breast_cancer", (569, 30)), ("diabetes", (442, 10))],
)
def test_bundled_sets(name, shape):
    table = sources.read(name, None, "data.source")
    assert table.features.shape == shape
    assert len(table.feature_names) == shape[1]


def test_csv_parquet_and_npz_give_the_same_table(tmp_path):
    random = np.random.default_rng(0)
    features, target = random.normal(size=(40, 3)), np.array(["no", "yes"] * 20)
    lines = [
        "a,b,c,y",
        *(",".join([*(repr(float(v)) for v in row), t]) for row, t in zip(features, target, strict=True)),
    ]
    csv = write(tmp_path, "\n".join(lines))
    columns = {"a": features[:, 0], "b": features[:, 1], "c": features[:, 2], "y": target}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    np.savez(tmp_path / "table.npz", X=features, y=target)
    for path in (csv, tmp_path / "table.parquet", tmp_path / "table.npz"):
        table = sources.read(str(path), "y", "data.source")
        assert np.array_equal(table.features, features)
        assert table.target.tolist() == target.tolist()


def test_images_in_npz_become_rows_of_pixels(tmp_path):
    np.savez(tmp_path / "images.npz", X=np.zeros((6, 4, 5), dtype=np.uint8), digit=np.arange(6))
    assert sources.read(str(tmp_path / "images.npz"), "digit", "data.source").features.shape == (6, 20)


def test_booleans_are_numbers(tmp_path):
    table = sources.read(str(write(tmp_path, "a,y\ntrue,0\nfalse,1\n")), "y", "data.source")
    assert table.features.tolist() == [[1.0], [0.0]]


def test_text_columns_and_missing_values_are_named_in_one_error(tmp_path):
    message = refused(write(tmp_path, "town,a,b,y\nBonn,1,,0\nKiel,2,3,1\n"))
    assert "town" in message
    assert "numeric columns only" in message
    assert "data.source: 'b'" in message
    assert "no missing values" in message


def test_nan_in_parquet_is_a_missing_value(tmp_path):
    pyarrow.parquet.write_table(pa.table({"a": [1.0, float("nan")], "y": [0, 1]}), tmp_path / "t.parquet")
    assert "no missing values" in refused(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b,y\n", "no rows"),
        ("a,b,z\n1,2,3\n", "one of: 'a', 'b', 'z'"),
        ("a,b,y \n1,2,3\n", "'y '"),
        ("a;b;y\n1;2;3\n", "separated by ';'"),
        ("a,b,y,\n1,2,3,\n", "without a name"),
        ("a,y\n1,x\n2,\n", "no missing values"),
        ("a,a,y\n1,2,3\n", "rename"),
        ("y\n1\n", "at least one column beside"),
        ("a,y\ninf,1\n2,0\n", "finite"),
        ("a,y\n1e39,1\n2,0\n", "finite"),
        ("a,y\n1,2,3\n", "readable CSV"),
        ("a,y\n1,0\n2,\n", "no missing values"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path, text, words):
    assert words in refused(write(tmp_path, text))


def test_files_that_are_not_there_or_not_what_they_say(tmp_path):
    assert "existing file" in refused(tmp_path / "nowhere.csv")
    assert "not a folder" in refused(_folder(tmp_path / "folder.csv"))
    assert "readable PARQUET" in refused(write(tmp_path, "no parquet", "t.parquet"))
    assert "readable NPZ" in refused(write(tmp_path, "no zip", "t.npz"))
    assert "digits" in refused("digit")
    assert "bundled set" in refused(write(tmp_path, "x", "t.xlsx"))
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"a,y\n\xff\xfe\x00,1\n")
    assert "data.source" in refused(binary)


def _folder(path):
    path.mkdir()
    return path


def test_npz_that_cannot_be_used(tmp_path, monkeypatch):
    path = tmp_path / "t.npz"
    np.savez(path, A=np.zeros((2, 2)))
    assert "save it with X" in refused(path)
    np.savez(path, X=np.zeros((3, 2)), z=np.zeros(3))
    assert "one of: z" in refused(path)
    np.savez(path, X=np.zeros((3, 2)))
    assert "save it with y=..." in refused(path)
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(4))
    assert "X (3, 2), y (4,)" in refused(path)
    np.savez(path, X=np.array([[1.0, np.nan], [1.0, 2.0]]), y=np.zeros(2))
    assert "'x1'" in refused(path)
    np.savez(path, X=np.array([["a"], ["b"]]), y=np.zeros(2))
    assert "numbers in X" in refused(path)
    np.savez(path, X=np.array([[{}], [{}]], dtype=object), y=np.zeros(2))
    assert "readable NPZ" in refused(path)  # A pickle inside is never opened.
    np.savez_compressed(path, X=np.zeros((1000, 100)), y=np.zeros(1000))
    monkeypatch.setattr(sources, "MAX_NPZ_BYTES", 10_000)
    assert "unpacks to" in refused(path)


def test_targets_that_cannot_be_used(tmp_path):
    one_class = write(tmp_path, "a,y\n" + "1,x\n" * 9, "one.csv")
    with pytest.raises(DataError, match="one class only: x"):
        load(DataConfig(source=str(one_class), target="y"), "classification")
    numbers = write(tmp_path, "a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(30)), "numbers.csv")
    with pytest.raises(DataError, match="trial.loss: mse"):
        load(DataConfig(source=str(numbers), target="y"), "classification")
    words = write(tmp_path, "a,y\n" + "1,x\n2,z\n" * 9, "words.csv")
    with pytest.raises(DataError, match="loss predicts one"):
        load(DataConfig(source=str(words), target="y"), "regression")
    rare = write(tmp_path, "a,y\n" + "1,x\n2,z\n" * 9 + "3,rare\n", "rare.csv")
    with pytest.raises(DataError, match=r"rare \(1\)"):
        load(DataConfig(source=str(rare), target="y"), "classification")
    few = write(tmp_path, "a,y\n1,1.5\n2,2.5\n3,4\n", "few.csv")
    with pytest.raises(DataError, match="at least 6 rows"):
        load(DataConfig(source=str(few), target="y"), "regression")
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"a,y\n" + "1,mäybe\n2,no\n".encode("latin-1") * 9)
    with pytest.raises(DataError, match="UTF-8"):
        load(DataConfig(source=str(latin), target="y"), "classification")
    constant = write(tmp_path, "a,y\n" + "1,7\n2,7\n" * 9, "constant.csv")
    with pytest.raises(DataError, match="a target that varies"):
        load(DataConfig(source=str(constant), target="y"), "regression")
    same = write(tmp_path, "a,b,y\n" + "1,2,x\n1,2,z\n" * 9, "same.csv")
    with pytest.raises(DataError, match="all features are constant"):
        load(DataConfig(source=str(same), target="y"), "classification")
    with pytest.raises(DataError, match="trial.loss: mse"):
        load(DataConfig(source="diabetes"), "classification")
    with pytest.raises(DataError, match="has its own"):
        load(DataConfig(source="digits", target="y"), "classification")
