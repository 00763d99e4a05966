"""A server that answers every request with the same words: what a client and the loopback cost without an API.

`python -m bench._echo PORT`, a process of its own, as the API is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

from cli.stack.ports import LOOPBACK

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"data":null}'


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse, as any server must."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        assert self._transport is not None
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Echo, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
