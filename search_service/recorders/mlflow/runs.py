"""The runs of one study (or comparison) in MLflow: begun, filled and ended so that nothing stands there twice.

Every run is found by three tags: whose it is (``study_id`` or ``comparison_id``), its ``kind`` and its ``part``. So it
does not matter who began it, a process that was killed, or a request whose answer was lost: whoever writes looks first.
What is ended is left as it is; what was being written is completed, without the values that it has. Values bear the
time of their event, and MLflow keeps the same value at the same time once, so that a batch may be sent again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from search_service.errors import RecorderError
from search_service.recorders.mlflow.store import once

# MLflow's limits for one log_batch call.
MAX_METRICS, MAX_PARAMS, MAX_TAGS = 1_000, 100, 100
# MLflow's limits for the text of a parameter and of a tag.
MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 6_000, 8_000

# Tag: which part of a study a run is; unlike the run's name, nobody changes it in the UI.
PART = "part"
# What an earlier process, or a request before this one, has written all of: not RUNNING, and not KILLED.
_ENDED = ("FINISHED", "FAILED")
# What http.client calls a connection that ended before an answer, as it stands in MLflow's error.
_HUNG_UP = ("RemoteDisconnected", "ConnectionResetError")


class Runs:
    """Runs of one study or comparison.

    Args:
        client: The client of the MLflow store.

    Attributes:
        at_ms: Time of what is being written, in milliseconds since 1970.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.at_ms = 0
        self.experiment = ""
        # The tag that all of them have, and its value.
        self._of, self._id = "", ""
        # Those that were there when somebody looked last, by kind and part.
        self._before: dict[tuple[str, str], Run] = {}
        # Those of an earlier process. What this one writes has the same time when it is written again.
        self._earlier: set[str] = set()
        # Of the earlier ones that are gone on with, the metrics (name, step and value) and parameters that they have.
        self._written: dict[str, set[tuple[str, int, str]]] = {}
        self._written_params: dict[str, set[str]] = {}
        # Those that were finished when this process took them up: they stay so, with the time of their end.
        self._finished: set[str] = set()
        # Those that this process writes to: of two that are the same, they stay.
        self._used: set[str] = set()
        # Whether there may be runs that are the same: after failures, and where an earlier process has written.
        self._may_be_double = False
        self._is_closed = False

    def of(self, tag: str, identity: str) -> None:
        """Whose runs these are, from now on; learns which of them there are."""
        if (self._of, self._id) == (tag, identity):
            return
        self._of, self._id = tag, identity
        self._look()
        self._earlier = {str(run.info.run_id) for run in self._before.values()}
        self._may_be_double = bool(self._earlier)

    def close(self) -> None:
        """Write nothing any more, whoever is in the middle of it: somebody else may go on with the same runs."""
        self._is_closed = True

    def recover(self) -> None:
        """After a failure: learn again which runs there are."""
        self._may_be_double = True
        if self._id:
            self._look()

    def check(self) -> None:
        """Take away what a request that was thought lost, or an earlier process's last one, has made double."""
        if self._may_be_double:
            self._look()

    def is_there(self, kind: str, name: str) -> bool:
        """Whether somebody has begun a run before."""
        return (kind, name) in self._before

    def ended(self, kind: str, name: str) -> str | None:
        """The id of a run of which all is written already; None if there is something to write."""
        run = self._before.get((kind, name))
        return str(run.info.run_id) if run is not None and run.info.status in _ENDED else None

    def start(
        self,
        name: str,
        kind: str,
        *,
        parent: str | None,
        tags: Mapping[str, str] | None = None,
        start_ms: int | None = None,
    ) -> str:
        """A run to write to: a new one, or one that was begun before.

        Args:
            name: Also says which part of the study it is.
            kind: What kind of part it is.
            parent: Id of the run above it.
            tags: Beside those by which it is found.
            start_ms: When it began, if that is not now.

        Returns:
            Its id.
        """
        self._require_open()
        all_tags = self.tags(name, kind, parent, tags or {})
        before = self._before.get((kind, name))
        if before is None:
            begun = self.at_ms if start_ms is None else start_ms
            make = partial(self._client.create_run, self.experiment, start_time=begun, tags=all_tags, run_name=name)
            try:
                return self._made(make)
            except MlflowException as error:
                # Its answer may have been lost, and not the request.
                self._look()
                before = self._before.get((kind, name))
                if before is None:
                    # A server ends a connection that was not used for some seconds (uvicorn after five), maybe while
                    # a request is on its way to it. It answers others, and has not made the run.
                    if not any(name in str(error) for name in _HUNG_UP):
                        raise
                    return self._made(make)
        run = str(before.info.run_id)
        self._used.add(run)
        if run in self._earlier and run not in self._written:
            self._learn(before)
        if before.info.status == "FINISHED":
            # A study that is over, of which the record may lack something: nobody works on it any more.
            self._finished.add(run)
        else:
            self._client.update_run(run, status="RUNNING")
        self.batch(run, tags=all_tags)
        return run

    def _made(self, make: Callable[[], Run]) -> str:
        """The id of a new run, for which the server is asked once."""
        with once():
            made = make()
        self._used.add(str(made.info.run_id))
        return str(made.info.run_id)

    def batch(
        self,
        run: str,
        *,
        metrics: Iterable[Metric] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        at_ms: int | None = None,
    ) -> None:
        """Write everything in as few calls as MLflow's limits allow: one, nearly always."""
        self._require_open()
        written, known = self._written.get(run, set()), self._written_params.get(run, set())
        at = self.at_ms if at_ms is None else at_ms
        rest_metrics = [
            Metric(m.key, m.value, at, m.step) for m in metrics if (m.key, m.step, repr(m.value)) not in written
        ]
        rest_params = [
            Param(key, format_param(value)[:MAX_PARAM_LENGTH])
            for key, value in (params or {}).items()
            if key not in known
        ]
        rest_tags = [RunTag(key, value[:MAX_TAG_LENGTH]) for key, value in (tags or {}).items()]
        while rest_metrics or rest_params or rest_tags:
            # Parameters count as metrics against the limit of one call.
            n = MAX_METRICS - MAX_PARAMS - MAX_TAGS
            self._client.log_batch(run, rest_metrics[:n], rest_params[:MAX_PARAMS], rest_tags[:MAX_TAGS])
            del rest_metrics[:n], rest_params[:MAX_PARAMS], rest_tags[:MAX_TAGS]

    def end(self, run: str, status: str = "FINISHED", *, at_ms: int | None = None) -> None:
        """A run is over, unless it was before."""
        if run in self._finished:
            return
        self._require_open()
        self._client.set_terminated(run, status, end_time=self.at_ms if at_ms is None else at_ms)

    def rename(self, run: str, name: str) -> None:
        """What people see a run called; it is found by its part, which stays."""
        self._require_open()
        self._client.update_run(run, name=name)

    def tags(self, name: str, kind: str, parent: str | None, tags: Mapping[str, str]) -> dict[str, str]:
        """What a run is found by, and its own."""
        beside = {"mlflow.parentRunId": parent} if parent is not None else {}
        own = {key: value[:MAX_TAG_LENGTH] for key, value in tags.items() if value}
        return {"kind": kind, **own, self._of: self._id, PART: name, **beside}

    def id_of(self, kind: str, name: str) -> str:
        """The id of a run that is written whole: the same whoever writes it into the experiment, and however often."""
        return hashlib.sha256(json.dumps([self.experiment, self._id, kind, name]).encode()).hexdigest()[:32]

    def _require_open(self) -> None:
        if self._is_closed:
            raise RecorderError("the recorder is closed")

    def _look(self) -> None:
        """Learn which runs there are, each once."""
        found: dict[tuple[str, str], Run] = {}
        for run in self._search():
            key = run.data.tags["kind"], run.data.tags.get(PART, run.info.run_name)
            other = found.get(key)
            found[key] = run if other is None else self._one_of(run, other)
        self._before = found

    def _one_of(self, *twice: Run) -> Run:
        """Keep one of two runs that are the same, the one this process writes to or the whole one; delete the other."""
        stays, goes = sorted(twice, key=lambda run: (run.info.run_id not in self._used, run.info.status not in _ENDED))
        self._client.delete_run(goes.info.run_id)
        return stays

    def _search(self) -> Iterator[Run]:
        token = None
        while True:
            # An id holds letters, digits, _ . and - only, so it cannot end the text in the filter.
            where = f"tags.{self._of} = '{self._id}'"
            found = self._client.search_runs([self.experiment], where, max_results=1_000, page_token=token)
            yield from found
            token = found.token
            if not token:
                return

    def _learn(self, run: Run) -> None:
        """What a run has that is gone on with."""
        name = str(run.info.run_id)
        self._written[name] = {
            (metric.key, metric.step, repr(metric.value))
            for key in run.data.metrics
            for metric in self._client.get_metric_history(name, key)
        }
        self._written_params[name] = set(run.data.params)


def format_param(value: Any) -> str:
    """A parameter's text: numbers exactly, lists and None as JSON."""
    # PostgreSQL takes no NUL in text.
    return value.replace("\0", "\\0") if isinstance(value, str) else json.dumps(value)
