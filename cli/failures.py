"""How a command fails: one clear line, what mends it, and an exit code. Never a traceback.

Turns what the client and the local stack raise into that; leaves the printing to `command_group`.
"""

from __future__ import annotations

from http import HTTPStatus

from cli.client.failures import ApiFailure, Away, Invalid, NotFound, Refused
from cli.exits import ExitCode
from cli.stack.failures import StackError
from domain.failures import BerthFailure, InvalidRequest


class CommandFailed(Exception):
    """A command cannot go on."""

    def __init__(self, message: str, *, mend: str = "", detail: str = "", code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.detail = detail
        self.code = code


EXPECTED = (CommandFailed, ApiFailure, StackError, BerthFailure)
"""What a command may raise on purpose; anything else is a fault in the command."""


def told(failure: Exception) -> CommandFailed:
    """The failure as its user hears of it."""
    if isinstance(failure, CommandFailed):
        return failure
    if isinstance(failure, StackError):
        return CommandFailed(failure.message, mend=failure.mend, detail=failure.detail)
    if isinstance(failure, InvalidRequest):
        return CommandFailed(failure.message, code=ExitCode.USAGE)
    if isinstance(failure, ApiFailure):
        return CommandFailed(failure.message, mend=_mend(failure), code=_code(failure))
    return CommandFailed(str(failure))


def _code(failure: ApiFailure) -> ExitCode:
    if failure.code == "workspace_not_made":
        return ExitCode.OTHERWISE  # the request was fine, a cluster was not
    by_class = {
        NotFound: ExitCode.NOT_FOUND,
        Refused: ExitCode.REFUSED,
        Invalid: ExitCode.USAGE,
        Away: ExitCode.AWAY,
    }
    return by_class.get(type(failure), ExitCode.FAILED)


def _mend(failure: ApiFailure) -> str:
    if isinstance(failure, Away) and failure.status is None:
        return "start it with `berth up`, or name another server with --url or BERTH_URL"
    if isinstance(failure, Away):
        return "`berth status` says which part is away; try again when it is back"
    if failure.status == HTTPStatus.UNAUTHORIZED:
        return "give a valid key with --api-key or BERTH_API_KEY; an administrator makes one with `berth key create`"
    return ""
