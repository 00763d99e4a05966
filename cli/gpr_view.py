"""How a Gpr looks to people: a row of a table, a panel, a sentence. Pure: the time is given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.client.answers import Event, Gpr, Notice
from cli.phrases import clock_time, counted, moment, relative, span
from cli.screen import table
from domain.gpr import Phase

STYLES = {
    Phase.QUEUED: "yellow",
    Phase.PROVISIONING: "cyan",
    Phase.ACTIVE: "bold green",
    Phase.RELEASING: "cyan",
    Phase.RELEASED: "dim",
    Phase.EXPIRED: "dim",
    Phase.CANCELLED: "dim",
    Phase.FAILED: "bold red",
}
BAR_WIDTH = 40
EVENTS_SHOWN = 12


def wish(gpr: Gpr) -> str:
    """`2 x 8 H100`, `1 GPU`."""
    shape = gpr.shape or gpr.instance_type or "GPU"
    return f"{gpr.nodes} x {gpr.gpus_per_node} {shape}" if gpr.nodes > 1 else f"{gpr.gpus_per_node} {shape}"


def place(gpr: Gpr) -> str:
    """`worker-1-h100-1[0-3], worker-1-h100-2[0-3]`; empty while nothing was granted."""
    if gpr.lease is None:
        return ""
    return ", ".join(f"{each.node}[{_ranges(each.gpus)}]" for each in gpr.lease.nodes)


def outlook(gpr: Gpr, now: datetime) -> str:
    """What comes next, or how it ended, in one sentence."""
    if gpr.phase is Phase.QUEUED:
        return _waiting(gpr, now)
    if gpr.phase is Phase.PROVISIONING:
        return "GPUs are granted; access is being set up"
    if gpr.phase is Phase.ACTIVE and gpr.end_at:
        return f"ends {moment(gpr.end_at, now)}"
    if gpr.phase is Phase.RELEASING and gpr.suspended_at:
        return "is suspended; its GPUs are held until they are seen to be free"
    if gpr.phase is Phase.RELEASING:
        return "is torn down; its GPUs are held until they are seen to be free"
    return _ending(gpr, now)


def sentence(gpr: Gpr, now: datetime) -> str:
    """Phase, place and outlook in one line."""
    held = place(gpr) if gpr.lease and gpr.lease.held else ""
    return "  ".join(part for part in (str(gpr.phase), held, outlook(gpr, now)) if part)


def gpr_table(gprs: Iterable[Gpr], now: datetime) -> Table:
    """Many Gprs."""
    built = table("ID", "NAME", "WORKSPACE", "WANTS", ">PRIORITY", "PHASE", "NODES", "OUTLOOK")
    for gpr in gprs:
        built.add_row(
            str(gpr.id)[:8],
            gpr.name,
            gpr.workspace,
            wish(gpr),
            str(gpr.priority),
            Text(str(gpr.phase), STYLES[gpr.phase]),
            Text(place(gpr) if not gpr.ended else ""),
            Text(outlook(gpr, now)),
        )
    return built


def gpr_panel(gpr: Gpr, now: datetime) -> RenderableType:
    """One Gpr with everything that a person asks of it."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, text in _facts(gpr, now):
        facts.add_row(name, Text(text))
    body = Group(facts, *_countdown(gpr, now))
    title = Text.assemble((gpr.name, "bold"), "  ", (str(gpr.phase), STYLES[gpr.phase]))
    return Panel(body, title=title, title_align="left", expand=False)


def event_table(events: list[Event], now: datetime) -> Table:
    """The newest of what was decided about it."""
    built = table("TIME", "EVENT", "BY", "DETAIL")
    for event in events[-EVENTS_SHOWN:]:
        built.add_row(clock_time(event.at, now), event.kind, event.actor, Text(_detail(event)))
    return built


def notice_table(notices: list[Notice], now: datetime) -> Table:
    """What its people are told, and when."""
    built = table("DUE", "NOTICE", "STATE", "MESSAGE")
    for notice in notices:
        built.add_row(clock_time(notice.due_at, now), notice.kind, _notice_state(notice), Text(notice.message))
    return built


def _waiting(gpr: Gpr, now: datetime) -> str:
    estimate = gpr.estimate
    if estimate is None or not estimate.reason:
        return "waits for its turn to be looked at"
    start = f"; starts about {moment(estimate.starts_at, now)}" if estimate.starts_at else ""
    position = f"place {estimate.position}: " if estimate.position else ""
    return f"{position}{estimate.reason}{start}"


def _ending(gpr: Gpr, now: datetime) -> str:
    when = f"ended {relative(gpr.finished_at, now)}" if gpr.finished_at else "ended"
    cause = "" if gpr.end_cause in {None, str(gpr.phase)} else f", {gpr.end_cause}".replace("_", " ")
    return f"{when}{cause}: {gpr.failure}" if gpr.failure else f"{when}{cause}"


def _facts(gpr: Gpr, now: datetime) -> Iterable[tuple[str, str]]:
    yield "id", f"{gpr.id}  ({gpr.external_id})"
    yield "workspace", gpr.workspace
    lasts = "until it ends" if gpr.duration_seconds is None else f"for {span(gpr.duration_seconds)}"
    yield "wants", f"{wish(gpr)} {lasts}{_limits(gpr)}"
    yield "priority", f"{gpr.priority} ({gpr.band})"
    if gpr.preemptible:
        often = f"; it was {counted(gpr.preemptions, 'time')}" if gpr.preemptions else ""
        yield "preemptible", f"for stronger requests, and those to which is guaranteed what it borrows{often}"
    yield "submitted", f"{moment(gpr.submitted_at, now)} by {gpr.submitted_by}"
    yield "outlook", outlook(gpr, now)
    if gpr.promise and gpr.promise.starts_at and gpr.phase is Phase.QUEUED:
        yield "promised", f"to start no later than {moment(gpr.promise.starts_at, now)}"
    if gpr.lease:
        yield "holds" if gpr.lease.held else "held", f"{place(gpr)} on {gpr.lease.cluster}"
    if gpr.active_at:
        yield "active", moment(gpr.active_at, now)
    if gpr.retries:
        yield "retries", f"{counted(gpr.retries, 'provisioning')} failed: {gpr.failure}"
    if gpr.delays:
        yield "delays", f"its estimate moved to later {counted(gpr.delays, 'time')}"


def _limits(gpr: Gpr) -> str:
    memory = f", at least {gpr.memory_gib} GiB each" if gpr.memory_gib else ""
    return f"{memory}, on {', '.join(gpr.clusters)}" if gpr.clusters else memory


def _countdown(gpr: Gpr, now: datetime) -> Iterable[RenderableType]:
    """How much of the lease is used up."""
    if gpr.phase is not Phase.ACTIVE or gpr.active_at is None or gpr.end_at is None:
        return
    whole = (gpr.end_at - gpr.active_at).total_seconds()
    used = min(whole, (now - gpr.active_at).total_seconds())
    bar = Table.grid(padding=(0, 2))
    bar.add_row(ProgressBar(total=whole, completed=used, width=BAR_WIDTH), f"{span(whole - used)} left")
    yield bar


def _detail(event: Event) -> str:
    """Only what says something; GPUs as many, for the Gpr itself says which."""
    given = {name: value for name, value in event.detail.items() if value}
    gpus = given.pop("gpus", None)
    counts = [counted(len(gpus), "GPU")] if isinstance(gpus, list) else []
    return ", ".join([*counts, *(f"{name.replace('_', ' ')}: {value}" for name, value in given.items())])


def _notice_state(notice: Notice) -> str:
    if notice.withdrawn_at:
        return "withdrawn"
    return "delivered" if notice.delivered_at else "planned"


def _ranges(ordinals: list[int]) -> str:
    """`0-3,6`."""
    runs: list[list[int]] = []
    for ordinal in sorted(ordinals):
        if runs and ordinal == runs[-1][-1] + 1:
            runs[-1].append(ordinal)
        else:
            runs.append([ordinal])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
