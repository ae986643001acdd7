"""The FastAPI app: which routes there are, what they work with, and what begins and ends with it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_service import __version__
from search_service.service import access, migrations, problems, reading
from search_service.service.access import Access
from search_service.service.bodies import MOST_OTHERWISE, BodyLimit
from search_service.service.following import Following
from search_service.service.jobs import Jobs, LocalJobs
from search_service.service.metrics import RequestTimes, ServiceMetrics
from search_service.service.parts import Parts, Readers
from search_service.service.reconciler import Reconciler
from search_service.service.routes import configs, datasets, following, health, pages, studies, tokens
from search_service.service.settings import ServiceSettings
from search_service.service.store import Store
from search_service.service.submissions import Submissions

# The documentation page is the one that loads what FastAPI names, of somebody else's.
_POLICY_OF_DOCS = "default-src 'none'; script-src https://cdn.jsdelivr.net 'unsafe-inline'; connect-src 'self'; "
_POLICY_OF_DOCS += (
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'; img-src 'self' data: https://fastapi.tiangolo.com; "
)
_POLICY_OF_DOCS += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_DESCRIPTION = """Submit hyperparameter studies, watch them, stop and resume them, read what they found.

A study follows six steps: is the untrained loss what chance predicts, can the network memorise a small sample, which
learning rates work, a coarse search, a refined one, and again until it is good enough."""


class SafeHeaders:
    """Middleware that tells browsers what a page of ours may do.

    Args:
        app: What it stands before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                of_docs = scope["path"] in ("/docs", "/redoc")
                # A report brings the one that fits it.
                headers.setdefault("Content-Security-Policy", _POLICY_OF_DOCS if of_docs else pages.POLICY)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def make_app(settings: ServiceSettings, jobs: Jobs | None = None) -> FastAPI:
    """The service.

    Args:
        settings: Places, addresses, limits.
        jobs: Where studies run; by default what the settings say.

    Raises:
        InvalidSpecError: It would listen where anybody could submit.
    """
    access.require_safe(settings)
    app = FastAPI(
        title="Search service",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan,
    )
    app.state.settings, app.state.jobs = settings, jobs or make_jobs(settings)
    app.state.registry = CollectorRegistry()
    problems.install(app)
    for one in (studies, following, configs, datasets, tokens, health, pages):
        app.include_router(one.router)
    app.mount("/page", StaticFiles(directory=pages.FOLDER), name="page")
    limits = {datasets.router.prefix: settings.max_upload_mb * 2**20}
    app.add_middleware(BodyLimit, limits=limits, otherwise=MOST_OTHERWISE)
    app.add_middleware(SafeHeaders)
    app.add_middleware(RequestTimes, registry=app.state.registry)
    _document_errors(app)
    return app


def make_jobs(settings: ServiceSettings) -> Jobs:
    """Where studies run."""
    if settings.jobs == "local":
        return LocalJobs()
    from search_service.service.ray_jobs import RayJobs

    return RayJobs(settings.ray_dashboard)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: ServiceSettings = app.state.settings
    settings.home.mkdir(parents=True, exist_ok=True)
    datasets.sweep(settings.datasets)
    store = Store(settings.store_url)
    try:
        migrations.upgrade(store.engine)
        parts = Parts(
            settings=settings,
            store=store,
            reconciler=Reconciler(store, app.state.jobs, settings),
            submissions=Submissions(store, settings),
            following=Following(store),
            readers=Readers(),
        )
        app.state.parts, app.state.access = parts, Access(store, settings)
        app.state.registry.register(ServiceMetrics(parts))
        parts.reconciler.start()
        threading.Thread(target=reading.warm_up, name="warm-up", daemon=True).start()
        await parts.following.start()
        try:
            yield
        finally:
            await parts.following.close()
            parts.reconciler.close()
    finally:
        store.close()


def _document_errors(app: FastAPI) -> None:
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            problems.describe(make())
        return make()

    app.openapi = openapi  # type: ignore[method-assign]
