"""C1: what is sampled lies in its range, follows its conditions, and is the same for the same seed."""

from __future__ import annotations

import math

import pytest

from search_service.samplers.base import SamplingTask
from search_service.samplers.grid import Grid
from search_service.samplers.sampler import Sampler
from search_service.space.layers import in_config
from search_service.space.ranges import Choices, NumericRange
from trainables.config import TrialConfig

SPACE = {
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "network.dropout": NumericRange(0.0, 0.4, step=0.1),
    "batch_size": NumericRange(8, 32, log=True, integer=True),
    "network.hidden_sizes": Choices(((8,), (16, 16))),
    "optimizer.name": Choices(("momentum", "adam")),
    "optimizer.momentum": NumericRange(0.5, 0.9),
}


def make(space=SPACE, **changes):
    arguments = {"method": "random", "mode": "max", "seed": 0} | changes
    return Sampler(space, TrialConfig(), **arguments)


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_c1_samples_are_valid_configurations_within_their_ranges(method):
    sampler = make(method=method)
    seen_optimizers = set()
    for _ in range(40):
        (suggestion,) = sampler.ask(1)
        values = suggestion.values
        TrialConfig().replace(values)  # Raises if a leaf does not apply.
        seen_optimizers.add(values["optimizer.name"])
        assert ("optimizer.momentum" in values) == (values["optimizer.name"] == "momentum")
        assert all(SPACE[leaf].contains(value) for leaf, value in values.items() if leaf != "network.dropout")
        assert values["network.dropout"] * 10 == pytest.approx(round(values["network.dropout"] * 10))
        assert isinstance(values["batch_size"], int)
        sampler.tell(suggestion.number, "completed", 0.5)
    assert seen_optimizers == {"momentum", "adam"}


def test_c1_log_ranges_are_uniform_in_the_logarithm():
    sampler = make({"optimizer.lr": SPACE["optimizer.lr"]})
    logs = [math.log10(s.values["optimizer.lr"]) for s in sampler.ask(1) for _ in (0,)]
    logs += [math.log10(sampler.ask(1)[0].values["optimizer.lr"]) for _ in range(600)]
    shares = [sum(low <= x < low + 1 for x in logs) / len(logs) for low in (-4, -3, -2)]
    # Three equal decades; a share's standard error is 0.02.
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_c7_the_same_seed_gives_the_same_sequence():
    first, again, other = ([make(seed=seed).ask(1)[0].values for _ in range(1)] for seed in (1, 1, 2))
    assert first == again != other


def test_a_cohort_shares_its_structure_and_nothing_else():
    sampler = make()
    for _ in range(10):
        cohort = sampler.ask(6)
        structures = {TrialConfig().replace(s.values).structure for s in cohort}
        assert len(structures) == 1
        assert len({s.values["optimizer.lr"] for s in cohort}) == 6
        assert len({s.number for s in cohort}) == 6


def test_c5_first_points_are_tried_first_and_completed_where_they_say_nothing():
    first = [
        {"optimizer.lr": 0.05, "network.hidden_sizes": (16, 16)},
        {"optimizer.lr": 99.0, "network.dropout": 0.2},  # Outside: drawn instead.
        {"loss": "hinge"},  # Not searched.
    ]
    sampler = make(first=first)
    one, two, three = (sampler.ask(1)[0].values for _ in range(3))
    assert one["optimizer.lr"] == 0.05
    assert one["network.hidden_sizes"] == (16, 16)
    assert two["network.dropout"] == pytest.approx(0.2)
    assert 1e-4 <= two["optimizer.lr"] <= 1e-1
    assert 1e-4 <= three["optimizer.lr"] <= 1e-1


def test_c5_first_points_of_another_structure_wait_for_a_cohort_of_theirs():
    space = {leaf: SPACE[leaf] for leaf in ("optimizer.lr", "network.hidden_sizes")}
    first = [
        {"optimizer.lr": 0.01, "network.hidden_sizes": (8,)},
        {"optimizer.lr": 0.02, "network.hidden_sizes": (16, 16)},
        {"optimizer.lr": 0.03, "network.hidden_sizes": (8,)},
    ]
    sampler = make(space, first=first)
    cohort, next_cohort = sampler.ask(2), sampler.ask(2)
    assert [s.values["optimizer.lr"] for s in cohort] == [0.01, 0.03]
    assert next_cohort[0].values == first[1]
    assert next_cohort[1].values["network.hidden_sizes"] == (16, 16)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_tpe_learns_from_what_it_is_told(mode):
    """On a bowl in one dimension, beyond whose rim trials diverge, later samples lie nearer to the optimum."""
    sampler = make({"optimizer.lr": SPACE["optimizer.lr"]}, method="tpe", mode=mode)
    sign = -1 if mode == "max" else 1
    distances, diverged = [], []
    for _ in range(80):
        (suggestion,) = sampler.ask(1)
        distance = abs(math.log10(suggestion.values["optimizer.lr"]) + 2.3)
        distances.append(distance)
        # Too large a rate diverges, a third is stopped early: neither may mislead it.
        too_large = math.log10(suggestion.values["optimizer.lr"]) > -1.7
        state = "failed" if too_large else "pruned" if distance > 0.8 else "completed"
        diverged.append(too_large)
        sampler.tell(suggestion.number, state, sign * distance if state != "failed" else math.nan)
    # Uniform over the three decades, the mean distance is (1.7² + 1.3²) / 2 / 3 = 0.76.
    assert sum(distances[-30:]) / 30 < 0.6 * 0.76
    assert sum(diverged[-30:]) / 30 < 0.5 * 0.7 / 3  # At random, 0.7 of the three decades diverge.


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_d6_a_sampler_goes_on_as_if_it_had_made_the_suggestions_before(method):
    """Another process's suggestions, taken up as they were, and told what became of them."""
    first = [{"optimizer.lr": 0.05}]
    calm = make(method=method, first=first)
    made = [calm.ask(2) for _ in range(8)]
    again = make(method=method, first=first)
    for cohort in made[:5]:
        assert [again.recall(s.values) for s in cohort] == cohort
    assert [again.ask(2) for _ in range(3)] == made[5:]
    # Those of the past can be told like one's own.
    again.tell(0, "completed", 0.5)


def test_c5_tpe_learns_from_the_trials_of_others_and_numbers_its_own_from_0():
    space = {"optimizer.lr": SPACE["optimizer.lr"]}
    sampler = make(space, method="tpe")
    for i in range(40):
        lr = 10 ** (-4 + 3 * i / 39)
        state = "completed" if i % 2 else "pruned"
        sampler.learn({"optimizer.lr": lr}, state, -abs(math.log10(lr) + 2))
    suggestions = [sampler.ask(1)[0] for _ in range(12)]
    assert [s.number for s in suggestions] == list(range(12))
    # Uniform over three decades, half of them would lie within this distance of the optimum only by chance.
    near = [s for s in suggestions if abs(math.log10(s.values["optimizer.lr"]) + 2) < 0.5]
    assert len(near) >= 9


# A choice, what depends on it, and what depends on that; structure that depends on a number; a width for each layer.
CONDITIONAL = {
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "optimizer.name": Choices(("nesterov", "adam")),
    "optimizer.momentum": NumericRange(0.5, 0.9),
    "network.init": Choices(("auto", "gaussian"), (("optimizer.name", ("nesterov",)),)),
    "network.init_std": NumericRange(0.01, 0.1, log=True),
    "network.dropout": NumericRange(0.0, 0.3, step=0.1),
    # Three steps of 0.1 are 0.30000000000000004.
    "batch_size": Choices((8, 16), (("network.dropout", (0.0, 0.3)),)),
    "network.depth": NumericRange(1, 3, integer=True),
    **{
        f"network.width_{i}": NumericRange(4, 32, log=True, integer=True, when=(("network.depth", tuple(range(i, 4))),))
        for i in (1, 2, 3)
    },
}


def leaves_that_apply(values):
    """What of CONDITIONAL a configuration should have, said once more in plain words."""
    leaves = {"optimizer.lr", "optimizer.name", "network.dropout", "network.depth"}
    if values["optimizer.name"] == "nesterov":
        leaves |= {"optimizer.momentum", "network.init"}
    if values.get("network.init") == "gaussian":
        leaves.add("network.init_std")
    if values["network.dropout"] in (0.0, pytest.approx(0.3)):
        leaves.add("batch_size")
    return leaves | {f"network.width_{i}" for i in range(1, int(values["network.depth"]) + 1)}


@pytest.mark.parametrize("method", ["random", "quasi_random", "grid", "tpe", "optuna_tpe", "gp", "cma_es"])
def test_c1_a_leaf_is_in_a_configuration_exactly_where_its_condition_holds(method):
    sampler, base = make(CONDITIONAL, method=method), TrialConfig()
    seen = set()
    for _ in range(16):
        cohort = sampler.ask(3)
        for suggestion in cohort:
            assert suggestion.values.keys() == leaves_that_apply(suggestion.values)
            seen |= suggestion.values.keys()
            sampler.tell(suggestion.number, "completed", suggestion.values["optimizer.lr"])
        configs = [base.replace(in_config(s.values, base)) for s in cohort]
        assert len({config.structure for config in configs}) == 1
        assert all(
            len(c.network.hidden_sizes) == s.values["network.depth"] for c, s in zip(configs, cohort, strict=True)
        )
        assert all(c.batch_size == s.values.get("batch_size", 64) for c, s in zip(configs, cohort, strict=True))
    assert seen == CONDITIONAL.keys()


def test_c1_a_grid_has_every_combination_that_applies_once():
    space = {leaf: CONDITIONAL[leaf] for leaf in ("optimizer.name", "network.init")}
    sampler = make(space, method="grid")
    points = [sampler.ask(1)[0].values for _ in range(3)]
    assert sampler.ask(1) == []
    assert sorted(points, key=str) == [
        {"optimizer.name": "adam"},
        {"optimizer.name": "nesterov", "network.init": "auto"},
        {"optimizer.name": "nesterov", "network.init": "gaussian"},
    ]


def test_c1_a_grid_builds_no_finer_one_than_it_may_have(monkeypatch):
    """Three values each of 16 ranges are 43 million combinations, of which all were built and thrown away."""
    space = {f"leaf_{number}": NumericRange(0.0, 1.0) for number in range(16)}
    built: list[int] = []
    combinations = Grid._combinations
    monkeypatch.setattr(Grid, "_combinations", lambda grid, fine: built.append(fine) or combinations(grid, fine))
    Grid(SamplingTask(space, TrialConfig(), mode="max", seed=0, most=50))
    assert built == [2]
    few = {f"leaf_{number}": NumericRange(0.0, 1.0) for number in range(3)}
    built.clear()
    Grid(SamplingTask(few, TrialConfig(), mode="max", seed=0, most=50))
    # 4³ is more than 50.
    assert built == [2, 3, 4]


@pytest.mark.parametrize("method", ["random", "grid", "tpe"])
def test_c5_first_points_with_conditions_are_completed_and_taken_up_again(method):
    """Also where a point has leaves that mean nothing beside the others, as the config's own trial may."""
    first = [
        {"optimizer.name": "adam", "optimizer.momentum": 0.9, "network.depth": 2, "network.width_1": 5},
        {"optimizer.name": "nesterov", "optimizer.momentum": 0.6},
        {f"network.width_{i}": 7 for i in (1, 2, 3)},
    ]
    calm = make(CONDITIONAL, method=method, first=first)
    made = [calm.ask(2) for _ in range(5)]
    values = [suggestion.values for cohort in made for suggestion in cohort]
    assert all(v.keys() == leaves_that_apply(v) for v in values)
    assert (values[0]["optimizer.name"], values[0]["network.depth"], values[0]["network.width_1"]) == ("adam", 2, 5)
    assert [v for v in values if v.get("optimizer.momentum") == 0.6]
    assert [v for v in values if {v[leaf] for leaf in v if "width" in leaf} == {7}]
    again = make(CONDITIONAL, method=method, first=first)
    for cohort in made[:3]:
        assert [again.recall(s.values) for s in cohort] == cohort
    assert [again.ask(2) for _ in range(2)] == made[3:]


def test_c5_a_grid_goes_on_after_a_first_point_whose_structure_it_does_not_have():
    space = {leaf: CONDITIONAL[leaf] for leaf in ("optimizer.lr", "network.depth")}
    sampler = make(space, method="grid", first=[{"network.depth": 2}], most=4)
    assert [len(sampler.ask(2)) for _ in range(4)] == [1, 2, 2, 0]


def test_c1_of_a_grid_too_large_to_be_built_different_points_are_drawn():
    """Every combination was built before the first was tried: of these, 10 to the 17th."""
    space = {f"network.width_{i}": NumericRange(8, 256, step=8, integer=True) for i in range(1, 9)}
    space |= {"batch_size": NumericRange(16, 512, step=16, integer=True)}
    sampler = make(space, method="grid", most=50)
    points = [suggestion.values for suggestion in sampler.ask(50)]
    assert len({str(sorted(point.items())) for point in points}) == len(points) > 0
    assert all(space[leaf].contains(value) for point in points for leaf, value in point.items())
    assert [s.values for s in make(space, method="grid", most=50).ask(50)] == points
