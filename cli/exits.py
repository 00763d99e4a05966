"""What the exit code of every command means: the one place that says it.

Programs that call `berth` rely on these numbers; they never change meaning.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    FINE = 0
    """It did what was asked."""
    FAILED = 1
    """Something went wrong that no other number names."""
    USAGE = 2
    """The command line, or a value in it, is not valid."""
    NOT_FOUND = 3
    """What was named does not exist, or the caller may not know of it."""
    REFUSED = 4
    """The server said no: no valid key, not permitted, or not in this phase."""
    AWAY = 5
    """The server, or a part that it needs, does not answer."""
    OTHERWISE = 6
    """It ended otherwise than hoped: a watched Gpr failed, or did not get there in time."""


INTERRUPTED = 130
"""Ctrl-C, as every shell spells it."""

EPILOG = (
    "Exit codes: 0 fine, 1 failed, 2 usage, 3 not found, 4 refused, 5 a part is away, "
    "6 ended otherwise than hoped, 130 interrupted."
)
