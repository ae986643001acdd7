"""An interrupt that Python drops is found again at the next check."""

from __future__ import annotations

import signal
import threading
import weakref

import pytest

from search_service.interrupts import catch_interrupts


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
