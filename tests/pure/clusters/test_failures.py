from __future__ import annotations

import json

import pytest

from clusters.failures import ListExpired, ObjectConflict, ObjectMissing, refusal, unreachable
from domain.failures import BerthFailure, ClusterRefused, ClusterUnavailable, NotReadyYet


def _answer(message: str = "no", **details: object) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, ClusterRefused, False),
        (401, ClusterUnavailable, True),
        (403, ClusterRefused, False),
        (404, ObjectMissing, False),
        (408, ClusterUnavailable, True),
        (409, ObjectConflict, True),
        (410, ListExpired, True),
        (422, ClusterRefused, False),
        (429, ClusterUnavailable, True),
        (500, ClusterUnavailable, True),
        (503, ClusterUnavailable, True),
    ],
)
def test_each_answer_is_one_kind_of_failure(status: int, kind: type[BerthFailure], retryable: bool) -> None:
    failure = refusal("west", "GET /x", status, _answer("because"))
    assert type(failure) is kind
    assert failure.retryable is retryable
    assert failure.message == f"cluster 'west' answered {status} to GET /x: because"


def test_a_namespace_that_is_going_is_worth_coming_back_to() -> None:
    causes = [{"reason": "NamespaceTerminating", "message": "namespace x is being terminated"}]
    assert type(refusal("west", "POST /x", 403, _answer(causes=causes))) is NotReadyYet


def test_an_api_server_that_still_reads_its_policies_is_worth_coming_back_to() -> None:
    starting = _answer("pods is forbidden: not yet ready to handle request")
    assert refusal("west", "POST /x", 403, starting).retryable


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[]", b'{"details": null}'])
def test_an_answer_that_is_not_from_kubernetes_is_understood_by_its_status(body: bytes) -> None:
    assert type(refusal("west", "GET /x", 502, body)) is ClusterUnavailable


def test_a_connection_that_failed_says_to_whom() -> None:
    failure = unreachable("west", OSError("refused"))
    assert failure.message == "cluster 'west' cannot be reached: refused"
    assert failure.details == {"cluster": "west"}
