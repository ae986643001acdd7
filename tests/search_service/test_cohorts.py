"""B5, C2: whether configurations are trained one by one or as populations changes nothing but the time it takes."""

from __future__ import annotations

import json

import pytest

from search_service.halving import Halving
from search_service.results import TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.runners.sizing import MOST_MEMBERS, most_members
from search_service.space import Choices, NumericRange
from tests.plans import make_plan

SPACE = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}


def run(folder, dataset, **changes):
    plan = make_plan(folder, space=SPACE, max_trials=24, **changes)
    return InlineRunner().run_round(plan, dataset, lambda event: None)


def test_b5_the_same_configurations_and_scores_whatever_the_size(digits, tmp_path):
    alone, together, measured = (
        run(tmp_path / str(size), digits[0], early_stopping=False, population_size=size) for size in (1, 8, "auto")
    )
    assert not alone.sizes and not together.sizes
    assert measured.sizes[0].size > 1
    for other in (together, measured):
        assert [trial.config for trial in other.trials] == [trial.config for trial in alone.trials]
        for one, same in zip(alone.trials, other.trials, strict=True):
            curves = ([(p.train_loss, p.validation_loss, p.validation_score) for p in t.curve] for t in (one, same))
            for point, same_point in zip(*curves, strict=True):
                assert point == pytest.approx(same_point, abs=1e-4)


@pytest.mark.parametrize("standing", [None, 0.5])
@pytest.mark.parametrize("size", [1, 6, "auto"])
def test_c2_a_trial_is_judged_by_all_that_reported_so_far_whatever_the_size(digits, tmp_path, size, standing):
    """Halving hears them one by one, the trial in question last, and answers as it did."""
    rules = {"grace_period": 1, "max_epochs": 6, "rung_spacing": 2.0, "standing": standing}
    result = run(tmp_path, digits[0], population_size=size, **rules)
    journal = [json.loads(line) for line in (tmp_path / "rungs.jsonl").read_text().splitlines()]
    cohorts = {
        entry["trial"]: entry["cohort"]
        for entry in map(json.loads, (tmp_path / "asked.jsonl").read_text().splitlines())
    }
    assert {entry["goes_on"] for entry in journal} == {True, False}
    for at, entry in enumerate(journal):
        together = [
            other
            for other in journal[at:]
            if (other["rung"], cohorts[other["trial"]]) == (entry["rung"], cohorts[entry["trial"]])
        ]
        known = journal[:at] + together
        oracle = Halving(grace_period=1, max_epochs=6, reduction_factor=3.0, spacing=2.0, standing=standing, mode="max")
        for other in known:
            if other is not entry:
                oracle.report(other["rung"], {other["trial"]: other["score"]})
        assert (oracle.report(entry["rung"], {entry["trial"]: entry["score"]}) != set()) == entry["goes_on"]
    assert result.count(TrialStatus.COMPLETED) + result.count(TrialStatus.PRUNED) == 24


def test_b5_every_shape_has_the_size_that_was_measured_for_it(digits, tmp_path):
    space = SPACE | {"network.hidden_sizes": Choices(((16,), (2048, 2048)))}
    plan = make_plan(tmp_path, space=space, max_trials=16, max_epochs=1, population_size="auto")
    result = InlineRunner().run_round(plan, digits[0], lambda event: None)
    sizes = {size.layer_sizes[1]: size.size for size in result.sizes}
    assert sizes[16] > sizes[2048]
    cohorts = {}
    for entry in map(json.loads, (tmp_path / "asked.jsonl").read_text().splitlines()):
        cohorts.setdefault(entry["cohort"], []).append(entry["values"]["network.hidden_sizes"][0])
    # The last cohort may be what was left.
    for widths in list(cohorts.values())[:-1]:
        assert len(widths) == sizes[widths[0]]
    again = InlineRunner().run_round(plan, digits[0], lambda event: None)
    assert again.sizes == result.sizes


def test_b5_no_more_than_a_quarter_of_a_round_is_in_training_at_once():
    assert most_members(512, 2) == 64
    assert most_members(24, 2) == 3
    assert most_members(24, 64) == 1
    assert most_members(100_000, 2) == MOST_MEMBERS
