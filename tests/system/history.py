"""What the books say afterwards: the ledger's events told again from the first, and each cluster's audit log beside them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.system.installation import Installation

Json = dict[str, Any]

EVENTS = "select id, at, kind, gpr_id, fence, detail from event order by id"
SPANS = """
    select l.fence, l.cluster, g.node, l.granted_at, g.released_at
    from lease l join (select distinct fence, node, released_at from lease_gpu) g using (fence)
"""
BERTH = "fieldManager=berth"
"""How Berth signs what it writes."""
SLACK = timedelta(seconds=2)


def double_grants(events: Iterable[Json]) -> list[str]:
    """GPUs granted while an earlier grant had not come to rest, or its node was still set aside, in the order of the books."""
    holders: dict[tuple[str, str, int], int] = {}
    rested, complaints = set[int](), []
    for event in events:
        fence, detail = event["fence"], event["detail"]
        if event["kind"] == "granted":
            for node, ordinal in detail["gpus"]:
                gpu = (detail["cluster"], node, ordinal)
                if gpu in holders:
                    complaints.append(f"{gpu} went to lease {fence} while lease {holders[gpu]} held it")
                holders[gpu] = fence
        elif event["kind"] == "rested":
            stuck = detail["stuck_nodes"]
            holders = {gpu: held for gpu, held in holders.items() if held != fence or gpu[1] in stuck}
            rested.add(fence)
        elif event["kind"] == "node_quarantine_lifted":
            place = (detail["cluster"], detail["node"])
            holders = {gpu: held for gpu, held in holders.items() if gpu[:2] != place or held not in rested}
    return complaints


def writes_beside_leases(installation: Installation) -> list[str]:
    """Node statuses that Berth wrote while no lease of theirs was open: a step that outlived its lease."""
    spans = [_Span(row) for row in installation.tables.rows(SPANS)]
    return [
        f"{at:%H:%M:%S.%f} Berth wrote the status of {cluster}/{node}, which no lease held then"
        for cluster in installation.stack.clusters()
        for log in installation.audit_logs(cluster)
        for node, at in _status_writes(log)
        if not any(span.covers(cluster, node, at) for span in spans)
    ]


class _Span:
    """How long a lease had a node."""

    def __init__(self, row: Json) -> None:
        self._place = (row["cluster"], row["node"])
        self._begin = datetime.fromisoformat(row["granted_at"])
        self._end = datetime.fromisoformat(row["released_at"]) if row["released_at"] else None

    def covers(self, cluster: str, node: str, at: datetime) -> bool:
        late = self._end is not None and at > self._end + SLACK
        return (cluster, node) == self._place and at >= self._begin - SLACK and not late


def _status_writes(log: Path) -> Iterator[tuple[str, datetime]]:
    with log.open() as lines:
        for line in lines:
            entry = json.loads(line)
            subject = entry.get("objectRef") or {}
            of_status = subject.get("resource") == "nodes" and subject.get("subresource") == "status"
            done = entry["stage"] == "ResponseComplete" and entry["responseStatus"]["code"] < 300
            if of_status and done and BERTH in entry["requestURI"] and "dryRun" not in entry["requestURI"]:
                yield subject["name"], datetime.fromisoformat(entry["requestReceivedTimestamp"])
