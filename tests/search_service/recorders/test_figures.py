"""Figures can be drawn of whatever a study may turn into, and show what they are for."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from search_service.recipe import step1_initial_loss, step2_overfit_small_sample, step3_learning_rates
from search_service.recorders.figures import (
    activations,
    columns,
    gradients,
    losses,
    partial_dependence,
    schedules,
    search_map,
)
from search_service.records.finalists import Finalist, FinalistsResult, possible
from search_service.records.readings import FitReading, HealthReading, HealthVerdict
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.sections import InitialLossSpec, LearningRatesSpec, OverfitSpec
from tests.plans import make_plan, plain
from trainables.config import TrialConfig
from trainables.records import (
    Baseline,
    ColumnImportance,
    ColumnImportances,
    EpochPoint,
    Health,
    LayerHealth,
    PartialDependence,
)

LR = NumericRange(1e-4, 1e-1, log=True)
DECAY = NumericRange(1e-4, 1.0, log=True)
SPACES = [
    {"optimizer.lr": LR},
    {"optimizer.lr": LR, "optimizer.weight_decay": DECAY},
    {"optimizer.lr": Choices((0.1, 0.2)), "network.dropout": NumericRange(0.0, 0.5), "batch_size": Choices((8, 16))},
]


def drawn(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()


def round_of(folder, statuses, space, metric="accuracy"):
    random = np.random.default_rng(0)
    trials = []
    for i, status in enumerate(statuses):
        score = math.nan if status in (TrialStatus.DIVERGED, TrialStatus.FAILED) else random.uniform(0.5, 1)
        curve = () if status is TrialStatus.FAILED else (EpochPoint(3, 0.1, score, score),)
        values = {
            leaf: r.choices[i % len(r.choices)]
            if isinstance(r, Choices)
            else r.from_scale(random.uniform(r.to_scale(r.low), r.to_scale(r.high)))
            for leaf, r in space.items()
        }
        trials.append(TrialResult(f"r1-{i:03d}", i, TrialConfig(), values, status, "", curve, metric))
    return RoundResult(make_plan(folder, space=space, metric=metric), tuple(trials), "done", 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "rmse"])
@pytest.mark.parametrize("space", SPACES, ids=len)
@pytest.mark.parametrize("statuses", [[], [TrialStatus.DIVERGED] * 3, [TrialStatus.COMPLETED], list(TrialStatus) * 2])
def test_the_search_map_of_any_round(tmp_path, metric, space, statuses):
    statuses = [status for status in statuses if status is not TrialStatus.RUNNING]
    done = round_of(tmp_path, statuses, space, metric)
    assert drawn(search_map.draw([done])).startswith(b"\x89PNG")
    assert drawn(search_map.draw([done, round_of(tmp_path, statuses, space, metric)])).startswith(b"\x89PNG")


def test_c6_the_search_map_is_log_log_with_a_box_per_round_and_a_point_per_trial(tmp_path):
    space = {"optimizer.lr": LR, "optimizer.weight_decay": DECAY}
    statuses = [TrialStatus.COMPLETED] * 4 + [TrialStatus.PRUNED] * 3 + [TrialStatus.DIVERGED] * 2
    first = round_of(tmp_path, statuses, space)
    axis = search_map.draw([first, first]).axes[0]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    boxes = [patch for patch in axis.patches if patch.get_width() == pytest.approx(1e-1 - 1e-4)]
    assert len(boxes) == 2
    # All trials of both rounds, and the star.
    assert sum(len(collection.get_offsets()) for collection in axis.collections) == 2 * len(statuses) + 1


def test_step_1_draws_a_histogram_per_hidden_layer(digits):
    for sizes in ((), (8,), (8,) * 12):
        config = TrialConfig().replace({"network.hidden_sizes": sizes})
        figure = activations.draw(step1_initial_loss.run(config, digits[0], InitialLossSpec()))
        assert len(figure.axes) == 1 + max(1, min(len(sizes), activations.MAX_LAYERS))
        assert drawn(figure)


def test_step_1_draws_its_question_measured_expected_and_what_is_allowed(digits):
    check = step1_initial_loss.run(plain(), digits[0], InitialLossSpec())
    figure = activations.draw(check)
    loss, layer = figure.axes[:2]
    assert layer.get_ylabel() == "how many (rows × units)"
    assert figure.get_suptitle().endswith("what chance predicts?  passed")
    measured, expected = (kind["loss_small_last_layer"] for kind in (check.measured, check.expected))
    widths = [bar.get_width() for bar in loss.patches]
    assert widths[0] == pytest.approx(abs(measured - expected) / (0.01 * expected))
    assert all(width < 1 for width in widths)
    told = " ".join(text.get_text() for text in loss.texts)
    assert f"✓ last layer nearly 0: {measured:.4g}" in told
    assert f"expected {expected:.4g} ± 0.023" in told
    off = dict(check.measured) | {"loss_small_last_layer": 1.1 * expected, "loss_as_configured": math.nan}
    failed = activations.draw(dataclasses.replace(check, measured=off, passed=False)).axes[0]
    assert [bar.get_width() for bar in failed.patches] == [activations.MOST, activations.MOST]
    assert "✗ last layer nearly 0" in failed.texts[0].get_text()
    # A study of an earlier version did not write down what was allowed.
    old = activations.draw(dataclasses.replace(check, tolerance=math.nan, band=math.nan))
    assert [bar.get_width() for bar in old.axes[0].patches] == [0.0, 0.0]
    assert drawn(old)


def test_step_2_draws_the_loss_needed_and_where_each_rate_reached_it(digits):
    check = step2_overfit_small_sample.run(plain(), digits[0], OverfitSpec(max_steps=300), seed=0)
    figure = losses.draw_small_sample(check)
    (axis,) = figure.axes
    steps = int(check.measured["steps"])
    configured = axis.lines[0]
    (at,) = configured.get_markevery()
    assert configured.get_xdata()[at] == steps
    assert configured.get_ydata()[at] <= check.threshold < configured.get_ydata()[at - 1]
    assert axis.lines[-1].get_ydata()[0] == check.threshold
    assert axis.get_title("left") == f"Step 2: can it memorise 20 rows?  passed in {steps} of at most 300 steps"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0].endswith(f"(configured): reached at step {steps}")
    assert any(text.endswith("not reached") for text in texts)
    assert axis.get_legend() is None, "the legend is below, not over the curves"


def test_step_2_draws_a_curve_per_rate_even_where_the_loss_is_not_finite(digits):
    config = TrialConfig().replace({"optimizer.name": "sgd", "optimizer.lr": 1e20})
    second = step2_overfit_small_sample.run(config, digits[0], OverfitSpec(max_steps=20), seed=0)
    figure = losses.draw_small_sample(second)
    assert drawn(figure)
    assert len(figure.axes[0].lines) == len(second.curves) + 1


@pytest.fixture(scope="module")
def rates(digits):
    """Step 3 with a rate that is too slow, one that works and one that explodes."""
    config = TrialConfig().replace({"optimizer.name": "sgd"})
    spec = LearningRatesSpec(candidates=(1e-5, 0.1, 1e20), starts=2, steps=35)
    return step3_learning_rates.run(config, digits[0], spec, seed=0)


def test_step_3_draws_what_it_judges_the_rule_and_the_outcome(rates):
    figure = losses.draw_learning_rates(rates)
    ways, ends = figure.axes
    # The largest rate first. Means of ten batches as shares of the untrained loss; the last one is what is judged.
    exploded, works, slow = ways.lines[:3]
    outcome = rates.outcomes[1]
    assert list(works.get_xdata()) == [0, 10, 20, 30, 35]
    expected = [np.mean(curve[10:20]) / whole for curve, whole in zip(outcome.curves, outcome.untrained, strict=True)]
    assert works.get_ydata()[2] == pytest.approx(np.mean(expected))
    assert min(works.get_ydata()) < 0.8 < min(slow.get_ydata())
    for axis in (ways, ends):
        assert [line.get_ydata()[0] for line in axis.lines[-2:]] == [0.8, 2.0]
    # The outcome of each: above the axis is nothing, and the cross stands where the first loss was not finite.
    markers = {line.get_xdata()[0]: line for line in ends.lines if line.get_marker() in "ovX"}
    assert {rate: line.get_marker() for rate, line in markers.items()} == {1e-5: "v", 0.1: "o", 1e20: "X"}
    assert markers[0.1].get_ydata()[0] == outcome.falls_to
    broken_at = min(step for curve in rates.outcomes[2].curves for step, x in enumerate(curve) if not math.isfinite(x))
    assert exploded.get_xdata()[-1] == broken_at
    assert exploded.get_ydata()[-1] == markers[1e20].get_ydata()[0] < ways.get_ylim()[1]
    searched, working = ends.patches
    assert (searched.get_x(), searched.get_x() + searched.get_width()) == pytest.approx((rates.low, rates.high))
    assert working.get_x() < 0.1 < working.get_x() + working.get_width()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"not finite from step {broken_at}" in texts[0]
    assert texts[1].startswith("0.1  works: ")


def test_step_3_can_be_read_where_all_rates_diverge(digits):
    config = TrialConfig().replace({"optimizer.name": "sgd"})
    spec = LearningRatesSpec(candidates=(1e20, 1e30), starts=2, steps=20)
    third = step3_learning_rates.run(config, digits[0], spec, seed=0)
    figure = losses.draw_learning_rates(third)
    assert drawn(figure)
    ways, ends = figure.axes
    heights = [line.get_ydata()[0] for line in ends.lines if line.get_marker() == "X"]
    assert len(set(heights)) == len(third.outcomes) == 5
    assert all(2 < height < ways.get_ylim()[1] for height in heights)
    assert "no rate works" in ends.get_title("left")
    # An older study did not write the untrained losses down.
    old = [dataclasses.replace(outcome, untrained=()) for outcome in third.outcomes]
    assert drawn(losses.draw_learning_rates(dataclasses.replace(third, outcomes=tuple(old), cycle=2)))


@pytest.mark.parametrize("depth", [0, 2, 12])
def test_a12_gradient_norms_are_drawn_for_each_layer(digits, depth):
    config = plain().replace({"network.hidden_sizes": (8,) * depth})
    check = step2_overfit_small_sample.run(config, digits[0], OverfitSpec(max_steps=20), seed=0)
    figure = gradients.draw(check.health, "Step 2")
    norms, updates = figure.axes[:2]
    assert len(norms.lines) == depth + 2  # and all layers together
    assert list(norms.lines[-1].get_ydata()) == [look.gradient_norm for look in check.health.history]
    assert norms.get_title("right").startswith("exploding: all layers beyond ")
    # The last marker is not cut in half by the frame, and ticks are written out.
    assert norms.get_xlim()[1] > check.health.history[-1].step
    assert [text.get_text() for text in norms.get_xticklabels()] == ["0", "1", "10"]
    if depth >= 2:
        signal = figure.axes[2]
        looks = [look.layers for look in check.health.history]
        assert list(signal.lines[0].get_ydata()) == [layers[0].signal / layers[-2].signal for layers in looks]
    assert len(updates.lines) in (depth + 1, depth + 2)  # and what is usual, where they come near it
    first = norms.lines[0]
    assert list(first.get_xdata()) == [look.step for look in check.health.history]
    assert list(first.get_ydata()) == [look.layers[0].gradient_norm for look in check.health.history]
    assert drawn(figure)


def test_the_bound_of_a_verdict_is_a_line_where_the_curves_come_near_it():
    def look(step, gradient, signal):
        layers = [LayerHealth(0, 1, 0.85, 0.1, s, gradient_norm=gradient, update_ratio=5.0) for s in (signal, 1.0, 1.0)]
        return Health(step, 1.0, tuple(layers))

    verdict = HealthVerdict("exploding", (1,), "", "")
    figure = gradients.draw(HealthReading(verdict, (look(0, 0.1, 0.5), look(10, 900.0, 0.005))), "x")
    norms, updates, signal = figure.axes
    assert norms.lines[-1].get_ydata()[0] == 1_000.0 < norms.get_ylim()[1]
    assert updates.get_title("right") == "about 0.001 is usual, until a schedule lowers the rate"
    assert signal.lines[-1].get_ydata()[0] == 0.01
    assert [text.get_text() for text in signal.texts] == ["vanishing: layer 1 at or below 0.01"]
    assert "85% of the units dead (bound 80%)" in figure.texts[-1].get_text()
    assert drawn(figure)


def test_a12_layers_without_a_finite_gradient_leave_a_gap():
    layer = LayerHealth(0, 1, 0, 0, 1, gradient_norm=0.0, update_ratio=math.inf)
    reading = HealthReading(HealthVerdict("vanishing", (1,), "", ""), (Health(0, 1.0, (layer, layer)),))
    assert drawn(gradients.draw(reading, "x"))


def test_a10_the_schedule_is_drawn_as_it_was_used():
    config = plain().replace({"schedule.name": "linear", "schedule.warmup": 2})
    rates = (0.5, 1.0, 1.0, 0.5)
    reading = HealthReading(HealthVerdict("healthy", (), "", ""), ())
    finalist = Finalist("r1-000", config, (0,), (1.0,), ((),), reading, FitReading("good fit", "", ""), rates)
    figure = schedules.draw(FinalistsResult((finalist,), "accuracy", (1.0,), 0, {"accuracy": 0.5}, Path("x"), 1.0))
    (line,) = figure.axes[0].lines
    assert tuple(line.get_ydata()) == rates
    assert line.get_label() == "r1-000  linear, warm-up 2 epochs: 0.5 after the first epoch, 0.5 at the end"
    assert figure.axes[0].get_ylim()[0] < 0, "a rate of 0 does not lie on the frame"
    assert figure.axes[0].get_legend() is None, "the legend is below, not over the curves"
    assert drawn(figure)


def finalist_of(trial_id, by_epoch):
    """A finalist whose seeds have these validation scores, epoch by epoch."""
    curves = tuple(
        tuple(EpochPoint(epoch, 0.5 / epoch, 1 / epoch, score) for epoch, score in enumerate(scores, start=1))
        for scores in by_epoch
    )
    reading = HealthReading(HealthVerdict("healthy", (), "", ""), ())
    best = tuple(max(scores) for scores in by_epoch)
    fit = FitReading("good fit", "", "")
    return Finalist(trial_id, plain(), tuple(range(len(curves))), best, curves, reading, fit, (0.1,) * len(by_epoch[0]))


@pytest.fixture
def final():
    """Two finalists of two seeds each, test scores, a baseline that is near and one that is far off."""
    found = (
        finalist_of("r2-001", ((0.80, 0.90, 0.85), (0.86, 0.84, 0.85))),
        finalist_of("r1-004", ((0.81, 0.82, 0.83), (0.81, 0.82, math.nan))),
    )
    baselines = (
        Baseline("linear", "logistic regression", test={"accuracy": 0.84}),
        Baseline("boosting", "gradient boosting", unavailable="not installed"),
    )
    return FinalistsResult(found, "accuracy", (0.82, 0.84), 1, {"accuracy": 0.1}, Path("x"), 1.0, baselines=baselines)


def test_the_finalists_are_a_forest_with_every_seed_its_interval_test_and_baselines(final):
    figure = losses.draw_finalists(final)
    assert drawn(figure)
    forest = figure.axes[0]
    by_label = {line.get_label(): line for line in forest.lines}
    assert list(by_label["a seed's best epoch on validation rows"].get_xdata()) == [0.90, 0.86]
    assert by_label["mean, and its 95 % interval over seeds"].get_xdata()[0] == pytest.approx(0.88)
    bars = [line for line in forest.lines if line.get_linewidth() == 2.0]
    # An accuracy has no interval beyond 1.
    ends = [possible("accuracy", finalist.interval) for finalist in final.finalists]
    assert [tuple(bar.get_xdata()) for bar in bars] == ends
    assert ends[0][1] == 1.0 < final.finalists[0].interval[1]
    assert list(by_label["a seed of the winner on test rows"].get_xdata()) == [0.82, 0.84]
    assert by_label["their mean"].get_xdata()[0] == pytest.approx(0.83)
    assert by_label["the model, test rows: 0.84"].get_xdata()[0] == 0.84
    assert by_label["logistic regression, test rows: 0.84"].get_xdata()[0] == 0.84
    assert "ignoring the inputs, test rows: 0.1" in " ".join(by_label)
    rows = [text.get_text() for text in forest.get_yticklabels()]
    assert [row.split("\n")[0] for row in rows] == ["r2-001 (winner)", "r1-004", "winner, test rows"]
    assert forest.get_ylim()[0] > forest.get_ylim()[1], "the winner is above"


def test_what_is_far_off_is_named_and_does_not_press_the_finalists_together(final):
    steady = tuple(dataclasses.replace(f, scores=(0.88, 0.87)) for f in final.finalists)
    far = dataclasses.replace(final, finalists=steady, test_scores=(0.87, 0.88))
    forest = losses.draw_finalists(far).axes[0]
    labels = [line.get_label() for line in forest.lines]
    assert "ignoring the inputs, test rows: 0.1, left of what is shown" in labels
    assert forest.get_xlim()[0] > 0.5


def test_the_finalists_curves_have_a_band_and_the_best_epoch_of_each_seed(final):
    scores, loss = losses.draw_finalists(final).axes[1:]
    first = scores.lines[0]
    assert list(first.get_ydata()) == pytest.approx([0.83, 0.87, 0.85])
    band = scores.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((0.80, 0.90))
    assert [tuple(point) for point in scores.lines[1].get_xydata()] == [(2, 0.90), (1, 0.86)]
    assert math.isnan(scores.lines[2].get_ydata()[-1]), "a seed without a value leaves a gap"
    assert [line.get_label() for line in loss.lines][:2] == ["r2-001 (winner), validation", "r2-001 (winner), training"]


@pytest.mark.parametrize(
    "names", [["a"], ["$1", "a | b", "x" * 500, "zwei\nZeilen"], [f"c{n}" for n in range(60)]], ids=len
)
def test_b_columns_are_drawn_with_all_their_words_whatever_they_are_called(names):
    """The most important first; of more than a dozen the others are counted, and nothing lies beyond the edge."""
    worse = [0.2 / (n + 1) for n in range(len(names))]
    found = tuple(ColumnImportance(name, value, 0.01) for name, value in zip(names, worse, strict=True))
    figure = columns.draw(ColumnImportances("accuracy", found, rows=100, networks=3, repeats=5))
    assert drawn(figure).startswith(b"\x89PNG")
    (axis,) = figure.axes
    shown = [bar.get_width() for bar in axis.patches]
    assert shown == sorted(worse, reverse=True)[:12]
    assert ("7 matter less and 41 are not missed" in axis.get_xlabel()) == (len(names) == 60)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in (axis.xaxis.label, axis.title, *axis.get_yticklabels()):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


NUMBERS = PartialDependence(
    "size $1", "numeric", (10.0, 20.0, 40.0), {"": (1.0, 3.0, 2.0)}, {"": (0.1, 0.1, 0.5)}, rows=9, networks=2
)
TOWNS = PartialDependence(
    "t" * 99, "categorical", ("1", "zwei\n$"), {"": (1.5, 2.5)}, {"": (0.1, 0.2)}, shares=(0.7, 0.3), rows=9, networks=2
)
DAYS = PartialDependence(
    "when",
    "date",
    ("2001-01-01T00:00:00", "2001-03-01T00:00:00"),
    {"": (2.0, 1.0)},
    {"": (0.0, 0.0)},
    rows=9,
    networks=2,
)


def test_e1_what_is_said_at_values_is_drawn_on_one_axis_for_all_columns():
    figure = partial_dependence.draw([NUMBERS, TOWNS, DAYS], "price $")
    assert drawn(figure).startswith(b"\x89PNG")
    numbers, towns, days = figure.axes
    assert numbers.get_ylim() == towns.get_ylim() == days.get_ylim()
    assert numbers.get_ylabel() == r"mean prediction of price \$"
    assert [tuple(point) for point in numbers.lines[0].get_xydata()] == [(10, 1.0), (20, 3.0), (40, 2.0)]
    band = numbers.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((0.9, 3.1))
    assert [label.get_text() for label in towns.get_xticklabels()] == ["1", r"zwei \$"]
    first, last = days.lines[0].get_xdata()
    assert last - first == 59
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axis in figure.axes:
        for text in (axis.title, *axis.get_xticklabels()):
            assert text.get_window_extent(renderer).x1 <= figure.bbox.width


def test_e1_classes_have_a_line_each_and_a_legend():
    means = {"red": (0.1, 0.7), "green": (0.5, 0.2)}
    spreads = dict.fromkeys(means, (0.0, 0.0))
    one = PartialDependence("size", "numeric", (1.0, 2.0), means, spreads, rows=9, networks=2)
    figure = partial_dependence.draw([one], None)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["red", "green"]
    assert figure.axes[0].get_ylabel() == "mean probability"
