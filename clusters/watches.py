"""Noticing within a second that a cluster's GPU nodes changed: came, went, failed, recovered, were cordoned.

A watch only says *that* something changed; what is true is read afresh by whoever is told. So a lost watch costs
nothing but time, and is made up for by one more call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.observations import has_gpus, node_fingerprint
from clusters.resumed_watch import ResumedWatch

Json = dict[str, Any]

NODES: Final = "/api/v1/nodes"
GATHER_SECONDS: Final = 0.5
"""A rack that goes away is many changes and one call."""


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


class _NodeWatch(ResumedWatch):
    """Keeps what mattered of each node when it was last seen."""

    def __init__(self, connection: ClusterConnection, stop: threading.Event) -> None:
        super().__init__(connection, NODES, stop)
        self.changed = threading.Event()
        self._seen: dict[str, tuple[object, ...]] = {}

    def _listed(self, items: Sequence[Json], *, was_away: bool) -> None:
        seen = {node["metadata"]["name"]: node_fingerprint(node) for node in items if has_gpus(node)}
        if seen != self._seen or was_away:  # that the cluster is back is news too
            self._seen = seen
            self.changed.set()

    def _noticed(self, thing: Json, *, gone: bool) -> None:
        name = thing["metadata"]["name"]
        now = None if gone or not has_gpus(thing) else node_fingerprint(thing)
        if now == self._seen.get(name):
            return
        self._seen.pop(name, None)
        self._seen |= {name: now} if now else {}
        self.changed.set()
