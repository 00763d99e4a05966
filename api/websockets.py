"""The server's side of WebSockets: cheap for many readers of the same words, and for clients that go without a word, ended.

The original makes a frame anew for each client, and closes a connection only when all that was written to it has been
read, which is never where the client has gone.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

PING_SECONDS: Final = 20.0
"""Between two pings, and how long the answer may take."""
CLOSING_SECONDS: Final = 10.0
"""How long a client may take to read what was written before the end."""
MESSAGE_BYTES_MAX: Final = 4096
"""Clients have nothing to say here."""

_FRAMES: Final = "berth.frames"
"""In a `websocket.send`: frames as they go over the wire."""
_FINAL_TEXT: Final = 0x81
_SHORT_MAX, _TWO_BYTES, _TWO_BYTES_MAX, _EIGHT_BYTES = 125, 126, 0xFFFF, 127
"""How a frame says its length (RFC 6455, 5.2)."""
_UNREADABLE: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def text_frame(text: bytes) -> bytes:
    """A text message as it goes over the wire: the same for every client, since servers do not mask and we do not deflate."""
    length = len(text)
    if length <= _SHORT_MAX:
        return bytes((_FINAL_TEXT, length)) + text
    if length <= _TWO_BYTES_MAX:
        return bytes((_FINAL_TEXT, _TWO_BYTES)) + length.to_bytes(2) + text
    return bytes((_FINAL_TEXT, _EIGHT_BYTES)) + length.to_bytes(8) + text


async def send_frames(websocket: WebSocket, frames: bytes) -> None:
    """Send messages that are frames already, in one go; waits for a client that is slow. WebSocketDisconnect."""
    await websocket.send({"type": "websocket.send", _FRAMES: frames})


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
        if _FRAMES in message:
            await self._send_frames(message[_FRAMES])
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # by a refusal; the original would call that an error of ours
        if message["type"] in {"websocket.close", "websocket.http.response.body"}:
            self._cut_soon()

    async def _send_frames(self, frames: bytes) -> None:
        await self.writable.wait()
        if self.disconnected or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(frames)

    def _cut_soon(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
