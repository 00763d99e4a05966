"""What a command prints: tables and lines for people, one JSON document (or JSON lines) for programs.

Answers go to the output stream; whatever else is said goes to the error stream.
"""

from __future__ import annotations

import json
import os
import sys

from pydantic_core import to_jsonable_python
from rich.console import Console, RenderableType
from rich.table import Table

PIPE_WIDTH = 1000
"""A file or a pipe has no edge at which a line must end."""


class Screen:
    """Both streams of one command."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = console(stderr=False)
        self.err = console(stderr=True)

    def show(self, answer: object, picture: RenderableType) -> None:
        """The answer as JSON for programs, as its picture for people."""
        if self.as_json:
            self.document(answer)
        else:
            self.out.print(picture)

    def document(self, answer: object) -> None:
        """One JSON document."""
        self._write(json.dumps(to_jsonable_python(answer), indent=2))

    def json_line(self, answer: object) -> None:
        """One of many JSON documents, each on a line of its own and written at once."""
        self._write(json.dumps(to_jsonable_python(answer)))

    def say(self, line: str) -> None:
        """A line for people; programs do not get it."""
        if not self.as_json:
            self.out.print(line, soft_wrap=True)

    @property
    def asks(self) -> bool:
        """Whether somebody is there who can answer a question."""
        return sys.stdin.isatty() and self.err.is_terminal

    def _write(self, text: str) -> None:
        self.out.file.write(f"{text}\n")
        self.out.file.flush()


def console(*, stderr: bool) -> Console:
    """A stream for people. Without markup: names and reasons are other people's words."""
    built = Console(stderr=stderr, highlight=False, markup=False)
    if not built.is_terminal and "COLUMNS" not in os.environ:
        built.width = PIPE_WIDTH
    return built


def table(*columns: str) -> Table:
    """The one look of every list."""
    built = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        # numbers stand under one another
        built.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    return built
