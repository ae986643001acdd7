"""D4: what reads tables is done in a few threads, what measures one at a time, and neither keeps the other waiting."""

from __future__ import annotations

import threading

import anyio

from search_service.service.parts import READERS, Readers


def test_d4_plans_that_wait_for_one_another_keep_nobody_from_checking_a_config():
    """Two plans took both threads, of which one only waited: for minutes nothing could be submitted."""
    measuring, may_end, most = threading.Event(), threading.Event(), [0, 0]

    def plan() -> str:
        most[0] += 1
        most[1] = max(most)
        measuring.set()
        assert may_end.wait(30)
        most[0] -= 1
        return "planned"

    async def ask() -> list[str]:
        readers, done = Readers(), []

        async def keep(what, **how) -> None:
            done.append(await readers.do(what, **how))

        async with anyio.create_task_group() as group:
            for _ in range(READERS):
                group.start_soon(lambda: keep(plan, measures=True))
            await anyio.to_thread.run_sync(measuring.wait, 30)
            with anyio.fail_after(30):
                await keep(lambda: "checked")
            may_end.set()
        return done

    assert anyio.run(ask) == ["checked", *["planned"] * READERS]
    assert most == [0, 1]
