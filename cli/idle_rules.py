"""`berth idle-rule`: when idle GPUs are told of, and taken back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client.hardware import IdleRule, IdleRuleSetting
from cli.completion import workspace_names
from cli.screen import table
from cli.terminal import Terminal, at_terminal

EVERYBODY = "every other"

app = typer.Typer(help="When idle GPUs are told of, and taken back.", no_args_is_help=True)

Workspace = Annotated[
    str,
    typer.Option(
        "--workspace",
        "-w",
        help="Only this one; all without a rule of their own by default.",
        autocompletion=workspace_names,
    ),
]


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Rules that count for you."""
    found = terminal.client.idle_rules()
    terminal.screen.show(found, rule_table(found) if found else "none")


@app.command("set")
@at_terminal
def set_(
    terminal: Terminal,
    window: Annotated[str, typer.Argument(help="Idle for so long, as in 30m.")],
    *,
    workspace: Workspace = "",
    threshold: Annotated[int, typer.Option(min=0, max=100, help="Utilisation in percent that still is idle.")] = 2,
    warning: Annotated[str, typer.Option(help="From the warning to the release, as in 5m.")] = "5m",
    enforce: Annotated[bool, typer.Option(help="Release them; else people are only warned.")] = True,
) -> None:
    """Set a rule; administrators. Owners may ask for more, never for less."""
    rule = terminal.client.set_idle_rule(
        IdleRuleSetting(
            workspace=workspace or None,
            window=window,
            threshold_percent=threshold,
            warning=warning,
            enforced=enforce,
        )
    )
    terminal.screen.show(rule, rule_table([rule]))


@app.command()
@at_terminal
def delete(terminal: Terminal, *, workspace: Workspace = "") -> None:
    """Let a rule count no more; administrators."""
    gone = terminal.client.delete_idle_rule(workspace)
    terminal.screen.show(gone, f"the rule of {gone.workspace or 'all workspaces'} counts no more")


def rule_table(found: list[IdleRule]) -> Table:
    """Many rules."""
    built = table("WORKSPACE", ">IDLE FOR", ">UP TO %", ">WARNED FOR", "THEN", "SET BY")
    for each in found:
        then = "released" if each.enforced else "nothing"
        percent = str(each.threshold_percent)
        built.add_row(each.workspace or EVERYBODY, each.window, percent, each.warning, then, each.set_by)
    return built
