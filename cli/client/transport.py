"""One call over HTTP: the credential, retries where repeating is safe, failures as exceptions.

Leaves paths and shapes to `calls`. A call is repeated only when the server cannot have acted on it, or when acting
twice is the same as once: reading, deleting, setting, and creating under an Idempotency-Key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.client.failures import UNEXPECTED, ApiFailure, Away, failure_of

CONNECT_SECONDS_MAX = 3.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
REPEATABLE_METHODS = frozenset({"GET", "PUT", "PATCH", "DELETE"})
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout)
BROKE_OFF = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is repeated while the server is away: 1.5 s in all, enough for a restart between two polls."""

    attempts_max: int = 5
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 0.8
    answer_seconds_max: float = 30.0
    """For one answer; a server that is slower than this is away."""

    def pause_seconds(self, attempt: int) -> float:
        """Before the attempt after this one (counted from 1): doubles, up to the longest."""
        return float(min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (attempt - 1)))


AT_ONCE = Patience(attempts_max=1, answer_seconds_max=5.0)
"""An answer now, or none."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    idempotency_key: str = ""
    """Under it the server makes one thing, however often it hears the request."""
    same_twice: bool = False
    """The server promises that acting on it twice is the same as once."""

    @property
    def repeatable(self) -> bool:
        """Whether acting on it twice is the same as once."""
        return self.same_twice or self.method in REPEATABLE_METHODS or bool(self.idempotency_key)

    @property
    def headers(self) -> dict[str, str]:
        """Beside those of every call."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}

    @property
    def given_query(self) -> dict[str, Any]:
        """Without what was left open."""
        return {name: value for name, value in self.query.items() if value not in (None, "")}


class Transport:
    """Calls to one server with one credential."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._patience = patience
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(patience.answer_seconds_max, connect=CONNECT_SECONDS_MAX),
            # no proxy stands between two processes of one machine, whatever the environment says
            trust_env=urlsplit(url).hostname not in LOOPBACK,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def send(self, call: Call) -> httpx.Response:
        """The answer, once it is a good one."""
        for attempt in range(1, self._patience.attempts_max):
            try:
                return self._once(call)
            except Away as failure:
                if not _worth_repeating(call, failure):
                    raise
            self._sleep(self._patience.pause_seconds(attempt))
        return self._once(call)

    def _once(self, call: Call) -> httpx.Response:
        try:
            answer = self._http.request(
                call.method, call.path, params=call.given_query, json=call.body, headers=call.headers
            )
        except httpx.TransportError as error:
            raise self._away(error) from error
        if answer.is_success:
            return answer
        raise _refusal(answer)

    def _away(self, error: httpx.TransportError) -> Away:
        if isinstance(error, NEVER_ARRIVED):
            return Away(f"{self._url} does not answer: {error}", code="unreachable")
        if isinstance(error, httpx.ReadTimeout):
            return Away(
                f"{self._url} did not answer within {self._patience.answer_seconds_max:.0f} s", code="no_answer"
            )
        return Away(f"{self._url} broke the connection off: {error}", code="broken_off")


def _worth_repeating(call: Call, failure: Away) -> bool:
    if isinstance(failure.__cause__, NEVER_ARRIVED):
        return True
    return call.repeatable and (failure.status is not None or isinstance(failure.__cause__, BROKE_OFF))


def _refusal(answer: httpx.Response) -> ApiFailure:
    """What went wrong, in the server's words where it has any."""
    error = _error_of(answer)
    message = str(error.get("message") or f"{answer.request.url} answered {answer.status_code}")
    return failure_of(answer.status_code, str(error.get("code") or UNEXPECTED), message)


def _error_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}  # a proxy in between, or no Berth server at all
    return error if isinstance(error, dict) else {}
