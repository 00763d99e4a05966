"""A small HTTP server on this machine that answers as a test says: slowly, too much, from elsewhere, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAD_BYTES_MAX = 64 * 1024


@dataclass
class Asked:
    """A request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """An answer. `bytes_sent` more than the body: filled up with spaces.

    `seconds`: how long it is waited for; `seconds_within`: how long between its first byte and the rest.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    bytes_sent: int = 0
    seconds: float = 0
    seconds_within: float = 0
    hangs_up: bool = False


@dataclass
class StandIn:
    """Answers by path, without the query; `otherwise` where nothing is said."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    otherwise: Reply = field(default_factory=lambda: Reply(status=404))
    asked: list[Asked] = field(default_factory=list)

    def says(self, path: str, body: bytes | str = b"", status: int = 200, **more: object) -> None:
        """Answer so from now on."""
        content = body.encode() if isinstance(body, str) else body
        self.replies[path] = Reply(content, status, **more)  # type: ignore[arg-type]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.asked.append(request)
            await _answer(writer, self.replies.get(request.path.partition("?")[0], self.otherwise))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked has seen enough
        finally:
            writer.close()


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
    stand_in.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stand_in
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _answer(writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.hangs_up:
        return
    await asyncio.sleep(reply.seconds)
    length = max(len(reply.body), reply.bytes_sent)
    headers = {"content-length": str(length), "connection": "close", **reply.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} -\r\n{lines}\r\n".encode())
    writer.write(reply.body[:1])
    await asyncio.sleep(reply.seconds_within)
    writer.write(reply.body[1:].ljust(length - len(reply.body[:1])))
    await writer.drain()
