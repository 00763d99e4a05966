"""From what people call a GPU to what the inventory calls it: `H100` is `NVIDIA-H100-80GB-HBM3` where only one is."""

from __future__ import annotations

from collections.abc import Iterable

from cli.client.answers import Node
from cli.exits import ExitCode
from cli.failures import CommandFailed


def full_shape(words: str, nodes: Iterable[Node]) -> str:
    """The one shape that is meant; what no node has stays as it is, for the server to say why it waits."""
    shapes = sorted({node.shape for node in nodes})
    meant = [shape for shape in shapes if words.lower() in shape.lower()]
    if len(meant) > 1 and words.lower() not in {shape.lower() for shape in meant}:
        raise CommandFailed(f"{words!r} may mean {', '.join(meant)}", mend="write more of it", code=ExitCode.USAGE)
    same = [shape for shape in meant if shape.lower() == words.lower()]
    return (same or meant or [words])[0]
