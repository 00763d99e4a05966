"""`berth plan`, `when`, `why`, `promise`, `extend`, `honesty`: when things start, why not sooner, and how far off that was."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli.client.foresight import ExtensionWish
from cli.completion import cluster_names, gpr_words
from cli.gpr_search import find_gpr
from cli.gpr_view import outlook, sentence
from cli.options import IdempotencyKey
from cli.phrases import clock_time, counted, moment, span
from cli.plan_view import plan_lines
from cli.screen import table
from cli.shapes import full_shape
from cli.terminal import Terminal, at_terminal
from domain.durations import parse_duration

if TYPE_CHECKING:
    from rich.table import Table

    from cli.client.answers import Estimate, Gpr
    from cli.client.foresight import Honesty, Opening, Sooner, Why

GprWords = Annotated[
    str, typer.Argument(metavar="GPR", help="Its id, the beginning of it, or its name.", autocompletion=gpr_words)
]
PERCENT = 100


@at_terminal
def plan(
    terminal: Terminal,
    hours: Annotated[int, typer.Option(min=1, max=336, help="How far ahead.")] = 24,
    cluster: Annotated[str, typer.Option(help="Only there.", autocompletion=cluster_names)] = "",
) -> None:
    """The next day, node by node: who has which GPUs, and who will have them. Others' are only in use."""
    found = terminal.client.plan(hours=hours, cluster=cluster)
    lines = "\n".join(plan_lines(found, terminal.screen.out.width)) if found.nodes else "no nodes"
    terminal.screen.show(found, Text(lines, no_wrap=True, overflow="ignore"))


@at_terminal
def when(
    terminal: Terminal,
    gpus: Annotated[int | None, typer.Argument(min=1, metavar="[N]", help="So many; by default every number.")] = None,
    shape: Annotated[str, typer.Option(help="GPU product, or part of its name; by default each.")] = "",
    duration: Annotated[str, typer.Option("--duration", "-d", help="How long they would be kept.")] = "1h",
    pool: Annotated[str, typer.Option(help="Nodes of this pool.")] = "",
) -> None:
    """When so many GPUs are free."""
    parse_duration(duration)
    meant = full_shape(shape, terminal.client.nodes()) if shape else ""
    found = terminal.client.openings(shape=meant, gpus=gpus, duration=duration, pool=pool)
    terminal.screen.show(found, opening_table(found, terminal.clock.now()) if found else "no such GPUs")


@at_terminal
def why(terminal: Terminal, gpr: GprWords) -> None:
    """Why a request does not start yet, and what would start sooner."""
    found = find_gpr(terminal.client, gpr)
    told = terminal.client.why(found.id)
    terminal.screen.show(told, why_picture(found, told, terminal.clock.now()))


@at_terminal
def promise(
    terminal: Terminal,
    gpr: GprWords,
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Give the promise up.")] = False,
) -> None:
    """Have the start that is planned for a request promised: nobody who comes later moves it."""
    meant = find_gpr(terminal.client, gpr).id
    changed = terminal.client.withdraw_promise(meant) if withdraw else terminal.client.promise(meant)
    terminal.screen.show(changed, promise_sentence(changed, terminal.clock.now()))


@at_terminal
def extend(
    terminal: Terminal,
    gpr: GprWords,
    by: Annotated[str, typer.Argument(metavar="BY", help="As in 1h30m.")],
    *,
    or_longest: Annotated[
        bool, typer.Option("--or-longest", help="If that is too long, as much of it as there is room for.")
    ] = False,
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Let a lease last longer, where no promise and no reservation is in the way."""
    wish = ExtensionWish(seconds=parse_duration(by), or_longest=or_longest)
    granted = terminal.client.extend(find_gpr(terminal.client, gpr).id, wish, idempotency_key=idempotency_key)
    less = f"; not longer: {granted.in_the_way}" if granted.in_the_way else ""
    told = f"{granted.gpr.name} lasts {span(granted.seconds)} longer and {outlook(granted.gpr, terminal.clock.now())}{less}"
    terminal.screen.show(granted, told)


@at_terminal
def honesty(terminal: Terminal, days: Annotated[int, typer.Option(min=1, max=30)] = 7) -> None:
    """How far off the starts were that people were shown, by how far ahead they looked."""
    found = terminal.client.honesty(days=days)
    nothing = f"nothing that was shown a start has started within {counted(days, 'day')}"
    begin, free = span(found.handover.provisioning_seconds), span(found.handover.teardown_seconds)
    allowed = (
        f"plans allow {begin} from a grant to the begin of its lease, and {free} from its end until its GPUs are free"
    )
    terminal.screen.show(found, Group(honesty_table(found) if found.items else nothing, allowed))


def opening_table(found: list[Opening], now: datetime) -> Table:
    """When so many are free."""
    built = table("SHAPE", ">GPUS", ">NODES", "FREE", "BETWEEN", "WHY NOT NOW")
    for each in found:
        estimate = each.estimate
        at_once = estimate.starts_at is not None and not estimate.reason
        free = "now" if at_once else _start(estimate, now)
        between = "" if at_once else _interval(estimate, now)
        built.add_row(each.shape, str(each.gpus), str(each.nodes), Text(free), Text(between), Text(estimate.reason))
    return built


def why_picture(gpr: Gpr, told: Why, now: datetime) -> RenderableType:
    """The sentence, and what would start sooner."""
    parts: list[RenderableType] = [Text(_why(gpr, told, now))]
    if told.promise:
        parts.append(Text(promise_sentence(gpr, now)))
    if told.sooner:
        built = table("SOONER", "STARTS", "BETWEEN")
        for each in told.sooner:
            built.add_row(Text(_change(each)), Text(_start(each.estimate, now)), Text(_interval(each.estimate, now)))
        parts.append(built)
    return Group(*parts)


def promise_sentence(gpr: Gpr, now: datetime) -> str:
    """What it was promised."""
    if gpr.promise is None:
        return f"{gpr.name} has no promise"
    if gpr.promise.starts_at is None:
        return f"the hardware that {gpr.name} was promised is lost, and nobody can say yet when it starts"
    moved = f"; hardware was lost {counted(gpr.promise.moves, 'time')}" if gpr.promise.moves else ""
    return f"{gpr.name} starts no later than {moment(gpr.promise.starts_at, now)}: promised{moved}"


def honesty_table(found: Honesty) -> Table:
    """By how far ahead."""
    built = table("SHOWN AHEAD", ">ESTIMATES", ">MEDIAN ERROR", ">9 OF 10 WITHIN", ">INSIDE INTERVAL")
    for each in found.items:
        sign = "-" if each.median_seconds < 0 else "+"
        median = f"{sign}{span(abs(each.median_seconds))}"
        inside = f"{each.inside_share * PERCENT:.0f} %"
        built.add_row(each.horizon, str(each.shown), median, span(each.p90_seconds), inside)
    return built


def _why(gpr: Gpr, told: Why, now: datetime) -> str:
    if told.estimate is None:
        return f"{gpr.name} does not wait: {sentence(gpr, now)}"
    if not told.estimate.reason:
        return f"{gpr.name} starts now"
    place = f"place {told.estimate.position}: " if told.estimate.position else ""
    start = f"; starts {_start(told.estimate, now)}" if told.estimate.starts_at else ""
    between = _interval(told.estimate, now)
    return f"{place}{told.estimate.reason}{start}{f' ({between})' if between else ''}"


def _start(estimate: Estimate, now: datetime) -> str:
    return moment(estimate.starts_at, now) if estimate.starts_at else "nobody can know"


def _interval(estimate: Estimate, now: datetime) -> str:
    if estimate.earliest is None or estimate.latest is None:
        return ""
    return f"{clock_time(estimate.earliest, now)} to {clock_time(estimate.latest, now)}"


def _change(each: Sooner) -> str:
    if each.change == "duration" and each.duration_seconds:
        return f"for {span(each.duration_seconds)}"
    gpus = f"{each.gpus_per_node} x {each.shape or 'GPU'}"
    return f"{gpus} on one node" if each.nodes == 1 else f"{gpus} on each of {each.nodes} nodes"
