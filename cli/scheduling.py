"""`berth scheduling`: what is decided about the order of the queue. `berth weight`: what a workspace weighs in it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client import SchedulingChange
from cli.client.reserving import Scheduling, Weight
from cli.completion import workspace_names
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.durations import format_duration, parse_duration

Span = Annotated[str, typer.Option(help="As in 7d.")]
SpanOrNone = Annotated[str, typer.Option(help="As in 15m, or 0.")]


@at_terminal
def scheduling(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    *,
    fair_share: Annotated[
        bool | None, typer.Option(help="Among equals, who had least for their weight go first.")
    ] = None,
    half_life: Span = "",
    ageing: SpanOrNone = "",
    horizon: Span = "",
    grace: SpanOrNone = "",
    guaranteed: Annotated[str, typer.Option(help="So long nothing is preempted, as in 30m, or 0.")] = "",
    notice: Annotated[str, typer.Option(help="So long before it is told, as in 1m, or 0.")] = "",
    reservations_max: Annotated[int | None, typer.Option(min=0, help="Ahead of one workspace.")] = None,
    gpu_hours_max: Annotated[int | None, typer.Option(min=0, help="Likewise, in all.")] = None,
) -> None:
    """What is decided about the order of the queue and about reservations; administrators decide otherwise."""
    wished = {
        "fair_share": fair_share,
        "half_life_seconds": _seconds(half_life),
        "ageing_seconds": _seconds(ageing),
        "horizon_seconds": _seconds(horizon),
        "grace_seconds": _seconds(grace),
        "guaranteed_seconds": _seconds(guaranteed),
        "notice_seconds": _seconds(notice),
        "reservations_max": reservations_max,
        "gpu_hours_max": gpu_hours_max,
    }
    given = {name: value for name, value in wished.items() if value is not None}
    client = terminal.client
    found = client.change_scheduling(SchedulingChange.model_validate(given)) if given else client.scheduling()
    terminal.screen.show(found, _picture(found))


@at_terminal
def weight(
    terminal: Terminal,
    workspace: Annotated[str, typer.Argument(autocompletion=workspace_names)],
    set_: Annotated[int | None, typer.Option("--set", min=1, max=1000, help="From now on; administrators.")] = None,
) -> None:
    """What a workspace weighs beside others, and what it had lately."""
    client = terminal.client
    share = client.weight(workspace) if set_ is None else client.set_weight(workspace, Weight(weight=set_))
    lines = [f"{share.workspace} weighs {share.weight} and had {share.gpu_hours_used:g} GPU-hours lately"]
    lines += [
        f"in the pool {one.pool} it weighs {one.weight} and had {one.gpu_hours_used:g} GPU-hours" for one in share.pools
    ]
    terminal.screen.show(share, "\n".join(lines))


def _seconds(words: str) -> int | None:
    if not words:
        return None
    return 0 if words == "0" else parse_duration(words)


def _picture(found: Scheduling) -> Table:
    built = table("DECIDED", "")
    built.add_row("fair share", "yes" if found.fair_share else "no")
    built.add_row("half-life of use", format_duration(found.half_life_seconds))
    built.add_row(
        "a point of priority for each", format_duration(found.ageing_seconds) if found.ageing_seconds else "-"
    )
    built.add_row("room is kept ahead", format_duration(found.horizon_seconds))
    built.add_row("reserved times of a workspace", str(found.reservations_max))
    built.add_row("reserved GPU-hours of a workspace", str(found.gpu_hours_max))
    built.add_row("given back unused after", format_duration(found.grace_seconds) if found.grace_seconds else "never")
    built.add_row(
        "nothing is preempted for", format_duration(found.guaranteed_seconds) if found.guaranteed_seconds else "-"
    )
    built.add_row("then it is told before", format_duration(found.notice_seconds) if found.notice_seconds else "-")
    return built
