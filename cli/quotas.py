"""`berth quota`: how much of a namespace may be in use at once; who else may hold how much is in `shares`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli import shares
from cli.client import QuotaSetting
from cli.client.answers import Quota
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.hardware import MEBIBYTES_PER_GIBIBYTE

MILLIS = 1000

app = typer.Typer(help="How much namespaces, workspaces and people may have at once.", no_args_is_help=True)

Namespace = Annotated[str, typer.Argument(help="The namespace, on all clusters of its workspace.")]


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Quotas that you may see, and what is in use of them."""
    found = terminal.client.quotas()
    terminal.screen.show(found, quota_table(found))


@app.command("set")
@at_terminal
def set_(
    terminal: Terminal,
    namespace: Namespace,
    *,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs; as many as there are by default.")] = None,
    cpus: Annotated[float | None, typer.Option(min=0, help="CPUs of its jobs.")] = None,
    memory: Annotated[int | None, typer.Option(min=0, help="GiB of its jobs.")] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Limit a namespace; administrators. What is in use goes on."""
    setting = QuotaSetting(
        description=description,
        gpus=gpus,
        cpu_millis=None if cpus is None else round(cpus * MILLIS),
        memory_mib=None if memory is None else memory * MEBIBYTES_PER_GIBIBYTE,
    )
    quota = terminal.client.set_quota(namespace, setting)
    terminal.screen.show(quota, quota_table([quota]))


@app.command()
@at_terminal
def delete(terminal: Terminal, namespace: Namespace) -> None:
    """Let a namespace use as much as there is; administrators."""
    gone = terminal.client.delete_quota(namespace)
    terminal.screen.show(gone, f"namespace {gone.namespace} has no quota any more")


app.command()(shares.workspaces)
app.command()(shares.workspace)
app.command()(shares.overrides)
app.command()(shares.override)
app.command()(shares.withdraw)
app.command()(shares.users)
app.command()(shares.user)


def quota_table(found: list[Quota]) -> Table:
    """Many quotas."""
    built = table("NAMESPACE", "WORKSPACE", ">GPUS", ">CPUS", ">MEMORY GIB", "DESCRIPTION")
    for each in found:
        used, limit = each.used, each.limit
        gpus = _of(used.gpus, limit.gpus, 1) + _for_now(each)
        cpus = _of(used.cpu_millis, limit.cpu_millis, MILLIS)
        memory = _of(used.memory_mib, limit.memory_mib, MEBIBYTES_PER_GIBIBYTE)
        built.add_row(each.namespace, each.workspace, gpus, cpus, memory, each.description)
    return built


def _for_now(quota: Quota) -> str:
    """What an override makes of it."""
    if "gpus_now" not in quota.model_fields_set or quota.gpus_now == quota.limit.gpus:
        return ""
    return f" (now {'any' if quota.gpus_now is None else quota.gpus_now})"


def _of(used: int | None, limit: int | None, unit: int) -> str:
    return f"{(used or 0) / unit:g}/{'any' if limit is None else f'{limit / unit:g}'}"
