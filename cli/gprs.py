"""`berth gpr`: ask for GPUs, see where the request stands, follow it, let go of it."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer
from rich.console import Group

from cli.client import Gpr, GprChange, NewGpr
from cli.clock import TooLate
from cli.completion import gpr_words, workspace_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.gpr_search import find_gpr
from cli.gpr_view import event_table, gpr_panel, gpr_table, notice_table, sentence
from cli.gpr_viewer import Viewer
from cli.options import IdempotencyKey
from cli.shapes import full_shape
from cli.terminal import Terminal, at_terminal
from cli.watching import Watch
from domain.durations import parse_duration
from domain.gpr import Phase
from domain.priority import PRIORITY_MAX

app = typer.Typer(help="Requests for GPUs: ask, look, follow, let go.", no_args_is_help=True)

GprWords = Annotated[
    str, typer.Argument(metavar="GPR", help="Its id, the beginning of it, or its name.", autocompletion=gpr_words)
]
Duration = Annotated[str, typer.Option("--duration", "-d", help="As in 1d2h30m; counts from when it is active.")]
Timeout = Annotated[str, typer.Option("--timeout", help="Give up after this long, as in 10m; exit code 6.")]
Priority = Annotated[int | None, typer.Option(min=0, max=PRIORITY_MAX, help="Low 0-100, medium -200, high -300.")]


class Until(StrEnum):
    """What a watcher hopes for."""

    ACTIVE = "active"
    """The GPUs are there to use."""
    END = "end"
    """Everything is free again."""


WHAT = {Until.ACTIVE: "start", Until.END: "end"}


@app.command()
@at_terminal
def create(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    name: Annotated[str, typer.Argument(help="For people.")],
    *,
    workspace: Annotated[str, typer.Option("--workspace", "-w", autocompletion=workspace_names)],
    duration: Duration,
    gpus: Annotated[int, typer.Option("--gpus", "-g", min=1, help="On each node.")] = 1,
    nodes: Annotated[int, typer.Option("--nodes", "-n", min=1, help="All of them or none.")] = 1,
    shape: Annotated[str, typer.Option(help="GPU product, or a part of its name that only it has.")] = "",
    instance_type: Annotated[str, typer.Option(help="Node type, as `berth nodes` names it.")] = "",
    memory: Annotated[int, typer.Option(min=0, help="GiB that each GPU has at least.")] = 0,
    priority: Priority = None,
    cluster: Annotated[list[str] | None, typer.Option(help="Only there; may be repeated, best first.")] = None,
    pool: Annotated[str, typer.Option(help="Only nodes of this pool; the workspace's by default.")] = "",
    requeue: Annotated[bool, typer.Option(help="Queue again when provisioning fails.")] = True,
    preemptible: Annotated[
        bool, typer.Option("--preemptible", help="It may be ended early for another request, and is queued again.")
    ] = False,
    idle_timeout: Annotated[str, typer.Option(help="Tell me when its GPUs were idle for so long, as in 30m.")] = "",
    release_when_idle: Annotated[bool, typer.Option("--release-when-idle", help="And then release it.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it is active.")] = False,
    timeout: Annotated[str, typer.Option(help="Follow it no longer than this, as in 10m; exit code 6.")] = "",
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Ask for GPUs."""
    parse_duration(duration)
    patience = parse_duration(timeout) if timeout else None
    wanted = NewGpr(
        workspace=workspace,
        name=name,
        duration=duration,
        nodes=nodes,
        gpus_per_node=gpus,
        priority=priority,
        shape=full_shape(shape, terminal.client.nodes()) if shape else "",
        instance_type=instance_type,
        memory_gib=memory,
        clusters=cluster or (),
        pool=pool,
        requeue_on_failure=requeue,
        preemptible=preemptible,
        idle_timeout=idle_timeout or None,
        release_when_idle=release_when_idle,
    )
    gpr = terminal.client.submit(wanted, idempotency_key=idempotency_key)
    if watch:
        _follow(terminal, gpr, Until.ACTIVE, patience)
    else:
        terminal.screen.show(gpr, gpr_panel(gpr, terminal.clock.now()))


@app.command("list")
@at_terminal
def list_(
    terminal: Terminal,
    workspace: Annotated[str, typer.Option("--workspace", "-w", autocompletion=workspace_names)] = "",
    phase: Annotated[list[Phase] | None, typer.Option(help="Only those in this phase; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
) -> None:
    """Requests that you may see, newest first."""
    gprs = list(islice(terminal.client.gprs(workspace=workspace, phases=phase or ()), limit))
    terminal.screen.show(gprs, gpr_table(gprs, terminal.clock.now()) if gprs else "none")


@app.command()
@at_terminal
def show(terminal: Terminal, gpr: GprWords) -> None:
    """One request: where it stands, what happened to it, what its people are told."""
    found, now = find_gpr(terminal.client, gpr), terminal.clock.now()
    if terminal.screen.as_json:
        terminal.screen.document(found)
        return
    notices = terminal.client.notices(found.id)
    parts = [gpr_panel(found, now), event_table(list(terminal.client.events(found.id)), now)]
    terminal.screen.out.print(Group(*parts, *([notice_table(notices, now)] if notices else [])))


@app.command()
@at_terminal
def watch(terminal: Terminal, gpr: GprWords, until: Until = Until.END, timeout: Timeout = "") -> None:
    """Follow a request; with --json one line for each change. Exit code 6 when it ends otherwise than hoped."""
    _follow(terminal, find_gpr(terminal.client, gpr), until, parse_duration(timeout) if timeout else None)


@app.command()
@at_terminal
def change(
    terminal: Terminal,
    gpr: GprWords,
    priority: Priority = None,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
) -> None:
    """Another priority while it is queued, or another name."""
    wished = {"priority": priority, "name": name}
    given = {field: value for field, value in wished.items() if value is not None}
    if not given:
        raise CommandFailed("nothing to change", mend="give --priority or --name", code=ExitCode.USAGE)
    changed = terminal.client.change_gpr(find_gpr(terminal.client, gpr).id, GprChange.model_validate(given))
    terminal.screen.show(changed, gpr_panel(changed, terminal.clock.now()))


@app.command()
@at_terminal
def release(
    terminal: Terminal,
    gpr: GprWords,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until everything is free.")] = False,
    timeout: Timeout = "10m",
) -> None:
    """End a request now, or take it out of the queue."""
    released = terminal.client.release(find_gpr(terminal.client, gpr).id)
    if wait:
        for sight in Watch(terminal.client, terminal.clock, released.id).sights(seconds_max=parse_duration(timeout)):
            released = sight.gpr
    terminal.screen.show(released, sentence(released, terminal.clock.now()))


@app.command()
@at_terminal
def suspend(terminal: Terminal, gpr: GprWords) -> None:
    """Give a request's GPUs back, or those of a job, and let it wait until it is resumed; it keeps its place in the queue."""
    suspended = terminal.client.suspend(find_gpr(terminal.client, gpr).id)
    terminal.screen.show(suspended, sentence(suspended, terminal.clock.now()))


@app.command()
@at_terminal
def resume(terminal: Terminal, gpr: GprWords) -> None:
    """Let a suspended request, or job, wait for GPUs again."""
    resumed = terminal.client.resume(find_gpr(terminal.client, gpr).id)
    terminal.screen.show(resumed, sentence(resumed, terminal.clock.now()))


def _follow(terminal: Terminal, gpr: Gpr, until: Until, seconds_max: float | None) -> None:
    last, what = gpr, f"the {WHAT[until]} of {gpr.name}"
    with Viewer(terminal.screen, terminal.clock, terminal.client) as viewer:
        watch = Watch(terminal.client, terminal.clock, gpr.id)
        try:
            for sight in watch.sights(what=what, seconds_max=seconds_max):
                viewer.see(sight)
                last = sight.gpr
                if until is Until.ACTIVE and last.phase is Phase.ACTIVE:
                    return
        except TooLate as late:
            late.detail = sentence(last, terminal.clock.now())
            raise
    if until is Until.ACTIVE or last.phase in {Phase.FAILED, Phase.CANCELLED}:
        told = sentence(last, terminal.clock.now())
        raise CommandFailed(f"{last.name} is {told}", code=ExitCode.OTHERWISE)
