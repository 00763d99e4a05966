"""`berth pool`: nodes set aside for those who name the pool."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client import NewPool, PoolChange
from cli.client.answers import Pool
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


def pool_table(found: list[Pool]) -> Table:
    """Many pools."""
    built = table("POOL", ">NODES", "WHICH", "DESCRIPTION")
    for each in found:
        which = ", ".join(f"{one.cluster}/{one.node}" for one in each.nodes)
        built.add_row(each.name, str(len(each.nodes)), which, each.description)
    return built


def _changed(terminal: Terminal, name: str, change: PoolChange) -> None:
    changed = terminal.client.change_pool(name, change)
    terminal.screen.show(changed, pool_table([changed]))
