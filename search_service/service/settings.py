"""How a service is set up, beside where things live (``search_service.settings``); from the environment.

Every field is the variable ``SEARCH_SERVICE_`` and its name in capitals; ``serve``'s options win.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from search_service.runners.registry import RUNNERS
from search_service.settings import Settings
from search_service.spec.names import OneOf
from trainables.redaction import shown

# Shorter ones can be guessed by trying.
LEAST_TOKEN_LENGTH = 20


class ServiceSettings(Settings):
    """Places, addresses and limits of one service."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL, postgresql+psycopg://… or sqlite:///…; default: SQLite under home."
    )
    jobs: Literal["local", "ray"] = Field(
        default="local", description="Where studies run: processes of this machine, or jobs of a Ray cluster."
    )
    runner: Annotated[str, OneOf(RUNNERS)] = Field(
        default="ray", description="How a local study runs its trials: Ray of its own, or no Ray at all."
    )
    ray_dashboard: str = Field(default="http://127.0.0.1:8265", description="Address of the cluster's Jobs API.")
    max_running: int = Field(default=2, ge=1, description="Studies that run at the same time; others wait.")
    max_attempts: int = Field(
        default=3, ge=1, description="Jobs of a study that may die one after another without a trial being finished."
    )
    restart_delay_s: float = Field(
        default=5.0, ge=0, description="Seconds before a job that died is started again; longer if it dies again."
    )
    admin_token: SecretStr | None = Field(
        default=None, description=f"A token with the role admin, at least {LEAST_TOKEN_LENGTH} characters."
    )
    max_upload_mb: int = Field(default=512, ge=1, description="Largest table that may be uploaded.")
    max_uploads_mb: int = Field(
        # Twenty of the largest, or thousands as people have them.
        default=10_240,
        ge=1,
        description="Megabytes of all uploads of one caller together.",
    )
    max_cells: int = Field(
        # Up to 70 bytes are needed for each, so that read_memory_mb is enough for any such table.
        default=50_000_000,
        ge=1,
        description="Rows × columns of a table that a config may name.",
    )
    max_columns: int = Field(default=5_000, ge=1, description="Columns of a table that a config may name.")
    max_unpacked_mb: int = Field(
        default=2_048, ge=1, description="Megabytes of a compressed table once it is unpacked."
    )
    read_memory_mb: int = Field(
        default=4_096, ge=256, description="Megabytes that checking one config and its table may take; two at a time."
    )
    read_seconds: float = Field(
        # As long as the fetch of a large table from afar takes, and less than the client waits.
        default=300.0,
        gt=0,
        description="Seconds that checking one config may take, its table's fetch included.",
    )
    requests_per_minute: int = Field(default=1200, ge=1, description="Of one caller.")
    submissions_per_minute: int = Field(default=60, ge=1, description="Of one caller; uploads, checks and plans count.")
    mlflow_link: str | None = Field(
        default=None, description="Where a browser finds MLflow; default: MLFLOW_TRACKING_URI."
    )
    ray_link: str | None = Field(default=None, description="Where a browser finds the Ray dashboard.")

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'service.db'}"

    @property
    def mlflow_address(self) -> str | None:
        """Where a browser finds MLflow, as others may see it; None if it is no server."""
        address = self.mlflow_link or self.tracking_uri or ""
        return shown(address).rstrip("/") if address.startswith(("http://", "https://")) else None

    @property
    def needs_tokens(self) -> bool:
        """Whether a caller has to show who it is: everywhere but on loopback, and there too once a token is set."""
        return self.admin_token is not None or not is_loopback(self.host)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where tables may be read from: uploads always; beyond them, unless told otherwise, https and OpenML."""
        given = ("https://", "openml:") if self.allowed_sources is None else self.allowed_sources
        return (str(self.datasets), *given)

    @property
    def datasets(self) -> Path:
        """Folder of uploaded tables."""
        return self.home.absolute() / "datasets"

    def study_folder(self, study_id: str) -> Path:
        """Folder of a study."""
        return self.studies / study_id


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
