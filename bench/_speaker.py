"""A cluster of one pod that speaks: as much of a Kubernetes API as it takes to read the pod's log.

`python -m bench._speaker PORT`, a process of its own, as a cluster is. The pod says nothing until a rate is set by
`POST /rate/LINES`, with so many lines a second from then on; 0: as many as are taken. Every line says when it was written.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime

import uvloop

from cli.stack.ports import LOOPBACK

POD = json.dumps({"metadata": {"name": "speaker"}, "status": {"phase": "Running"}}).encode()
TICK_SECONDS = 0.02
BATCH = 50
"""Lines that are written in one go where as many as are taken are wanted."""
TEXT = "epoch 12 step 40960 loss 0.0173 lr 3.0e-4 tokens/s 18250 grad-norm 0.41 (a line as training jobs write them)"


class Speaker:
    """What the pod says, to whoever listens."""

    def __init__(self) -> None:
        self._rate: int | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                if "follow=true" in path:
                    await self._speak(writer)
                    break
                if method == "POST":
                    self._rate = int(path.rpartition("/")[2])
                _write(writer, b"" if "/log" in path else POD)
                await writer.drain()
        writer.close()

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        said, began, rate = 0, time.monotonic(), self._rate
        while not writer.is_closing():
            if rate != self._rate:
                said, began, rate = 0, time.monotonic(), self._rate
            due = 0 if rate is None else BATCH if rate == 0 else int((time.monotonic() - began) * rate) - said
            if due > 0:
                text = "".join(_line() for _ in range(due)).encode()
                writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
                said += due
            await writer.drain()
            await asyncio.sleep(0 if rate == 0 else TICK_SECONDS)


def _line() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z {time.time():.6f} {TEXT}\n"


def _write(writer: asyncio.StreamWriter, body: bytes) -> None:
    kind = "application/json" if body else "text/plain"
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(Speaker().answer, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
