"""A14: each optimiser from the same start, on the same batches, at its own best learning rate; the table's numbers."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from search_service import comparison, wiring
from search_service.comparison import best_rate, compare, first_rates, rates_beyond, sweep, with_optimizer
from search_service.recorders.memory import MemoryRecorder
from search_service.records.comparison_results import ComparisonResult, OptimizerOutcome, RateTried
from search_service.records.events import ComparisonFinished, ComparisonStarted, OptimizerCompared
from search_service.records.results import StudyStatus
from search_service.report.comparison_documents import ComparisonDocument
from search_service.report.comparison_report import conclusion, report, table
from search_service.spec.study_spec import parse
from search_service.study import summarize
from trainables.config import TrialConfig
from trainables.landscape import slice_rows
from trainables.records import EpochPoint

SPEC = {
    "name": "wine",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8], "dropout": 0.1}, "optimizer": {"weight_decay": 0.3}, "batch_size": 16},
    "comparison": {"seeds": 2, "epochs": 4, "sweep_seeds": 1, "sweep_epochs": 3},
}


def run(spec, folder, listen=None, draw=lambda result, folder: ()):
    study = wiring.prepare(spec)
    data = summarize(spec, study.table)
    listen = listen or MemoryRecorder().record
    return compare(spec, study.dataset, data, listen, draw, comparison_id="c", folder=folder, versions={})


@pytest.fixture(scope="module")
def all_eight(tmp_path_factory):
    spec, memory = parse(SPEC), MemoryRecorder()
    return spec, run(spec, tmp_path_factory.mktemp("comparison"), memory.record), memory


# ---- the same start, its own best rate ---------------------------------------------------------------------------


def test_a14_every_optimiser_starts_from_the_same_loss_at_the_same_seed(all_eight):
    _, result, _ = all_eight
    assert [outcome.name for outcome in result.outcomes] == [
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"
    ]  # fmt: skip
    for seed in range(2):
        starts = {outcome.curves[seed][0] for outcome in result.outcomes}
        assert len(starts) == 1
    assert result.outcomes[0].curves[0][0] != result.outcomes[0].curves[1][0]
    assert {path.points[0] for path in result.slice.paths} == {(0.0, 0.0)}
    assert {path.losses[0] for path in result.slice.paths} == {result.outcomes[0].curves[0][0].train_loss}


def test_a14_every_optimiser_sees_the_same_batches(wine, all_eight):
    spec, _, _ = all_eight
    seen = []
    for name in ("sgd", "adam"):
        training = comparison._training(spec, wine[0], [with_optimizer(spec.trial, name)], epochs=2)
        seen.append([batch.inputs for epoch in (1, 2) for batch in training.batches(epoch)])
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    # And, at a rate that changes nothing, the same dropout masks: the same losses to the last digit.
    still = spec.model_copy(update={"comparison": spec.comparison.model_copy(update={"rates": (1e-30,)})})
    first, second = (
        [p.train_loss for p in comparison._compare_one(still, wine[0], name).outcome.curves[0]]
        for name in ("sgd", "adam")
    )
    assert first == second


def test_a14_each_trains_at_its_own_best_rate(all_eight):
    _, result, memory = all_eight
    for outcome in result.outcomes:
        assert outcome.config.optimizer.name == outcome.name
        assert outcome.config.optimizer.lr == min(outcome.rates, key=lambda tried: tried.loss).rate
        assert len(outcome.rates) >= 7
        assert [point.epoch for point in outcome.curves[0]] == [0, 1, 2, 3, 4]
    rates = {outcome.name: outcome.config.optimizer.lr for outcome in result.outcomes}
    assert rates["adadelta"] > 1 > rates["adam"]
    assert [type(event) for event in memory.events] == [ComparisonStarted, *[OptimizerCompared] * 8, ComparisonFinished]
    assert result.status is StudyStatus.COMPLETED


def test_a14_the_same_config_gives_the_same_result(tmp_path):
    spec = parse(SPEC | {"comparison": SPEC["comparison"] | {"optimizers": ["adam", "sgd"]}})
    first, second = (run(spec, tmp_path) for _ in range(2))
    assert [dataclasses.replace(o, seconds=0) for o in first.outcomes] == [
        dataclasses.replace(o, seconds=0) for o in second.outcomes
    ]
    assert first.slice == second.slice


def test_a14_other_optimisers_have_their_defaults_and_the_configs_own_its_numbers():
    trial = TrialConfig().replace({"optimizer.weight_decay": 0.3, "optimizer.eps": 1e-4, "batch_size": 7})
    assert with_optimizer(trial, "adamw") == trial
    adam = with_optimizer(trial, "adam").replace({"optimizer.lr": 0.5, "seed": 3})
    assert adam.optimizer.eps == TrialConfig().replace({"optimizer.name": "adam"}).optimizer.eps
    assert (adam.batch_size, adam.optimizer.lr, adam.seed) == (7, 0.5, 3)


# ---- the sweep -------------------------------------------------------------------------------------------------


def tried_at(losses_of):
    """What ``sweep`` calls: rates to outcomes by a formula; also which rates were asked for."""
    asked = []

    def try_rates(rates):
        asked.append(tuple(rates))
        return [RateTried(rate, losses_of(rate)) for rate in rates]

    return try_rates, asked


def test_a14_a_best_rate_inside_the_sweep_is_not_widened():
    try_rates, asked = tried_at(lambda rate: (abs(math.log10(rate)),))
    rates, sentences = sweep((0.1, 1.0, 10.0), try_rates)
    assert (asked, sentences) == ([(0.1, 1.0, 10.0)], ())
    assert best_rate(rates).rate == 1.0


@pytest.mark.parametrize(("best", "more"), [(0.01, (0.0032, 0.01, 0.032)), (100.0, (32.0, 100.0, 320.0))])
def test_a14_the_sweep_widens_beyond_the_edge_at_which_the_best_rate_lies(best, more):
    try_rates, asked = tried_at(lambda rate: (abs(math.log10(rate / best)),))
    rates, sentences = sweep((0.1, 1.0, 10.0), try_rates)
    assert asked[1:] == [more]
    assert best_rate(rates).rate == best
    assert [tried.rate for tried in rates] == sorted(tried.rate for tried in rates)
    assert len(sentences) == 1
    assert "lies at the edge of the sweep" in sentences[0]


def test_a14_a_best_rate_that_stays_at_the_edge_is_said():
    try_rates, asked = tried_at(lambda rate: (-rate,))
    rates, sentences = sweep((0.1, 1.0), try_rates)
    assert len(asked) == 1 + comparison.MOST_WIDENINGS
    assert best_rate(rates) is rates[-1]
    assert sentences[-1] == "the best rate, 1e+03, lies at the edge of the sweep, and it was not widened further"


def test_a14_a_rate_that_diverged_for_one_seed_is_never_chosen():
    tried = [RateTried(0.1, (0.5, 0.5)), RateTried(1.0, (0.0, math.inf)), RateTried(10.0, (math.inf, math.inf))]
    assert best_rate(tried).rate == 0.1
    assert [each.diverged for each in tried] == [0, 1, 2]
    assert best_rate(tried[1:]) is None
    assert max(rates_beyond(tried[1:])) < 1.0  # Where all diverged, lower ones are tried.


def test_a14_the_first_rates_are_half_decades_around_the_default_or_the_users():
    spec = parse(SPEC)
    assert first_rates(spec, "adam") == (3.2e-5, 1e-4, 3.2e-4, 1e-3, 3.2e-3, 1e-2, 3.2e-2)
    assert first_rates(spec, "adadelta")[3] == 1.0
    own = parse(SPEC | {"comparison": {"rates": [1.0, 0.1]}})
    assert first_rates(own, "adam") == first_rates(own, "sgd") == (0.1, 1.0)


def test_a14_divergences_are_counted_and_an_optimiser_that_only_diverges_does_not_end_the_comparison(tmp_path):
    """At rates so large that the squared error overflows under any rule."""
    asked = {"optimizers": ["sgd", "adam"], "seeds": 2, "epochs": 2, "sweep_seeds": 2, "rates": [1e30, 1e31]}
    trial = SPEC["trial"] | {"loss": "mse"}
    spec = parse({"name": "d", "data": {"source": "diabetes"}, "trial": trial, "comparison": asked})
    result = run(spec, tmp_path)
    assert [outcome.config for outcome in result.outcomes] == [None, None]
    sgd = result.outcomes[0]
    assert sgd.diverged_in_sweep == sgd.trained_in_sweep == 2 * (2 + comparison.MOST_WIDENINGS * comparison.WIDEN_BY)
    assert result.slice is None
    assert result.reason == "every optimiser diverged at every learning rate tried"
    assert table(result)[1][0] == ("sgd", "none works", "none", "never", "not trained", "16 of 16")
    assert "diverged at every learning rate" in report(spec, result)
    assert ComparisonDocument.of(spec, result, {}).plain()["optimizers"][0]["lr"] is None


def test_a14_a_path_that_diverges_ends_where_its_loss_does_and_does_not_bend_the_slice(wine):
    dataset, trial = wine[0], parse(SPEC).trial
    n = comparison._training(parse(SPEC), dataset, [trial], 1).network.parameters.shape[1]
    steady = torch.linspace(0, 1, 5).unsqueeze(1) * torch.randn(5, n, generator=torch.Generator().manual_seed(0))
    wild = steady * torch.tensor([1.0, 1e3, 1e6, torch.nan, torch.nan]).unsqueeze(1)
    walks = [comparison._Walk(name, trial, points, (0, 1, 2, 3, 4), 2) for name, points in
             (("adam", steady), ("sgd", wild))]  # fmt: skip
    both, alone = comparison._slice(walks, dataset), comparison._slice(walks[:1], dataset)
    assert (both.x, both.y, both.losses) == (alone.x, alone.y, alone.losses)
    assert [(len(path.points), path.diverged) for path in both.paths] == [(5, False), (3, True)]
    assert comparison._slice(walks[1:], dataset) is None


# ---- the table, on constructed curves --------------------------------------------------------------------------


def outcome(name, *losses_by_seed, scores=None):
    curves = tuple(
        tuple(EpochPoint(e, loss, loss, s) for e, (loss, s) in enumerate(zip(losses, scores or losses, strict=True)))
        for losses in losses_by_seed
    )
    config = TrialConfig().replace({"optimizer.name": name, "optimizer.lr": 0.5})
    rates = (RateTried(0.5, (0.1,)), RateTried(5.0, (math.inf,)))
    return OptimizerOutcome(name, config, rates, (), tuple(range(len(curves))), curves, "accuracy", 1.0)


def result_of(*outcomes):
    study = wiring.prepare(parse(SPEC))
    data = summarize(study.spec, study.table)
    return ComparisonResult("c", StudyStatus.COMPLETED, "", data, "accuracy", outcomes, None, 1.0)


def test_a14_epochs_to_95_per_cent_of_the_best_drop_of_any_optimiser():
    fast = outcome("adam", (2.0, 1.0, 0.09, 0.0), (2.0, 1.0, 0.11, 0.0))  # Mean 0.1 at epoch 2, exactly 95 % of 2.
    slow = outcome("sgd", (2.0, 1.5, 1.0, 0.5))
    broken = outcome("momentum", (2.0, math.nan, math.nan, math.nan))
    result = result_of(fast, slow, broken)
    assert (result.start_loss, result.best_drop) == (2.0, 2.0)
    assert [result.epochs_to_arrive(each) for each in result.outcomes] == [2, None, None]
    text = report(parse(SPEC), result)
    assert "from the untrained loss, 2, to the lowest mean training loss of any optimiser, 0." in text
    assert "in the first epoch whose mean training loss is at most 0.1." in text
    assert "Never: 1 of the 1 seed of sgd ended above that." in text
    assert "Never: 1 of the 1 seed of momentum ended above that." in text
    assert result_of(slow).epochs_to_arrive(slow) == 3  # By its own drop, 1.5, to 0.575.


def test_a14_best_scores_mean_std_and_divergences_over_seeds():
    scores = (0.1, 0.9, 0.8)
    good = outcome("adam", (2.0, 1.0, 0.5), (2.0, 1.0, 0.5), scores=scores)
    # The score of an epoch without a finite loss does not count.
    half = outcome("sgd", (2.0, 1.0, 0.5), (2.0, math.inf, math.nan), scores=scores)
    assert (good.best_scores, good.best_mean, good.best_std, good.diverged) == ((0.9, 0.9), 0.9, 0.0, 0)
    assert half.best_scores == (0.9, 0.1)
    assert half.best_mean == pytest.approx(0.5)
    assert half.best_std == pytest.approx(0.8 / math.sqrt(2))
    assert (half.diverged, half.diverged_in_sweep, half.trained_in_sweep) == (1, 1, 2)
    result = result_of(half, good)
    assert [each.name for each in result.ranked] == ["adam", "sgd"]
    assert table(result)[1][0] == ("sgd", "0.5", "0.5 ± 0.57", "never", "1 of 2", "1 of 2")
    assert conclusion(result) == "best validation accuracy: adam at 0.5, 0.9 ± 0 over 2 seeds"


# ---- the slice, the report and the end -------------------------------------------------------------------------


def test_a14_the_slice_has_the_start_at_its_origin_every_path_and_what_it_explains(all_eight, wine):
    _, result, _ = all_eight
    found = result.slice
    assert (len(found.x), len(found.y)) == comparison.GRID
    assert (len(found.losses), len(found.losses[0])) == (len(found.y), len(found.x))
    assert found.x[0] < 0 < found.x[-1]
    assert found.rows == len(slice_rows(wine[0]))
    assert found.steps[-1] == 4 * found.steps_per_epoch
    for path in found.paths:
        assert len(path.points) == len(path.losses) == len(found.steps)
        assert 0 < path.explained <= 1
        assert all(found.x[0] < x < found.x[-1] and found.y[0] < y < found.y[-1] for x, y in path.points)
    assert 0.5 < sum(found.explained) <= 1
    assert found.explained[0] >= found.explained[1]
    # Heights at the grid's point nearest to the start, where the slice is the loss itself.
    i = min(range(len(found.x)), key=lambda i: abs(found.x[i]))
    j = min(range(len(found.y)), key=lambda j: abs(found.y[j]))
    assert found.losses[j][i] == pytest.approx(found.paths[0].losses[0], rel=0.25)


def test_a14_the_report_has_the_table_and_says_what_its_words_mean(all_eight):
    spec, result, memory = all_eight
    text = memory.of(ComparisonFinished)[0].report
    assert text == report(spec, result)
    for cells in table(result)[1]:
        assert "| " + " | ".join(cells) + " |" in text
    for words in ("training loss in the last epoch was lowest", "Test rows are not used",
                  f"{sum(result.slice.explained):.0%} of their squared distances", "never chosen"):  # fmt: skip
        assert words in text
    for outcome_ in result.outcomes:
        assert all(f"- {outcome_.name}: {sentence}." in text for sentence in outcome_.swept)


def test_a14_an_interrupt_with_the_very_first_event_is_told_too(tmp_path):
    memory = MemoryRecorder()

    def listen(event):
        memory.record(event)
        if isinstance(event, ComparisonStarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(parse(SPEC), tmp_path, listen, draw=lambda result, folder: pytest.fail("nothing is drawn"))
    (finished,) = memory.of(ComparisonFinished)
    assert finished.result.status is StudyStatus.INTERRUPTED
    assert finished.result.outcomes == ()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no")])
def test_a14_a_comparison_that_is_cut_short_tells_what_was_compared(tmp_path, error):
    memory = MemoryRecorder()

    def listen(event):
        memory.record(event)
        if len(memory.of(OptimizerCompared)) == 2 and not memory.of(ComparisonFinished):
            raise error

    with pytest.raises(BaseException) as raised:
        run(parse(SPEC), tmp_path, listen, draw=lambda result, folder: pytest.fail("nothing is drawn"))
    interrupted = raised.type is KeyboardInterrupt
    (finished,) = memory.of(ComparisonFinished)
    assert finished.result.status is (StudyStatus.INTERRUPTED if interrupted else StudyStatus.FAILED)
    assert [each.name for each in finished.result.outcomes] == ["sgd", "momentum"]
    assert finished.files == ()
    assert "| momentum |" in finished.report
