"""Small HTTP calls to loopback: readiness checks, and the few Kubernetes objects the stack itself makes.

The standard library on purpose: no proxy setting may come between a check and its part.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cli.stack.failures import StackError

TIMEOUT_SECONDS = 5.0
PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL, with the certificate authority and token it needs."""

    url: str
    ca_file: str | None = None
    token: str | None = None

    def answers(self, path: str) -> bool:
        """Whether GET says 200; False on anything else, refusal included."""
        try:
            return self.request("GET", path, timeout_seconds=PROBE_SECONDS).status == http.client.OK
        except StackError:
            return False

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        form: str = "application/json",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """One request on a connection of its own; StackError when there is no answer. Bytes are sent as they are."""
        connection = self._connect(timeout_seconds)
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, headers | {"Content-Type": form})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise StackError(f"{self.url} does not answer: {error}") from error
        finally:
            connection.close()

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        host = place.hostname or ""
        if place.scheme == "http":
            return http.client.HTTPConnection(host, place.port, timeout=timeout_seconds)
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(host, place.port, timeout=timeout_seconds, context=context)


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True
