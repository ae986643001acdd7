"""`search-service inspect`: what a person sees of a table, and what a program gets."""

from __future__ import annotations

import json
import sys

import pytest

from search_service.cli import commands as cli

CONFIG = """
name: houses
data: {source: houses.csv, target: price, drop: [id], columns: {zip: categorical}}
"""
TOWNS = ("Bonn", "Kiel", "")


@pytest.fixture
def config(tmp_path):
    rows = [f"{i};{50000 + i % 7};{TOWNS[i % 3]};{i * 7919 % 1009};{i % 5 and i};{i * 100 + 0.5}" for i in range(90)]
    (tmp_path / "houses.csv").write_text("id;zip;town;area;constant;price\n" + "\n".join(rows).replace(";0;", ";;"))
    path = tmp_path / "houses.yaml"
    path.write_text(CONFIG)
    return path


def inspect(config, capsys, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["search-service", "inspect", str(config), *options])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    return capsys.readouterr().out


def test_a_person_sees_columns_gaps_the_target_the_division_and_what_is_suspicious(config, capsys, monkeypatch):
    shown = inspect(config, capsys, monkeypatch)
    for words in (
        "90 read; divided: 54 training, 18 validation, 18 test",
        "price: regression, the target has 90 different numbers",
        "columns separated by ';'",
        "33.3%",
        "Bonn 50%, Kiel 50%",
        "one-hot",
        "left out",
        "median",
        "Suspicious",
    ):
        assert words in shown, words


def test_a_program_gets_one_document(config, capsys, monkeypatch):
    document = json.loads(inspect(config, capsys, monkeypatch, "--json", "--set", "data.strict=true"))
    columns = {column["name"]: column for column in document["columns"]}
    assert columns["zip"]["kind"] == "categorical"
    assert columns["town"]["missing"] == 30
    assert (columns["id"]["role"], columns["price"]["role"]) == ("left out", "target")
    assert document["task"] == "regression"
    assert document["parts"] == {"training": 54, "validation": 18, "test": 18}
    assert document["target"]["distribution"]["least"] == 0.5
    # Strict or not: here what is suspicious is shown.
    assert {"path", "value", "rule", "fix"} == set(document["suspicious"][0])


def test_d2_a_table_that_cannot_be_used_is_one_error(config, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["search-service", "inspect", str(config), "--set", "data.target=nothing"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "one of: 'id', 'zip'" in capsys.readouterr().err


def test_e1_control_characters_of_titles_and_labels_do_not_reach_a_terminal(tmp_path, capsys, monkeypatch):
    hostile = "\x1b]0;gone\x07\u202e[red]"
    rows = "".join(f"{i},{hostile if i % 3 else 'plain'},{'a' if i % 2 else hostile}\n" for i in range(90))
    (tmp_path / "t.csv").write_text(f"{hostile},c,y\n{rows}")
    (tmp_path / "t.yaml").write_text("name: t\ndata: {source: t.csv, target: y}\n")
    shown = inspect(tmp_path / "t.yaml", capsys, monkeypatch)
    assert r"\x1b]0;gone\x07\u202e[red]" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


@pytest.mark.parametrize(
    ("numeric", "prepared"),
    [
        ("ple", {"flat": "robust", "wide": "robust, bins", "gaps": "robust, bins, flag"}),
        ("robust", {"flat": "robust", "wide": "robust", "gaps": "robust, flag"}),
        ("standard", {"flat": "standard", "wide": "standard", "gaps": "standard, flag"}),
        ("quantile", {"flat": "quantile", "wide": "quantile", "gaps": "quantile, flag"}),
        ("none", {"flat": "as it is", "wide": "as it is", "gaps": "as it is, flag"}),
    ],
)
def test_d2_it_says_what_is_made_of_each_number(tmp_path, capsys, monkeypatch, numeric, prepared):
    rows = "\n".join(f"{i % 2},{i * 7919 % 1009},{i % 5 or ''},{'ab'[i % 2]}" for i in range(90))
    (tmp_path / "t.csv").write_text(f"flat,wide,gaps,y\n{rows}\n")
    config = tmp_path / "t.yaml"
    config.write_text("name: t\ndata: {source: t.csv, target: y}\n")
    changed = ("--json", "--set", f"data.preparation.numeric={numeric}")
    document = json.loads(inspect(config, capsys, monkeypatch, *changed))
    assert {one["name"]: one["prepared"] for one in document["columns"] if one["name"] != "y"} == prepared


def test_d2_on_a_narrow_terminal_what_is_prepared_is_whole(config, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["search-service", "inspect", str(config)])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main()
    listed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("town ")]
    assert len(listed) == 1
    assert listed[0].rstrip().endswith("one-hot")
    assert "Bonn" in listed[0]


def test_d4_on_a_narrow_screen_each_column_is_a_line_with_its_values(tmp_path, called, monkeypatch):
    rows = "".join(f"{1_000 + number},{number},{'ab'[number % 2]}\n" for number in range(40))
    (tmp_path / "t.csv").write_text(f"payment.of.the.next.month,left,y\n{rows}")
    asked = ("inspect", "t.csv", "--target", "y", "--drop", "left")
    monkeypatch.setenv("COLUMNS", "80")
    lines = called(*asked).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("column "))
    shown = [line.split() for line in lines[start : start + 4]]
    assert shown[0] == ["column", "kind", "missing", "different", "values"]
    assert shown[1] == ["payment.of.the.next.month", "numeric", "–", "40", "1000", "·", "1019.5", "·", "1039"]
    # What is prepared has no column here, and what is not is told by its own.
    assert (shown[2][:3], shown[3][:2]) == (["left", "left", "out"], ["y", "target"])
    monkeypatch.setenv("COLUMNS", "140")
    assert called(*asked).stdout.splitlines()[start].split()[-1] == "prepared"


def test_d4_nothing_is_cut_off_where_there_is_no_screen(tmp_path, called, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    rows = "".join(f"{number / 7:.9f},{number % 2}\n" for number in range(60))
    (tmp_path / "t.csv").write_text(f"a_column_with_a_long_name,y\n{rows}")
    shown = called("inspect", "t.csv", "--target", "y").stdout
    assert "…" not in shown
    assert "prepared" in shown
