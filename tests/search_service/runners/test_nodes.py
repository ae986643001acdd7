"""E5: what the nodes of a cluster lack is said in a sentence each, with the fix."""

from __future__ import annotations

from search_service.runners.nodes import MISSING, NEEDED, differences, versions


def test_this_machine_can_train():
    here = versions()
    assert set(here) == {"host", "Python", *NEEDED}
    assert MISSING not in here.values()
    assert differences(here, [here, here | {"host": "other"}]) == []


def test_what_differs_is_said_once_for_all_nodes_with_the_fix():
    here = versions() | {"Python": "3.11.7", "torch": "2.13.0"}
    nodes = [here | {"host": host, "torch": MISSING} for host in ("d", "b", "a", "c")]
    nodes += [here | {"host": "e", "Python": "3.12.1"}, here | {"host": "f", "Python": "3.11.2"}]
    assert differences(here, nodes) == [
        "e: Python 3.12.1, and 3.11.7 on this machine; install Python 3.11.7 there",
        "a, b, c and others: no torch, and 2.13.0 on this machine; install torch==2.13.0 there",
    ]
