"""E1, B5: recording off the path waits for nobody, keeps the order, outlives absence, and says what was refused."""

from __future__ import annotations

import threading

import pytest

from search_service.errors import RecorderError, RecordRefusedError
from search_service.recorders import background
from search_service.recorders.background import BackgroundRecorder
from search_service.recorders.memory import MemoryRecorder
from search_service.records.events import StepStarted, TrialFinished, TrialProgressed

# Seconds, generously: nothing here takes any.
SOON_S = 30


class Record(MemoryRecorder):
    """Takes events only once it may, keeps what came together, and fails as often as it is told to."""

    def __init__(self, *failures):
        super().__init__()
        self.may, self.batches, self.recovered = threading.Event(), [], 0
        self.failures = list(failures)

    def record_at(self, event, at_ms):
        self._take([event])

    def record_trials(self, events):
        self.batches.append(len(events))
        self._take([event for event, _ in events])

    def _take(self, events):
        assert self.may.wait(SOON_S)
        if self.failures:
            raise self.failures.pop(0)
        self.events.extend(events)

    def recover(self):
        self.recovered += 1


def step(number):
    return StepStarted(number, str(number))


def trial(number):
    return TrialFinished(number)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(background, "LONGEST_PAUSE_S", 0.002)


def told(record, *events):
    recorder = BackgroundRecorder(record)
    for event in events:
        recorder.record(event)
    return recorder


def test_b5_nobody_waits_for_the_record_and_everything_is_in_it_in_its_order():
    record, said = Record(), [step(1), *map(trial, range(50)), step(2), trial(50)]
    recorder = told(record, *said)  # Nothing can be written yet.
    assert record.events == []
    assert recorder.backlog.waiting == len(said)
    record.may.set()
    assert recorder.wait(SOON_S).is_complete
    recorder.close()
    recorder.close()  # Closing twice is closing.
    assert record.events == said
    # The trials that waited went together.
    assert record.batches == [50, 1]


def test_a_recorder_hears_nothing_of_progress():
    record = Record()
    record.may.set()
    assert told(record, TrialProgressed("r1-000", 1, 0.5)).wait(SOON_S).is_complete
    assert record.events == []


def test_e1_what_cannot_be_recorded_is_tried_until_it_can_and_looked_for_before():
    record, said = Record(*[RecorderError("away")] * 20), [step(1), trial(1), trial(2)]
    record.may.set()
    backlog = told(record, *said).wait(SOON_S)
    assert backlog.is_complete
    assert backlog.trouble == ""
    assert record.events == said
    assert record.recovered == 20


@pytest.mark.parametrize("error", [RecordRefusedError("no such name"), ZeroDivisionError("a defect")])
def test_e1_what_is_refused_for_good_is_passed_over_and_said(error):
    record = Record(*[error] * background.MOST_REFUSALS)
    record.may.set()
    backlog = told(record, step(1), step(2)).wait(SOON_S)
    assert record.events == [step(2)]
    assert backlog.waiting == 0
    assert not backlog.is_complete
    (refused,) = backlog.refused
    assert refused.startswith("StepStarted: ")
    assert str(error) in refused


def test_e1_of_trials_only_the_one_that_is_refused_is_passed_over():
    class Picky(Record):
        def _take(self, events):
            if trial(3) in events:
                raise RecordRefusedError("no such name")
            super()._take(events)

    record = Picky()
    record.may.set()
    backlog = told(record, *map(trial, range(6))).wait(SOON_S)
    assert record.events == [trial(i) for i in range(6) if i != 3]
    assert len(backlog.refused) == 1


def test_e1_nobody_waits_longer_than_patience_for_a_record_that_does_not_answer():
    record = Record()
    recorder = told(record, step(1), step(2))
    assert recorder.wait(0.01).waiting == 2
    assert recorder.wait(SOON_S, most_s=0.01).waiting == 2
    recorder.close()  # Its thread hangs, and is left to itself.
    record.may.set()


def test_e1_what_waits_when_a_recorder_is_closed_is_not_written():
    record = Record(*[RecorderError("away")] * 1000)
    record.may.set()
    recorder = told(record, step(1))
    backlog = recorder.wait(0.05)
    recorder.close()
    assert (backlog.waiting, backlog.trouble) == (1, "away")
    assert record.events == []
