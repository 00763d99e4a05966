"""`berth quota workspace`, `override`, `user`: who may hold how many GPUs, usually and for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from cli.client.sharing import Held, NewOverride, QuotaOverride, UserCeiling, WorkspaceQuota, WorkspaceQuotaSetting
from cli.completion import workspace_names
from cli.options import IdempotencyKey
from cli.phrases import in_utc
from cli.reservations import WHEN, instant_of
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.shares import Scope

ANY = "any"

Guaranteed = Annotated[
    int | None, typer.Option(min=0, help="At most so many that cannot be preempted; any number by default.")
]
Ceiling = Annotated[
    int | None, typer.Option(min=0, help="At most so many in all, with what is borrowed; any number by default.")
]
Description = Annotated[str, typer.Option(help="For people.")]


@at_terminal
def workspaces(terminal: Terminal) -> None:
    """What workspaces may hold, and what they hold."""
    found = terminal.client.workspace_quotas()
    terminal.screen.show(found, share_table(found) if found else "none")


@at_terminal
def workspace(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="WORKSPACE", autocompletion=workspace_names)],
    *,
    gpus: Guaranteed = None,
    ceiling: Ceiling = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="Let it hold as many as there are.")] = False,
) -> None:
    """What a workspace may hold; with an option, limit it: administrators. What runs goes on."""
    if no_limit and (gpus is not None or ceiling is not None):
        raise typer.BadParameter("give --no-limit, or --gpus and --ceiling")
    client = terminal.client
    is_set = no_limit or gpus is not None or ceiling is not None
    setting = WorkspaceQuotaSetting(gpus=gpus, ceiling=ceiling)
    found = client.set_workspace_quota(name, setting) if is_set else client.workspace_quota(name)
    built = share_table([found])
    if found.overrides:
        built.caption = "\n".join(override_lines(found.overrides))
    terminal.screen.show(found, built)


@at_terminal
def overrides(
    terminal: Terminal, *, past: Annotated[bool, typer.Option("--past", help="Also those that are over.")] = False
) -> None:
    """What counts for a while instead of what is set else."""
    found = terminal.client.quota_overrides(past=past)
    terminal.screen.show(found, override_table(found, terminal.clock.now()) if found else "none")


@at_terminal
def override(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    scope: Annotated[Scope, typer.Argument(help="Whose limit it is.")],
    name: Annotated[str, typer.Argument(help="Of the namespace, workspace or department.")],
    *,
    end: Annotated[str, typer.Option("--end", "-e", help=WHEN)],
    begin: Annotated[str, typer.Option("--begin", "-b", help=f"{WHEN} Now by default.")] = "",
    gpus: Annotated[int | None, typer.Option(min=0, help="Instead of the quota, which stays by default.")] = None,
    ceiling: Annotated[int | None, typer.Option(min=0, help="Instead of the ceiling, likewise.")] = None,
    description: Description = "",
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Let something else count for a while; administrators. What runs when it begins or ends goes on."""
    now = terminal.clock.now()
    wanted = NewOverride(
        scope=scope,
        name=name,
        gpus=gpus,
        ceiling=ceiling,
        begin=instant_of(begin, now) if begin else None,
        end=instant_of(end, now),
        description=description,
    )
    made = terminal.client.set_quota_override(wanted, idempotency_key=idempotency_key)
    terminal.screen.show(made, override_table([made], now))


@at_terminal
def withdraw(
    terminal: Terminal, override_id: Annotated[str, typer.Argument(metavar="OVERRIDE", help="Its id.")]
) -> None:
    """End an override now, or let it never begin; administrators."""
    found = terminal.client.withdraw_quota_override(override_id)
    terminal.screen.show(found, override_table([found], terminal.clock.now()))


@at_terminal
def users(terminal: Terminal) -> None:
    """How many GPUs a person may hold at once."""
    found = terminal.client.user_ceilings()
    terminal.screen.show(found, user_table(found) if found else "nobody is limited")


@at_terminal
def user(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="USER", help="Everybody else by default.")] = "",
    *,
    gpus: Annotated[int | None, typer.Option(min=0, help="At most so many at once.")] = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="As many as there are.")] = False,
    like_others: Annotated[bool, typer.Option("--like-others", help="What counts for everybody.")] = False,
) -> None:
    """Limit what a person, or each person, may hold at once; administrators."""
    if [gpus is not None, no_limit, like_others].count(True) != 1:
        raise typer.BadParameter("give one of --gpus, --no-limit and --like-others")
    if like_others and not name:
        raise typer.BadParameter("--like-others is of one person: name them")
    client = terminal.client
    found = client.delete_user_ceiling(name) if like_others else client.set_user_ceiling(gpus, user=name)
    terminal.screen.show(found, user_table(found) if found else "nobody is limited")


def share_table(found: Iterable[WorkspaceQuota]) -> Table:
    """Quotas of workspaces."""
    built = table("WORKSPACE", "DEPARTMENT", ">GPUS", ">GUARANTEED", ">CEILING")
    for each in found:
        guaranteed, ceiling = limit(each.now.gpus, each.limit.gpus), limit(each.now.ceiling, each.limit.ceiling)
        built.add_row(each.workspace, each.department, held(each.held), guaranteed, ceiling)
    return built


def override_table(found: Iterable[QuotaOverride], now: datetime) -> Table:
    """Overrides."""
    built = table("OVERRIDE", "OF", "NAME", ">GPUS", ">CEILING", "BEGIN", "END", "STATE", "DESCRIPTION")
    for each in found:
        amounts = ["-" if amount is None else str(amount) for amount in (each.gpus, each.ceiling)]
        times = (in_utc(each.begin), in_utc(each.end))
        built.add_row(str(each.id), each.scope, each.name, *amounts, *times, state_of(each, now), each.description)
    return built


def user_table(found: Iterable[UserCeiling]) -> Table:
    """Ceilings of people."""
    built = table("USER", ">GPUS", ">CEILING")
    for each in found:
        held_now = str(each.held) if each.user else "-"
        built.add_row(each.user or "everybody else", held_now, ANY if each.gpus is None else str(each.gpus))
    return built


def override_lines(found: Iterable[QuotaOverride]) -> Iterator[str]:
    """What counts for a while, a line for each."""
    for each in found:
        amounts = {"guaranteed": each.gpus, "ceiling": each.ceiling}
        said = ", ".join(f"{name} {amount}" for name, amount in amounts.items() if amount is not None)
        yield f"{said} from {in_utc(each.begin)} until {in_utc(each.end)}"


def state_of(override: QuotaOverride, now: datetime) -> str:
    """Whether it counts."""
    if override.withdrawn_at is not None:
        return "withdrawn"
    if override.end <= now:
        return "over"
    return "counts" if override.begin <= now else "to come"


def limit(now: int | None, usual: int | None) -> str:
    """A limit as it is; with what it usually is where that is something else."""
    words = ANY if now is None else str(now)
    return words if now == usual else f"{words} (usually {ANY if usual is None else usual})"


def held(amount: Held) -> str:
    """GPUs that are held, and how many of them can be preempted."""
    return f"{amount.gpus} ({amount.preemptible} preemptible)" if amount.preemptible else str(amount.gpus)
