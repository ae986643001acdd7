"""Configs: what is wrong with one, and what it would do."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter, Request

from search_service import planning_report, wiring
from search_service.service.access import Reader
from search_service.service.documents import Validated
from search_service.service.parts import Service
from search_service.service.problems import responses
from search_service.service.routes.studies import CONFIG_BODY, RawBody
from trainables.errors import one_line

router = APIRouter(prefix="/api/v1", tags=["configs"])

# Two that measure at the same time would measure each other.
_planning = threading.Lock()


@router.post("/configs:validate", responses=responses(413), openapi_extra=CONFIG_BODY)
async def validate(service: Service, caller: Reader, body: RawBody, request: Request) -> Validated:
    """Check a config and its table, without running anything."""
    request.app.state.access.count_work(caller)
    _, prepared = await service.readers.do(lambda: service.submissions.check(service.submissions.parse(body)))
    dataset = prepared.dataset
    rows = {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(prepared.test_rows)}
    return Validated(
        name=prepared.spec.name,
        rows=rows,
        inputs=dataset.n_inputs,
        outputs=dataset.n_outputs,
        task=dataset.task,
        warnings=[one_line(problem) for problem in prepared.table.warnings],
    )


@router.post("/configs:plan", responses=responses(413), openapi_extra=CONFIG_BODY)
async def plan(service: Service, caller: Reader, body: RawBody, request: Request) -> dict[str, Any]:
    """What a study would do, with a time from a few steps measured on the service's own machine."""
    request.app.state.access.count_work(caller)

    def measure() -> dict[str, Any]:
        _, prepared = service.submissions.check(service.submissions.parse(body))
        with _planning:
            planned = wiring.plan(prepared, runner=service.settings.runner)
        return planning_report.as_document(prepared.spec, prepared.dataset, planned)

    return await service.readers.do(measure)
