"""D3, B5: recording off the path loses nothing, keeps the order, and says what broke."""

from __future__ import annotations

import threading

import pytest

from search_service.errors import RecorderError
from search_service.events import StepStarted, TrialFinished
from search_service.recorders import background
from search_service.recorders.background import BackgroundRecorder
from search_service.recorders.memory import MemoryRecorder


class Slow(MemoryRecorder):
    """Takes events only once it may, and keeps what came together."""

    def __init__(self):
        super().__init__()
        self.may, self.batches = threading.Event(), []

    def record(self, event):
        assert self.may.wait(30)
        super().record(event)

    def record_trials(self, events):
        if events:
            assert self.may.wait(30)
            self.batches.append(len(events))
            self.events.extend(events)


def step(number):
    return StepStarted(number, str(number))


def trial(number):
    return TrialFinished(number)


def test_b5_no_trial_waits_for_the_record_and_everything_is_in_it_in_its_order():
    slow = Slow()
    recorder = BackgroundRecorder(slow)
    said = [trial(i) for i in range(50)]
    for event in said:
        recorder.record(event)  # Nothing has been written yet.
    assert slow.events == []
    slow.may.set()
    recorder.record(step(2))
    # Whatever is no trial is written when it has been said, with everything before it.
    assert slow.events == [*said, step(2)]
    recorder.record(trial(50))
    recorder.close()
    assert slow.events == [*said, step(2), trial(50)]
    # The first was being waited for alone, or with some of what came after it; the others went together.
    assert sum(slow.batches) == 51
    assert len(slow.batches) <= 4


def test_b5_one_who_is_far_ahead_waits(monkeypatch):
    monkeypatch.setattr(background, "MOST_WAITING", 3)
    slow = Slow()
    recorder = BackgroundRecorder(slow)
    said = threading.Event()

    def tell():
        for i in range(20):
            recorder.record(trial(i))
        said.set()

    teller = threading.Thread(target=tell)
    teller.start()
    assert not said.wait(0.2)
    slow.may.set()
    teller.join(30)
    recorder.close()
    assert slow.events == [trial(i) for i in range(20)]


@pytest.mark.parametrize("error", [RecorderError("full disk"), ZeroDivisionError("a defect")])
def test_what_breaks_is_raised_at_once_or_at_the_next_event_or_at_the_end(error):
    class Broken(Slow):
        def record(self, event):
            raise error

        def record_trials(self, events):
            if events:
                raise error

    recorder = BackgroundRecorder(Broken())
    with pytest.raises(type(error)):
        recorder.record(step(1))
    recorder.record(trial(1))
    assert recorder.page == ""  # Waits for what was said.
    with pytest.raises(type(error)):
        recorder.record(trial(2))
    recorder.record(trial(3))
    with pytest.raises(type(error)):
        recorder.close()
    recorder.close()  # Closing twice is closing.
