"""Noticing within a second that a cluster's GPU nodes changed: came, went, failed, recovered, were cordoned.

A watch only says *that* something changed; what is true is read afresh by whoever is told. So a lost watch costs
nothing but time, and is made up for by one more call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ListExpired
from clusters.observations import gpu_capacity, node_fingerprint
from domain.failures import BerthFailure

Json = dict[str, Any]

log = logging.getLogger(__name__)

NODES: Final = "/api/v1/nodes"
WATCH_SECONDS: Final = 5
"""How long one request watches before the next goes on from there: bounds how long a stop, or a dead peer, takes."""
LIST_AGAIN_SECONDS: Final = 300.0
"""A cluster restored from a backup counts its versions from an earlier one: a watch would wait there in silence."""
GATHER_SECONDS: Final = 0.5
"""A rack that goes away is many changes and one call."""
BACK_OFF_SECONDS_MAX: Final = 10.0


def watch_nodes(connection: ClusterConnection, on_change: Callable[[], None], stop: threading.Event) -> None:
    """Call `on_change` once at the begin, and after each change that matters to leases, until `stop` is set.

    It is called on a thread of its own, never twice at a time, and must not raise.
    """
    watch = _NodeWatch(connection, stop)
    teller = threading.Thread(target=_tell, args=(watch.changed, on_change, stop), daemon=True)
    teller.start()
    watch.changed.set()
    watch.run()
    watch.changed.set()
    teller.join()


def _tell(changed: threading.Event, on_change: Callable[[], None], stop: threading.Event) -> None:
    while changed.wait() and not stop.is_set():
        changed.clear()
        on_change()
        stop.wait(GATHER_SECONDS)


class _NodeWatch:
    """Keeps what mattered of each node when it was last seen, and from where to go on."""

    def __init__(self, connection: ClusterConnection, stop: threading.Event) -> None:
        self.changed = threading.Event()
        self._connection = connection
        self._stop = stop
        self._seen: dict[str, tuple[object, ...]] = {}
        self._version = ""
        self._list_again_at = 0.0
        self._lost = False

    def run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._go_on()
                failures = 0
            except ListExpired:
                self._version = ""
                self._stop.wait(GATHER_SECONDS)
            except BerthFailure as failure:
                failures += 1
                self._lost = True
                log.warning("watching the nodes of cluster %s: %s", self._connection.name, failure.message)
                self._stop.wait(min(BACK_OFF_SECONDS_MAX, failures * GATHER_SECONDS))

    def _go_on(self) -> None:
        if not self._version or self._lost or time.monotonic() > self._list_again_at:
            self._list()
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        for event in self._connection.lines(NODES, **query, timeoutSeconds=str(WATCH_SECONDS)):
            self._take(event)
            if self._stop.is_set():
                return

    def _list(self) -> None:
        listed = self._connection.get(NODES)
        seen = {node["metadata"]["name"]: node_fingerprint(node) for node in listed["items"] if gpu_capacity(node)}
        if seen != self._seen or self._lost:  # that the cluster is back is news too
            self._seen = seen
            self.changed.set()
        self._lost = False
        self._version = listed["metadata"]["resourceVersion"]
        self._list_again_at = time.monotonic() + LIST_AGAIN_SECONDS

    def _take(self, event: Json) -> None:
        node = event["object"]
        if event["type"] == "ERROR":
            raise ListExpired(f"the watch ended: {node.get('message')}")
        if event["type"] != "BOOKMARK":
            self._notice(node, gone=event["type"] == "DELETED")
        self._version = node["metadata"]["resourceVersion"]

    def _notice(self, node: Json, *, gone: bool) -> None:
        name = node["metadata"]["name"]
        now = None if gone or not gpu_capacity(node) else node_fingerprint(node)
        if now == self._seen.get(name):
            return
        self._seen.pop(name, None)
        self._seen |= {name: now} if now else {}
        self.changed.set()
