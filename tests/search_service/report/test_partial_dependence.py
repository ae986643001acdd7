"""E1: where what the network says is least and most, in words; and it is kept as it was told."""

from __future__ import annotations

from pydantic import TypeAdapter

from search_service.report.partial_dependence import how_asked, partial_dependence_section, what_is_said
from trainables.records import PartialDependence

MEANS = {"": (410_000.4, 390_123.0, 707_000.0)}
PRICE = PartialDependence("gr|ade", "numeric", (4.0, 7.0, 13.0), MEANS, {"": (1.0,) * 3}, rows=1_000, networks=5)
HOURS = ("2001-01-01T00:00:00", "2001-01-01T06:30:00")
DAY = PartialDependence("when", "date", HOURS, {"": (1.0, 2.0)}, {"": (0.0, 0.0)}, rows=9, networks=1)
BOTH = PartialDependence(
    "town", "categorical", ("1", "more"), {"a": (0.25, 0.5), "b": (0.6, 0.1)}, {"a": (0.0, 0.0), "b": (0.0, 0.0)},
    shares=(0.7, 0.3), rows=9, networks=2,
)  # fmt: skip


def test_e1_least_and_most_are_said_with_their_values():
    said = "\n".join(partial_dependence_section([PRICE, DAY], "price"))
    assert "| column | mean prediction of price is least at | and most at |" in said
    assert "| gr\\|ade | 7: 390,000 | 13: 707,000 |" in said
    assert "| when | 2001-01-01: 1 | 2001-01-01T06:30:00: 2 |" in said
    assert "all of 1,000 validation rows" in said
    assert "the winner's 5 networks then say" in said


def test_e1_each_class_is_said_by_its_name():
    said = "\n".join(partial_dependence_section([BOTH], "colour"))
    assert "| town (a) | 1: 0.25 | more: 0.5 |" in said
    assert "| town (b) | more: 0.1 | 1: 0.6 |" in said
    one = PartialDependence("x", "numeric", (1.0,), {"yes": (0.5,)}, {"yes": (0.0,)})
    assert what_is_said(one, "churn") == "mean probability of yes"


def test_e1_of_studies_that_did_not_ask_nothing_is_said():
    assert partial_dependence_section([], "price") == []
    assert how_asked([]) == ""


def test_e1_a_category_that_looks_like_a_number_is_kept_as_text():
    kept = TypeAdapter(tuple[PartialDependence, ...])
    found = (PRICE, DAY, BOTH, PartialDependence("n", "categorical", ("1", "2"), {"": (0.0, 1.0)}, {"": (0.0, 0.0)}))
    assert kept.validate_json(kept.dump_json(found)) == found
    assert kept.validate_json(kept.dump_json(found))[-1].values == ("1", "2")
