"""B, a second objective: the Pareto set against brute force, and what it is made of."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_service import wiring
from search_service.recipe import finalists, qualifying, second_objective, step5_refined_search
from search_service.recipe.second_objective import non_dominated
from search_service.recorders.memory import MemoryRecorder
from search_service.records.events import RoundStarted
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.runners.network_size import size_objective
from search_service.samplers.registry import OF_TWO_OBJECTIVES
from search_service.samplers.sampler import Sampler
from search_service.settings import Settings
from search_service.space.ranges import Choices, NumericRange
from search_service.spec.study_spec import parse
from tests.plans import make_plan, plain
from trainables.plain_network import Architecture
from trainables.records import EpochPoint

CHOICES = {"network.hidden_sizes": {"choices": [[8], [16], [32, 32]]}}


def spec_of(second="parameters", **changes):
    asked = {"name": "x", "data": {"source": "digits"}, "objective": {"second": second}, "search_space": CHOICES}
    return parse(asked | changes)


def trial_of(number, sizes, score, *, epochs=6, status=TrialStatus.COMPLETED, metric="accuracy", **leaves):
    config = plain(seed=number).replace({"network.hidden_sizes": sizes} | leaves)
    curve = (EpochPoint(epochs, 0.1, 0.1, score),)
    return TrialResult(f"r1-{number:03d}", number, config, {}, status, "", curve, metric)


def round_of(folder, *trials):
    return RoundResult(make_plan(folder), trials, "", 1.0)


def brute_force(points):
    """The definition, word for word."""
    return [
        not any(
            all(a <= b for a, b in zip(other, point, strict=True))
            and any(a < b for a, b in zip(other, point, strict=True))
            for other in points
        )
        for point in points
    ]


# Few values: ties in one coordinate and duplicates in both come up all the time.
COORDINATE = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=30))
def test_b_the_pareto_set_is_that_of_the_definition(points):
    assert non_dominated(points) == brute_force(points)


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e9)), max_size=30))
def test_b_also_of_numbers_at_large(points):
    assert non_dominated(points) == brute_force(points)


@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 10), ("binary_cross_entropy", 1)])
def test_b_parameters_are_those_of_the_plain_network(digits, tmp_path, normalization, loss, outputs):
    leaves = {"network.normalization": normalization, "loss": loss}
    shapes = [(), (8,), (32, 16)]
    trials = [trial_of(i, sizes, 0.5 + i / 10, **leaves) for i, sizes in enumerate(shapes)]
    pareto = second_objective.run(spec_of(), [round_of(tmp_path, *trials)], digits[0])
    counted = {point.trial_id: point.second for point in pareto.points}
    for trial in trials:
        sizes = trial.config.network.hidden_sizes
        module = Architecture.of(trial.config.network, (64, *sizes, outputs)).build()
        assert counted[trial.trial_id] == sum(parameter.numel() for parameter in module.parameters())


def test_b_only_trials_that_were_trained_as_long_as_any_are_compared(digits, tmp_path):
    rounds = [
        round_of(tmp_path, trial_of(0, (8,), 0.99, epochs=3)),
        round_of(
            tmp_path,
            trial_of(1, (32, 32), 0.95),
            trial_of(2, (16,), 0.94),
            trial_of(3, (32, 32), 0.93),
            trial_of(4, (8,), 0.92, status=TrialStatus.PRUNED),
            trial_of(5, (8,), math.nan, status=TrialStatus.DIVERGED),
            trial_of(6, (16,), 0.94),
        ),
    ]
    pareto = second_objective.run(spec_of(), rounds, digits[0])
    assert [point.trial_id for point in pareto.points] == ["r1-001", "r1-002", "r1-006", "r1-003"]
    # Equal in both: both are in it.
    assert [point.trial_id for point in pareto.optimal] == ["r1-001", "r1-002", "r1-006"]
    assert second_objective.run(spec_of(second=None), rounds, digits[0]) is None
    chosen = qualifying.qualify(spec_of(), rounds, pareto, noise=lambda score: 0.0, size=lambda trial: 1.0)[0]
    assert [trial.trial_id for trial in chosen] == ["r1-001", "r1-002"], (
        "no configuration twice, none that is dominated"
    )


def test_b_where_smaller_is_better_the_set_is_that_of_small_scores(digits, tmp_path):
    trials = [
        trial_of(i, sizes, score, metric="rmse", loss="mse")
        for i, (sizes, score) in enumerate([((8,), 60.0), ((16,), 70.0), ((32, 32), 50.0)])
    ]
    pareto = second_objective.run(spec_of(trial={"loss": "mse"}), [round_of(tmp_path, *trials)], digits[0])
    assert [point.trial_id for point in pareto.optimal] == ["r1-002", "r1-000"]


def test_b_each_shape_is_timed_once(digits, tmp_path):
    trials = [trial_of(i, ((8,), (512, 512))[i % 2], 0.5 + i / 100) for i in range(6)]
    pareto = second_objective.run(spec_of("prediction_time"), [round_of(tmp_path, *trials)], digits[0])
    times = {point.trial_id: point.second for point in pareto.points}
    assert len(set(times.values())) == 2
    assert times["r1-000"] == times["r1-002"] == times["r1-004"] < times["r1-001"]
    assert [point.trial_id for point in pareto.optimal] == ["r1-005", "r1-004"]
    assert pareto.label == "prediction time (ms per 1 000 rows, one thread)"


def test_b_without_a_trial_that_was_trained_to_the_end_the_finalists_are_the_best_of_all(digits, tmp_path):
    stopped = trial_of(0, (8,), 0.9, epochs=2, status=TrialStatus.PRUNED)
    rounds = [round_of(tmp_path, stopped)]
    pareto = second_objective.run(spec_of(), rounds, digits[0])
    assert pareto.points == ()
    assert qualifying.qualify(spec_of(), rounds, pareto, noise=lambda score: 0.0, size=lambda trial: 1.0)[0] == [
        stopped
    ]


def test_b_the_finalists_result_holds_the_set(digits, tmp_path):
    dataset, test_rows = digits
    rounds = [
        round_of(
            tmp_path, *(trial_of(i, s, q) for i, (s, q) in enumerate([((16,), 0.9), ((8,), 0.8), ((32, 32), 0.7)]))
        )
    ]
    asked = {"top": 3, "seeds": 1, "baselines": False}
    final = finalists.run(spec_of(finalists=asked), rounds, dataset, test_rows, tmp_path)
    assert {finalist.trial_id for finalist in final.finalists} == {"r1-000", "r1-001"}
    assert final.pareto == second_objective.run(spec_of(), rounds, dataset)
    assert dataclasses.asdict(final.pareto)["second"] == "parameters"


# ---- searched for both -----------------------------------------------------------------------------------------------

LEAVES = {
    "optimizer.lr": NumericRange(1e-4, 1.0, log=True),
    "network.hidden_sizes": Choices(((4,), (16,), (64,), (256,))),
}
UNITS = {"parameters": lambda values: math.log10(values["network.hidden_sizes"][0])}


def front(method, seed, asks):
    """Area that so many configurations of a sampler dominate: wider networks score better, if the rate fits them."""
    cost = UNITS["parameters"]
    sampler = Sampler(LEAVES, plain(), method=method, mode="max", seed=seed, cost=cost)
    points = []
    for _ in range(asks):
        (drawn,) = sampler.ask(1)
        width = cost(drawn.values)
        score = width / 3 - abs(math.log10(drawn.values["optimizer.lr"]) + width)
        points.append((score, width))
        sampler.tell(drawn.number, "completed", score)
    area, least = 0.0, 3.0
    for score, width in sorted(points, reverse=True):
        if width < least and score > -1:
            area, least = area + (score + 1) * (least - width), width
    return area


# Asking the Gaussian process takes a third of a second each, and it finds the front with half as many.
@pytest.mark.parametrize(("method", "asks", "seeds"), [("gp", 24, 2), ("optuna_tpe", 48, 4)])
def test_b_what_knows_two_objectives_finds_more_of_the_front_than_what_knows_one(method, asks, seeds):
    assert method in OF_TWO_OBJECTIVES
    found = {name: sum(front(name, seed, asks) for seed in range(seeds)) for name in (method, "random", "tpe")}
    assert found[method] > max(found["random"], found["tpe"])


def test_b_each_sampler_of_two_objectives_is_tried_here():
    assert {"gp", "optuna_tpe"} == OF_TWO_OBJECTIVES


@pytest.fixture(scope="module", params=["optuna_tpe", "tpe"])
def searched(request, tmp_path_factory):
    spec = parse(
        {
            "name": "both",
            "data": {"source": "wine"},
            "objective": {"second": "parameters"},
            "search_space": CHOICES | {"network.dropout": {"low": 0.0, "high": 0.4}},
            "search": {
                "sampler": request.param,
                "early_stopping": False,
                "coarse": {"max_trials": 16, "max_epochs": 4},
                "refined": {"max_trials": 8, "max_epochs": 6},
                "max_cycles": 1,
            },
            "finalists": {"top": 1, "seeds": 2, "baselines": False},
        }
    )
    memory = MemoryRecorder()
    prepared, settings = wiring.prepare(spec), Settings(home=tmp_path_factory.mktemp("both"))
    wiring.run(prepared, settings=settings, runner="inline", record=False, listeners=[memory.record])
    return request.param, prepared.dataset, [event.plan for event in memory.of(RoundStarted)]


def test_b_the_refined_round_keeps_all_sizes_where_they_are_an_objective(searched):
    method, dataset, (coarse, refined) = searched
    assert coarse.sampling.ends == ((dataset.n_inputs, 3) if method == "optuna_tpe" else None)
    assert refined.sampling.ends == coarse.sampling.ends
    if method == "optuna_tpe":
        assert refined.space["network.hidden_sizes"] == coarse.space["network.hidden_sizes"]
        cost = size_objective(refined)
        assert cost({"network.hidden_sizes": (8,)}) == pytest.approx(math.log10(13 * 8 + 8 + 8 * 3 + 3))
        # Tried first is the best by score, and then smaller ones.
        costs = [cost(point) for point in refined.sampling.first]
        assert costs == sorted(costs, reverse=True)
    else:
        assert size_objective(refined) is None
    # Nor are they narrowed between two cycles: the second knew only sizes like those of the best scores.
    kept = {"network.hidden_sizes"} if method == "optuna_tpe" else set()
    assert step5_refined_search.kept_whole(refined) == kept
