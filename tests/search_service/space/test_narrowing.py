"""C3 through whole rounds: the real sampler, ASHA and narrowing on response surfaces made up for it.

A surface gives the final score of a configuration; a trial climbs towards it epoch by epoch, so that rungs say a lot,
not everything. Trials come one after the other: the first ones survive ASHA's rungs by luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_service.early_stopping.halving import Halving
from search_service.recipe import step6_repeat
from search_service.recipe.rounds import by_place, scored
from search_service.records.asha_rules import AshaRules
from search_service.records.checks import LearningRatesResult
from search_service.records.finalists import Cycle
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.samplers.sampler import Sampler
from search_service.space.narrowing import narrow
from search_service.space.ranges import Choices, NumericRange, Space
from search_service.spec.study_spec import parse
from tests.plans import make_plan
from trainables.config import TrialConfig
from trainables.losses import ChanceScale
from trainables.records import EpochPoint
from trainables.seeds import derive_seed

LR, DECAY = "optimizer.lr", "optimizer.weight_decay"
RATES = NumericRange(1e-4, 1e-1, log=True)
DECAYS = NumericRange(1e-5, 1.0, log=True)
BASE = TrialConfig()
Surface = Callable[[Mapping[str, Any]], float]


def valley(**optimum: float) -> Surface:
    """1 at the optimum, and less by the square of the decades that lie between, a third of the way for each leaf."""
    leaves = {LR: optimum["lr"], DECAY: optimum["decay"]}

    def score(values: Mapping[str, Any]) -> float:
        far = sum((math.log10(values[leaf] / best) / 3) ** 2 for leaf, best in leaves.items() if leaf in values)
        return 1 / (1 + far)

    return score


@dataclass
class Search:
    """Rounds on a surface: each in the ranges that the one before it left.

    Attributes:
        surface: Final score by values; not finite where training diverges.
        space: Ranges so far.
        limits: The user's own.
        seed: Decides samples and noise.
        noise: Standard deviation of a score.
        method: Of the sampler.
        spaces: Ranges of each round.
        sentences: Of each narrowing.
        rounds: So far.
    """

    surface: Surface
    space: Space
    limits: Space = field(default_factory=dict)
    seed: int = 0
    noise: float = 0.0
    method: str = "tpe"
    spaces: list[Space] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    rounds: list[RoundResult] = field(default_factory=list)

    def go(self, rounds: int, *, trials: int = 24, epochs: int = 9) -> Search:
        for _ in range(rounds):
            self.rounds.append(self._round(trials, epochs))
            self.spaces.append(self.space)
            narrowing = narrow(self.space, scored(self.rounds[-1]), self.limits)
            self.space = narrowing.space
            self.sentences += narrowing.sentences
        return self

    @property
    def best(self) -> TrialResult:
        return max((result.best for result in self.rounds if result.best), key=lambda trial: trial.score)

    def _round(self, trials: int, epochs: int) -> RoundResult:
        number = len(self.rounds) + 1
        seed = derive_seed(self.seed, "round", number)
        first = [t.values for t in by_place(self.rounds[-1])[:3]] if self.rounds else []
        sampler = Sampler(self.space, BASE, method=self.method, mode="max", seed=seed, first=first)
        halving = Halving(AshaRules(3, 3, rung_spacing=3), max_epochs=epochs, mode="max")
        plan = make_plan(Path("unused"), number=number, space=self.space, max_epochs=epochs, seed=self.seed)
        done = [self._trial(sampler, halving, i, seed, epochs) for i in range(trials)]
        return RoundResult(plan, tuple(done), "", 0.0)

    def _trial(self, sampler: Sampler, halving: Halving, i: int, seed: int, epochs: int) -> TrialResult:
        (suggestion,) = sampler.ask(1)
        final, random = self.surface(suggestion.values), np.random.default_rng(derive_seed(seed, i))
        name, curve, status = f"t{i}", [], TrialStatus.COMPLETED
        for epoch in range(1, epochs + 1):
            score = final * (1 - math.exp(-epoch / 4)) + self.noise * random.normal()
            curve.append(EpochPoint(epoch, 1.0, 1.0, score))
            if not math.isfinite(score):
                status = TrialStatus.DIVERGED
                break
            if epoch in halving.rungs:
                if name not in halving.report(epoch, {name: score}):
                    status = TrialStatus.PRUNED
                    break
                sampler.observe(i, score)
        config = BASE.replace({LR: suggestion.values[LR]})
        trial = TrialResult(name, i, config, suggestion.values, status, "", tuple(curve), "accuracy")
        fates = {TrialStatus.COMPLETED: "completed", TrialStatus.PRUNED: "pruned", TrialStatus.DIVERGED: "failed"}
        sampler.tell(i, fates[status], trial.score)
        return trial


def decades(range_: NumericRange) -> float:
    return math.log10(range_.high / range_.low)


SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_an_optimum_inside_is_closed_in_on(seed):
    space = {LR: RATES, DECAY: DECAYS}
    search = Search(valley(lr=3e-3, decay=1e-2), space, space, seed).go(4)
    widths = [decades(ranges[LR]) for ranges in search.spaces]
    assert widths[-1] < 0.5 * widths[0]
    for leaf, optimum in ((LR, 3e-3), (DECAY, 1e-2)):
        assert search.space[leaf].low <= optimum <= search.space[leaf].high
    assert search.best.score > 0.98 * (1 - math.exp(-9 / 4))


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_an_optimum_on_the_edge_stays_inside(seed):
    search = Search(valley(lr=1e-1, decay=1e-5), {LR: RATES, DECAY: DECAYS}, {DECAY: DECAYS}, seed).go(4)
    assert search.space[LR].low <= 1e-1 <= search.space[LR].high
    # The decay's limits are the user's own: its optimum lies on one, and the range stays where samples come near it.
    assert all(ranges[DECAY].low < 1.5 * DECAYS.low for ranges in search.spaces)
    assert search.best.score > 0.95 * (1 - math.exp(-9 / 4))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("optimum", "edge"), [(3.0, "upper"), (3e-6, "lower")])
def test_c3_an_optimum_outside_is_found_by_widening_and_said_so(seed, optimum, edge):
    search = Search(valley(lr=optimum, decay=1e-2), {LR: RATES, DECAY: DECAYS}, {DECAY: DECAYS}, seed).go(8)
    assert any(f"{LR}: " in said and f"the best trial lies at the {edge} edge" in said for said in search.sentences)
    assert search.space[LR].low <= optimum <= search.space[LR].high
    # A decade and a half beyond the first range; a narrow range widens by little at a time, hence eight rounds.
    assert abs(math.log10(search.best.values[LR] / optimum)) < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_hard_limits_are_respected_while_widening(seed):
    limits = {LR: NumericRange(1e-5, 0.3, log=True)}
    search = Search(valley(lr=10.0, decay=1e-2), {LR: RATES, DECAY: DECAYS}, limits, seed).go(5)
    for ranges in [*search.spaces, search.space]:
        assert limits[LR].low <= ranges[LR].low < ranges[LR].high <= limits[LR].high
    assert search.space[LR].high == 0.3
    assert any("at the upper limit given" in said for said in search.sentences)


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_of_two_valleys_the_better_one_is_not_lost(seed):
    poor, good = valley(lr=3e-4, decay=1e-4), valley(lr=3e-2, decay=1e-1)
    space = {LR: RATES, DECAY: DECAYS}
    search = Search(lambda values: max(0.9 * poor(values) ** 8, good(values) ** 8), space, space, seed)
    search.go(4)
    assert search.space[LR].low <= 3e-2 <= search.space[LR].high
    assert search.best.score > 0.9 * (1 - math.exp(-9 / 4))


def test_c3_two_valleys_that_are_alike_are_both_kept_after_the_first_round():
    one, other = valley(lr=3e-4, decay=1e-2), valley(lr=3e-2, decay=1e-2)
    space = {LR: RATES, DECAY: DECAYS}
    # By random samples: TPE may settle on either.
    surface = Search(lambda values: max(one(values), other(values)), space, space, method="random")
    search = surface.go(1, trials=60)
    assert search.space[LR].low < 1e-3
    assert search.space[LR].high > 1e-2


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_however_many_rounds_a_range_never_shrinks_to_nothing(seed):
    dropout, units = "network.dropout", "batch_size"
    space = {LR: RATES, dropout: NumericRange(0.0, 0.5), units: NumericRange(16, 256, log=True, integer=True)}

    def surface(values: Mapping[str, Any]) -> float:
        return valley(lr=3e-3, decay=1.0)(values) - (values[dropout] - 0.2) ** 2 - math.log10(values[units] / 64) ** 2

    search = Search(surface, space, space, seed).go(8)
    for old, new in zip(search.spaces, [*search.spaces[1:], search.space], strict=True):
        assert decades(new[LR]) >= max(0.25 * decades(old[LR]), math.log10(2)) - 1e-9
        assert new[dropout].high - new[dropout].low >= 0.05 * 0.5 - 1e-9
        assert new[units].high > new[units].low
    assert decades(search.space[LR]) < 0.6
    # Beside the optimum by a tenth of what was searched at most: 0.05 beside it costs 0.0025 of the score.
    assert search.space[dropout].low - 0.05 <= 0.2 <= search.space[dropout].high + 0.05
    assert search.space[units].low <= 64 <= search.space[units].high
    assert isinstance(search.space[units].low, int)


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_stepped_and_whole_numbers_stay_on_their_grid_and_widen_again(seed):
    leaf = "network.dropout"
    limits = {LR: RATES, leaf: NumericRange(0.0, 0.8, step=0.1)}
    space = limits | {leaf: NumericRange(0.0, 0.3, step=0.1)}

    def surface(values: Mapping[str, Any]) -> float:
        return valley(lr=3e-3, decay=1.0)(values) - (values[leaf] - 0.6) ** 2

    search = Search(surface, space, limits, seed).go(5)
    for ranges in [*search.spaces, search.space]:
        for bound in (ranges[leaf].low, ranges[leaf].high):
            assert bound / 0.1 == pytest.approx(round(bound / 0.1))
    assert search.space[leaf].low - 1e-9 <= 0.6 <= search.space[leaf].high + 1e-9


def test_c3_a_choice_that_only_diverges_is_dropped():
    leaf = "network.activation"
    space = {LR: RATES, leaf: Choices(("relu", "tanh", "elu"))}

    def surface(values: Mapping[str, Any]) -> float:
        return math.nan if values[leaf] == "elu" else valley(lr=3e-3, decay=1.0)(values)

    search = Search(surface, space, space).go(1)
    assert sum(trial.values[leaf] == "elu" for trial in search.rounds[0].trials) >= 4
    assert "elu" not in search.space[leaf].choices
    assert any("elu never reached the better half" in said for said in search.sentences)


@pytest.mark.parametrize("seed", SEEDS)
def test_c3_flat_noise_ends_the_search_early_and_says_so(seed):
    space = {LR: RATES, DECAY: DECAYS}
    search = Search(lambda values: 0.9, space, space, seed, noise=0.005).go(2)
    cycle = Cycle(LearningRatesResult(3, "learning rates", True, "", "", {}, {}), *search.rounds)
    spec = parse({"name": "flat", "data": {"source": "digits"}, "search": {"max_cycles": 9}})
    decision = step6_repeat.run(
        spec, [cycle], 400, scale_of=lambda config: ChanceScale(least=0.0, chance=2.3), time_is_up=False
    )
    assert decision.stop
    assert "no further improvement" in decision.reason


# ---- the order of a round's trials under ASHA ------------------------------------------------------------------


def trial(name: str, *scores: float) -> TrialResult:
    curve = tuple(EpochPoint(epoch, 1.0, 1.0, score) for epoch, score in enumerate(scores, 1))
    status = TrialStatus.COMPLETED if len(scores) == 3 else TrialStatus.PRUNED
    return TrialResult(name, 0, BASE, {LR: 0.1}, status, "", curve, "accuracy")


def order(tmp_path, *trials: TrialResult) -> list[str]:
    return [placed.trial_id for placed in by_place(RoundResult(make_plan(tmp_path), trials, "", 0.0))]


def test_c3_a_trial_that_got_further_by_luck_is_not_better_for_it(tmp_path):
    lucky, good, better = trial("lucky", 0.3, 0.35, 0.4), trial("good", 0.8, 0.85, 0.9), trial("better", 0.9, 0.95, 1.0)
    stopped, hopeless = trial("stopped", 0.7), trial("hopeless", 0.1)
    assert order(tmp_path, lucky, good, stopped, hopeless, better) == ["better", "good", "stopped", "lucky", "hopeless"]


def test_c3_a_slow_starter_that_proved_itself_keeps_its_place(tmp_path):
    slow, fast, stopped = trial("slow", 0.3, 0.6, 0.95), trial("fast", 0.8, 0.85, 0.9), trial("stopped", 0.7)
    assert order(tmp_path, slow, fast, stopped) == ["slow", "stopped", "fast"]


def test_c3_none_that_was_stopped_comes_first(tmp_path):
    assert order(tmp_path, trial("stopped", 0.9), trial("ended", 0.3, 0.4, 0.5)) == ["ended", "stopped"]
    assert order(tmp_path, trial("a", 0.8), trial("b", 0.9)) == ["b", "a"]
