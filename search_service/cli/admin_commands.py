"""The commands for whoever looks after a service: its tokens, and the tables that were uploaded to it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_service.cli.service_commands import PANEL, AsJson, client_of_service, print_json
from search_service.cli.terminal import say

app = typer.Typer()
tokens = typer.Typer(help="Make, list and revoke the tokens of a service.", no_args_is_help=True)
app.add_typer(tokens, name="token", rich_help_panel=PANEL)
datasets = typer.Typer(help="List and delete the uploaded tables of a service.", no_args_is_help=True)
app.add_typer(datasets, name="dataset", rich_help_panel=PANEL)

# Letters of a line of the list of tables: 77 of the address, 63 of a long name, and what is between them.
WIDEST = 200


class RoleChoice(StrEnum):
    """What a token permits."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"


@datasets.command("list")
def list_datasets(
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20, as_json: AsJson = False
) -> None:
    """List uploaded tables, newest first."""
    with client_of_service() as client:
        page = client.datasets(limit=limit)
    if as_json:
        print_json(page)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "MB", "owner", "uploaded", "source"):
        table.add_column(title, no_wrap=True, justify="right" if title == "MB" else "left")
    for one in page.items:
        table.add_row(
            escape(one.name), f"{one.bytes / 2**20:.1f}", escape(one.owner), _ago(one.uploaded_at), one.source
        )
    # What a config names a table by is copied, so it is whole on any terminal, whose lines may break.
    Console(width=max(Console().width, WIDEST)).print(table)
    if page.total > len(page.items):
        say(f"{len(page.items)} of {page.total}; --limit shows more")


@datasets.command("delete")
def delete_dataset(
    dataset: Annotated[str, typer.Argument(metavar="SOURCE", help="As upload and dataset list print it.")],
) -> None:
    """Forget an uploaded table that no study needs any more."""
    with client_of_service() as client:
        client.delete_dataset(dataset)
    say(f"{escape(dataset)} is gone")


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose it is, or what it is for.")],
    role: Annotated[RoleChoice, typer.Option(help="What it permits.")] = RoleChoice.SUBMIT,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, once."""
    with client_of_service() as client:
        made = client.create_token(name, role.value)
    if as_json:
        print_json(made)
    else:
        typer.echo(made.token)


@tokens.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List tokens, the revoked ones among them."""
    with client_of_service() as client:
        found = client.tokens()
    if as_json:
        typer.echo("[" + ", ".join(one.model_dump_json() for one in found) + "]")
        return
    for one in found:
        revoked = f"revoked {_ago(one.revoked_at)}" if one.revoked_at else ""
        typer.echo(f"{one.name:<24} {one.role:<8} made {_ago(one.created_at)}  {revoked}".rstrip())


@tokens.command("revoke")
def revoke_token(name: Annotated[str, typer.Argument(help="Of the token.")]) -> None:
    """Let a token be of no use from now on."""
    with client_of_service() as client:
        client.revoke_token(name)
    say(f"the token {escape(name)} is revoked")


def _ago(when: datetime) -> str:
    seconds = (datetime.now(UTC) - when).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
