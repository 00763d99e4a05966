"""How often Python looks for garbage: more seldom than usual, since a pass makes many objects that stay until its end."""

from __future__ import annotations

import gc
from typing import Final

OBJECTS_BEFORE_LOOK: Final = 5_000
"""Python's own 700 are for programs that make few: of the plan of a long queue a tenth of the time went there."""


def look_seldom() -> None:
    """For a process that reads and plans queues."""
    gc.set_threshold(OBJECTS_BEFORE_LOOK, *gc.get_threshold()[1:])
