"""`berth gpu`: what each GPU does, what it has reported, and setting it aside."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.client.hardware import Fault, GpuHistory, GpuNow, Quarantine, QuarantineOrder
from cli.clock import Clock
from cli.completion import cluster_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.phrases import relative
from cli.screen import table
from cli.terminal import Terminal, at_terminal

app = typer.Typer(help="Single GPUs: use, faults, setting aside.", no_args_is_help=True)

GpuWord = Annotated[
    str, typer.Argument(metavar="GPU", help="Its number, its UUID, or NODE:PLACE, as `berth gpu list` has them.")
]


@app.command("list")
@at_terminal
def list_(
    terminal: Terminal,
    cluster: Annotated[str, typer.Option(help="Only there.", autocompletion=cluster_names)] = "",
    node: Annotated[str, typer.Option(help="Only on this node.")] = "",
) -> None:
    """GPUs that node agents know: use, health, holder."""
    found = terminal.client.gpus(cluster=cluster, node=node)
    terminal.screen.show(found, gpu_table(found))


@app.command()
@at_terminal
def faults(terminal: Terminal, gpu: GpuWord) -> None:
    """What a GPU has reported, and when it was set aside; newest first."""
    found = terminal.client.gpu_faults(_id(terminal, gpu))
    terminal.screen.show(found, _history(found, terminal.clock))


@app.command()
@at_terminal
def quarantine(
    terminal: Terminal,
    gpu: GpuWord,
    *,
    reason: Annotated[str, typer.Option("--reason", "-r", help="For people.")] = "",
    node: Annotated[bool, typer.Option("--node", help="All GPUs of its node.")] = False,
) -> None:
    """Place nothing more on a GPU; administrators. What runs there goes on."""
    order = QuarantineOrder(reason=reason, whole_node=node)
    after = terminal.client.quarantine_gpu(_id(terminal, gpu), order)
    terminal.screen.show(after, gpu_table([after]))


@app.command()
@at_terminal
def release(terminal: Terminal, gpu: GpuWord) -> None:
    """Let a GPU, and its node if that is set aside, be used again; administrators."""
    after = terminal.client.release_gpu(_id(terminal, gpu))
    terminal.screen.show(after, gpu_table([after]))


def gpu_table(found: list[GpuNow]) -> Table:
    """Many GPUs."""
    built = table(
        "GPU", "CLUSTER", "NODE:PLACE", "PRODUCT", ">USE %", ">MIB USED", ">°C", ">PROCESSES", "HEALTH", "HELD BY"
    )
    for each in found:
        reading = each.reading
        built.add_row(
            str(each.id),
            each.cluster,
            f"{each.node}:{each.ordinal}",
            f"{each.product} {each.mig_profile}".strip(),
            _said(reading.utilisation_percent if reading else None),
            _said(reading.memory_used_mib if reading else None),
            _said(reading.temperature_celsius if reading else None),
            _said(reading.processes if reading else None),
            _health(each),
            f"{each.holder.workspace}/{each.holder.gpr}" if each.holder else "",
        )
    return built


def _history(found: GpuHistory, clock: Clock) -> Group:
    reported = table("REPORTED", "WHAT", "REMEDY", "WHAT FOLLOWED")
    for fault in found.items:
        reported.add_row(relative(fault.at, clock.now()), _fault(fault), _words(fault.remedy), fault.verdict)
    aside = table("SET ASIDE", "WHY", "BY", "LIFTED")
    for each in found.quarantines:
        aside.add_row(relative(each.begun_at, clock.now()), each.reason, each.begun_by, _lifted(each, clock))
    return Group(reported, "", aside)


def _fault(fault: Fault) -> str:
    return f"Xid {fault.code}" if fault.kind == "xid" else _words(fault.kind)


def _lifted(each: Quarantine, clock: Clock) -> str:
    if each.lifted_at is not None:
        return f"{relative(each.lifted_at, clock.now())} by {each.lifted_by}"
    return f"no: {each.waits_for}" if each.waits_for else "no"


def _health(gpu: GpuNow) -> Text:
    if gpu.set_aside is not None:
        return Text(f"set aside: {gpu.set_aside.reason}", "red")
    return Text("no readings", "yellow") if gpu.reading is None else Text("ok", "green")


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _words(code: str) -> str:
    return code.replace("_", " ")


def _id(terminal: Terminal, word: str) -> int:
    """The number behind a word for a GPU."""
    if word.isdecimal():
        return int(word)
    found = [one for one in terminal.client.gpus() if word in {one.uuid, f"{one.node}:{one.ordinal}"}]
    whole = [one for one in found if not one.parent_uuid] or found
    if len(whole) != 1:
        what = "names no GPU" if not whole else "names several GPUs"
        raise CommandFailed(f"{word!r} {what}", mend="see `berth gpu list`", code=ExitCode.USAGE)
    return whole[0].id
