"""Configs: what is wrong with one, and what it would do."""

from __future__ import annotations

from fastapi import APIRouter, Request

from search_service.recipe.plan_document import PlanDocument
from search_service.service.access import Reader
from search_service.service.documents import Validated
from search_service.service.parts import Service
from search_service.service.problems import responses
from search_service.service.routes.studies import CONFIG_BODY, RawBody

router = APIRouter(prefix="/api/v1", tags=["configs"])


@router.post("/configs:validate", responses=responses(413), openapi_extra=CONFIG_BODY)
async def validate(service: Service, caller: Reader, body: RawBody, request: Request) -> Validated:
    """Check a config and its table, without running anything."""
    request.app.state.access.count_work(caller)
    _, found = await service.readers.do(lambda: service.submissions.check(service.submissions.parse(body)))
    return Validated(
        name=found.name,
        rows=dict(found.rows),
        inputs=found.inputs,
        outputs=found.outputs,
        task=found.task,
        warnings=list(found.warnings),
    )


@router.post("/configs:plan", responses=responses(413), openapi_extra=CONFIG_BODY)
async def plan(service: Service, caller: Reader, body: RawBody, request: Request) -> PlanDocument:
    """What a study would do, with a time from a few steps measured on the service's own machine."""
    request.app.state.access.count_work(caller)
    planned = await service.readers.do(lambda: service.submissions.plan(service.submissions.parse(body)), measures=True)
    return PlanDocument.model_validate(planned)
