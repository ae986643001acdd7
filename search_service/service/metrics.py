"""What Prometheus sees: requests with their times, studies by state, followers, whether jobs can be reached."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_service.service.parts import Parts

# Seconds; a GET is promised in 0.05.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ServiceMetrics(Collector):
    """Reads at each scrape what the store knows.

    Args:
        parts: The service's parts.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See prometheus_client."""
        studies = GaugeMetricFamily("search_service_studies", "Studies by state", labels=["state"])
        for state, count in self._parts.store.counts().items():
            studies.add_metric([state], count)
        yield studies
        followers = self._parts.following.followers
        yield GaugeMetricFamily("search_service_followers", "Streams of events that are open", value=followers)
        trouble = float(bool(self._parts.reconciler.trouble))
        yield GaugeMetricFamily("search_service_jobs_trouble", "1 while jobs cannot be reached", value=trouble)


class RequestTimes:
    """Middleware that counts requests by route and status, with the time until their answer begins.

    Args:
        app: What it stands before.
        registry: Where the histogram is seen.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._times = Histogram(
            "search_service_request_seconds",
            "Time until an answer begins",
            ["method", "route", "status"],
            buckets=BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The pattern, not the path: ids would make a series each.
                route = getattr(scope.get("route"), "path", "(none)")
                self._note(scope, route, message["status"], started)
            await send(message)

        try:
            await self._app(scope, receive, send_timed)
        except Exception:
            # Answered outside of all middleware.
            self._note(scope, getattr(scope.get("route"), "path", "(none)"), 500, started)
            raise

    def _note(self, scope: Scope, route: str, status: int, started: float) -> None:
        # A server lets any word through as a method, and each series stays for good.
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._times.labels(method, route, status).observe(time.perf_counter() - started)
