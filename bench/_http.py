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
    """An answer that is no success."""


class Caller:
    """One caller with one connection."""

    def __init__(self, url: str, token: str = "") -> None:
        self.token = token
        self._address = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def login(self, key: str) -> None:
        """Exchange an API key for a token, as EGS clients do."""
        self.token = (await self.ask("POST", "/api/v1/auth", {"apiKey": key}))["data"]["token"]

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """The decoded answer, once it is whole."""
        reader, writer = await self._connected()
        writer.write(self._request(method, path, body))
        answer = _Answer()
        while not answer.is_whole:
            if not (part := await reader.read(CHUNK)):
                raise Refused(f"{method} {path}: the connection was closed")
            answer.parser.feed_data(part)
        if answer.parser.get_status_code() >= 400:
            raise Refused(f"{method} {path}: {answer.parser.get_status_code()} {answer.body.decode()}")
        decoded: Json = json.loads(answer.body)
        return decoded

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()

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
