"""`berth up`, `down`, `status` and `logs`: the local stack, told to people and programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from cli.client import Away, BerthClient, Gpr
from cli.client.answers import Health
from cli.client.transport import AT_ONCE, Transport
from cli.clock import Clock
from cli.demo.stage import Stage
from cli.demo.story import play
from cli.demo.summary import Summary
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.health_view import is_well, parts_of
from cli.narration import narrated
from cli.options import Json, StackName, Yes
from cli.phrases import span
from cli.screen import Screen, table
from cli.servers import API, DEFAULT_STACK
from cli.stack import attachments
from cli.stack.failures import tail
from cli.stack.parts import PartState, PartStatus
from cli.stack.stack import Stack

AWAY = {PartState.STOPPED, PartState.CRASHED}
STYLES = {
    PartState.RUNNING: "green",
    PartState.ATTACHED: "green",
    PartState.STOPPED: "yellow",
    PartState.CRASHED: "bold red",
}


def up(
    *,
    name: StackName = DEFAULT_STACK,
    kubeconfig: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="A cluster of yours instead of ours; may be repeated.")
    ] = None,
    demo: Annotated[bool, typer.Option(help="Run one Gpr through its whole life.")] = True,
    as_json: Json = False,
) -> None:
    """Bring the local stack up, or to where it was, and show one Gpr's whole life on it.

    DATABASE_URL and TEMPORAL_ADDRESS attach it to a PostgreSQL and a Temporal that you have.
    """
    screen, clock, stack = Screen(as_json=as_json), Clock(), Stack.open(name)
    first = stack.administrator_key() is None
    with narrated(screen.err, clock) as narrator:
        stack.up(narrator.event, attachments.parse(os.environ, kubeconfig or ()))
    summary = Summary(stack, first=first)
    try:
        if demo:
            summary.gpr = _demonstrated(stack, screen, clock)
    finally:  # the stack is up, however the demonstration ended
        screen.show(summary.document(), summary.picture())


def down(
    *,
    name: StackName = DEFAULT_STACK,
    purge: Annotated[bool, typer.Option("--purge", help="Forget its data too.")] = False,
    yes: Yes = False,
) -> None:
    """Stop the local stack. Its data stay for the next `berth up`; what it is attached to is left alone."""
    screen, stack = Screen(), Stack.open(name)
    if not stack.folder.exists():
        screen.say(f"there is no stack {name!r}")
        return
    if purge and not yes and screen.asks:
        typer.confirm(f"Forget all data of stack {name!r} in {stack.folder}?", abort=True)
    with narrated(screen.err, Clock()) as narrator:
        stack.down(narrator.event, purge=purge)
    screen.say(f"stack {name!r} is down" + (" and forgotten" if purge else "; `berth up` continues where it was"))


def status(*, name: StackName = DEFAULT_STACK, as_json: Json = False) -> None:
    """Each part of the local stack, and how the server finds itself. Exit code 5 when a part is away."""
    screen, stack = Screen(as_json=as_json), Stack.open(name)
    parts = stack.parts()
    if not parts:
        raise CommandFailed(f"there is no stack {name!r}", mend="start it with `berth up`", code=ExitCode.AWAY)
    health = _health(stack)
    if as_json:
        screen.document({"name": name, "parts": parts, "health": health})
    else:
        screen.out.print(part_table(parts))
        screen.out.print(health_table(health))
    if any(part.state in AWAY for part in parts) or not is_well(health):
        raise CommandFailed(_trouble(stack.name, parts), mend="`berth up` starts what does not run", code=ExitCode.AWAY)


def part_table(parts: list[PartStatus]) -> Table:
    """Every part of the stack."""
    built = table("PART", "STATE", ">UP FOR", ">PID", "ADDRESS")
    for part in parts:
        uptime = "" if part.uptime_seconds is None else span(part.uptime_seconds)
        pid = "" if part.pid is None else str(part.pid)
        built.add_row(part.name, Text(str(part.state), STYLES[part.state]), uptime, pid, part.address)
    return built


def health_table(health: Health) -> Table:
    """What the server says of the parts it needs."""
    built = table("SERVER'S VIEW", "STATE", "DETAIL")
    for part, state, detail in parts_of(health):
        built.add_row(part, Text(state, "green" if state == "ok" else "red"), Text(detail))
    return built


def _demonstrated(stack: Stack, screen: Screen, clock: Clock) -> Gpr:
    key = stack.administrator_key() or os.environ.get("BERTH_API_KEY", "")
    if not key:
        mend = "set BERTH_API_KEY to a key of that installation, or leave the demonstration out with --no-demo"
        raise CommandFailed("the demonstration needs a key, and this stack's database had its administrator", mend=mend)
    with BerthClient(stack.urls()[API], key) as client, narrated(screen.err, clock) as narrator:
        return play(Stage(client, clock, narrator, _kubectl(stack), lambda part: tail(stack.roster.log(part))))


def _kubectl(stack: Stack) -> Path | None:
    """The one built with the clusters, else the user's own: attached clusters need none of ours."""
    built = stack.kubectl()
    if built.exists():
        return built
    own = shutil.which("kubectl")
    return Path(own) if own else None


def _trouble(name: str, parts: list[PartStatus]) -> str:
    if all(part.state is not PartState.RUNNING for part in parts):
        return f"stack {name!r} is down"
    away = ", ".join(part.name for part in parts if part.state in AWAY)
    return f"not running: {away}" if away else "the server finds something wrong"


def _health(stack: Stack) -> Health:
    url = stack.urls()[API]
    try:
        with BerthClient(url, transport=Transport(url, "", patience=AT_ONCE)) as client:
            return client.health()
    except Away as failure:
        return Health.model_validate({"api": {"state": "away", "detail": failure.message}})
