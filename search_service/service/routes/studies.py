"""Studies: submit, list, look at, stop, cancel, resume, extend, delete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status
from fastapi import Path as PathParameter

from search_service.folder import extending, layout, private_addresses, study_folder
from search_service.service.access import Access, Caller, Reader, Submitter
from search_service.service.documents import Attempt, Best, Check, Links, More, Page, Study, StudyDetails, Trial
from search_service.service.parts import Parts, Service
from search_service.service.problems import responses
from search_service.service.states import ENDED, RESUMABLE, State, Wanted
from search_service.service.store import ConflictError, NewStudy, NotFoundError
from search_service.service.submissions import digest_of_submission, new_id, shown_config, without_secrets
from search_service.service.tables import StudyRow, TrialRow
from trainables.metrics import METRICS
from trainables.redaction import shown

router = APIRouter(prefix="/api/v1/studies", tags=["studies"])

SortKey = Literal[
    "submitted_at", "-submitted_at", "name", "-name", "priority", "-priority", "state", "-state",
    "best_score", "-best_score", "finished_at", "-finished_at",
]  # fmt: skip
StudyId = Annotated[
    str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,119}$", examples=["digits-20261126-101500-1f2a3b4c"])
]
Limit = Annotated[int, Query(ge=1, le=200, description="Items of a page.")]
Offset = Annotated[int, Query(ge=0, le=10**9, description="Items before it.")]

EXAMPLE_CONFIG = {
    "name": "digits",
    "data": {"source": "digits"},
    "search_space": {"optimizer.weight_decay": {"low": 1e-4, "high": 1.0, "log": True}},
    "search": {"coarse": {"max_trials": 24, "max_epochs": 9}},
}
# A config in either form; FastAPI documents JSON only for a body that it parses itself.
CONFIG_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A config, as for `search-service run` (`search-service schema` prints its JSON Schema).",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": EXAMPLE_CONFIG},
            "application/yaml": {
                "schema": {"type": "string"},
                "example": "name: digits\ndata: {source: digits}\n",
            },
        },
    }
}


async def raw_body(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


RawBody = Annotated[bytes, Depends(raw_body)]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=responses(409, 413) | {200: {"model": Study, "description": "Submitted before with the same key"}},
    openapi_extra=CONFIG_BODY,
)
async def submit(
    response: Response,
    request: Request,
    service: Service,
    caller: Submitter,
    body: RawBody,
    priority: Annotated[int, Query(ge=-100, le=100, description="Larger ones begin first.")] = 0,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="Sent again with the same key, a study is submitted once."),
    ] = None,
) -> Study:
    """Submit a study. It is checked with its table before it is queued; nothing is left of one that is refused."""
    row, is_new = await service.readers.do(
        lambda: _submit(service, request.app.state.access, caller, body, priority, idempotency_key)
    )
    service.reconciler.wake()
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return as_study(row, service)


def _submit(
    service: Parts, access: Access, caller: Caller, body: bytes, priority: int, key: str | None
) -> tuple[StudyRow, bool]:
    raw = service.submissions.parse(body)
    digest = digest_of_submission(raw, priority)
    # Said again, nothing is read again: the table may be gone by now.
    if (known := service.store.submitted_before(caller.name, key, digest)) is not None:
        return known, False
    access.count_work(caller)
    config, found = service.submissions.check(raw)
    config, addresses = without_secrets(config)
    study_id = new_id(found.name)
    new = NewStudy(
        study_id=study_id,
        name=found.name,
        owner=caller.name,
        spec=config,
        digest=digest,
        priority=priority,
        idempotency_key=key,
        metric=found.metric,
    )
    with _folder_of_a_new_study(service, study_id) as folder:
        # First: a study that is entered may be begun at once, and this process may be killed in between.
        service.submissions.keep(study_id, addresses)
        row, is_new = service.store.add_study(new)
        if not is_new:
            shutil.rmtree(folder, ignore_errors=True)
    return row, is_new


@contextmanager
def _folder_of_a_new_study(service: Parts, study_id: str) -> Iterator[Path]:
    """Where its files are put before it is entered; nothing stays there of one that cannot be."""
    folder = service.settings.study_folder(study_id)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@router.get("", responses=responses())
def list_studies(
    service: Service,
    _: Reader,
    state: Annotated[list[State] | None, Query(description="Only these; give it several times.")] = None,
    name: Annotated[str | None, Query(max_length=80, description="Only names that contain this.")] = None,
    owner: Annotated[str | None, Query(max_length=80, description="Only those of this token.")] = None,
    sort: Annotated[SortKey, Query(description="Column; with a minus, largest first.")] = "-submitted_at",
    limit: Limit = 50,
    offset: Offset = 0,
) -> Page[Study]:
    """List studies, newest first."""
    rows, total = service.store.studies(
        states=state or (),
        name=_storable(name),
        owner=_storable(owner),
        sort=sort.removeprefix("-"),  # type: ignore[arg-type]
        descending=sort.startswith("-"),
        limit=limit,
        offset=offset,
    )
    return Page(items=[as_study(row, service) for row in rows], total=total, limit=limit, offset=offset)


@router.get("/{study_id}", responses=responses(404))
def show(service: Service, _: Reader, study_id: StudyId) -> StudyDetails:
    """A study with its config, its jobs and, once it has ended, its result."""
    row = service.store.study(study_id, whole=True)
    attempts = [
        Attempt(
            number=one.number,
            job_id=one.job_id,
            started_at=one.started_at,
            ended_at=one.ended_at,
            outcome=one.outcome,
        )
        for one in service.store.attempts(study_id)
    ]
    known = as_study(row, service).model_dump()
    return StudyDetails(**known, config=shown_config(row.spec), attempts=attempts, result=row.result)


@router.get("/{study_id}/checks", responses=responses(404))
def checks(service: Service, _: Reader, study_id: StudyId) -> list[Check]:
    """Verdicts of steps 1 to 3 so far, in the order in which they came."""
    service.store.study(study_id)
    return [Check(**row.content) for row in service.store.events(study_id, types=["check_finished"])]


@router.get("/{study_id}/trials", responses=responses(404))
def trials(
    service: Service,
    _: Reader,
    study_id: StudyId,
    trial_status: Annotated[
        Literal["completed", "pruned", "diverged", "failed"] | None, Query(alias="status", description="Only these.")
    ] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Page[Trial]:
    """Trials that are over, best score first; rounds train theirs for different numbers of epochs."""
    rows, total = service.store.trials(study_id, status=trial_status, limit=limit, offset=offset)
    return Page(items=[_as_trial(row) for row in rows], total=total, limit=limit, offset=offset)


@router.get("/{study_id}/best", responses=responses(404))
def best(service: Service, _: Reader, study_id: StudyId) -> Best:
    """The answer, or the best trial so far."""
    row = service.store.study(study_id, whole=True)
    answer = (row.result or {}).get("best")
    if answer is not None:
        return Best(
            final=True,
            trial=answer["trial_id"],
            score=answer["validation_mean"],
            test_score=row.test_score,
            values=answer["config"],
            details=answer,
        )
    if row.best_trial is None:
        raise NotFoundError(f"study {study_id} has no trial with a score yet")
    found = service.store.trial(study_id, row.best_trial)
    return Best(final=False, trial=found.trial_id, score=found.score, test_score=None, values=found.leaves)


@router.post("/{study_id}/stop", status_code=status.HTTP_202_ACCEPTED, responses=responses(404, 409))
def stop(service: Service, _: Submitter, study_id: StudyId) -> Study:
    """End the search well: no further trial is begun, those under way are trained, the finalists are found."""
    return _want(service, study_id, Wanted.STOP)


@router.post("/{study_id}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=responses(404, 409))
def cancel(service: Service, _: Submitter, study_id: StudyId) -> Study:
    """End a study now; what was finished is kept, and resume goes on with it."""
    return _want(service, study_id, Wanted.CANCEL)


@router.post("/{study_id}/resume", status_code=status.HTTP_202_ACCEPTED, responses=responses(404, 409))
def resume(service: Service, _: Submitter, study_id: StudyId) -> Study:
    """Go on with a study that was cancelled or interrupted; it waits its turn again."""
    return _want(service, study_id, Wanted.RUN)


@router.post("/{study_id}/extend", status_code=status.HTTP_201_CREATED, responses=responses(400, 404, 409))
def extend(
    request: Request, response: Response, service: Service, caller: Submitter, study_id: StudyId, more: More
) -> Study:
    """Give a study that has completed more: a new study goes on from where it ended, and waits its turn.

    It has all its trials, none of which is trained again; the study itself stays as it is.
    """
    row = service.store.study(study_id, whole=True)
    if row.state != State.COMPLETED:
        fix = "resume it first" if row.state in RESUMABLE else "submit its config as a new study"
        fix = fix if row.state in ENDED else "wait for it"
        raise ConflictError(f"study {study_id} has not completed, it is {row.state}; {fix}")
    _require_uploads(row, service)
    request.app.state.access.count_work(caller)
    new_study = new_id(row.name)
    files = study_folder.find(service.settings.studies, study_id)
    new = NewStudy(
        study_id=new_study,
        name=row.name,
        owner=caller.name,
        spec=row.spec,
        priority=row.priority,
        metric=row.metric,  # type: ignore[arg-type]
    )
    with _folder_of_a_new_study(service, new_study) as folder:
        with files.lock():
            extending.extend(files, folder, trials=more.trials, minutes=more.minutes)
        row, _ = service.store.add_study(new)
    service.reconciler.wake()
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    return as_study(row, service)


def _require_uploads(row: StudyRow, service: Service) -> None:
    """See to it that a study's uploads can still be read by another one.

    Raises:
        ConflictError: One was deleted.
    """
    for place in private_addresses.PLACES:
        file = Path(row.spec["data"].get(place) or "")
        if file.is_relative_to(service.settings.datasets) and not file.exists():
            raise ConflictError(
                f"the upload {file.name}, its data.{place}, was deleted; upload it again, and extend then"
            )


@router.delete("/{study_id}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(404, 409))
def delete(service: Service, _: Submitter, study_id: StudyId) -> None:
    """Forget a study and remove its files; its record in MLflow stays."""
    service.store.delete_study(study_id)
    shutil.rmtree(service.settings.study_folder(study_id), ignore_errors=True)


def _want(service: Parts, study_id: str, wanted: Wanted) -> Study:
    row = service.store.want(study_id, wanted)
    service.reconciler.wake()
    return as_study(row, service)


def _storable(text: str | None) -> str | None:
    # PostgreSQL has no NUL in text; nothing that is stored contains one.
    return None if text is None else text.replace("\0", "")


def as_study(row: StudyRow, service: Parts) -> Study:
    """A study as it goes over the wire."""
    settings = service.settings
    mlflow = settings.mlflow_address
    job = f"/#/jobs/{row.id}-{row.attempt}"
    return Study(
        id=row.id,
        name=row.name,
        state=State(row.state),
        wanted=row.wanted,
        reason=row.reason,
        owner=row.owner,
        priority=row.priority,
        attempt=row.attempt,
        step=row.step,
        round=row.round,
        metric=row.metric,
        larger_is_better=None if row.metric is None else METRICS[row.metric].mode == "max",  # type: ignore[index]
        trials=row.trials,
        planned=row.planned,
        best_trial=row.best_trial,
        best_score=row.best_score,
        test_score=row.test_score,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        links=Links(
            self=f"{router.prefix}/{row.id}",
            events=f"{router.prefix}/{row.id}/events",
            page=f"/studies/{row.id}",
            report=f"/studies/{row.id}/report" if (settings.study_folder(row.id) / layout.PAGE).is_file() else None,
            mlflow=mlflow + row.page if mlflow and row.page else None,
            ray=shown(settings.ray_link).rstrip("/") + job
            if settings.jobs == "ray" and settings.ray_link and row.attempt
            else None,
        ),
    )


def _as_trial(row: TrialRow) -> Trial:
    return Trial(
        id=row.trial_id,
        round=row.round,
        status=row.status,
        reason=row.reason,
        score=row.score,
        best_epoch=row.best_epoch,
        epochs=row.epochs,
        values=row.leaves,
        worker=row.worker,
    )
