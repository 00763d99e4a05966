"""A real HTTP server on a free port that answers what it was told to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BREAK_OFF = "break off"
"""Hear the request and close the connection without an answer."""


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    text: str | None = None
    after_seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Script:
    """Answers by `METHOD /path`, in turn; the last one is repeated."""

    answers: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    asked: list[Asked] = field(default_factory=list)

    def on(self, call: str, *answers: Any) -> Script:
        self.answers[call] += answers
        return self

    def next(self, asked: Asked) -> Any:
        self.asked.append(asked)
        waiting = self.answers.get(f"{asked.method} {asked.path}")
        if not waiting:
            return refusal(404, "not_found", f"there is nothing at {asked.path}")
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def calls(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked]


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message, "details": {}}})


def items(*documents: Any, after: str | None = None) -> Answer:
    return Answer(body={"items": list(documents), "next": after})


@contextmanager
def served(script: Script, port: int = 0) -> Iterator[str]:
    """The URL of a server that plays this script."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(script))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                self._play()
            self.close_connection = True

        def _play(self) -> None:
            place = urlsplit(self.path)
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(place.query))
            body = json.loads(given) if given else None
            answer = script.next(Asked(self.command, place.path, query, dict(self.headers), body))
            if answer != BREAK_OFF:
                self._send(answer if isinstance(answer, Answer) else Answer(body=answer))

        def _send(self, answer: Answer) -> None:
            time.sleep(answer.after_seconds)
            self.send_response(answer.status)
            self.end_headers()
            text = answer.text if answer.text is not None else json.dumps(answer.body)
            self.wfile.write(text.encode())

        def log_message(self, *_words: object) -> None:
            return

    return Handler
