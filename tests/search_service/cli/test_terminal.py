"""D4: what lists of studies look like."""

from __future__ import annotations

import pytest

from search_service.cli.terminal import StudyRow, say_studies


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_d4_an_id_is_whole_on_any_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    long = "a-name-of-some-length-20261130-010101-a48f1234"
    study = StudyRow(long, "running, step 4", 24, "rmse", 116_345.0, None)
    say_studies([study, StudyRow("b", "failed", 0, None, None, None)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("a-name")]
    assert line.startswith(f"{long} ")
    assert "116,300" in line


def test_d4_a_service_without_studies_has_an_empty_list(capsys):
    say_studies([])
    assert "study" in capsys.readouterr().out
