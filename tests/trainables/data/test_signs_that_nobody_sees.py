"""E1: texts that look alike and are stored otherwise, and numbers and dates with signs in them that nobody sees."""

from __future__ import annotations

import unicodedata

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.one_column import csv, kind_of, refused, values_of
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.types import spelt_alike

# Left to right, no width, join, and the order of bytes.
MARKS = ["\u200e", "\u200b", "\u2060", "\ufeff"]


@pytest.mark.parametrize("mark", MARKS)
def test_e1_numbers_and_dates_have_no_such_signs(tmp_path, mark):
    """As sheets, browsers and the properties of files put them in when a value is copied: they made categories."""
    loaded = csv(tmp_path, [f"{mark}1.5", f"{mark}20", f"3{mark}"])
    assert (kind_of(loaded), values_of(loaded)) == ("numeric", [1.5, 3, 20])
    day = [f"{mark}24.{mark}02.{mark}2024", f"{mark}01.{mark}12.{mark}2023"]
    loaded = csv(tmp_path, day)
    assert (kind_of(loaded), values_of(loaded)) == ("date", [pd.Timestamp("2023-12-01"), pd.Timestamp("2024-02-24")])


def test_e1_days_and_months_that_may_be_either_are_asked_for_with_their_row(tmp_path):
    said = refused(tmp_path, ["\u200e02/03/2024", "\u200e04/03/2023"])
    assert "column x, row 1" in said and "%d/%m/%Y" in said


def test_e1_a_sign_of_per_cent_may_come_first(tmp_path):
    loaded = csv(tmp_path, ["%12", "%3.5", "%40"])
    assert (kind_of(loaded), values_of(loaded)) == ("numeric", [3.5, 12, 40])


def test_e1_texts_that_look_alike_are_found():
    composed, taken_apart = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    assert spelt_alike([composed, "Bern", taken_apart]) == [[composed, taken_apart]]
    assert spelt_alike(["yes", "yes\u200b", "don't", "don\u2019t", "18-24", "18\u201324"]) == [
        ["yes", "yes\u200b"], ["don't", "don\u2019t"], ["18-24", "18\u201324"],
    ]  # fmt: skip
    assert spelt_alike([">50K", "<=50K", ">50K."]) == [[">50K", ">50K."]]
    assert spelt_alike(["1", "no", "yes"]) == [["1", "yes"]]
    # Two truths are two, and a digit beside another word is no truth.
    assert not spelt_alike(["yes", "no"]) and not spelt_alike(["yes", "no", "1", "maybe"])


def warned(tmp_path, classes, **config):
    values = [classes[n % len(classes)] for n in range(96)]
    pyarrow.parquet.write_table(pa.table({"x": [n % 7 + 0.5 for n in range(96)], "y": values}), tmp_path / "t.parquet")
    loaded = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y", **config))
    return loaded, [warning for warning in loaded.warnings if warning.path == "data.target"]


def test_e1_classes_that_look_alike_are_said_with_what_tells_them_apart(tmp_path):
    _, (said,) = warned(tmp_path, ["Zürich", unicodedata.normalize("NFD", "Zürich"), "Bern"])
    assert said.value == r"'Zu\u0308rich', 'Z\xfcrich'"


@pytest.mark.parametrize("mark", ["", " ", "?", "nan", "N/A"])
def test_e1_a_class_that_may_mean_missing_is_said_and_what_is_said_helps(tmp_path, mark):
    """Of Parquet and frames, where nothing but null means missing, it was a class like the others."""
    _, (said,) = warned(tmp_path, ["a", "b", mark])
    assert said.value == repr(mark)
    assert said.fix == f'if it does, data.columns: {{"y": {{null_values: ["{mark}"]}}}}, data.missing_target: drop'
    loaded, none = warned(tmp_path, ["a", "b", mark], columns={"y": {"null_values": [mark]}}, missing_target="drop")
    assert not none and loaded.dataset.class_names == ("a", "b")
    assert not warned(tmp_path, ["None", "low", "high"])[1]


def test_e1_names_again_in_files_that_were_joined_have_a_mark_of_byte_order(tmp_path):
    rows = "".join(f"{n % 9}.5,{n % 7}\n" for n in range(40))
    (tmp_path / "t.csv").write_text(f"\ufeffx,y\n{rows}\ufeffx,y\n{rows}", encoding="utf-8")
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    assert kind_of(loaded) == "numeric" and any("repeats the names" in note for note in loaded.notes)
