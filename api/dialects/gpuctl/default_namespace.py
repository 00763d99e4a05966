"""gpuctl's people have a namespace `default` from the start. A cluster's own is not Berth's to give away: theirs is another."""

from __future__ import annotations

from typing import Final

THEIRS: Final = "default"
OURS: Final = "berth-default"


def inward(name: str) -> str:
    """What Berth calls a namespace of theirs."""
    return OURS if name == THEIRS else name


def outward(name: str) -> str:
    """What they call a namespace of Berth's."""
    return THEIRS if name == OURS else name
