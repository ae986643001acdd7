"""How large a request may be: refused by what it says of itself, or once more has come, before it fills memory.

FastAPI's own ``max_body_size`` answers in plain text; here everything that goes wrong has one form (problems.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_service.service import problems

# Bytes of a config and everything else that is no table. A config has some KB, and a quarter of a megabyte of YAML can
# keep a CPU busy for ten seconds.
MOST_OTHERWISE = 64 * 2**10


class BodyLimit:
    """Middleware that refuses bodies that are too large.

    Args:
        app: What it stands before.
        limits: Bytes by path.
        otherwise: Bytes of every other path.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[str, int], otherwise: int) -> None:
        self._app, self._limits, self._otherwise = app, limits, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._otherwise)
        told = Request(scope).headers.get("content-length", "0")
        if told.isdecimal() and int(told) > limit:
            await problems.answer(Request(scope), 413, _detail(limit))(scope, receive, send)
            return
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _detail(limit))
            return message

        await self._app(scope, receive_some, send)


def _detail(limit: int) -> str:
    shown = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} KB"
    return f"a body of this route has at most {shown}"
