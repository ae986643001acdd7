"""What goes over the wire: the documents of the API, for the service and its clients alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from search_service.records.steps import Step
from search_service.report.documents import StudyDocument
from search_service.service.states import ENDED, State

T = TypeVar("T")


class Document(BaseModel):
    """One document. What a newer service adds, an older client leaves out."""

    model_config = ConfigDict(frozen=True)


class Page(Document, Generic[T]):
    """A part of a list."""

    items: list[T]
    total: int = Field(description="How many there are in all.")
    limit: int
    offset: int


class Links(Document):
    """Where to look."""

    self: str
    events: str
    page: str = Field(default="", description="Its page, for people: its report once it is over.")
    report: str | None = Field(default=None, description="Its report as a page, once there is one.")
    mlflow: str | None = Field(default=None, description="The study's place in MLflow, once it has begun.")
    ray: str | None = Field(default=None, description="Its job in the Ray dashboard.")


class Study(Document):
    """A submission and where it stands."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "digits-20261126-101500-1f2a",
                    "name": "digits",
                    "state": "searching",
                    "wanted": "run",
                    "reason": "",
                    "owner": "ada",
                    "priority": 0,
                    "attempt": 1,
                    "step": 4,
                    "round": 1,
                    "metric": "accuracy",
                    "larger_is_better": True,
                    "trials": 12,
                    "planned": 24,
                    "best_trial": "r1-003",
                    "best_score": 0.9741,
                    "test_score": None,
                    "submitted_at": "2026-11-26T10:15:00Z",
                    "started_at": "2026-11-26T10:15:01Z",
                    "finished_at": None,
                    "links": {
                        "self": "/api/v1/studies/digits-20261126-101500-1f2a",
                        "events": "/api/v1/studies/digits-20261126-101500-1f2a/events",
                        "page": "/studies/digits-20261126-101500-1f2a",
                        "report": None,
                        "mlflow": "http://127.0.0.1:5000/#/experiments/1",
                        "ray": "http://127.0.0.1:8265/#/jobs/digits-20261126-101500-1f2a-1",
                    },
                }
            ]
        },
    )

    id: str
    name: str
    state: State
    wanted: str = Field(description="run, stop or cancel: what was asked of it last.")
    reason: str = Field(description="Why it ended, or why it stands where it does.")
    owner: str = Field(description="Name of the token that submitted it.")
    priority: int = Field(description="Larger ones begin first.")
    attempt: int = Field(description="Jobs that have worked on it; more than one after a restart or a resume.")
    step: int | None = Field(description=f"Step of the recipe; {Step.FINALISTS} are the finalists.")
    round: int | None
    metric: str | None
    larger_is_better: bool | None = Field(default=None, description="Of the metric's scores.")
    trials: int = Field(description="Ended.")
    planned: int = Field(default=0, description="Trials at most, of the rounds that have begun.")
    best_trial: str | None = Field(description="The winner; before, the best of the trials that were trained furthest.")
    best_score: float | None = Field(description="Its validation score; of the winner the mean over its trainings.")
    test_score: float | None = Field(description="Of the model that is handed over.")
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: Links

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in ENDED


class More(Document):
    """What a study that has completed is given more of: one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What is too little or too much is said by who gives it (folder/extending.py).
    trials: int | None = Field(default=None, description="Trials of another cycle, both rounds together: 2 at least.")
    minutes: float | None = Field(default=None, description="Minutes for further cycles and finalists, more than 0.")


class Attempt(Document):
    """One job of a study."""

    number: int
    job_id: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str = Field(description="What became of it; empty while it runs.")


class StudyDetails(Study):
    """A study with its config, its jobs and, once it has ended, its result."""

    config: dict[str, Any]
    attempts: list[Attempt]
    # One that an earlier version wrote may lack what today's has.
    result: StudyDocument | dict[str, Any] | None = Field(description="As `search-service run --json` prints it.")


class Check(Document):
    """Verdict of step 1, 2 or 3."""

    step: int
    name: str
    cycle: int
    passed: bool
    summary: str
    advice: str
    measured: dict[str, Any]
    expected: dict[str, Any]


class Trial(Document):
    """A trial that is over."""

    id: str
    round: int
    status: Literal["completed", "pruned", "diverged", "failed"]
    reason: str
    score: float | None = Field(description="Its best validation score; null if it has none.")
    best_epoch: int | None
    epochs: int = Field(description="Trained.")
    values: dict[str, Any] = Field(description="What was sampled, by leaf.")
    worker: str = Field(description="Host and process that trained it.")


class Best(Document):
    """The best configuration so far, or the answer of a study that is done."""

    final: bool = Field(description="Whether it is the answer: trained again from fresh seeds, and tested.")
    trial: str
    score: float | None = Field(description="Validation score; of the answer the mean over its seeds.")
    test_score: float | None
    values: dict[str, Any]
    details: dict[str, Any] | None = Field(default=None, description="Of the answer: everything known of it.")


class StudyEvent(Document):
    """Something that happened in a study."""

    id: int = Field(description="From 1, without gaps; Last-Event-ID to go on after it.")
    type: str
    content: dict[str, Any]


class Validated(Document):
    """A config that can be run."""

    name: str
    rows: dict[str, int]
    inputs: int
    outputs: int
    task: str
    warnings: list[str]


class Dataset(Document):
    """An uploaded table."""

    id: str = Field(description="SHA-256 of its bytes, and the ending of its name.")
    name: str
    bytes: int
    owner: str
    uploaded_at: datetime
    source: str = Field(description="What a config's data.source names it by.")


class NewToken(Document):
    """A token to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", description="Whose it is, or what it is for.")
    role: Literal["read", "submit", "admin"] = "submit"


class Token(Document):
    """A token, without its secret."""

    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None


class CreatedToken(Token):
    """A token at the only moment at which its secret is known."""

    token: str


class Health(Document):
    """Whether the service can work."""

    status: Literal["ok", "not ready"]
    version: str
    database: bool = True
    reconciler: bool = True
    trouble: str = Field(default="", description="Why jobs cannot be started or watched just now.")
