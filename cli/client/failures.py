"""What a call of the native API can raise. Five classes for the five things a caller may do about it.

`code` is the server's stable word for what happened, `message` is for people, `status` is None when no answer came.
"""

from __future__ import annotations

from http import HTTPStatus

UNEXPECTED = "unexpected_answer"
"""The code of an answer that a Berth server would not give."""


class ApiFailure(Exception):
    """The server failed, or answered what nobody expects of it."""

    def __init__(self, message: str, *, code: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Invalid(ApiFailure):
    """The request is not valid; send another one."""


class Refused(ApiFailure):
    """The server understood and said no."""


class NotFound(ApiFailure):
    """There is no such thing, or the caller may not know of it."""


class Away(ApiFailure):
    """The server, or a part that it needs, does not answer; try again later."""


_BY_STATUS: dict[int, type[ApiFailure]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNAUTHORIZED: Refused,
    HTTPStatus.FORBIDDEN: Refused,
    HTTPStatus.CONFLICT: Refused,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.BAD_GATEWAY: Away,
    HTTPStatus.SERVICE_UNAVAILABLE: Away,
    HTTPStatus.GATEWAY_TIMEOUT: Away,
}


def failure_of(status: int, code: str, message: str) -> ApiFailure:
    """The failure that an answer stands for."""
    if status == HTTPStatus.BAD_GATEWAY and code != UNEXPECTED:
        return Refused(message, code=code, status=status)  # a cluster said no, and will say so again
    return _BY_STATUS.get(status, ApiFailure)(message, code=code, status=status)
