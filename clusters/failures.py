"""What a Kubernetes API's refusals mean to Berth: the one place where status codes become failures.

Two of them never leave this package: a missing object and a conflict are answers that the modules beside this one
expect, and turn into success, a second look, or a failure with more sense.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from domain.failures import BerthFailure, ClusterRefused, ClusterUnavailable, NotReadyYet


class ObjectMissing(ClusterRefused):
    """The object does not exist."""


class ObjectConflict(NotReadyYet):
    """The object exists already, or was changed by someone else since it was read."""


class ListExpired(NotReadyYet):
    """The place in a long list, or in a watch, is too old to go on from."""


_BY_STATUS: Final[dict[int, type[BerthFailure]]] = {
    HTTPStatus.UNAUTHORIZED: ClusterUnavailable,  # credentials that were changed can be mended while the caller waits
    HTTPStatus.NOT_FOUND: ObjectMissing,
    HTTPStatus.REQUEST_TIMEOUT: ClusterUnavailable,
    HTTPStatus.CONFLICT: ObjectConflict,
    HTTPStatus.GONE: ListExpired,
    HTTPStatus.TOO_MANY_REQUESTS: ClusterUnavailable,
}
_STARTING: Final = "not yet ready to handle request"
"""An API server refuses with 403 while its admission policies are still being read."""


def refusal(cluster: str, action: str, status: int, body: bytes) -> BerthFailure:
    """The failure that an answer other than 2xx stands for."""
    answer = _status_object(body)
    kind = _kind(status, answer)
    text = f"cluster {cluster!r} answered {status} to {action}: {answer.get('message') or 'no reason given'}"
    return kind(text, cluster=cluster, status=status, object_kind=answer.get("details", {}).get("kind", ""))


def unreachable(cluster: str, problem: Exception) -> ClusterUnavailable:
    """The failure for a connection that could not be made, was cut, or took too long."""
    return ClusterUnavailable(f"cluster {cluster!r} cannot be reached: {problem}", cluster=cluster)


def _kind(status: int, answer: dict[str, Any]) -> type[BerthFailure]:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ClusterUnavailable
    if status == HTTPStatus.FORBIDDEN and _passes_by_itself(answer):
        return NotReadyYet
    return _BY_STATUS.get(status, ClusterRefused)


def _passes_by_itself(answer: dict[str, Any]) -> bool:
    causes = answer.get("details", {}).get("causes", [])
    terminating = any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
    return terminating or _STARTING in str(answer.get("message", ""))


def _status_object(body: bytes) -> dict[str, Any]:
    """Kubernetes answers refusals with a Status object; what stands in front of it may answer with anything."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return {**answer, "details": answer.get("details") or {}}
    return {"message": body[:200].decode(errors="replace"), "details": {}}
