"""A14: the pictures of a comparison of optimisers, and the page in which its paths can be played."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import re
from html.parser import HTMLParser

import pytest

from search_service import wiring
from search_service.comparison import compare
from search_service.recorders.figures import comparison, paths_page
from search_service.recorders.figures.style import MARK_CONTRAST, contrast
from search_service.recorders.memory import MemoryRecorder
from search_service.records.events import ComparisonFinished
from search_service.spec.study_spec import parse
from search_service.study import summarize
from tests.search_service.recorders.test_figure_colours import APART, EYES, distance


def drawn(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of three optimisers, and the files drawn of it."""
    asked = {"optimizers": ["sgd", "adam", "adamw"], "seeds": 2, "epochs": 3, "sweep_seeds": 1, "sweep_epochs": 2}
    spec = parse({"name": "wine", "data": {"source": "wine"}, "comparison": asked})
    study, folder = wiring.prepare(spec), tmp_path_factory.mktemp("figures")
    memory = MemoryRecorder()
    data = summarize(spec, study.table)
    compare(spec, study.dataset, data, memory.record, comparison.write, comparison_id="c", folder=folder, versions={})
    return memory.of(ComparisonFinished)[0]


def test_a14_a_comparison_is_drawn_as_curves_a_slice_and_a_page(compared):
    assert [file.name for file in compared.files] == ["loss_curves.png", "loss_slice.png", "paths.html"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in compared.files[:2])
    assert compared.files[2].stat().st_size < 1_000_000


def test_a14_the_curves_have_a_line_its_name_and_the_seeds_range_per_optimiser(compared):
    figure = comparison.draw_curves(compared.result)
    names = ("sgd", "adam", "adamw")
    for axis, of in zip(figure.axes, ("train_loss", "validation_loss", "validation_score"), strict=True):
        assert [line.get_color() for line in axis.lines] == [comparison.COLOUR_OF[name] for name in names]
        ranges = [bar.get_segments()[0][:, 1] for bar in axis.collections]
        for (low, high), outcome in zip(ranges, compared.result.outcomes, strict=True):
            ends = [getattr(curve[-1], of) for curve in outcome.curves]
            assert (low, high) == pytest.approx((min(ends), max(ends)))
        written = sorted((text.get_position()[1], text.get_text()) for text in axis.texts if text.get_text() in names)
        heights = [height for height, _ in written]
        assert {name for _, name in written} == set(names)
        assert all(b - a >= comparison.NAME_HEIGHT - 1e-9 for a, b in itertools.pairwise(heights))
        assert all(0 <= height <= 1 for height in heights)
    assert [axis.get_yscale() for axis in figure.axes] == ["log", "log", "linear"]
    # Accuracies are fractions on the axis as they are in the legend.
    assert "%" not in figure.axes[2].yaxis.get_major_formatter()(0.97)
    best = compared.result.ranked[0]
    assert figure.legends[0].get_texts()[0].get_text().startswith(f"{best.name}, rate {best.config.optimizer.lr:.3g}")


def test_a14_the_slice_has_every_path_from_the_start_to_its_end(compared):
    slice_ = compared.result.slice
    axis = comparison.draw_slice(slice_).axes[0]
    paths = [line for line in axis.lines if len(line.get_xdata()) == len(slice_.steps)]
    assert [tuple(zip(*line.get_data(), strict=True)) for line in paths] == [path.points for path in slice_.paths]
    assert f"({slice_.explained[0]:.0%} of their extent)" in axis.get_xlabel()
    assert axis.get_aspect() == 1.0


@pytest.mark.parametrize("metric", ["accuracy", "rmse", "r2"])
def test_a14_what_diverged_is_drawn_as_far_as_it_goes(compared, metric):
    result = compared.result
    first = result.outcomes[0]
    broken = tuple(dataclasses.replace(p, train_loss=math.nan, validation_score=math.nan) for p in first.curves[0])
    outcomes = (
        dataclasses.replace(first, curves=(broken, first.curves[1]), metric=metric),
        dataclasses.replace(first, name="momentum", config=None, curves=()),
    )
    assert drawn(comparison.draw_curves(dataclasses.replace(result, outcomes=outcomes, metric=metric)))
    assert drawn(comparison.draw_curves(dataclasses.replace(result, outcomes=outcomes[1:], metric=metric)))
    path = dataclasses.replace(result.slice.paths[0], points=((0.0, 0.0),), losses=(1.0,), diverged=True)
    flat = tuple((0.0,) * len(result.slice.x) for _ in result.slice.y)
    holes = tuple((math.nan,) * len(result.slice.x) for _ in result.slice.y)
    for heights in (flat, holes):
        slice_ = dataclasses.replace(result.slice, paths=(path,), losses=heights)
        assert drawn(comparison.draw_slice(slice_))
        assert "null" in paths_page.render(result, slice_, comparison.COLOUR_OF) or heights is flat


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text of the data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self.get_starttag_text().startswith("<script"):
            self.scripts[-1] += data


def test_a14_the_page_needs_no_network_and_forbids_itself_any(compared):
    text = compared.files[2].read_text(encoding="utf-8")
    assert not re.search(r"https?://|\bsrc\s*=|@import|url\(|fetch\(|XMLHttpRequest|import\s*\(", text)
    page = Page(text)
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe")]
    assert "{{" not in text


def test_a14_the_pages_data_are_the_slice(compared):
    page, slice_ = Page(compared.files[2].read_text(encoding="utf-8")), compared.result.slice
    data = json.loads(page.scripts[0])
    assert data["steps"] == list(slice_.steps)
    assert data["x"] == pytest.approx(list(slice_.x), rel=1e-4)
    assert data["losses"][3] == pytest.approx(list(slice_.losses[3]), rel=1e-4)
    for drawn_path, path in zip(data["paths"], slice_.paths, strict=True):
        assert drawn_path["name"] == path.name
        assert drawn_path["losses"] == pytest.approx(list(path.losses), rel=1e-4)
        assert list(zip(drawn_path["x"], drawn_path["y"], strict=True))[-1] == pytest.approx(path.points[-1], rel=1e-4)


def test_a14_nothing_in_the_data_can_leave_the_script_in_which_it_stands(compared):
    evil = "</script><script>alert(1)</script><!-- {{data}} {{title}} \u2028 & ü"
    result = dataclasses.replace(compared.result, data=dataclasses.replace(compared.result.data, source=evil))
    text = paths_page.render(result, result.slice, comparison.COLOUR_OF)
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert json.loads(page.scripts[0])["source"] == evil
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_optimisers_are_told_apart_by_colour_by_any_eyes(eyes):
    """Those that were one blue, and one grey, without the green cones, and all others."""
    assert len(comparison.COLOUR_OF) == 8
    for one, other in itertools.combinations(comparison.COLOUR_OF, 2):
        assert distance(comparison.COLOUR_OF[one], comparison.COLOUR_OF[other], eyes) >= APART, (one, other)
    alike = [name for name in comparison.DASH_OF if comparison.DASH_OF[name] == comparison.DASH_OF["sgd"]]
    assert alike == ["sgd", "rmsprop"], "what is next to each other in the table has another line style too"


@pytest.mark.parametrize("n", [3, 8, 9, 20])
def test_c6_however_many_optimisers_there_are_no_two_look_the_same(n):
    colours = comparison.distinct_colours(n)
    assert len(set(colours)) == n
    assert all(contrast(colour) >= MARK_CONTRAST for colour in colours)
