"""How every command of `berth` ends badly: what is expected becomes one line and an exit code, Ctrl-C ends in silence."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from cli import failures
from cli.failures import CommandFailed
from cli.screen import console


class CommandGroup(TyperGroup):
    """The group of all commands; knows no command."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except failures.EXPECTED as failure:
            told = failures.told(failure)
            show(told)
            raise typer.Exit(int(told.code)) from failure


def show(failure: CommandFailed) -> None:
    """The failure on the error stream: what happened, what the part said, what mends it."""
    err = console(stderr=True)
    err.print("berth: ", style="bold red", end="", soft_wrap=True)
    err.print(failure.message, soft_wrap=True)
    if failure.detail:
        err.print(failure.detail, style="dim", soft_wrap=True)
    if failure.mend:
        err.print(f"mend: {failure.mend}", soft_wrap=True)
