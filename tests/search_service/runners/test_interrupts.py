"""An interrupt that Python drops is found again at the next check."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import weakref

import pytest

from search_service.runners.interrupts import catch_interrupts


class Thing:
    """Something with weak references."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_a_weak_references_callback_is_not_lost_and_does_not_frighten(number, capsys):
    before = signal.getsignal(number)
    with catch_interrupts() as interrupts:
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
        del thing  # Python would print "Exception ignored" here, and goes on.
        assert reference() is None
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts.check()  # Asked for once, stopped once.
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err == ""


def test_elsewhere_than_in_the_main_thread_nothing_changes():
    before, inside = signal.getsignal(signal.SIGINT), []

    def body():
        with catch_interrupts() as interrupts:
            interrupts.check()
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert inside == [before]


PATIENT = """
import os, signal, sys, time
from search_service.runners.interrupts import catch_interrupts
with catch_interrupts() as interrupts:
    for said in ("first", "second", "third"):
        try:
            signal.alarm(1)  # As Ray sets one, to abort three seconds after SIGTERM.
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            assert signal.alarm(0) == 0, "the alarm is still set"
            print(said, flush=True)
print("still there", flush=True)
"""


def test_e1_the_first_and_the_second_are_interrupts_the_third_ends_the_process():
    done = subprocess.run([sys.executable, "-c", PATIENT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, "first\nsecond\n"), done.stderr


def test_e1_signals_that_somebody_took_are_taken_back():
    with catch_interrupts() as interrupts:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupts.rearm()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


IMPORTING = """
import os, signal
from search_service.cli import commands as cli
from search_service.spec import config_file
config_file.load = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
cli.main()
"""


def test_e1_a_signal_before_the_study_begins_ends_with_130_too():
    command = [sys.executable, "-c", IMPORTING, "validate", "any.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
