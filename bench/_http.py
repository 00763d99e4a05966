"""A client that costs little itself: one connection that stays open, one request at a time.

A general client takes as long for a request as the server does for its answer, and both share this machine's cores.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httptools

CHUNK = 1 << 16
Json = dict[str, Any]


class Refused(Exception):
    """An answer that is no success, or none at all: then the status is 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Caller:
    """One caller with one connection."""

    def __init__(self, url: str, token: str = "") -> None:
        self.token = token
        self.url = url
        self._address = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def login(self, key: str) -> None:
        """Exchange an API key for a token, as EGS clients do."""
        self.token = (await self.ask("POST", "/api/v1/auth", {"apiKey": key}))["data"]["token"]

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """The decoded answer, once it is whole."""
        decoded: Json = json.loads(await self.fetch(method, path, body))
        return decoded

    async def fetch(self, method: str, path: str, body: Json | None = None) -> bytes:
        """The answer's content as it came: to decode a long list costs as much as to make it."""
        answer = _Answer()
        try:
            reader, writer = await self._connected()
            writer.write(self._request(method, path, body))
            while not answer.is_whole:
                if not (part := await reader.read(CHUNK)):
                    raise Refused("the connection was closed")
                answer.parser.feed_data(part)
        finally:
            if not answer.is_whole:  # what is still to come must not be taken for the next answer
                self.close()
        if (status := answer.parser.get_status_code()) >= 400:
            raise Refused(f"{method} {path}: {status} {answer.body.decode()}", status)
        return answer.body

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The open connection, or a new one where the server let go of one that was idle."""
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self._streams

    def _request(self, method: str, path: str, body: Json | None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._address.netloc}",
            f"Content-Length: {len(content)}",
            "Content-Type: application/json",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + content


class _Answer:
    """Collects one answer as the parser finds it."""

    def __init__(self) -> None:
        self.body = b""
        self.is_whole = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_whole = True
