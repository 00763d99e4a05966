"""The server's side of WebSockets, for clients that go without a word: their connections end in bounded time.

The original closes such a connection only when all that was written to it has been read, which is never.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PING_SECONDS: Final = 20.0
"""Between two pings, and how long the answer may take."""
CLOSING_SECONDS: Final = 10.0
"""How long a client may take to read what was written before the end."""
MESSAGE_BYTES_MAX: Final = 4096
"""Clients have nothing to say here."""

_UNREADABLE: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Cuts what does not end by itself. Leaves addresses out of the log: some clients put secrets there."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.close_timeout = CLOSING_SECONDS
        self.logger = logging.getLogger("websockets")  # warnings only

    def data_received(self, data: bytes) -> None:
        """What the client sends. A request that cannot be read, for a head too long, say, is answered too."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(_UNREADABLE)
            self.transport.close()

    def keepalive_timeout(self) -> None:
        """No answer to a ping."""
        super().keepalive_timeout()
        self._cut_soon()

    def shutdown(self) -> None:
        """The process stops."""
        super().shutdown()
        self._cut_soon()

    async def send(self, message: Any) -> None:
        """Pass on what the application sends."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # by a refusal; the original would call that an error of ours
        if message["type"] in {"websocket.close", "websocket.http.response.body"}:
            self._cut_soon()

    def _cut_soon(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
