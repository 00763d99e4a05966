"""Where a command sits: the server it talks to, the screen it prints on, the clock it waits by.

`at_terminal` gives each such command the same four options, so that none spells them differently.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from cli.client import BerthClient
from cli.clock import Clock
from cli.options import ApiKey, Json, ServerStack, ServerUrl
from cli.screen import Screen
from cli.servers import DEFAULT_STACK, chosen_server

Params = ParamSpec("Params")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Terminal:
    """One command at its terminal."""

    client: BerthClient
    screen: Screen
    clock: Clock


def _shared(
    *, url: ServerUrl = "", api_key: ApiKey = "", stack: ServerStack = DEFAULT_STACK, as_json: Json = False
) -> None:
    """The options of every command that talks to a server."""


_SHARED = inspect.signature(_shared, eval_str=True).parameters


def at_terminal(
    command: Callable[Concatenate[Terminal, Params], Answer],
) -> Callable[Params, Answer]:
    """The command with a terminal as its first argument, opened from the shared options and closed afterwards."""

    @functools.wraps(command)
    def run(*_none: object, **given: Any) -> Answer:
        shared = {option: given.pop(option) for option in _SHARED}
        server = chosen_server(shared["url"], shared["api_key"], shared["stack"])
        with BerthClient(server.url, server.api_key) as client:
            terminal = Terminal(client, Screen(as_json=shared["as_json"]), Clock())
            return cast("Callable[..., Answer]", command)(terminal, **given)

    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *_SHARED.values())]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    cast("Any", run).__signature__ = inspect.Signature(parameters)
    return cast("Callable[Params, Answer]", run)
