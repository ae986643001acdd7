"""What a study says while it runs and after: events, logs, report, model."""

from __future__ import annotations

import asyncio
import codecs
import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from search_service.folder import layout
from search_service.service.access import Caller, Reader
from search_service.service.parts import Parts, Service
from search_service.service.problems import responses
from search_service.service.routes.studies import StudyId
from search_service.service.store import NotFoundError

router = APIRouter(prefix="/api/v1/studies/{study_id}", tags=["following"])

# Most of a log that one answer has.
LOG_BYTES = 1_000_000


def _existing(service: Service, caller: Reader, study_id: StudyId) -> tuple[str, Caller]:
    """A study that is there, before a stream about it begins, and who listens."""
    service.store.study(study_id)
    return study_id, caller


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses=responses(404) | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    service: Service,
    existing: Annotated[tuple[str, Caller], Depends(_existing)],
    last_event_id: Annotated[
        int, Header(ge=0, le=2**31 - 1, description="Id of the last event heard; the stream begins after it.")
    ] = 0,
) -> StreamingResponse:
    """Everything that happens in a study, from its beginning, as server-sent events; ``end`` is the last."""
    # FastAPI's own streams of events leave a traceback in the log for everybody who goes away before the end.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    study_id, caller = existing
    stream = _stream(service, study_id, last_event_id, caller.token)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(service: Parts, study_id: str, after: int, token: str | None) -> AsyncIterator[bytes]:
    async for page in service.following.events(study_id, after, token):
        if not page:
            yield KEEPALIVE_COMMENT
        for event in page:
            data = json.dumps(event.content)
            yield format_sse_event(data_str=data, event=event.type, id=str(event.id))
    if service.following.has_lost(token):
        return
    left = await asyncio.to_thread(service.store.progress, [study_id])
    state = left[study_id][1] if study_id in left else "deleted"
    yield format_sse_event(data_str=json.dumps({"state": state}), event="end")


@router.get("/logs", response_class=PlainTextResponse, responses=responses(404))
def logs(
    service: Service,
    _: Reader,
    study_id: StudyId,
    response: Response,
    attempt: Annotated[int | None, Query(ge=1, le=10**6, description="Of which job; by default the last.")] = None,
    offset: Annotated[
        int, Query(ge=0, le=2**53, description="Bytes to leave out; the header Log-Offset says where to go on.")
    ] = 0,
) -> Response:
    """What a study's job printed."""
    job = service.store.attempt(study_id, attempt)
    path = service.settings.study_folder(study_id) / f"{job.job_id}.log"
    text, end = "", offset
    if path.exists():
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(LOG_BYTES)
        # A letter that is cut in two is left for the next answer, whole.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(content)
        end += len(content) - len(decoder.getstate()[0])
    headers = {"Log-Offset": str(end), "Log-Attempt": str(job.number)}
    return PlainTextResponse(text, headers=headers)


@router.get("/report", response_class=PlainTextResponse, responses=responses(404))
def report(service: Service, _: Reader, study_id: StudyId) -> str:
    """The report of a study that has ended, as text."""
    row = service.store.study(study_id, whole=True)
    if row.report is None:
        raise NotFoundError(f"study {study_id} has no report yet: it is {row.state}")
    return row.report


@router.get(
    "/model",
    response_class=Response,
    responses=responses(404) | {200: {"content": {"application/zip": {}}, "description": "A zip file"}},
)
def model(service: Service, _: Reader, study_id: StudyId) -> Response:
    """The winner's model, as a zip file of its folder; ``search-service export`` makes of it what can be served."""
    row = service.store.study(study_id)
    folder = service.settings.study_folder(study_id) / layout.MODEL
    # Told once it is whole.
    if not service.store.events(study_id, types=["model_packed"]) or not folder.is_dir():
        raise NotFoundError(f"study {study_id} has no model: it is {row.state}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    headers = {"Content-Disposition": f'attachment; filename="{study_id}.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)
