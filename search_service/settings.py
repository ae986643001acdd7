"""Where things live: folders and addresses. The spec says what, the settings say where.

Read from the environment (``SEARCH_SERVICE_HOME``, ``MLFLOW_TRACKING_URI``); the command line's options win.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from trainables.redaction import login_of, shown

# MLflow's own default.
UI_PORT = 5000


class Settings(BaseSettings):
    """Places of one installation."""

    model_config = SettingsConfigDict(env_prefix="SEARCH_SERVICE_", frozen=True, populate_by_name=True)

    home: Path = Field(default=Path("runs"), description="Studies, and the record if no server keeps it.")
    tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SEARCH_SERVICE_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="An MLflow server; default: SQLite under home.",
    )

    data_folders: str | None = Field(
        default=None,
        description="Folders and URL prefixes that tables may be read from, separated by commas; default: everywhere. "
        "A service that takes other people's configs needs it.",
    )

    addresses: SecretStr | None = Field(
        default=None,
        description="Whole addresses of tables, separated by blanks, for a study that goes on or is replayed and whose "
        "own password, signature or query is not kept any more or has expired.",
    )

    notify: SecretStr | None = Field(
        default=None,
        description="Who is told that a study is over: web hooks (https://…) and mail servers "
        "(smtp://USER:PASSWORD@HOST:587/?to=ADDRESS&from=ADDRESS), separated by blanks.",
    )
    notify_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("SEARCH_SERVICE_NOTIFY_SECRET"),
        description="What web hooks are signed with (docs/operations.md).",
    )

    @property
    def notified(self) -> tuple[str, ...]:
        """``notify`` one by one."""
        return () if self.notify is None else tuple(self.notify.get_secret_value().split())

    @property
    def notify_secret(self) -> str | None:
        """What web hooks are signed with."""
        return None if self.notify_key is None else self.notify_key.get_secret_value()

    @property
    def notify_environment(self) -> dict[str, str]:
        """The variables by which another process tells the same people."""
        secret = {} if self.notify_secret is None else {"SEARCH_SERVICE_NOTIFY_SECRET": self.notify_secret}
        return {"SEARCH_SERVICE_NOTIFY": " ".join(self.notified)} | secret if self.notified else {}

    @property
    def whole_addresses(self) -> tuple[str, ...]:
        """``addresses`` one by one."""
        return () if self.addresses is None else tuple(self.addresses.get_secret_value().split())

    @property
    def allowed_sources(self) -> tuple[str, ...] | None:
        """``data_folders`` one by one; None where everything may be read."""
        if self.data_folders is None:
            return None
        return tuple(place.strip() for place in self.data_folders.split(",") if place.strip())

    @property
    def record_uri(self) -> str:
        """The MLflow store: the server's address, or the SQLite file under home."""
        return self.tracking_uri or f"sqlite:///{self.record_file}"

    @property
    def record_environment(self) -> dict[str, str]:
        """The variables by which another process finds the MLflow server; none where it is the file under home."""
        if self.tracking_uri is None:
            return {}
        uri, user, password = login_of(self.tracking_uri)
        login = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password} if user or password else {}
        return {"MLFLOW_TRACKING_URI": uri} | login

    @property
    def shown_record(self) -> str:
        """``record_uri`` as others may see it."""
        return shown(self.record_uri)

    @property
    def studies(self) -> Path:
        """Folder of the studies, one each; folder/layout.py names what is in them."""
        return self.home.absolute() / "studies"

    @property
    def record_file(self) -> Path:
        """The record, where no server keeps it."""
        return self.home.absolute() / "mlflow.db"

    @property
    def artifacts(self) -> Path | None:
        """Folder for the record's files, where no server keeps them."""
        return None if self.tracking_uri else self.home.absolute() / "artifacts"

    @property
    def ui_address(self) -> str:
        """Where the MLflow UI is, or will be after ``ui_command``."""
        return shown(self.tracking_uri or f"http://127.0.0.1:{UI_PORT}").rstrip("/")

    @property
    def ui_command(self) -> str | None:
        """What a person types to start the MLflow UI; None where a server already runs."""
        if self.tracking_uri:
            return None
        ours = Path(sys.executable).with_name("search-service")
        # The shortest form that works from here.
        found = shutil.which(ours.name)
        if found is not None and Path(found).resolve() == ours.resolve():
            program = ours.name
        else:
            program = str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours)
        return f"{program} ui --home {shlex.quote(str(self.home.absolute()))}"
