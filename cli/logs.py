"""`berth logs`: what the parts of the local stack write, one part or all, from their files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from cli.clock import POLL_SECONDS, Clock
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.options import StackName
from cli.servers import DEFAULT_STACK
from cli.stack.stack import Stack

LINES_OF_ONE = 50
LINES_OF_EACH = 5
READ_BYTES_MAX = 4 * 1024 * 1024
"""Of the end of a log; older lines are in the file."""


def part_names(incomplete: str) -> list[str]:
    """Parts of the default stack, for the shell."""
    return [part.name for part in Stack.open(DEFAULT_STACK).parts() if part.name.startswith(incomplete)]


def logs(
    part: Annotated[
        str, typer.Argument(help="All by default; `berth status` names them.", autocompletion=part_names)
    ] = "",
    *,
    name: StackName = DEFAULT_STACK,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they write.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="The last so many of each.")] = None,
) -> None:
    """What the parts write."""
    found = _logs(Stack.open(name), part)
    wanted = lines if lines is not None else (LINES_OF_ONE if part else LINES_OF_EACH)
    tails = [Tail(path, "" if part else f"{each} | ") for each, path in found.items()]
    for tail in tails:
        _print(tail.last(wanted))
    clock = Clock()
    while follow:
        for tail in tails:
            _print(tail.new())
        clock.sleep(POLL_SECONDS)


@dataclass(slots=True)
class Tail:
    """The end of one log, and what is added to it."""

    path: Path
    prefix: str = ""
    _read_to: int = field(default=0, init=False)
    _rest: bytes = field(default=b"", init=False)

    def last(self, count: int) -> list[str]:
        """The last lines as of now."""
        self._read_to = max(0, self._size() - READ_BYTES_MAX)
        lines = self.new()
        return lines[len(lines) - min(count, len(lines)) :]

    def new(self) -> list[str]:
        """Whole lines since the last look; a log that was set aside is begun again."""
        if self._size() < self._read_to:
            self._read_to, self._rest = 0, b""
        *whole, self._rest = (self._rest + self._added()).split(b"\n")
        return [self.prefix + line.decode(errors="replace") for line in whole]

    def _added(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to, io.SEEK_SET)
                added = file.read(READ_BYTES_MAX)
        except FileNotFoundError:
            return b""
        self._read_to += len(added)
        return added

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


def _logs(stack: Stack, part: str) -> dict[str, Path]:
    logs = {each.name: each.log for each in stack.parts() if each.log}
    if not part:
        return logs
    if part not in logs:
        names = ", ".join(logs) or "none: start it with `berth up`"
        raise CommandFailed(
            f"stack {stack.name!r} has no part {part!r}", mend=f"one of {names}", code=ExitCode.NOT_FOUND
        )
    return {part: logs[part]}


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
