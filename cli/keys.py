"""`berth key` and `berth whoami`: who may ask, and who is asking."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from cli.client import BerthClient, NewKey, NotFound
from cli.client.answers import Caller, Key
from cli.clock import Clock
from cli.completion import workspace_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.options import IdempotencyKey
from cli.phrases import moment, relative
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.durations import parse_duration
from domain.identity import Role

app = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True)


@app.command()
@at_terminal
def create(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    principal: Annotated[
        str | None, typer.Option("--for", help="Somebody else, made when new; administrators.")
    ] = None,
    administrator: Annotated[bool, typer.Option("--administrator", help="They become administrator.")] = False,
    role: Annotated[Role, typer.Option(help="The key may never more than this.")] = Role.OWNER,
    workspace: Annotated[str | None, typer.Option(help="Only there.", autocompletion=workspace_names)] = None,
    valid_for: Annotated[str | None, typer.Option(help="As in 90d; until revoked by default.")] = None,
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Make an API key; its text is shown this once."""
    if valid_for:
        parse_duration(valid_for)
    wanted = NewKey(
        name=name, principal=principal, administrator=administrator, role=role, workspace=workspace, valid_for=valid_for
    )
    made = terminal.client.create_key(wanted, idempotency_key=idempotency_key)
    terminal.screen.say(f"{made.key or 'made before under this idempotency key; its text was shown then'}")
    if terminal.screen.as_json:
        terminal.screen.document(made)


@app.command("list")
@at_terminal
def list_(
    terminal: Terminal,
    *,
    every: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
) -> None:
    """API keys that you may see."""
    found = [each for each in terminal.client.api_keys() if every or not each.revoked_at]
    terminal.screen.show(found, key_table(found, terminal.clock))


@app.command()
@at_terminal
def revoke(terminal: Terminal, key: Annotated[str, typer.Argument(help="Its id, or how the key begins.")]) -> None:
    """Make a key worthless, now."""
    found = _meant(terminal.client, key)
    revoked = terminal.client.revoke_key(found)
    terminal.screen.show(revoked, f"{revoked.name} ({revoked.prefix}…) is revoked")


@at_terminal
def whoami(terminal: Terminal) -> None:
    """Who your key stands for, and what it may at most."""
    caller = terminal.client.whoami()
    terminal.screen.show(caller, _told(caller, terminal.clock))


def key_table(found: list[Key], clock: Clock) -> Table:
    """Many keys."""
    now = clock.now()
    built = table("ID", "BEGINS", "NAME", "PRINCIPAL", "ROLE", "WORKSPACE", "CREATED", "VALID UNTIL", "REVOKED")
    for each in found:
        until = moment(each.valid_until, now) if each.valid_until else "it is revoked"
        revoked = relative(each.revoked_at, now) if each.revoked_at else ""
        created = moment(each.created_at, now)
        row = (str(each.id), each.prefix, each.name, each.principal, each.role, each.workspace or "all", created)
        built.add_row(*map(str, row), until, revoked)
    return built


def _told(caller: Caller, clock: Clock) -> str:
    what = "administrator" if caller.administrator else str(caller.role)
    where = f" of {caller.workspace}" if caller.workspace else ""
    until = f", until {moment(caller.expires_at, clock.now())}" if caller.expires_at else ""
    return f"{caller.principal}: {what}{where}{until}"


def _meant(client: BerthClient, words: str) -> UUID:
    found = [each.id for each in client.api_keys() if words in {str(each.id), each.prefix} and not each.revoked_at]
    if not found:
        raise NotFound(f"no key has the id {words!r}, nor begins so", code="not_found")
    if len(found) > 1:
        raise CommandFailed(f"{words!r} begins {len(found)} keys", mend="give the whole id", code=ExitCode.USAGE)
    return found[0]
