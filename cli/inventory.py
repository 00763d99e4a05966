"""`berth nodes` and `berth clusters`: the hardware, who holds it, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from cli.client.answers import Cluster, Node
from cli.clock import Clock
from cli.completion import cluster_names
from cli.phrases import relative
from cli.screen import table
from cli.terminal import Terminal, at_terminal
from domain.hardware import NodeState


@at_terminal
def nodes(
    terminal: Terminal,
    cluster: Annotated[str, typer.Option(help="Only there.", autocompletion=cluster_names)] = "",
    shape: Annotated[str, typer.Option(help="Only this GPU product, or part of its name.")] = "",
) -> None:
    """GPU nodes: what is free, who holds the rest."""
    found = [each for each in terminal.client.nodes() if _is_meant(each, cluster, shape)]
    terminal.screen.show(found, node_table(found))


@at_terminal
def clusters(terminal: Terminal) -> None:
    """Registered clusters: what they are, what they lack, whether they answer."""
    found = terminal.client.clusters()
    terminal.screen.show(found, cluster_table(found, terminal.clock))


def node_table(found: list[Node]) -> Table:
    """Many nodes, and a sum."""
    built = table("CLUSTER", "NODE", "SHAPE", ">GIB", "TYPE", ">FREE", ">GPUS", "STATE", "HELD BY")
    for each in found:
        built.add_row(
            each.cluster,
            each.name,
            each.shape,
            str(each.memory_gib),
            each.instance_type,
            Text(str(each.free_gpus), "green" if each.free_gpus else "yellow"),
            str(each.gpus),
            _state(each),
            Text(_holders(each)),
        )
    built.add_row(
        "", f"{len(found)} in all", "", "", "", str(sum(each.free_gpus for each in found)), _gpus(found), "", ""
    )
    return built


def cluster_table(found: list[Cluster], clock: Clock) -> Table:
    """Many clusters."""
    built = table("CLUSTER", "VERSION", "SERVER", "ANSWERS", "LACKS")
    for each in found:
        seen = f"away for {relative(each.away_since, clock.now())}" if each.away_since else "yes"
        built.add_row(each.name, each.version, each.server, seen, Text("; ".join(each.lacks) or "nothing"))
    return built


def _is_meant(node: Node, cluster: str, shape: str) -> bool:
    return (not cluster or node.cluster == cluster) and shape.lower() in node.shape.lower()


def _state(node: Node) -> Text:
    style = "green" if node.state is NodeState.READY else "red"
    return Text(f"{node.state}: {node.condition}" if node.condition else str(node.state), style)


def _holders(node: Node) -> str:
    seen = [f"{each.workspace}/{each.gpr} ({each.gpus})" for each in node.holders]
    unseen = node.held_gpus - sum(each.gpus for each in node.holders)
    others = [f"others ({unseen})"] if unseen > 0 else []
    foreign = [f"pods outside Berth ({node.foreign_gpus})"] if node.foreign_gpus else []
    return ", ".join([*seen, *others, *foreign])


def _gpus(found: list[Node]) -> str:
    return str(sum(each.gpus for each in found))
