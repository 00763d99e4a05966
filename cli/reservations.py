"""`berth reserve` and `berth reservation`: GPUs at a fixed time, once or recurring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from cli.client import NewReservation, Reservation
from cli.completion import workspace_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.options import IdempotencyKey
from cli.phrases import in_utc
from cli.screen import table
from cli.shapes import full_shape
from cli.terminal import Terminal, at_terminal
from domain.durations import parse_duration

app = typer.Typer(help="GPUs at a fixed time: look, cancel. `berth reserve` makes one.", no_args_is_help=True)

ReservationWords = Annotated[
    str, typer.Argument(metavar="RESERVATION", help="Its id, the beginning of it, or its name.")
]
WHEN = "An instant as in 2026-01-31T12:00 (UTC), or how long from now, as in +1h30m."


@at_terminal
def reserve(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    name: Annotated[str, typer.Argument(help="For people.")],
    *,
    workspace: Annotated[str, typer.Option("--workspace", "-w", autocompletion=workspace_names)],
    start: Annotated[str, typer.Option("--start", "-s", help=WHEN)],
    duration: Annotated[str, typer.Option("--duration", "-d", help="As in 1d2h30m; the last 5 s tear down.")],
    rule: Annotated[str, typer.Option(help="When it recurs, by RFC 5545, as in FREQ=WEEKLY;BYDAY=MO,WE.")] = "",
    gpus: Annotated[int, typer.Option("--gpus", "-g", min=1, help="On each node.")] = 1,
    nodes: Annotated[int, typer.Option("--nodes", "-n", min=1, help="All of them or none.")] = 1,
    shape: Annotated[str, typer.Option(help="GPU product, or a part of its name that only it has.")] = "",
    instance_type: Annotated[str, typer.Option(help="Node type, as `berth nodes` names it.")] = "",
    memory: Annotated[int, typer.Option(min=0, help="GiB that each GPU has at least.")] = 0,
    cluster: Annotated[list[str] | None, typer.Option(help="Only there; may be repeated, best first.")] = None,
    pool: Annotated[str, typer.Option(help="Only nodes of this pool; the workspace's by default.")] = "",
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Reserve GPUs for a fixed time; refused with the nearest windows when there is no room."""
    parse_duration(duration)
    wanted = NewReservation(
        workspace=workspace,
        name=name,
        start=instant_of(start, terminal.clock.now()),
        duration=duration,
        rule=rule,
        nodes=nodes,
        gpus_per_node=gpus,
        shape=full_shape(shape, terminal.client.nodes()) if shape else "",
        instance_type=instance_type,
        memory_gib=memory,
        clusters=cluster or (),
        pool=pool,
    )
    made = terminal.client.reserve(wanted, idempotency_key=idempotency_key)
    terminal.screen.show(made, occurrence_table(made))


@app.command("list")
@at_terminal
def list_(
    terminal: Terminal,
    workspace: Annotated[str, typer.Option("--workspace", "-w", autocompletion=workspace_names)] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
) -> None:
    """Reservations that you may see, newest first."""
    found = list(islice(terminal.client.reservations(workspace=workspace), limit))
    terminal.screen.show(found, reservation_table(found, terminal.clock.now()) if found else "none")


@app.command()
@at_terminal
def show(terminal: Terminal, reservation: ReservationWords) -> None:
    """One reservation, and each of its times."""
    found = _find(terminal, reservation)
    terminal.screen.show(found, Group(reservation_table([found], terminal.clock.now()), "", occurrence_table(found)))


@app.command()
@at_terminal
def cancel(
    terminal: Terminal,
    reservation: ReservationWords,
    start: Annotated[
        str, typer.Option("--start", "-s", help="Only the time that starts then; all of it by default.")
    ] = "",
) -> None:
    """Cancel a reservation: all of its times that are to come and the one that runs, or one of them."""
    at = instant_of(start, terminal.clock.now()) if start else None
    changed = terminal.client.cancel_reservation(_find(terminal, reservation).id, start=at)
    terminal.screen.show(changed, occurrence_table(changed))


def instant_of(words: str, now: datetime) -> datetime:
    """An instant, UTC where nothing else is said, in whole seconds."""
    if words.startswith("+"):
        return now.replace(microsecond=0) + timedelta(seconds=parse_duration(words[1:]))
    try:
        found = datetime.fromisoformat(words)
    except ValueError as error:
        raise CommandFailed(f"{words!r} is no instant", mend=WHEN, code=ExitCode.USAGE) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def reservation_table(found: list[Reservation], now: datetime) -> Table:
    """Many reservations."""
    built = table("RESERVATION", "WORKSPACE", ">GPUS", "SHAPE", "NEXT", "DURATION", "RULE", "ID")
    for each in found:
        to_come = [one for one in each.occurrences if one.end > now and one.state in {"booked", "lost", "running"}]
        following = f"{in_utc(to_come[0].start)} {to_come[0].state}" if to_come else _rest(each)
        gpus = f"{each.nodes} x {each.gpus_per_node}" if each.nodes > 1 else str(each.gpus_per_node)
        shape = each.shape or each.instance_type or "any"
        built.add_row(each.name, each.workspace, gpus, shape, following, each.duration, each.rule, str(each.id))
    return built


def occurrence_table(reservation: Reservation) -> Table:
    """Each time of one."""
    built = table("START", "END", "STATE", "CLUSTER", "NODES", "GPR", "WHY")
    for one in reservation.occurrences:
        gpr = str(one.gpr_id or "")
        nodes = ", ".join(dict.fromkeys(one.nodes))
        built.add_row(in_utc(one.start), in_utc(one.end), one.state, one.cluster, nodes, gpr, one.failure)
    return built


def _rest(reservation: Reservation) -> str:
    if reservation.cancelled_at:
        return "cancelled"
    return "over" if reservation.ended_at else "later"


def _find(terminal: Terminal, words: str) -> Reservation:
    found = [
        each
        for each in terminal.client.reservations()
        if each.name == words or (words and str(each.id).startswith(words))
    ]
    if not found:
        raise CommandFailed(f"there is no reservation {words!r}", mend="see `berth reservation list`")
    exact = [each for each in found if str(each.id) == words]
    if len(exact or found) > 1:
        raise CommandFailed(f"{words!r} names {len(found)} reservations", mend="give the id", code=ExitCode.USAGE)
    return (exact or found)[0]
