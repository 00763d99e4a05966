"""Options that several commands share, spelled once."""

from __future__ import annotations

from typing import Annotated

import typer

SERVER_PANEL = "Which server"

StackName = Annotated[str, typer.Option("--name", "--stack", envvar="BERTH_STACK", help="Which local stack.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document for programs.")]
IdempotencyKey = Annotated[str, typer.Option(help="Asked again under the same key, nothing new is made.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

ServerUrl = Annotated[
    str,
    typer.Option("--url", envvar="BERTH_URL", help="The local stack's by default.", rich_help_panel=SERVER_PANEL),
]
ApiKey = Annotated[
    str,
    typer.Option("--api-key", envvar="BERTH_API_KEY", help="Who asks.", rich_help_panel=SERVER_PANEL),
]
ServerStack = Annotated[
    str,
    typer.Option("--stack", envvar="BERTH_STACK", help="Which local stack.", rich_help_panel=SERVER_PANEL),
]
