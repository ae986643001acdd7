"""C6: pictures of a search, whatever it turned into, show what is in its rounds."""

from __future__ import annotations

import csv
import dataclasses
import io
import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from search_service.early_stopping.halving import Halving
from search_service.recorders.figures import history, parallel, pareto, rungs, search_map, slices
from search_service.recorders.figures import importance as bars
from search_service.recorders.figures.style import MARK_CONTRAST, TEXT_CONTRAST, contrast
from search_service.recorders.figures.trials import LeafScale, ScoreWindow, label_of
from search_service.recorders.mlflow.search import trials_table
from search_service.records.pareto import ParetoPoint, ParetoSet
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.records.steps import Step
from search_service.report.importance import Importance, importance
from search_service.space.ranges import Choices, NumericRange
from tests.plans import make_plan, plain
from trainables.records import EpochPoint

ONE = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}
TWELVE = ONE | {
    "network.hidden_sizes": Choices(((), (64,), (128, 128, 128, 128))),
    "network.dropout": NumericRange(0.0, 0.5, step=0.1),
    "optimizer.name": Choices(("adamw", "momentum")),
    "optimizer.weight_decay": NumericRange(1e-4, 1.0, log=True),
    "optimizer.momentum": NumericRange(0.5, 0.99),
    "batch_size": NumericRange(16, 256, log=True, integer=True),
    "schedule.warmup": NumericRange(0, 2, integer=True),
    "clipping.norm": Choices((None, 0.1, 1.0)),
    "network.output_scale": NumericRange(0.1, 0.1),
    "regularization.l2": NumericRange(1e-6, 1e-2, log=True),
    "network.activation": Choices(("relu", "leaky_relu", "elu", "gelu", "silu", "tanh")),
}


def round_of(folder, space, n, *, number=1, metric="accuracy", diverged=0.1, spread=0.1):
    """A round of ``n`` trials with random scores, some of which diverge, stopped by ASHA at epoch 2."""
    random = np.random.default_rng(number)
    plan = make_plan(folder, space=space, metric=metric, number=number, step=Step(4 if number % 2 else 5))
    halving = Halving(plan.asha, max_epochs=6, mode="max" if metric == "accuracy" else "min")
    trials = []
    for i in range(n):
        values = {
            leaf: r.choices[random.integers(len(r.choices))]
            if isinstance(r, Choices)
            else r.from_scale(random.uniform(r.to_scale(r.low), r.to_scale(r.high)))
            for leaf, r in space.items()
        }
        # One belongs to the one optimiser, one to the other.
        values.pop("optimizer.momentum" if values.get("optimizer.name") == "adamw" else "optimizer.weight_decay", None)
        curve, name, score = [], f"r{number}-{i:03d}", 0.9 - spread * random.uniform()
        status, ends_at = TrialStatus.COMPLETED, 1 if random.uniform() < diverged else 6
        for epoch in range(1, ends_at + 1):
            if ends_at == 1:
                status, score = TrialStatus.DIVERGED, math.nan
            curve.append(EpochPoint(epoch, 0.1, 0.1, score))
            if epoch in halving.rungs and not halving.report(epoch, {name: score}):
                status = TrialStatus.PRUNED
                break
        trials.append(TrialResult(name, i, plain(), values, status, "x, y", tuple(curve), metric))
    return RoundResult(plan, tuple(trials), "done", 1.0)


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    content = buffer.getvalue()
    assert content.startswith(b"\x89PNG")
    # Nothing that pyplot's global list of figures keeps alive: what it lists has a manager.
    assert figure.canvas.manager is None
    return content


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "made", [{"n": 0}, {"n": 1, "diverged": 0}, {"n": 12, "diverged": 1}, {"n": 24}, {"n": 9, "spread": 0}], ids=str
)
def test_c6_every_picture_of_any_round(tmp_path, made):
    """One round over one leaf, and two over twelve with crashed trials in the second."""
    first, second = (round_of(tmp_path, TWELVE, metric="rmse", number=number, **made) for number in (1, 2))
    crashed = [dataclasses.replace(t, status=TrialStatus.FAILED, curve=()) for t in second.trials[:2]]
    second = dataclasses.replace(second, trials=(*crashed, *second.trials[2:]))
    for rounds in ([round_of(tmp_path, ONE, **made)], [first, second]):
        assert all(drawn(picture.draw(rounds)) for picture in (history, slices, parallel))
        assert drawn(rungs.draw(rounds[-1]))
        assert drawn(bars.draw([importance(done) for done in rounds]))


@pytest.mark.filterwarnings("error")
def test_c6_hundreds_of_trials_are_drawn_in_full(tmp_path):
    done = round_of(tmp_path, TWELVE, 500)
    assert all(drawn(picture.draw([done])) for picture in (history, slices, parallel))
    assert drawn(rungs.draw(done))
    axis = history.draw([done]).axes[0]
    assert sum(len(markers.get_offsets()) for markers in axis.collections) == 500


def test_c6_the_history_has_a_point_per_trial_and_the_best_of_those_trained_to_the_end(tmp_path):
    rounds = [round_of(tmp_path, ONE, 24), round_of(tmp_path, ONE, 12, number=2)]
    axis = history.draw(rounds).axes[0]
    points = sorted(tuple(p) for markers in axis.collections for p in markers.get_offsets())
    assert [x for x, _ in points] == list(range(1, 37))
    trials = [trial for done in rounds for trial in done.trials]
    for (_, y), trial in zip(points, trials, strict=True):
        if trial.status is TrialStatus.COMPLETED:
            assert y == trial.score
    (line,) = [line for line in axis.lines if line.get_drawstyle() == "steps-post"]
    for x, y in zip(*line.get_data(), strict=True):
        so_far = [t.score for t in trials[: int(x)] if t.status is TrialStatus.COMPLETED]
        assert y == max(so_far)
    assert [line.get_xdata()[0] for line in axis.lines if len(set(line.get_xdata())) == 1] == [24.5]


@pytest.mark.parametrize("picture", [history, slices])
def test_those_stopped_early_can_be_seen_and_round_names_be_read(tmp_path, picture):
    rounds = [round_of(tmp_path, ONE, 24), round_of(tmp_path, ONE, 24, number=2)]
    axis = picture.draw(rounds).axes[0]
    for markers in axis.collections:
        assert markers.get_alpha() in (None, 1.0)
        edges = markers.get_edgecolors() if len(markers.get_edgecolors()) else markers.get_facecolors()
        assert all(contrast(to_hex(colour)) >= MARK_CONTRAST for colour in edges)
    assert all(contrast(text.get_color()) >= TEXT_CONTRAST for text in axis.texts)


def test_the_history_calls_rounds_by_their_names_however_narrow_they_are(tmp_path):
    named = {"round 1: coarse search", "round 2: refined search"}
    for sizes, above in (((24, 24), ""), ((176, 24), "round 2"), ((190, 5), "2")):
        rounds = [round_of(tmp_path, ONE, n, number=number) for number, n in enumerate(sizes, start=1)]
        axis = history.draw(rounds).axes[0]
        told = [text.get_text() for text in (*axis.texts, *axis.get_legend().get_texts())]
        assert named <= {text.split("\n")[0] for text in told}
        assert axis.texts[1].get_text() == above or not above


def test_c6_slices_are_log_where_the_range_is_and_name_choices(tmp_path):
    done = round_of(tmp_path, TWELVE, 24)
    axes = {axis.get_title(): axis for axis in slices.draw([done]).axes}
    assert set(axes) == set(TWELVE)
    assert {leaf for leaf, axis in axes.items() if axis.get_xscale() == "log"} == {
        leaf for leaf, range_ in TWELVE.items() if getattr(range_, "log", False)
    }
    labels = [text.get_text() for text in axes["network.hidden_sizes"].get_xticklabels()]
    assert labels == ["no layers", "64", "128×128×128×1…"]
    for leaf in ("optimizer.lr", "optimizer.momentum"):
        shown = sum(len(markers.get_offsets()) for markers in axes[leaf].collections)
        assert shown == sum(leaf in trial.values for trial in done.trials)
    faces = [len(markers.get_facecolors()) for markers in axes["optimizer.lr"].collections]
    assert faces[:2] == [1, 0], "those stopped early are hollow"


def test_c6_parallel_coordinates_have_a_line_per_score_and_colour_the_best_that_went_furthest(tmp_path):
    done = round_of(tmp_path, TWELVE, 60)
    scored = [t for t in done.trials if t.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED)]
    best = parallel.best_of(scored)
    assert [t.trial_id for t in best] == [t.trial_id for t in done.ranked[: len(best)]]
    others, coloured = parallel.draw([done]).axes[0].collections[:2]
    assert len(coloured.get_segments()) == len(best)
    assert len(others.get_segments()) == len(scored) - len(best)
    winner = coloured.get_segments()[-1]
    heights = [scale.share(best[0].values) for scale in (LeafScale.of(leaf, [done]) for leaf in TWELVE)]
    expected = [parallel.BELOW if math.isnan(height) else height for height in heights]
    spread = [parallel.MOST_SPREAD / 2 if isinstance(range_, Choices) else 0 for range_ in TWELVE.values()]
    room = [0.025 if math.isnan(height) else beside + 1e-9 for height, beside in zip(heights, spread, strict=True)]
    assert all(abs(winner[:-1, 1] - expected) <= room)
    assert sum(math.isnan(height) for height in heights) == 1


def coarse_best(folder, metric="accuracy", space=TWELVE):
    """Two rounds, the best of which was found in the first one."""
    first, second = (round_of(folder, space, 24, number=number, metric=metric, diverged=0) for number in (1, 2))
    better = 0.99 if metric == "accuracy" else 0.01
    best = next(trial for trial in first.trials if trial.status is TrialStatus.COMPLETED)
    points = tuple(dataclasses.replace(point, validation_score=better) for point in best.curve)
    trials = [dataclasses.replace(t, curve=points) if t is best else t for t in first.trials]
    return [dataclasses.replace(first, trials=tuple(trials)), second], best.trial_id


def test_the_star_is_the_best_of_all_rounds_and_the_winner_is_marked_apart(tmp_path):
    rounds, best_id = coarse_best(tmp_path, space=ONE | {"network.dropout": NumericRange(0.0, 0.5)})
    by_id = {trial.trial_id: trial for done in rounds for trial in done.trials}
    winner = rounds[1].best.trial_id
    axis = search_map.draw(rounds, winner=winner).axes[0]
    star, diamond = axis.collections[-2:]
    assert star.get_offsets()[0][0] == by_id[best_id].values["optimizer.lr"]
    assert diamond.get_offsets()[0][0] == by_id[winner].values["optimizer.lr"]
    told = " ".join(text.get_text() for text in axis.get_legend().get_texts())
    assert f"best of all rounds: {best_id}, 0.99" in told
    assert f"winner among the finalists: {winner}" in told
    same = search_map.draw(rounds, winner=best_id).axes[0].get_legend().get_texts()
    assert f"best of all rounds, and the winner: {best_id}, 0.99" in {text.get_text() for text in same}


def test_the_map_goes_up_what_mattered_most_beside_the_learning_rate(tmp_path):
    space = ONE | {"optimizer.weight_decay": NumericRange(1e-4, 1.0, log=True), "network.dropout": NumericRange(0, 0.5)}
    done = round_of(tmp_path, space, 40, diverged=0)
    decided = tuple(
        dataclasses.replace(trial, curve=(EpochPoint(1, 0.1, 0.1, 0.9 - trial.values["network.dropout"]),))
        for trial in done.trials
    )
    axis = search_map.draw([dataclasses.replace(done, trials=decided)]).axes[0]
    assert axis.get_ylabel() == "network.dropout\n(of the others it mattered most)"
    few = search_map.draw([round_of(tmp_path, space, 3)]).axes[0]
    assert few.get_ylabel() == "optimizer.weight_decay\n(searched too)"


def test_in_the_map_size_says_epochs_and_nothing_is_hidden(tmp_path):
    done = round_of(tmp_path, ONE | {"network.dropout": NumericRange(0.0, 0.5)}, 24, diverged=0)
    first = done.trials[0]
    again = dataclasses.replace(first, trial_id="r1-999", number=24)
    axis = search_map.draw([dataclasses.replace(done, trials=(*done.trials, again))]).axes[0]
    completed, stopped = axis.collections[:2]
    assert min(completed.get_sizes()) > max(stopped.get_sizes())
    assert len(stopped.get_facecolors()) == 0
    assert {"2 epochs", "6 epochs"} <= {text.get_text() for text in axis.get_legend().get_texts()}
    assert [text.get_text() for text in axis.texts] == ["2 ×"]


@pytest.mark.parametrize("metric", ["accuracy", "rmse"])
def test_in_parallel_coordinates_the_thick_line_is_the_best_of_all_rounds_and_ends_at_the_top(tmp_path, metric):
    rounds, best_id = coarse_best(tmp_path, metric)
    winner = rounds[1].best.trial_id
    figure = parallel.draw(rounds, winner=winner)
    axis = figure.axes[0]
    coloured = axis.collections[1]
    thick = coloured.get_segments()[int(np.argmax(coloured.get_linewidths()))]
    best = next(trial for done in rounds for trial in done.trials if trial.trial_id == best_id)
    assert thick[0, 1] == LeafScale.of("optimizer.lr", rounds).share(best.values)
    assert thick[-1, 1] == 1.0
    assert (
        axis.get_xticklabels()[-1]
        .get_text()
        .endswith("(larger is better: up)" if metric == "accuracy" else "(smaller is better: up)")
    )
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told[0].startswith(f"best of all rounds: {best_id}")
    assert told[1].startswith("the 5 best, the darker the better")
    assert told[2].startswith(f"winner among the finalists: {winner}")
    (line,) = [line for line in axis.lines if line.get_marker() == "D"]
    assert line.get_ydata()[-1] < 1.0


def test_lines_through_a_choice_are_spread(tmp_path):
    done = round_of(tmp_path, TWELVE, 24)
    at = list(TWELVE).index("optimizer.name")
    heights = [
        segment[at, 1] for lines in parallel.draw([done]).axes[0].collections[:2] for segment in lines.get_segments()
    ]
    assert len(set(heights)) == len(heights) > 10
    assert all(min(abs(height), abs(height - 1)) <= parallel.MOST_SPREAD / 2 + 1e-9 for height in heights)


def test_c6_rungs_say_how_many_were_judged_and_how_many_went_on(tmp_path):
    done = round_of(tmp_path, ONE, 40)
    judged = [t for t in done.trials if t.status is not TrialStatus.DIVERGED]
    completed = [t for t in judged if t.status is TrialStatus.COMPLETED]
    assert rungs.counts_at(done, 2)[0] == len(judged)
    assert rungs.counts_at(done, 6) == (len(completed), len(completed))
    texts = [text.get_text() for text in rungs.draw(done).axes[0].texts]
    assert texts == ["{} → {}".format(*rungs.counts_at(done, 2))]
    no_rungs = dataclasses.replace(done, plan=dataclasses.replace(done.plan, asha=None))
    assert list(rungs.draw(no_rungs).axes[0].texts) == []


def test_the_black_curve_is_the_best_at_the_end_and_the_star_the_best_epoch(tmp_path):
    done = round_of(tmp_path, ONE, 3, metric="rmse")
    asha = dataclasses.replace(done, plan=dataclasses.replace(done.plan, asha=None))
    ends = ((5.0, 1.0, 3.0), (4.0, 2.5, 2.0), (4.0, 3.0, 2.5))
    trials = [
        dataclasses.replace(
            trial,
            status=TrialStatus.COMPLETED,
            curve=tuple(EpochPoint(epoch, 0.1, 0.1, score) for epoch, score in enumerate(scores, start=1)),
        )
        for trial, scores in zip(done.trials, ends, strict=True)
    ]
    ended = dataclasses.replace(asha, trials=tuple(trials))
    assert ended.best.trial_id == "r1-000"
    last, star = rungs.draw(ended).axes[0].lines
    assert list(last.get_ydata()) == [4.0, 2.5, 2.0]
    assert last.get_label() == "best at the end: r1-001, 2"
    assert (*star.get_xdata(), *star.get_ydata()) == (2, 1.0)
    assert star.get_label() == "best epoch: r1-000, 1"


def test_c6_the_bars_are_the_shares(tmp_path):
    found = Importance(1, {"optimizer.lr": 0.7, "batch_size": 0.3}, epoch=3, trials=24)
    unknown = Importance(2, reason="too few")
    figure = bars.draw([found, unknown])
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.7, 0.3]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["optimizer.lr", "batch_size"]
    assert "round 2: too few" in figure.get_supxlabel()


def test_shares_of_few_trials_are_rough_and_what_cannot_be_told_is_a_sentence():
    few, many = (Importance(n, {"optimizer.lr": 0.72, "batch_size": 0.01}, epoch=3, trials=n) for n in (29, 30))
    axis = bars.draw([few, many]).axes[0]
    assert [text.get_text() for text in axis.texts] == ["about 70%", "below 5%", "72%", "1%"]
    first, second = (text.get_text() for text in axis.get_legend().get_texts())
    assert "few, so take shares as rough" in first
    assert "rough" not in second
    assert "PED-ANOVA" not in axis.get_title("left")
    figure = bars.draw([Importance(1, reason="8 of 8 trials can be compared, and it takes 10 to tell")])
    assert not figure.axes
    assert "it takes 10 to tell" in figure.texts[-1].get_text()
    assert drawn(figure)


def test_c6_the_score_axis_keeps_the_good_apart_from_the_hopeless():
    window = ScoreWindow.of([0.90, 0.92, 0.94, 0.1, math.nan], "accuracy")
    assert window.high == 0.94
    assert 0.8 < window.low < 0.9
    assert window.place(0.1) == window.place(math.nan) == window.low
    errors = ScoreWindow.of([1.0, 2.0, 3.0, 1e30, math.inf], "rmse")
    assert (errors.low, errors.place(2.0)) == (1.0, 2.0)
    assert errors.high == errors.place(1e30) == 1 + (1 + 3) * (2.5 - 1)
    assert not ScoreWindow.of([0.5, 0.6], "accuracy").is_cut


def test_c6_values_have_a_place_on_their_leafs_scale(tmp_path):
    first, second = (
        round_of(tmp_path, space, 1) for space in (ONE, {"optimizer.lr": NumericRange(1e-5, 1e-2, log=True)})
    )
    scale = LeafScale.of("optimizer.lr", [first, second])
    assert (scale.low, scale.high, scale.log) == (1e-5, 1e-1, True)
    assert scale.share({"optimizer.lr": 1e-3}) == pytest.approx(0.5)
    assert math.isnan(scale.share({}))
    assert label_of(None) == "off"
    assert label_of((64, 32)) == "64×32"


def test_c6_the_table_of_trials_has_every_trial_and_what_was_sampled(tmp_path):
    done = round_of(tmp_path, TWELVE, 12)
    rows = list(csv.DictReader(io.StringIO(trials_table([done, done]))))
    assert len(rows) == 24
    for row, trial in zip(rows, done.trials, strict=False):
        assert (row["trial_id"], row["round"], row["status"], row["reason"]) == (
            trial.trial_id,
            "1",
            trial.status,
            "x, y",
        )
        assert row["epochs"] == str(trial.epochs)
        assert row["score"] == (str(trial.score) if trial.best_point else "")
        assert float(row["optimizer.lr"]) == trial.values["optimizer.lr"]
        assert row["optimizer.name"] == trial.values["optimizer.name"]
        assert (row["optimizer.momentum"] == "") == ("optimizer.momentum" not in trial.values)
        assert row["network.hidden_sizes"] == str(list(trial.values["network.hidden_sizes"]))


@pytest.mark.filterwarnings("error")
def test_b_the_pareto_set_is_drawn_with_its_steps_and_the_winner(tmp_path):
    scores = ((0.95, 5000.0), (0.94, 900.0), (0.93, 950.0), (0.2, 100.0))
    points = [ParetoPoint(f"r1-{i:03d}", score, second, i != 2) for i, (score, second) in enumerate(scores)]
    figure = pareto.draw(ParetoSet("parameters", tuple(points)), "accuracy", ("r1-001", "r1-000"))
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    assert [len(markers.get_offsets()) for markers in axis.collections] == [1, 3]
    assert list(axis.lines[0].get_xdata()) == [100.0, 900.0, 5000.0]
    assert [text.get_text() for text in axis.texts] == ["r1-000", "r1-001 (winner)"]
    assert drawn(figure)
    equal = ParetoSet("parameters", (points[0], ParetoPoint("r1-009", 0.95, 5000.0, True)))
    assert [text.get_text() for text in pareto.draw(equal, "accuracy").axes[0].texts] == ["r1-000\nr1-009"]
    assert drawn(pareto.draw(ParetoSet("prediction_time", ()), "rmse"))
    assert drawn(pareto.draw(ParetoSet("prediction_time", tuple(points[:1])), "rmse"))
