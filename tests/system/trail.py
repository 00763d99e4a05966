"""What the clusters' audit logs say was written, by whom and when: small records, in the order of time.

Leaves judging them to `trail_rules`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Json = dict[str, Any]

RECEIVED: Final = "requestReceivedTimestamp"


@dataclass(frozen=True, slots=True)
class Write:
    """One change that an API server made, or, of a deletion, found made already."""

    at: datetime
    cluster: str
    user: str
    verb: str
    kind: str
    """With the subresource: `nodes/status`."""
    namespace: str
    name: str
    signed: bool
    """Whether it bears Berth's name as the writer of the fields."""
    body: Json = field(default_factory=dict)


def trail(logs: Mapping[str, Iterable[Path]], since: datetime) -> list[Write]:
    """Everything that was written since, by cluster."""
    writes = [write for cluster, files in logs.items() for log in files for write in _writes(cluster, log)]
    return sorted((write for write in writes if write.at >= since), key=lambda write: write.at)


def _writes(cluster: str, log: Path) -> Iterator[Write]:
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the API server was killed in the middle of the line
            continue
        if write := write_of(cluster, entry):
            yield write


def write_of(cluster: str, entry: Json) -> Write | None:
    """An entry of the log as a record; None if it changed nothing."""
    subject, query = entry.get("objectRef") or {}, parse_qs(urlsplit(entry["requestURI"]).query)
    code = (entry.get("responseStatus") or {}).get("code", 0)
    gone = entry["verb"] == "delete" and code == HTTPStatus.NOT_FOUND
    done = entry["stage"] == "ResponseComplete" and (HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES or gone)
    if not done or "dryRun" in query:
        return None
    body = entry.get("requestObject") or {}
    kind = subject.get("resource", "")
    return Write(
        at=datetime.fromisoformat(entry[RECEIVED]),
        cluster=cluster,
        user=entry["user"]["username"],
        verb=entry["verb"],
        kind=f"{kind}/{subject['subresource']}" if subject.get("subresource") else kind,
        namespace=subject.get("namespace", ""),
        name=subject.get("name") or (body.get("metadata") or {}).get("name", ""),
        signed=query.get("fieldManager") == ["berth"],
        body=body,
    )
