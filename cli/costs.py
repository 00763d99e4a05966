"""`berth cost`: what GPUs have cost, and which part of it nobody used."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from cli.client.hardware import Cost, CostReport
from cli.completion import workspace_names
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.costs import CostsBy

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


@at_terminal
def cost(
    terminal: Terminal,
    *,
    by: Annotated[CostsBy, typer.Option(help="What to add up over.")] = CostsBy.WORKSPACE,
    since: Annotated[
        datetime | None, typer.Option("--from", help="In UTC; 30 days ago by default.", formats=FORMATS)
    ] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="In UTC; now by default.", formats=FORMATS)] = None,
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", help="Only this one.", autocompletion=workspace_names)
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="So many, the most expensive.")] = 50,
) -> None:
    """What GPUs cost, and which part of it nobody used."""
    found = terminal.client.costs(
        by=by,
        begin=since and since.replace(tzinfo=UTC),
        end=until and until.replace(tzinfo=UTC),
        workspace=workspace,
        limit=limit,
    )
    span = f"{found.begin.astimezone(UTC):%Y-%m-%d %H:%M} to {found.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    terminal.screen.show(found, Group(span, cost_table(found)))


def cost_table(found: CostReport) -> Table:
    """What each cost, and all of them."""
    built = table(found.by.upper(), "WORKSPACE", ">GPU HOURS", ">OF THEM IDLE", ">SEEN", ">COST", ">OF IT IDLE")
    for each in found.items:
        built.add_row(each.name or each.key or "none", each.workspace, *_numbers(each))
    built.add_row("in all", "", *_numbers(found.total))
    return built


def _numbers(cost: Cost) -> tuple[str, ...]:
    seen = f"{cost.seen_gpu_hours / cost.gpu_hours:.0%}" if cost.gpu_hours else "-"
    hours = f"{cost.gpu_hours:.2f}", f"{cost.idle_gpu_hours:.2f}", seen
    return (*hours, _amount(cost.cost), _amount(cost.idle_cost))


def _amount(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:.2f}"
