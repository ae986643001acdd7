"""The service from Python: the same verbs as on the command line, with typed results.

    from search_service import Client

    with Client("http://127.0.0.1:8000") as client:           # or SEARCH_SERVICE_URL and SEARCH_SERVICE_TOKEN
        study = client.submit("configs/01_digits.yaml")
        for event in client.events(study.id):
            print(event.type, event.content)
        print(client.wait(study.id).state, client.best(study.id).values)

What can be said again without harm is: a submission carries an Idempotency-Key, and a stream of events that breaks is
taken up after the last event heard.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter

from search_service.errors import InvalidSpecError, Problem
from search_service.recipe.plan_document import PlanDocument
from search_service.service.answers import TOKEN, RefusedError, ServiceUnreachableError, require_success
from search_service.service.documents import (
    Best,
    Check,
    CreatedToken,
    Dataset,
    Page,
    Study,
    StudyDetails,
    StudyEvent,
    Token,
    Trial,
    Validated,
)
from search_service.service.states import State
from search_service.spec import config_file
from search_service.spec.from_table import is_table

__all__ = ["DEFAULT_URL", "TOKEN", "URL", "Client", "RefusedError", "ServiceUnreachableError"]

URL = "SEARCH_SERVICE_URL"
DEFAULT_URL = "http://127.0.0.1:8000"
# Seconds for an answer; checking a config reads its table, which may be fetched from afar.
TIMEOUT_S, CHECK_TIMEOUT_S = 30.0, 600.0
# Seconds between two looks of ``wait``, and before a broken stream is taken up again; times that this is tried.
LOOK_EVERY_S, RECONNECT_S, RECONNECTS = 1.0, 1.0, 30
# Seconds that are waited at most where a service names them; it counts by the minute.
MOST_PAUSE_S = 60.0

T = TypeVar("T", bound=BaseModel)


class Client:
    """One service.

    Args:
        url: Its address, else InvalidSpecError; default: the variable SEARCH_SERVICE_URL, else http://127.0.0.1:8000.
        token: Who we are; default: the variable SEARCH_SERVICE_TOKEN.
        transport: How requests travel, for tests.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = (url or os.environ.get(URL) or DEFAULT_URL).rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            fix = f"write http://{self.url}"
            raise InvalidSpecError([Problem(URL, self.url, "an address that begins with http:// or https://", fix)])
        token = token or os.environ.get(TOKEN)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # ---- studies -----------------------------------------------------------------------------------------------

    def submit(
        self,
        config: Mapping[str, Any] | str | Path,
        *,
        overrides: Sequence[str] = (),
        priority: int = 0,
        idempotency_key: str | None = None,
    ) -> Study:
        """Submit a study.

        Args:
            config: A file, or what would be in it. Tables on this machine that it names are uploaded, and so is a data
                frame (of pandas or Polars, an Arrow table) that stands in the place of a name.
            overrides: ``key=value`` each, as ``--set``.
            priority: A number from -100 to 100; studies with larger ones begin first.
            idempotency_key: Sent again with the same key, a study is submitted once; default: a new one.

        Raises:
            InvalidSpecError: The config or its table cannot be used; every mistake found.
            RefusedError: The service said no.
            ServiceUnreachableError: It does not answer.
        """
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        body = self._body(config, overrides)
        answer = self._call(
            "POST",
            "/api/v1/studies",
            json=body,
            params={"priority": priority},
            headers=headers,
            timeout=CHECK_TIMEOUT_S,
            again=True,
        )
        return Study.model_validate_json(answer.content)

    def studies(
        self,
        *,
        states: Sequence[State | str] = (),
        name: str | None = None,
        sort: str = "-submitted_at",
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Study]:
        """A page of studies."""
        given: dict[str, Any] = {"sort": sort, "limit": limit, "offset": offset, "state": [str(s) for s in states]}
        return self._get(Page[Study], "/api/v1/studies", given if name is None else given | {"name": name})

    def study(self, study_id: str) -> StudyDetails:
        """A study with its config, its jobs and its result."""
        return self._get(StudyDetails, _of(study_id))

    def checks(self, study_id: str) -> list[Check]:
        """Verdicts of steps 1 to 3 so far."""
        return TypeAdapter(list[Check]).validate_json(self._call("GET", _of(study_id, "checks")).content)

    def trials(self, study_id: str, *, status: str | None = None, limit: int = 50, offset: int = 0) -> Page[Trial]:
        """A page of trials that are over, best first."""
        given = {"limit": limit, "offset": offset} | ({} if status is None else {"status": status})
        return self._get(Page[Trial], _of(study_id, "trials"), given)

    def best(self, study_id: str) -> Best:
        """The answer, or the best trial so far."""
        return self._get(Best, _of(study_id, "best"))

    def report(self, study_id: str) -> str:
        """The report of a study that has ended."""
        return self._call("GET", _of(study_id, "report")).text

    def model(self, study_id: str) -> bytes:
        """The winner's model, as a zip file of its folder."""
        return self._call("GET", _of(study_id, "model"), timeout=CHECK_TIMEOUT_S).content

    def logs(self, study_id: str, *, attempt: int | None = None, offset: int = 0) -> tuple[str, int, int]:
        """What a study's job printed.

        Args:
            study_id: The study's id.
            attempt: Number of the job whose output is read; by default the last.
            offset: Bytes to leave out.

        Returns:
            Text, the offset to go on at, and the number of the job.
        """
        given = {"offset": offset} | ({} if attempt is None else {"attempt": attempt})
        answer = self._call("GET", _of(study_id, "logs"), params=given)
        return answer.text, int(answer.headers["Log-Offset"]), int(answer.headers["Log-Attempt"])

    def stop(self, study_id: str) -> Study:
        """End the search well: trials under way are trained, the finalists are found."""
        return self._post(Study, _of(study_id, "stop"))

    def cancel(self, study_id: str) -> Study:
        """End a study now; ``resume`` goes on with it."""
        return self._post(Study, _of(study_id, "cancel"))

    def resume(self, study_id: str) -> Study:
        """Go on with a study that was cancelled or interrupted."""
        return self._post(Study, _of(study_id, "resume"))

    def extend(self, study_id: str, *, trials: int | None = None, minutes: float | None = None) -> Study:
        """Give a completed study so many more trials, or minutes: gives the new study that goes on from its end."""
        return self._post(Study, _of(study_id, "extend"), {"trials": trials, "minutes": minutes})

    def delete(self, study_id: str) -> None:
        """Forget a study and its files; its record in MLflow stays."""
        self._call("DELETE", _of(study_id))

    def events(self, study_id: str, *, after: int = 0) -> Iterator[StudyEvent]:
        """Everything that happens in a study, as it happens, until it has ended.

        Args:
            study_id: The study's id.
            after: Number of the last event that is known already.

        Raises:
            RefusedError: There is no such study.
            ServiceUnreachableError: It does not answer any more, however often it is tried.
        """
        failures = 0
        while True:
            trouble, pause = "the stream ended before the study", RECONNECT_S
            try:
                for event in self._stream(study_id, after):
                    failures = 0
                    if event.type == "end":
                        return
                    after = event.id
                    yield event
            except (httpx.TransportError, ServiceUnreachableError) as error:
                trouble = str(error)
            except RefusedError as error:
                trouble, pause = str(error), _pause_of(error)
            failures += 1
            if failures > RECONNECTS:
                raise ServiceUnreachableError(f"{self.url} does not answer: {trouble}")
            time.sleep(pause)

    def wait(self, study_id: str, *, timeout_s: float | None = None) -> StudyDetails:
        """Wait until a study has ended.

        Raises:
            TimeoutError: It has not ended within ``timeout_s`` seconds.
            ServiceUnreachableError: The service does not answer any more, however often it is tried.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        state, failures = "not known", 0
        while True:
            pause = LOOK_EVERY_S
            try:
                if (study := self.study(study_id)).has_ended:
                    return study
                state, failures = study.state, 0
            except RefusedError as error:
                pause = _pause_of(error)
            except ServiceUnreachableError:
                # It may be started again: as often as ``events`` bears it.
                failures += 1
                if failures > RECONNECTS:
                    raise
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"study {study_id} is {state} after {timeout_s:g} s")
            time.sleep(pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic())))

    # ---- configs and tables --------------------------------------------------------------------------------------

    def validate(self, config: Mapping[str, Any] | str | Path, *, overrides: Sequence[str] = ()) -> Validated:
        """Check a config and its table, without running anything."""
        return self._post(Validated, "/api/v1/configs:validate", self._body(config, overrides))

    def plan(self, config: Mapping[str, Any] | str | Path, *, overrides: Sequence[str] = ()) -> PlanDocument:
        """What a study would do."""
        return self._post(PlanDocument, "/api/v1/configs:plan", self._body(config, overrides))

    def upload(self, file: str | Path) -> Dataset:
        """Upload a table; a config names it by the ``source`` of the answer.

        Raises:
            InvalidSpecError: There is no such file, or it is no table.
        """
        path = Path(file)
        try:
            with path.open("rb") as opened:
                answer = self._call(
                    "POST", "/api/v1/datasets", params={"name": path.name}, content=opened, timeout=CHECK_TIMEOUT_S
                )
        except OSError as error:
            fix = f"check the path ({error.strerror})"
            raise InvalidSpecError([Problem("FILE", str(path), "a file that can be read", fix)]) from error
        return Dataset.model_validate_json(answer.content)

    def datasets(self, *, limit: int = 50, offset: int = 0) -> Page[Dataset]:
        """A page of uploaded tables, newest first."""
        return self._get(Page[Dataset], "/api/v1/datasets", {"limit": limit, "offset": offset})

    def delete_dataset(self, dataset_id: str) -> None:
        """Forget an upload that no study needs any more.

        Args:
            dataset_id: Its ``id``, or the ``source`` that a config has of it.
        """
        self._call("DELETE", f"/api/v1/datasets/{quote(dataset_id.removeprefix('dataset:'), safe='')}")

    # ---- tokens --------------------------------------------------------------------------------------------------

    def create_token(self, name: str, role: Literal["read", "submit", "admin"] = "submit") -> CreatedToken:
        """Make a token; its secret is in the answer and nowhere else."""
        return self._post(CreatedToken, "/api/v1/tokens", {"name": name, "role": role})

    def tokens(self) -> list[Token]:
        """All tokens, the revoked ones among them."""
        return TypeAdapter(list[Token]).validate_json(self._call("GET", "/api/v1/tokens").content)

    def revoke_token(self, name: str) -> Token:
        """Let a token be of no use from now on."""
        return Token.model_validate_json(self._call("DELETE", f"/api/v1/tokens/{quote(name, safe='')}").content)

    # ---- how ------------------------------------------------------------------------------------------------------

    def _body(self, config: Mapping[str, Any] | str | Path, overrides: Sequence[str]) -> Any:
        """A config as plain data, its local tables uploaded."""
        with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
            if isinstance(config, str | Path):
                if is_table(str(config)):
                    fix = 'give {"name": ..., "data": {"source": TABLE, "target": COLUMN}}, or a file with that'
                    raise InvalidSpecError([Problem("config", str(config), "a config; this is a table", fix)])
                raw = config_file.load_plain(Path(config), overrides)
            else:
                config = config_file.with_frames_written(config, Path(folder))
                raw = config_file.overridden(config_file.plain(config), overrides)
            config_file.require_local_files(raw)
            for place, path in config_file.local_files(raw).items():
                raw["data"][place] = self.upload(path).source
        return raw

    def _get(self, kind: type[T], path: str, params: Mapping[str, Any] | None = None) -> T:
        return kind.model_validate_json(self._call("GET", path, params=params).content)

    def _post(self, kind: type[T], path: str, body: Any = None) -> T:
        timeout = TIMEOUT_S if body is None else CHECK_TIMEOUT_S
        return kind.model_validate_json(self._call("POST", path, json=body, timeout=timeout).content)

    def _call(self, method: str, path: str, *, again: bool = False, **options: Any) -> httpx.Response:
        """Call a route; ``again`` for what may be said twice, beside GET, if the first time nobody answered."""
        tries = 3 if again or method == "GET" else 1
        for left in reversed(range(tries)):
            try:
                answer = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if not left:
                    hint = f"is it running? ({URL} says where, `search-service serve` starts one)"
                    raise ServiceUnreachableError(f"{self.url} does not answer: {error}; {hint}") from error
            else:
                # A service that is starting again, or a proxy before one.
                if answer.status_code not in (502, 503, 504) or not left:
                    break
            time.sleep(RECONNECT_S)
        require_success(answer)
        return answer

    def _stream(self, study_id: str, after: int) -> Iterator[StudyEvent]:
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        # A study may say nothing for long; that the service is there, it says every few seconds.
        with self._http.stream("GET", _of(study_id, "events"), headers=headers, timeout=60.0) as answer:
            if answer.is_error:
                answer.read()
            require_success(answer)
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if not line and "data" in fields:
                    number, kind = int(fields.get("id", 0)), fields.get("event", "message")
                    yield StudyEvent(id=number, type=kind, content=json.loads(fields["data"]))
                    fields = {}
                elif line and not line.startswith(":"):
                    key, _, value = line.partition(":")
                    fields[key] = value.removeprefix(" ")


def _pause_of(error: RefusedError) -> float:
    """Seconds to wait for one that was only asked too often: others with the same token count, too.

    Raises:
        RefusedError: Asked again it says the same.
    """
    if error.status != HTTPStatus.TOO_MANY_REQUESTS:
        raise error
    return RECONNECT_S if error.retry_after_s is None else min(error.retry_after_s, MOST_PAUSE_S)


def _of(study_id: str, what: str = "") -> str:
    # An id is one part of a path, whatever is in it.
    path = f"/api/v1/studies/{quote(study_id, safe='')}"
    return f"{path}/{what}" if what else path
