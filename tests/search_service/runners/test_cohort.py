"""B5, C2: whether configurations are trained one by one or as populations changes nothing but the time it takes."""

from __future__ import annotations

import json

import pytest
import torch

from search_service.early_stopping.halving import Halving
from search_service.errors import DamagedFileError
from search_service.folder import journals
from search_service.records.asha_rules import AshaRules
from search_service.records.rounds import TrialStatus
from search_service.runners.base import CohortReport, MemberReport
from search_service.runners.book import RoundBook
from search_service.runners.inline import InlineRunner
from search_service.runners.paused import MOST_WAITING
from search_service.runners.sizing import MOST_MEMBERS, CohortSizes, MeasuredSizes, most_members, place_of
from search_service.space.ranges import Choices, NumericRange
from tests.plans import make_plan
from trainables import checkpoint, population_size
from trainables.records import EpochPoint

SPACE = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}


def run(folder, dataset, **changes):
    plan = make_plan(folder, space=SPACE, max_trials=24, **changes)
    return InlineRunner().run_round(plan, dataset, lambda event: None)


@pytest.fixture
def only_narrow_ones_are_faster_together(monkeypatch):
    """As on a quiet machine: what a busy one measures is no test's matter."""

    def seconds(config, dataset, size, device):
        return 0.001 * (size if max(config.network.hidden_sizes) > 1_000 else 1)

    monkeypatch.setattr(population_size, "_seconds_per_step", seconds)


@pytest.mark.usefixtures("only_narrow_ones_are_faster_together")
def test_b5_the_same_configurations_and_scores_whatever_the_size(digits, tmp_path):
    alone, together, measured = (
        run(tmp_path / str(size), digits[0], early_stopping=False, population_size=size) for size in (1, 8, "auto")
    )
    assert not alone.sizes and not together.sizes
    assert measured.sizes[0].size == 6
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
    # The cohorts that each trial was of, and from which epoch on.
    cohorts = {
        entry["trial"]: [(0, entry["cohort"])]
        for entry in map(json.loads, (tmp_path / "asked.jsonl").read_text().splitlines())
    }
    merged = tmp_path / "merged.jsonl"
    assert merged.exists() == (size != 1)
    for entry in map(json.loads, merged.read_text().splitlines() if merged.exists() else ()):
        for trial in entry["trials"]:
            cohorts[trial].append((entry["epoch"], entry["cohort"]))

    def cohort_of(entry):
        return max(cohort for cohort in cohorts[entry["trial"]] if cohort[0] < entry["rung"])

    assert {entry["goes_on"] for entry in journal} == {True, False}
    for at, entry in enumerate(journal):
        together = [
            other for other in journal[at:] if (other["rung"], cohort_of(other)) == (entry["rung"], cohort_of(entry))
        ]
        known = journal[:at] + together
        oracle = Halving(AshaRules(1, 3.0, 2.0, standing), max_epochs=6, mode="max")
        for other in known:
            if other is not entry:
                oracle.report(other["rung"], {other["trial"]: other["score"]})
        assert (oracle.report(entry["rung"], {entry["trial"]: entry["score"]}) != set()) == entry["goes_on"]
    assert result.count(TrialStatus.COMPLETED) + result.count(TrialStatus.PRUNED) == 24


@pytest.mark.usefixtures("only_narrow_ones_are_faster_together")
def test_b5_every_shape_has_the_size_that_was_measured_for_it(digits, tmp_path):
    space = SPACE | {"network.hidden_sizes": Choices(((16,), (2048, 2048)))}
    plan = make_plan(tmp_path, space=space, max_trials=16, max_epochs=1, population_size="auto")
    result = InlineRunner().run_round(plan, digits[0], lambda event: None)
    sizes = {size.layer_sizes[1]: size.size for size in result.sizes}
    assert sizes == {16: 4, 2048: 1}
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


def test_d1_cohorts_share_the_machines_memory_or_have_a_part_of_a_gpu(monkeypatch):
    assert place_of(0, 4) == {"device": "cpu", "share": 0.25}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert place_of(0, 4) == {"device": "cpu", "share": 0.25}
    # However many there are elsewhere: a cohort's own part is of one GPU.
    assert place_of(0.25, 16) == {"device": "cuda", "share": 0.25}
    assert place_of(2, 4) == {"device": "cuda", "share": 1.0}


# ---- what is left of a cohort waits for others ---------------------------------------------------------------------


class Worker:
    """Trains nothing: says of each cohort that the first few of its trials go on."""

    def __init__(self, folder, dataset, **changes):
        settings = {"space": SPACE, "population_size": 8, "max_trials": 32, "max_epochs": 9, "grace_period": 1}
        self.plan = make_plan(folder, **(settings | changes))
        self.book = RoundBook(self.plan, CohortSizes(self.plan, dataset, MeasuredSizes()), lambda event: None)

    def report(self, cohort, epoch, go_on):
        ended = (TrialStatus.COMPLETED if epoch == self.plan.limits.max_epochs else TrialStatus.PRUNED, "it ended")
        first = 1 if epoch == 1 else 2
        points = tuple(EpochPoint(n, 1.0, 1.0, 0.5) for n in range(first, epoch + 1))
        members = tuple(
            MemberReport(member.trial_id, points, *((TrialStatus.RUNNING, "") if index < go_on else ended))
            for index, member in enumerate(cohort.members)
        )
        report = CohortReport(cohort.cohort_id, epoch, members, "nobody")
        self.book.report(report)
        return report

    def pause(self, cohort, epoch=1, go_on=3):
        report = self.report(cohort, epoch, go_on)
        assert self.book.is_to_pause(report)
        saved = self.plan.folder / "saved"
        saved.mkdir()
        torch.save({"format": checkpoint.FORMAT}, saved / "population.pt")
        self.book.pause(report, saved)

    def finish(self):
        """Everything that is still to come, to its end."""
        while cohort := self.book.next_cohort():
            self.report(cohort, self.plan.limits.max_epochs, 0)
        return self.book.result()


def names(cohort):
    return [member.trial_id for member in cohort.members]


def test_b5_half_empty_cohorts_wait_until_three_quarters_of_one_are_there(digits, tmp_path):
    worker = Worker(tmp_path, digits[0])
    first, second = worker.book.next_cohort(), worker.book.next_cohort()
    worker.pause(first)
    third = worker.book.next_cohort()
    assert not third.parts
    worker.pause(second)
    merged = worker.book.next_cohort()
    assert names(merged) == names(first)[:3] + names(second)[:3]
    assert [part.name for part in merged.parts] == [first.cohort_id, second.cohort_id]
    assert all(part.is_dir() for part in merged.parts)
    worker.report(merged, 9, 0)
    # What it was made of was needed until it ended.
    assert not any(part.exists() for part in merged.parts)
    worker.report(third, 9, 0)
    assert len(worker.finish().trials) == 32


def test_b5_no_population_is_larger_than_it_may_be(digits, tmp_path):
    worker = Worker(tmp_path, digits[0])
    cohorts = [worker.book.next_cohort() for _ in range(3)]
    for cohort, left in zip(cohorts, (3, 2, 4), strict=True):
        worker.pause(cohort, go_on=left)
    merged = worker.book.next_cohort()
    assert names(merged) == names(cohorts[0])[:3] + names(cohorts[1])[:2]
    assert not worker.book.next_cohort().parts


def test_b5_nobody_waits_for_others_when_more_than_half_go_on_or_nothing_new_is_to_come(digits, tmp_path):
    worker = Worker(tmp_path, digits[0], max_trials=24)
    first, second = worker.book.next_cohort(), worker.book.next_cohort()
    assert not worker.book.is_to_pause(worker.report(first, 1, 5))
    worker.pause(second)
    third = worker.book.next_cohort()
    assert not worker.book.is_to_pause(worker.report(third, 1, 2))
    # Nothing new: those who wait go on as they are.
    assert names(worker.book.next_cohort()) == names(second)[:3]
    assert worker.book.next_cohort() is None
    assert worker.book.is_closed


def test_b5_one_by_one_nobody_waits(digits, tmp_path):
    worker = Worker(tmp_path, digits[0], population_size=1)
    assert not worker.book.is_to_pause(worker.report(worker.book.next_cohort(), 1, 1))


def test_b5_a_round_does_not_end_while_a_cohort_is_being_saved(digits, tmp_path):
    stop = tmp_path / "stop"
    worker = Worker(tmp_path / "round", digits[0], stop_file=stop)
    cohort = worker.book.next_cohort()
    report = worker.report(cohort, 1, 3)
    assert worker.book.is_to_pause(report)
    stop.touch()
    assert worker.book.next_cohort() is None
    assert not worker.book.is_closed
    # Its worker was lost, and says the same again.
    assert worker.book.is_to_pause(worker.report(cohort, 1, 3))
    (tmp_path / "saved").mkdir()
    worker.book.pause(report, tmp_path / "saved")
    assert names(worker.book.next_cohort()) == names(cohort)[:3]
    assert worker.book.is_closed


def test_b5_a_round_ends_although_a_cohort_could_not_be_saved(digits, tmp_path):
    worker = Worker(tmp_path, digits[0], max_trials=9)
    cohort = worker.book.next_cohort()
    assert worker.book.is_to_pause(worker.report(cohort, 1, 3))
    worker.book.fail(cohort.cohort_id, "lost")
    result = worker.finish()
    assert worker.book.is_closed
    assert [trial.trial_id for trial in result.trials if trial.status is TrialStatus.FAILED] == names(cohort)[:3]


def test_b5_only_networks_of_one_structure_go_on_together_and_few_structures_wait(digits, tmp_path):
    widths = tuple((width,) for width in range(4, 4 + 2 * (MOST_WAITING + 1)))
    space = SPACE | {"network.hidden_sizes": Choices(widths)}
    worker = Worker(tmp_path, digits[0], space=space, max_trials=400)
    waiting: dict = {}
    while len(waiting) < MOST_WAITING:
        cohort = worker.book.next_cohort()
        assert len({member.config.structure for member in cohort.members}) == 1
        width = cohort.members[0].config.network.hidden_sizes
        if width not in waiting:
            worker.pause(cohort)
            waiting[width] = cohort
    while (cohort := worker.book.next_cohort()).members[0].config.network.hidden_sizes in waiting:
        pass
    assert not worker.book.is_to_pause(worker.report(cohort, 1, 3))


def lost(folder, dataset):
    """A worker whose process ends: two cohorts were paused and merged and paused again, one waits, a fourth is new."""
    worker = Worker(folder, dataset)
    first, second = worker.book.next_cohort(), worker.book.next_cohort()
    worker.pause(first)
    worker.pause(second)
    merged = worker.book.next_cohort()
    worker.pause(merged, epoch=3, go_on=4)
    third = worker.book.next_cohort()
    worker.pause(third)
    return first, second, merged, third, worker.book.next_cohort()


def test_d6_who_waited_when_the_process_was_lost_waits_again_and_a_new_cohort_begins_again(digits, tmp_path):
    *_, merged, third, fourth = lost(tmp_path, digits[0])
    after = Worker(tmp_path, digits[0])
    assert after.book.next_cohort() == fourth
    after.report(fourth, 9, 0)
    # Nothing new is to come: those that are furthest go on first.
    assert [m.trial_id for m in after.book.next_cohort().members] == [m.trial_id for m in merged.members[:4]]
    assert [m.trial_id for m in after.book.next_cohort().members] == [m.trial_id for m in third.members[:3]]
    result = Worker(tmp_path, digits[0]).finish()
    assert len(result.trials) == 32
    # What was known of a trial when it was saved is part of its curve.
    waited = {member.trial_id for member in (*merged.members[:4], *third.members[:3])}
    assert {tuple(p.epoch for p in t.curve) for t in result.trials if t.trial_id in waited} == {tuple(range(1, 10))}
    assert not (tmp_path / "paused").exists()


def test_d6_a_merged_cohort_that_was_lost_begins_again_with_what_it_was_made_of(digits, tmp_path):
    worker = Worker(tmp_path, digits[0])
    for cohort in (worker.book.next_cohort(), worker.book.next_cohort()):
        worker.pause(cohort)
    merged = worker.book.next_cohort()
    again = Worker(tmp_path, digits[0]).book.next_cohort()
    assert again == merged
    assert len(again.parts) == 2


@pytest.mark.parametrize("destroy", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:99])])
def test_e1_whose_saved_cohort_is_destroyed_begins_again_in_the_cohort_it_had(digits, tmp_path, destroy):
    first, second, merged, third, fourth = lost(tmp_path, digits[0])
    destroy(tmp_path / "paused" / merged.cohort_id / "population.pt")
    after = Worker(tmp_path, digits[0])
    # Its own parts went when it was saved.
    again = [after.book.next_cohort() for _ in range(3)]
    assert again == [first, second, fourth]
    for cohort in again:
        after.report(cohort, 9, 0)
    assert [m.trial_id for m in after.book.next_cohort().members] == [m.trial_id for m in third.members[:3]]
    assert after.book.next_cohort() is None


def edit(path, do):
    path.write_bytes(b"".join(do(path.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda lines: lines[:3] + lines[4:], "r1-004 stands where r1-003 is due"),
        (lambda lines: lines[:4] + lines[3:], "r1-003 stands where r1-004 is due"),
        (lambda lines: [], "it lacks r1-0.., which told.jsonl has"),
        (lambda lines: [lines[0].replace(b"0", b"1"), *lines[1:]], "line 1: its checksum is another one"),
    ],
    ids=["lost", "doubled", "empty", "changed"],
)
def test_e1_a_configuration_is_that_of_its_trial_or_of_none(digits, tmp_path, do, says):
    """A line that was lost or doubled gave the results of trials to other configurations."""
    Worker(tmp_path, digits[0]).finish()
    edit(tmp_path / "asked.jsonl", do)
    with pytest.raises(DamagedFileError, match=says):
        Worker(tmp_path, digits[0])


@pytest.mark.parametrize(
    "do",
    [
        lambda lines: [],
        lambda lines: lines[:5] + lines[6:],
        lambda lines: [lines[0].replace(b"0.5", b"0.6"), *lines[1:]],
        lambda lines: lines + lines[-1:],
    ],
    ids=["deleted", "lost", "changed", "doubled"],
)
def test_e1_trials_whose_ends_are_lost_are_trained_again_also_of_a_round_that_was_over(digits, tmp_path, do):
    done = Worker(tmp_path, digits[0]).finish()
    edit(tmp_path / "told.jsonl", do)
    after = Worker(tmp_path, digits[0])
    again = after.finish()
    assert [(t.trial_id, t.config, t.curve) for t in again.trials] == [
        (t.trial_id, t.config, t.curve) for t in done.trials
    ]
    assert again.stop_reason == done.stop_reason
    assert after.book.has_ended
    assert len(journals.read(tmp_path / "asked.jsonl")) == 32


def test_e1_files_of_a_round_that_can_be_made_again_are(digits, tmp_path):
    done = Worker(tmp_path, digits[0]).finish()
    for name in ("plan.json", "ended.json"):
        (tmp_path / name).write_bytes(b"")
    again = Worker(tmp_path, digits[0]).finish()
    assert [t.curve for t in again.trials] == [t.curve for t in done.trials]
    assert (again.plan, again.stop_reason) == (done.plan, done.stop_reason)
