"""`berth maintenance`: nodes that are away for a while, announced before."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client import Maintenance, NewMaintenance
from cli.completion import cluster_names
from cli.options import IdempotencyKey
from cli.phrases import counted, in_utc
from cli.reservations import WHEN, instant_of
from cli.screen import table
from cli.terminal import Terminal, at_terminal

app = typer.Typer(help="Nodes that are away for a while, announced before.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The maintenance.")]


@app.command("list")
@at_terminal
def list_(
    terminal: Terminal,
    *,
    past: Annotated[bool, typer.Option("--past", help="Also what is over.")] = False,
) -> None:
    """What is announced."""
    found = terminal.client.maintenance(past=past)
    terminal.screen.show(found, maintenance_table(found) if found else "none")


@app.command()
@at_terminal
def add(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    name: Annotated[str, typer.Argument(help="For people; it stands in reasons.")],
    nodes: Annotated[
        list[str] | None, typer.Argument(help="By name; cluster/name where several clusters have it.")
    ] = None,
    *,
    end: Annotated[str, typer.Option("--end", "-e", help=WHEN)],
    begin: Annotated[str, typer.Option("--begin", "-b", help=f"{WHEN} Now by default.")] = "",
    cluster: Annotated[
        list[str] | None, typer.Option(help="All of its nodes; may be repeated.", autocompletion=cluster_names)
    ] = None,
    pool: Annotated[list[str] | None, typer.Option(help="The nodes of this pool; may be repeated.")] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also where something is promised or reserved.")] = False,
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Announce that nodes are away; administrators. Nothing is placed into it; what runs stays until its end."""
    now = terminal.clock.now()
    wanted = NewMaintenance(
        name=name,
        begin=instant_of(begin, now) if begin else None,
        end=instant_of(end, now),
        nodes=nodes or (),
        clusters=cluster or (),
        pools=pool or (),
        description=description,
        force=force,
    )
    made = terminal.client.announce_maintenance(wanted, idempotency_key=idempotency_key)
    built = maintenance_table([made])
    if made.staying:
        built.caption = f"{counted(len(made.staying), 'lease')} past its begin: {', '.join(made.staying)}"
    terminal.screen.show(made, built)


@app.command()
@at_terminal
def end(terminal: Terminal, name: Name) -> None:
    """End it now, or call it off; administrators."""
    ended = terminal.client.end_maintenance(name)
    terminal.screen.show(ended, maintenance_table([ended]))


def maintenance_table(found: list[Maintenance]) -> Table:
    """Many announcements."""
    built = table("MAINTENANCE", "STATE", "BEGIN", "END", "WHERE", "DESCRIPTION")
    for each in found:
        where = ", ".join(f"{one.cluster}/{one.node}" if one.node else f"all of {one.cluster}" for one in each.places)
        times = (in_utc(each.begin), in_utc(each.end))
        built.add_row(each.name, each.state.replace("_", " "), *times, where, each.description)
    return built
