"""The one way the local stack says that something is missing or broken, and how to mend it.

Apart from the domain's failures: these speak about this machine, never about a Gpr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 16_384


class StackError(Exception):
    """A part of the local stack is missing or does not start."""

    def __init__(self, message: str, *, mend: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.detail = detail

    def __str__(self) -> str:
        lines = [self.message]
        if self.detail:
            lines += ["", self.detail, ""]
        if self.mend:
            lines.append(f"Mend: {self.mend}")
        return "\n".join(lines)


def tail(log: Path, lines_max: int = TAIL_LINES) -> str:
    """The last lines of a log, indented, under its path; empty when there is nothing to show."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    last = text.splitlines()[-lines_max:]
    return "\n".join([f"{log}:", *(f"  {line}" for line in last)]) if last else ""
