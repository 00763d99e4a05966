"""`berth workspace` and `berth kubeconfig`: tenants, and access to what is theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from cli.client import BerthClient, NewWorkspace, NotFound, Workspace
from cli.clock import Clock, looks
from cli.completion import cluster_names, workspace_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.options import IdempotencyKey, Yes
from cli.phrases import moment
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.workspace import WorkspacePhase

app = typer.Typer(help="Tenants: namespaces on clusters, with members.", no_args_is_help=True)

READY_SECONDS_MAX = 120.0
GONE_SECONDS_MAX = 600.0
"""Everything in it is torn down first."""

Name = Annotated[str, typer.Argument(metavar="WORKSPACE", autocompletion=workspace_names)]
Wait = Annotated[bool, typer.Option(help="Until it is done.")]


@app.command()
@at_terminal
def create(  # noqa: PLR0913 - one argument for each option
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="WORKSPACE")],
    *,
    cluster: Annotated[
        list[str], typer.Option("--cluster", "-c", help="May be repeated.", autocompletion=cluster_names)
    ],
    namespace: Annotated[list[str] | None, typer.Option(help="May be repeated; the name itself by default.")] = None,
    email: Annotated[str, typer.Option(help="Of its owner.")] = "",
    description: Annotated[str, typer.Option()] = "",
    wait: Wait = True,
    idempotency_key: IdempotencyKey = "",
) -> None:
    """Make a workspace: each namespace on each cluster, or nothing."""
    wanted = NewWorkspace(
        name=name, clusters=cluster, namespaces=namespace or [name], email=email, description=description
    )
    made = terminal.client.create_workspace(wanted, idempotency_key=idempotency_key)
    if wait:
        made = until_ready(terminal.client, terminal.clock, name)
    terminal.screen.show(made, workspace_table([made], terminal.clock))


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Workspaces that you may see."""
    found = list(terminal.client.workspaces())
    terminal.screen.show(found, workspace_table(found, terminal.clock) if found else "none")


@app.command()
@at_terminal
def show(terminal: Terminal, workspace: Name) -> None:
    """One workspace."""
    found = terminal.client.workspace(workspace)
    terminal.screen.show(found, workspace_table([found], terminal.clock))


@app.command()
@at_terminal
def delete(
    terminal: Terminal,
    workspace: Name,
    *,
    yes: Yes = False,
    wait: Wait = True,
) -> None:
    """Delete a workspace: its queued requests, its namespaces and all that is in them. Refused while it holds GPUs."""
    if not yes and terminal.screen.asks:
        typer.confirm(f"Delete {workspace} with all that is in its namespaces?", abort=True)
    deleted = terminal.client.delete_workspace(workspace)
    if wait:
        _until_gone(terminal.client, terminal.clock, workspace)
        terminal.screen.say(f"{workspace} is gone")
    else:
        terminal.screen.show(deleted, workspace_table([deleted], terminal.clock))


@at_terminal
def kubeconfig(
    terminal: Terminal,
    workspace: Name,
    cluster: Annotated[str, typer.Option(help="All of the workspace by default.", autocompletion=cluster_names)] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file, private to you.")
    ] = None,
) -> None:
    """Access for kubectl: to the workspace's namespaces, until the lease ends or an hour at most."""
    issued = terminal.client.kubeconfig(workspace, cluster=cluster)
    if output:
        write_private(output, issued.kubeconfig)
        until = moment(issued.expires_at, terminal.clock.now())
        terminal.screen.say(f"{output}: valid until {until} at most; kubectl --kubeconfig {output} get pods")
    elif not terminal.screen.as_json:
        typer.echo(issued.kubeconfig, nl=not issued.kubeconfig.endswith("\n"))
    if terminal.screen.as_json:
        terminal.screen.document(issued)


def until_ready(client: BerthClient, clock: Clock, name: str, seconds_max: float = READY_SECONDS_MAX) -> Workspace:
    """Wait until every cluster has it; a workspace that could not be made is a failure."""
    for found in looks(lambda: client.workspace(name), clock, what=f"workspace {name}", seconds_max=seconds_max):
        if found.phase is WorkspacePhase.READY:
            return found
        if found.phase is not WorkspacePhase.CREATING:
            reason = f"{name} is {found.phase}: {found.failure}".rstrip(": ")
            raise CommandFailed(reason, code=ExitCode.OTHERWISE)
    raise AssertionError  # looking ends by being too late


def workspace_table(found: Iterable[Workspace], clock: Clock) -> Table:
    """Many workspaces."""
    built = table("NAME", "PHASE", "CLUSTERS", "NAMESPACES", "YOUR ROLE", "CREATED", "NOTE")
    for each in found:
        built.add_row(
            each.name,
            str(each.phase),
            ", ".join(each.clusters),
            ", ".join(each.namespaces),
            str(each.role or "administrator"),
            moment(each.created_at, clock.now()),
            Text(each.failure),
        )
    return built


def write_private(file: Path, text: str) -> None:
    """Write a secret: no other user can read it, not even for a moment."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(file)


def _until_gone(client: BerthClient, clock: Clock, name: str) -> None:
    what = f"the end of {name}"
    try:
        for _found in looks(lambda: client.workspace(name), clock, what=what, seconds_max=GONE_SECONDS_MAX):
            continue
    except NotFound:
        return
