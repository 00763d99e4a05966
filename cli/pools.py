"""`berth pool`: nodes set aside for those who name the pool, and what workspaces weigh among these."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client import NewPool, PoolChange
from cli.client.answers import Pool, PoolWeight
from cli.client.reserving import Weight
from cli.completion import workspace_names
from cli.screen import table
from cli.terminal import Terminal, at_terminal

app = typer.Typer(help="Nodes set aside for those who name the pool.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The pool.")]
Nodes = Annotated[list[str], typer.Argument(help="By name; cluster/name where several clusters have it.")]


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Pools and their nodes."""
    found = terminal.client.pools()
    terminal.screen.show(found, pool_table(found))


@app.command()
@at_terminal
def create(
    terminal: Terminal,
    name: Name,
    nodes: Annotated[
        list[str] | None, typer.Argument(help="By name; cluster/name where several clusters have it.")
    ] = None,
    *,
    description: Annotated[str, typer.Option(help="For people.")] = "",
) -> None:
    """Set nodes aside; administrators. Requests that name no pool do not get them any more."""
    made = terminal.client.create_pool(NewPool(name=name, description=description, nodes=nodes or []))
    terminal.screen.show(made, pool_table([made]))


@app.command()
@at_terminal
def add(terminal: Terminal, name: Name, nodes: Nodes) -> None:
    """Add nodes; administrators. What runs there goes on."""
    _changed(terminal, name, PoolChange(add=nodes))


@app.command()
@at_terminal
def remove(terminal: Terminal, name: Name, nodes: Nodes) -> None:
    """Remove nodes; administrators. What runs there goes on."""
    _changed(terminal, name, PoolChange(remove=nodes))


@app.command()
@at_terminal
def delete(terminal: Terminal, name: Name) -> None:
    """Let its nodes serve those who name no pool; administrators. Refused while it is used."""
    gone = terminal.client.delete_pool(name)
    terminal.screen.show(gone, f"the pool {gone.name} is gone; its {len(gone.nodes)} node(s) serve everybody")


@app.command()
@at_terminal
def weight(
    terminal: Terminal,
    name: Name,
    workspace: Annotated[str, typer.Argument(help="All by default.", autocompletion=workspace_names)] = "",
    *,
    set_: Annotated[int | None, typer.Option("--set", min=1, max=1000, help="From now on; administrators.")] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="What it weighs in general counts here too; administrators.")
    ] = False,
) -> None:
    """What workspaces weigh among those who ask for the pool, and what they had there lately."""
    client, screen = terminal.client, terminal.screen
    if (set_ is not None or remove) and not workspace:
        raise typer.BadParameter("name the workspace")
    if set_ is not None and remove:
        raise typer.BadParameter("give --set, or --remove")
    if set_ is not None:
        changed = client.set_pool_weight(name, workspace, Weight(weight=set_))
        screen.show(changed, weight_table([changed]))
    elif remove:
        gone = client.remove_pool_weight(name, workspace)
        screen.show(gone, f"{gone.workspace} weighs in the pool {gone.pool} what it weighs in general")
    else:
        found = [one for one in client.pool_weights(name) if workspace in {"", one.workspace}]
        screen.show(found, weight_table(found) if found else "no weight of its own" if workspace else "none")


def pool_table(found: list[Pool]) -> Table:
    """Many pools."""
    built = table("POOL", ">NODES", "WHICH", "WEIGHTS", "DESCRIPTION")
    for each in found:
        which = ", ".join(f"{one.cluster}/{one.node}" for one in each.nodes)
        weights = ", ".join(f"{one.workspace} {one.weight}" for one in each.weights)
        built.add_row(each.name, str(len(each.nodes)), which, weights, each.description)
    return built


def weight_table(found: list[PoolWeight]) -> Table:
    """Many weights."""
    built = table("POOL", "WORKSPACE", ">WEIGHT", ">GPU-HOURS", "SET BY")
    for each in found:
        built.add_row(each.pool, each.workspace, str(each.weight), f"{each.gpu_hours_used:g}", each.set_by)
    return built


def _changed(terminal: Terminal, name: str, change: PoolChange) -> None:
    changed = terminal.client.change_pool(name, change)
    terminal.screen.show(changed, pool_table([changed]))
