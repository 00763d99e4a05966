"""Readers of a job's log that cost little themselves: frames are counted, and one reader in so many also looks inside.

A general WebSocket client takes as long for a frame as the server does, and both share this machine's cores.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from bench._figures import Samples

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
LONG, VERY_LONG = 126, 127
MASKED = 0x80
NO_MASK = b"\0\0\0\0"
"""A client must mask what it sends; with zeros the words stay what they are."""
KEY = "YmVuY2gtYmVuY2gtYmVuYw=="
HEAD_END = b"\r\n\r\n"
SWITCHED = b"101"


@dataclass(slots=True)
class Heard:
    """What all readers of one kind were told."""

    frames: int = 0
    endings: Counter[int] = field(default_factory=Counter)
    """How streams ended, by WebSocket code, or by HTTP status where it never began."""
    lags: Samples = field(default_factory=Samples)
    """From a line's writing to its arrival, of those that say when they were written."""


class Reader(asyncio.Protocol):
    """One stream. `ended` is set with the code by which it ended; 0: the connection was cut."""

    def __init__(self, request: bytes, heard: Heard, *, looks_inside: bool = False) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._request = request
        self._heard = heard
        self._looks_inside = looks_inside
        self._has_begun = False
        self._unread = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        self._unread += data
        if not self._has_begun:
            self._begin()
        if self._has_begun:
            self._take_frames()

    def connection_lost(self, _: Exception | None) -> None:
        """However it came."""
        self._end(0)

    def go(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        head, found, rest = self._unread.partition(HEAD_END)
        if not found:
            return
        status = head.split(b" ", 2)[1]
        if status != SWITCHED:
            self._end(int(status))
            self.go()
            return
        self._has_begun, self._unread = True, rest

    def _take_frames(self) -> None:
        unread, at = self._unread, 0
        while len(unread) >= at + 2:
            kind, length, begin = unread[at] & 0x0F, unread[at + 1], at + 2
            if length == LONG:
                begin, length = at + 4, int.from_bytes(unread[at + 2 : at + 4])
            elif length == VERY_LONG:
                begin, length = at + 10, int.from_bytes(unread[at + 2 : at + 10])
            if len(unread) < begin + length:
                break
            at = begin + length
            if kind == TEXT:
                self._heard.frames += 1
                if self._looks_inside:
                    self._look(unread[begin:at])
            else:
                self._answer(kind, unread[begin:at])
        self._unread = unread[at:]

    def _look(self, frame: bytes) -> None:
        word = str(json.loads(frame)["data"]).partition(" ")[0]
        self._heard.lags.seconds.append(time.time() - float(word))

    def _answer(self, kind: int, content: bytes) -> None:
        assert self._transport is not None
        if kind == PING:
            self._transport.write(bytes((0x80 | PONG, MASKED | len(content))) + NO_MASK + content)
        elif kind == CLOSE:
            self._end(int.from_bytes(content[:2]))
            self._transport.close()

    def _end(self, code: int) -> None:
        if not self.ended.done():
            self._heard.endings[code] += 1
            self.ended.set_result(code)


async def open_reader(url: str, key: str, path: str, heard: Heard, *, looks_inside: bool = False) -> Reader:
    """Begin to follow; `path` with its query, as a browser would write it."""
    address = urlsplit(url)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {address.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
        f"Authorization: Bearer {key}",
    ]
    request = "\r\n".join([*lines, "", ""]).encode()
    _, reader = await asyncio.get_running_loop().create_connection(
        lambda: Reader(request, heard, looks_inside=looks_inside), address.hostname or "", address.port or 0
    )
    return reader
