"""Figures can be drawn of whatever a study may turn into, and show what they are for."""

from __future__ import annotations

import dataclasses
import io
import math
from pathlib import Path

import numpy as np
import pytest

from search_service.recipe import step1_initial_loss, step2_overfit_small_sample, step3_learning_rates
from search_service.recorders.figures import activations, gradients, losses, schedules, search_map
from search_service.records.finalists import Finalist, FinalistsResult
from search_service.records.readings import FitReading, HealthReading, HealthVerdict
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.sections import InitialLossSpec, LearningRatesSpec, OverfitSpec
from tests.plans import make_plan, plain
from trainables.config import TrialConfig
from trainables.records import EpochPoint, Health, LayerHealth

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
        assert len(figure.axes) == max(1, min(len(sizes), activations.MAX_LAYERS))
        assert drawn(figure)


def test_step_2_and_3_draw_a_curve_per_rate_even_where_the_loss_is_not_finite(digits):
    config = TrialConfig().replace({"optimizer.name": "sgd", "optimizer.lr": 1e20})
    second = step2_overfit_small_sample.run(config, digits[0], OverfitSpec(max_steps=20), seed=0)
    figure = losses.draw_small_sample(second)
    assert drawn(figure)
    assert len(figure.axes[0].lines) == len(second.curves) + 1
    third = step3_learning_rates.run(config, digits[0], LearningRatesSpec(candidates=(1e20, 0.1), starts=2), seed=0)
    figure = losses.draw_learning_rates(third)
    assert drawn(figure)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["1e+20  diverged", "0.1  works"]
    assert drawn(losses.draw_learning_rates(dataclasses.replace(third, cycle=2)))


@pytest.mark.parametrize("depth", [0, 2, 12])
def test_a12_gradient_norms_are_drawn_for_each_layer(digits, depth):
    config = plain().replace({"network.hidden_sizes": (8,) * depth})
    check = step2_overfit_small_sample.run(config, digits[0], OverfitSpec(max_steps=20), seed=0)
    figure = gradients.draw(check.health, "Step 2")
    norms, updates = figure.axes[:2]
    assert len(norms.lines) == depth + 1
    assert len(updates.lines) == depth + 2  # and what is usual
    first = norms.lines[0]
    assert list(first.get_xdata()) == [look.step for look in check.health.history]
    assert list(first.get_ydata()) == [look.layers[0].gradient_norm for look in check.health.history]
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
    assert line.get_label() == "r1-000  linear, warm-up 2 epochs"
    assert drawn(figure)
