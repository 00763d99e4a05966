"""Logs, metrics and readiness of a process, the same for all of them."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

READY_SECONDS_MAX = 3.0


def configure_logging(log_format: str) -> None:
    """One line per event on standard error, JSON or readable; the SDK's lines with the workflow's id as a field."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _lift_workflow],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def _lift_workflow(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The SDK hides the workflow's id in a nested field; a Gpr's id belongs at the top of its every line."""
    nested = event.pop("temporal_workflow", None) or event.pop("temporal_activity", None) or {}
    event.pop("temporal_activity", None)
    kind, _, subject = str(nested.get("workflow_id", "")).partition("/")
    if subject:
        event.setdefault(f"{kind}_id", subject)
    return event


class Watchpost:
    """A small HTTP server: /metrics for Prometheus, /readyz for whoever waits for this process."""

    def __init__(self, host: str, port: int, ready: Callable[[], Awaitable[str]]) -> None:
        self._host = host
        self._port = port
        self._ready = ready
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        if self._port:
            self._server = await asyncio.start_server(self._answer, self._host, self._port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readline(), timeout=READY_SECONDS_MAX)
            path = request.split(b" ")[1].partition(b"?")[0] if request.count(b" ") >= 2 else b""  # noqa: PLR2004
            status, kind, body = await self._page(path)
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # whoever asked has gone, or did not speak HTTP
        finally:
            writer.close()

    async def _page(self, path: bytes) -> tuple[str, str, bytes]:
        if path == b"/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
        if path == b"/readyz":
            problem = await self._ready()
            return (
                ("503 Service Unavailable", "text/plain", problem.encode())
                if problem
                else ("200 OK", "text/plain", b"ready")
            )
        return "404 Not Found", "text/plain", b"only /metrics and /readyz"
