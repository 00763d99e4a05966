"""Logs of pods: the last lines, and a stream that goes on where it was cut.

A node says nothing for as long as a pod says nothing, so silence ends a request and the next one goes on from the last
line; what is read twice that way is told once. Keeping what a pod said after it is gone is left to the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from domain.failures import ClusterRefused, ClusterUnavailable
from domain.job import LogLine, LogPlace, Moment, moment_of

TAIL_BYTES_MAX: Final = 4 * 1024 * 1024
LINES_MAX: Final = 10_000
SILENCE_SECONDS: Final = 10.0
"""How long a stream waits for a line before it asks again: bounds how long it takes to see that nobody listens."""
AGAIN_SECONDS: Final = 1.0
"""Between two requests of a stream: for a container that has not started, and after a cut."""
FAILURES_MAX: Final = 10
"""Requests in a row that may fail before a stream gives up."""

_OVER: Final = frozenset({"Succeeded", "Failed"})


def log_tail(
    connection: ClusterConnection, namespace: str, pod: str, lines: int = 100, *, timestamps: bool = False
) -> list[str]:
    """The last lines of a pod; none where its container has not started. ObjectMissing where there is no such pod."""
    query = {"tailLines": str(min(lines, LINES_MAX)), "limitBytes": str(TAIL_BYTES_MAX)}
    try:
        text = connection.text(_log(namespace, pod), **query, timestamps=str(timestamps).lower())
    except ClusterRefused as refused:
        if _has_not_started(refused):
            return []
        raise
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


def stream_log(
    connection: ClusterConnection,
    namespace: str,
    pod: str,
    stop: threading.Event,
    *,
    tail: int | None = None,
    after: LogPlace | None = None,
) -> Iterator[LogLine]:
    """A pod's lines as they come, from the last `tail` ones or after a place, until it has ended or gone.

    Blocks its thread; `stop` is seen after the next line, or after a silence of SILENCE_SECONDS.
    """
    reading = _Reading(connection, namespace, pod, after, tail)
    while not stop.is_set():
        over = reading.is_over()  # asked first, so that the last lines are read after it
        for line in reading.lines(follow=not over):
            yield line
            if stop.is_set():
                return
        if over:
            return
        stop.wait(AGAIN_SECONDS)


class _Reading:
    """One pod's log, read piece by piece."""

    def __init__(
        self, connection: ClusterConnection, namespace: str, pod: str, after: LogPlace | None, tail: int | None
    ) -> None:
        self._connection = connection
        self._pod, self._log = f"/api/v1/namespaces/{namespace}/pods/{pod}", _log(namespace, pod)
        self._since = after.at if after else ""
        self._last, self._told_at_last = moment_of(self._since), after.told if after else 0
        self._tail = tail
        self._failures = 0

    def is_over(self) -> bool:
        """Whether nothing more can come. A cluster that is away says nothing."""
        try:
            pod = self._connection.find(self._pod)
        except ClusterUnavailable:
            return False
        return pod is None or pod["status"].get("phase") in _OVER

    def lines(self, *, follow: bool) -> Iterator[LogLine]:
        """What is new, until a silence, a cut or the end."""
        query = {**self._query(), "follow": str(follow).lower()}
        try:
            yield from self._news(self._connection.text_lines(self._log, SILENCE_SECONDS, **query))
        except ObjectMissing:
            return
        except ClusterRefused as refused:
            if not _has_not_started(refused):
                raise
        except ClusterUnavailable:
            self._failures += 1
            if self._failures >= FAILURES_MAX:
                raise

    def _query(self) -> dict[str, str]:
        query = {"timestamps": "true"}
        if self._since:
            return {**query, "sinceTime": self._since}
        return query if self._tail is None else {**query, "tailLines": str(min(self._tail, LINES_MAX))}

    def _news(self, lines: Iterable[str]) -> Iterator[LogLine]:
        """Kubernetes goes on from the second, not from the line: what was told before is left out."""
        before, told = self._last, self._told_at_last
        for line in lines:
            self._failures = 0
            at, _, text = line.partition(" ")
            moment = moment_of(at)
            if before and moment and moment < before:
                continue
            if before and moment == before and told > 0:
                told -= 1
                continue
            self._note(at, moment)
            yield LogLine(at, text) if moment else LogLine("", line)

    def _note(self, at: str, moment: Moment | None) -> None:
        if moment is None or (self._last and moment < self._last):
            return
        self._told_at_last = self._told_at_last + 1 if moment == self._last else 1
        self._last, self._since = moment, at


def _has_not_started(refused: ClusterRefused) -> bool:
    """The API server refuses the log of a container that waits, or of a pod without a node, as a bad request."""
    return refused.details.get("status") == HTTPStatus.BAD_REQUEST


def _log(namespace: str, pod: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
