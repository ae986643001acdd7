"""Tables that are uploaded, once each: a table is known by the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool

from search_service.errors import InvalidSpecError, Problem
from search_service.service.access import Reader, Submitter
from search_service.service.documents import Dataset, Page
from search_service.service.parts import Parts, Service
from search_service.service.problems import responses
from search_service.service.routes.studies import Limit, Offset
from search_service.service.store import ConflictError, NotFoundError, QuotaError
from search_service.service.submissions import DATASET
from search_service.service.tables import DatasetRow
from search_service.spec.names import MOST_BYTES, flaw_of
from trainables.data.formats import COMPRESSIONS, SUFFIXES, suffix_of

router = APIRouter(prefix="/api/v1/datasets", tags=["datasets"])

_UNFINISHED = "unfinished-"
# Seconds after which nobody is sending any more.
OLD_S = 86_400
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes (curl --data-binary @table.csv).",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=responses(409, 413) | {200: {"model": Dataset, "description": "Uploaded before"}},
    openapi_extra=_BODY,
)
async def upload(
    request: Request,
    response: Response,
    service: Service,
    caller: Submitter,
    name: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description=f"The file's name; its ending says what it is: {', '.join(SUFFIXES)}, or one of these with "
            f"{', '.join(COMPRESSIONS)} behind.",
        ),
    ],
) -> Dataset:
    """Upload a table; a config names it by the ``source`` of the answer."""
    request.app.state.access.count_work(caller)
    suffix = suffix_of(name)
    if suffix not in SUFFIXES and suffix.count(".") < 2:
        rule = f"a file name ending in {', '.join(SUFFIXES)}"
        raise InvalidSpecError([Problem("name", name, rule, "give the file's own name, or convert the table")])
    # Browsers and shells may send a whole path.
    name = Path(name).name
    if (flaw := flaw_of(name, barred="\\")) is not None:
        rule = f"a file name of visible characters, at most {MOST_BYTES} bytes; {flaw}"
        raise InvalidSpecError([Problem("name", name, rule, "rename the file")])
    folder = service.settings.datasets
    folder.mkdir(parents=True, exist_ok=True)
    digest, size = await _receive(request, folder, suffix)
    row, is_new = await run_in_threadpool(_enter, service, digest + suffix, name, size, caller.name)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return _as_dataset(row)


@router.get("", responses=responses())
def list_datasets(service: Service, _: Reader, limit: Limit = 50, offset: Offset = 0) -> Page[Dataset]:
    """List uploaded tables, newest first."""
    rows, total = service.store.datasets(limit=limit, offset=offset)
    return Page(items=[_as_dataset(row) for row in rows], total=total, limit=limit, offset=offset)


@router.delete("/{dataset_id}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(404, 409))
def delete_dataset(
    service: Service,
    caller: Submitter,
    dataset_id: Annotated[str, PathParameter(max_length=80, description="As the answer to its upload has it.")],
) -> None:
    """Forget an upload that no study needs any more; its owner and admins may."""
    path = service.settings.datasets / dataset_id
    owner = None if caller.role == "admin" else caller.name
    service.store.delete_dataset(dataset_id, caller=owner, remove=lambda: path.unlink(missing_ok=True))


def _enter(service: Parts, dataset_id: str, name: str, size: int, owner: str) -> tuple[DatasetRow, bool]:
    """Enter what was received; what there is no room for is taken away again."""
    path = service.settings.datasets / dataset_id
    most = service.settings.max_uploads_mb * 2**20
    try:
        row, is_new = service.store.add_dataset(dataset_id, name=name, size=size, owner=owner, most_bytes=most)
    except QuotaError:
        # Somebody else may have uploaded the same bytes meanwhile.
        if not service.store.has_dataset(dataset_id):
            path.unlink(missing_ok=True)
        raise
    if not path.exists():
        # Whoever deleted it did so after this upload was received and before it was entered.
        with suppress(NotFoundError, ConflictError):
            service.store.delete_dataset(dataset_id)
        raise ConflictError(f"dataset {dataset_id} was deleted while it was uploaded again; upload it once more")
    return row, is_new


async def _receive(request: Request, folder: Path, suffix: str) -> tuple[str, int]:
    """Write a body into a file named by its SHA-256; returns that, and how many bytes there were."""
    digest, size = hashlib.sha256(), 0
    descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                size += len(chunk)
                await run_in_threadpool(file.write, chunk)
        if size:
            # Jobs read it too, which may run as another user.
            Path(unfinished).chmod(0o644)
            Path(unfinished).replace(folder / f"{digest.hexdigest()}{suffix}")
    finally:
        Path(unfinished).unlink(missing_ok=True)
    if not size:
        raise InvalidSpecError([Problem("(body)", "0 bytes", "the bytes of a table", "send the file as the body")])
    return digest.hexdigest(), size


def sweep(folder: Path) -> None:
    """Take away what uploads left that a service was killed in; another replica may be receiving the latest."""
    for file in folder.glob(f"{_UNFINISHED}*"):
        if time.time() - file.stat().st_mtime > OLD_S:
            file.unlink(missing_ok=True)


def _as_dataset(row: DatasetRow) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        bytes=row.bytes,
        owner=row.owner,
        uploaded_at=row.uploaded_at,
        source=f"{DATASET}{row.id}",
    )
