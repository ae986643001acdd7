"""E1: numbers as people write them are read as they are meant, or asked for: units, sizes, signs, marks and limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.one_column import ROWS, csv, kind_of, refused, values_of
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.sources import read_rows
from trainables.errors import DataError


@pytest.mark.parametrize(
    "cells",
    [["1.6L", "2.0T", "1.8L"], ["25M", "31F", "19F"], ["512M", "1G", "2G"], ["4.0K", "12M", "1.5G"], ["34B", "36C"]],
)
def test_e1_letters_beside_another_unit_are_no_millions(tmp_path, cells):
    assert "amounts of one unit" in refused(tmp_path, cells)
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"


def test_e1_letters_that_may_be_part_of_a_code_are_asked_for_and_both_fixes_work(tmp_path):
    cells = ["12", "14B", "3", "22B"]
    assert "the B of this may be a size or part of a code" in refused(tmp_path, cells)
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"
    assert 14e9 in values_of(csv(tmp_path, cells, columns={"x": "numeric"}))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.2M", "300K", "450"], [450, 3e5, 1.2e6]),
        (["$1.2M", "$3B", "$500"], [500, 1.2e6, 3e9]),
        (["0.5 Mio. €", "5 Tsd. €"], [5e3, 5e5]),
        (["AED 3920", "AED 71"], [71, 3920]),
    ],
)
def test_e1_sizes_of_money_are_read(tmp_path, cells, expected):
    assert values_of(csv(tmp_path, cells, delimiter=";")) == pytest.approx(expected)


def test_e1_a_dash_behind_a_comma_says_what_points_are(tmp_path):
    assert values_of(csv(tmp_path, ["€ 5.165,-", "€ 2.950,-"], delimiter=";")) == [2950.0, 5165.0]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["40.5N", "33.25S"], [-33.25, 40.5]),
        (["40.5° E", "33° W"], [-33, 40.5]),
        (["900 Cr", "1,250.50 Dr"], [-1250.5, 900]),
        (["$500/mo", "$750/mo"], [500, 750]),
        (["12.5 €/ha", "9 €/ha"], [9, 12.5]),
    ],
)
def test_e1_what_stands_behind_a_number_is_its_sign_or_what_it_is_paid_for(tmp_path, cells, expected):
    loaded = csv(tmp_path, cells, delimiter=";")
    assert values_of(loaded) == pytest.approx(expected)
    (column,) = loaded.preparation.schema.columns
    later = pa.table({"x": [cells[1], cells[0]]})
    assert loaded.preparation.transform(later).shape == (2, loaded.dataset.n_inputs)
    assert sorted(column.notation.parse(pd.Series(cells))) == pytest.approx(expected)


def test_e1_doors_are_no_degrees(tmp_path):
    assert kind_of(csv(tmp_path, ["12E", "14W", "3E"])) == "categorical"


@pytest.mark.parametrize(
    "cells", ["45 Lakh/1.2 Cr", "1.2tn/500bn", "345mm/1.2bn", "1.2 bln/5 mln", "5 hundred/2 thousand"]
)
def test_e1_sizes_beside_an_unknown_one_are_refused(tmp_path, cells):
    """The unknown one was taken for the column's unit, and the known ones multiplied: a factor of a billion."""
    assert "amounts of one unit in a column; others are in" in refused(tmp_path, cells.split("/"))


@pytest.mark.parametrize("cells", ["USD 1,200/USD 99", "(1,200)/99", "₹1,200/₹99", "1,200 sq ft/950 sq ft"])
def test_e1_commas_beside_any_currency_sign_or_unit_are_asked_for(tmp_path, cells):
    said = refused(tmp_path, cells.split("/"), delimiter=";", target=[str(n % 30) for n in range(ROWS)])
    assert "this comma may separate thousands or a fraction" in said


def test_e1_commas_in_words_are_no_decimal_commas(tmp_path):
    loaded = csv(tmp_path, ["room 1,234", "room 12"], delimiter=";")
    assert not any("decimal comma" in note for note in loaded.notes)


def test_e1_a_later_file_with_points_between_thousands_is_read_by_the_commas_of_training(tmp_path):
    """1.234 was 1.234 beside 7,5 in training, silently."""
    loaded = csv(tmp_path, ["7,5", "14,5"], delimiter=";", target=[f"{n % 7},5" for n in range(ROWS)])
    (tmp_path / "later.csv").write_text("x;z\n1.234;1\n-12.500;2\n1.234,5;3\n2,5;4\n7;5\n", encoding="utf-8")
    schema = loaded.preparation.schema
    later = read_rows(str(tmp_path / "later.csv"), "FILE", schema.reading, ["x"])
    assert schema.typed(later, "FILE")["x"].tolist() == [1234.0, -12500.0, 1234.5, 2.5, 7.0]


def test_e1_brackets_beside_a_currency_are_a_minus(tmp_path):
    assert values_of(csv(tmp_path, ["$ (55.10)", "$ 3.00", "$(5.20)"])) == [-55.1, -5.2, 3.0]
    assert values_of(csv(tmp_path, ["(5.2)%", "3.1%"])) == [-5.2, 3.1]
    assert values_of(csv(tmp_path, ["(5,20 €)", "7,10 €"], delimiter=";")) == [-5.2, 7.1]


def test_e1_small_per_cents_are_no_shares(tmp_path):
    schema = csv(tmp_path, ["0.15%", "0.95%"]).preparation.schema
    assert schema.typed(pa.table({"x": ["0.25", "0.75"]}), "FILE")["x"].tolist() == [0.25, 0.75]
    with pytest.raises(DataError, match="of which 1 is 100 %"):
        csv(tmp_path, ["15%", "95%"]).preparation.schema.typed(pa.table({"x": ["0.25", "0.75"]}), "FILE")


def test_e1_limits_in_a_target_are_the_limits(tmp_path):
    target = ["<0.5" if n % 9 == 0 else f"{n / 10}" for n in range(ROWS)]
    loaded = csv(tmp_path, ["1", "2"], target=target)
    assert loaded.dataset.task == "regression"
    assert any("'<0.5' and the like, 11 of 96, are the limits themselves" in note for note in loaded.notes)
    true = [0.5 if n % 9 == 0 else n / 10 for n in range(ROWS)]
    found = np.concatenate(
        [rows.targets for rows in (loaded.dataset.train, loaded.dataset.validation, loaded.test_rows)]
    )
    assert sorted(loaded.dataset.scaling.restore(found)) == pytest.approx(sorted(true), rel=1e-5)


def test_e1_mil_is_asked_for(tmp_path):
    assert "a thousand in Spanish" in refused(tmp_path, ["R$ 10 mil", "R$ 20 mil"])


def test_e1_scores_are_categories_and_marks_at_school_no_negative_numbers(tmp_path):
    assert kind_of(csv(tmp_path, ["98:87", "101:99", "88:90"])) == "categorical"
    marks = ["5", "4", "4-", "3", "5-"]
    assert "if these are codes, data.columns: {x: categorical}" in refused(tmp_path, marks)
    assert kind_of(csv(tmp_path, marks, columns={"x": "categorical"})) == "categorical"


@pytest.mark.parametrize("delimiter", [";", ","])
def test_e1_points_between_thousands_beside_smaller_numbers_are_asked_for(tmp_path, delimiter):
    cells = ["1.064", "858", "4.831", "377"]
    assert "this point may separate thousands or a fraction" in refused(tmp_path, cells, delimiter=delimiter)
    thousands = csv(tmp_path, cells, delimiter=delimiter, columns={"x": {"kind": "numeric", "thousands": "."}})
    assert values_of(thousands) == [377, 858, 1064, 4831]
    fractions = csv(tmp_path, cells, delimiter=delimiter, columns={"x": {"kind": "numeric", "decimal": "."}})
    assert values_of(fractions) == [1.064, 4.831, 377, 858]


def test_e1_fractions_beside_whole_numbers_of_their_size_are_fractions(tmp_path):
    assert values_of(csv(tmp_path, ["1.125", "2.375", "3", "2.5"])) == [1.125, 2.375, 2.5, 3]


def test_e1_shares_are_refused_where_training_had_per_cent(tmp_path):
    loaded = csv(tmp_path, ["47.4%", "12.1%", "3%"])
    for written in ("0.474", "0.121"), (0.474, 0.121):
        with pytest.raises(DataError, match=r"in per cent; these look like shares(.|\n)*47\.4%"):
            loaded.preparation.transform(pa.table({"x": written}))
    as_text = loaded.preparation.transform(pa.table({"x": ["47.4%"]}))
    assert np.array_equal(as_text, loaded.preparation.transform(pa.table({"x": [47.4]})))


@pytest.mark.parametrize("unit", ["mg/dL", "kmpl", "IU/L", "bhp"])
def test_e1_a_value_without_the_unit_of_the_others_is_no_reason_for_categories(tmp_path, unit):
    cells = [f"{n / 4:.2f} {unit}" for n in range(40)]
    said = refused(tmp_path, [*cells, "n.d."])
    assert "data.csv.null_values: ['n.d.']" in said
    assert kind_of(csv(tmp_path, [*cells, "n.d."], csv={"null_values": ["n.d."]})) == "numeric"


def test_e1_limits_are_not_listed_among_what_means_missing(tmp_path):
    cells = ["<0.05", *[f"{n / 10:.2f}" for n in range(1, 20)], "n.d."]
    assert "data.csv.null_values: ['n.d.']" in refused(tmp_path, cells)
    assert 0.05 in values_of(csv(tmp_path, cells, csv={"null_values": ["n.d."]}))


def test_e1_what_tells_thousands_and_codes_may_come_late_in_a_large_file(tmp_path):
    """Amounts in order were whole numbers for 256 KB, and then fractions."""
    numbers = [100 + n // 18 if n < 15_000 else 1000 + (n - 15_000) * 3 for n in range(18_000)]
    amounts = [f"{number:,}".replace(",", ".") for number in numbers]
    lines = "".join(f"{amount};{'w' * 20}{n % 5};{n % 30}\n" for n, amount in enumerate(amounts))
    (tmp_path / "t.csv").write_text(f"x;w;y\n{lines}")
    with pytest.raises(DataError, match="this point may separate thousands or a fraction"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    codes = "".join(f"{99_950 - n * 5:05d},{'w' * 20}{n % 5},{n % 30}\n" for n in range(19_900))
    (tmp_path / "codes.csv").write_text(f"zip,w,y\n{codes}")
    loaded = read(DataConfig(source=str(tmp_path / "codes.csv"), target="y"))
    assert any("zip: digits that begin with zeros are codes" in note for note in loaded.notes)


def test_e1_commas_of_lists_are_no_decimal_commas(tmp_path):
    """Of tags beside it, a column of 1.234 and 2.345 became one of thousands."""
    rows = [f"{('1,2,3', '3,5,7', '4,5')[n % 3]};{1 + n % 9}.{100 + n};{n % 7}.5" for n in range(ROWS)]
    (tmp_path / "t.csv").write_text("tags;x;y\n" + "\n".join(rows) + "\n")
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    assert {column.name: column.kind for column in loaded.preparation.schema.columns}["tags"] == "categorical"
    assert max(loaded.grids["x"].values) < 10
    for delimiter in ";\t":
        assert kind_of(csv(tmp_path, ["1,2", "1,2,3", "3,5,7", "4"], delimiter=delimiter)) == "categorical"


@pytest.mark.parametrize(
    "cells", [["1.6", "2.0T", "1.8", "2.0"], ["1.6", "1.8", "3.0M"], ["1.4", "1.5B", "2.0T", "1.8k"]]
)
def test_e1_a_size_beside_fractions_is_asked_for(tmp_path, cells):
    """An engine of 2.0T was one of 2,000,000,000,000."""
    said = refused(tmp_path, cells)
    assert "may be a size or part of a code" in said
    assert "data.columns: {x: numeric}" in said
    assert max(values_of(csv(tmp_path, cells, columns={"x": "numeric"}))) >= 3e6
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"
    # What is said of a target works, too.
    goals = [cells[n % len(cells)] for n in range(ROWS)]
    assert csv(tmp_path, ["1", "2"], target=goals, columns={"y": "numeric"}).dataset.class_names == ()


def test_e1_sizes_beside_whole_numbers_and_thousands_beside_fractions_are_numbers(tmp_path):
    assert values_of(csv(tmp_path, ["1.2M", "300K", "45"])) == [45, 300_000, 1_200_000]
    assert values_of(csv(tmp_path, ["4.7", "2.2k", "10"])) == [4.7, 10, 2_200]


@pytest.mark.parametrize("goals", [["low", "high"], [f"w{n}" for n in range(24)]])
def test_e1_a_target_of_words_that_is_said_to_be_numeric_is_refused(tmp_path, goals):
    """It was one of classes, whatever was said."""
    goals = [goals[n % len(goals)] for n in range(ROWS)]
    said = refused(tmp_path, ["1", "2"], target=goals, columns={"y": "numeric"})
    assert f"numeric, and values are {goals[0]!r}, {goals[1]!r}" in said
    assert 'remove "y" from data.columns' in said


def test_e1_words_in_a_target_that_is_said_to_be_numeric_are_stray(tmp_path):
    goals = [("1.5", "2.5", "low")[n % 3] for n in range(ROWS)]
    said = refused(tmp_path, ["1", "2"], target=goals, columns={"y": "numeric"})
    assert "of 96, 64 are numbers and 32 are not" in said
    fixed = {"csv": {"null_values": ("low",)}, "missing_target": "drop"}
    assert csv(tmp_path, ["1", "2"], target=goals, columns={"y": "numeric"}, **fixed).dataset.task == "regression"
    texts = csv(tmp_path, ["1", "2"], target=goals, columns={"y": "numeric"}, task="classification")
    assert texts.dataset.class_names == ("1.5", "2.5", "low")


@pytest.mark.parametrize(
    ("cells", "dash"),
    [
        (['" $ 1,200.00 "', '" $ -   "'], "$ -"),
        (['" 1,200 "', '" 120 "', '" -   "'], " -   "),
        (['"1.200,00 €"', '"- €"'], "- €"),
        (["$12", "$-"], "$-"),
    ],
)
def test_e1_a_dash_in_a_column_of_money_is_nothing(tmp_path, cells, dash):
    """As sheets show 0; it was refused as a way to say "missing", which lost the zeros."""
    loaded = csv(tmp_path, cells)
    assert 0 in values_of(loaded)
    assert any(dash.strip() in note and "as 0)" in note for note in loaded.notes)


@pytest.mark.parametrize("dash", ["-", " - ", "- kg", "--"])
def test_e1_another_dash_is_asked_for(tmp_path, dash):
    assert "1,200" not in refused(tmp_path, ['"1,200"', '"1,300"', '"2,300"', f'"{dash}"'])


def test_e2_a_target_of_money_with_dashes_is_one_of_numbers(tmp_path):
    values = [f'" {1000 + 7 * n:,} "' if n % 5 else '" -   "' for n in range(ROWS)]
    loaded = csv(tmp_path, ["1", "2", "3"], target=values)
    assert loaded.dataset.task == "regression"
    assert loaded.dataset.scaling.restore(loaded.dataset.train.targets).min() == pytest.approx(0, abs=1e-2)


def test_e1_a_limit_is_not_named_as_what_may_mean_missing(tmp_path):
    """The message showed `< 1 year`, and its fix was for `10+ years`."""
    said = refused(tmp_path, ["< 1 year", "10+ years", "2 years", "3 years", "4 years"])
    assert "row 2: '10+ years'" in said
    assert "data.csv.null_values: ['10+ years']" in said
