"""How the service itself is doing: for probes and for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from search_service import __version__
from search_service.service import migrations
from search_service.service.access import Reader
from search_service.service.documents import Health
from search_service.service.parts import Service
from search_service.service.problems import responses

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """Whether the process answers."""
    return Health(status="ok", version=__version__)


@router.get("/readyz", responses={503: {"model": Health, "description": "Not ready"}})
def readyz(service: Service, response: Response) -> Health:
    """Whether studies can be submitted: the database is there with its tables, and the reconciler runs."""
    try:
        database = migrations.is_current(service.store.engine)
    except SQLAlchemyError:
        database = False
    reconciler = service.reconciler.is_alive
    ready = database and reconciler
    response.status_code = 200 if ready else 503
    return Health(
        status="ok" if ready else "not ready",
        version=__version__,
        database=database,
        reconciler=reconciler,
        trouble="jobs cannot be started or watched just now" if service.reconciler.trouble else "",
    )


@router.get("/metrics", response_class=Response, responses=responses() | {200: {"content": {"text/plain": {}}}})
def metrics(request: Request, _: Reader) -> Response:
    """Counts and times for Prometheus."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
