"""Every failure is `{"error": …}` and nothing else, with gpuctl's statuses."""

from __future__ import annotations

import json

import pytest

from api.auth.rates import TooManyRequests
from api.dialects.gpuctl import envelopes, schemas
from api.problems import (
    FieldProblem,
    InvalidFields,
    Problem,
    TooLarge,
    internal_error,
    problem_of,
    unknown_route,
    wrong_method,
)
from domain import failures

STATUSES = [
    (failures.InvalidRequest("x"), 400),
    (InvalidFields([FieldProblem("a", "missing", "is required")]), 400),
    (TooLarge("x"), 413),
    (failures.Unauthenticated("x"), 401),
    (failures.CredentialExpired("x"), 401),
    (failures.Forbidden("x"), 403),
    (failures.NamespaceNotOurs("x"), 403),
    (failures.NotFound("x"), 404),
    (failures.AlreadyExists("x"), 409),
    (failures.InUse("x"), 409),
    (failures.WrongPhase("x"), 409),
    (failures.IdempotencyMismatch("x"), 409),
    (failures.LedgerUnavailable("x"), 503),
    (failures.ClusterUnavailable("x"), 503),
    (failures.ClusterRefused("x"), 500),
    (failures.BerthFailure("x"), 500),
]


@pytest.mark.parametrize(("failure", "status"), STATUSES, ids=lambda value: type(value).__name__)
def test_each_failure_has_its_status_and_its_sentence(failure: failures.BerthFailure, status: int) -> None:
    answer = envelopes.failure(problem_of(failure))
    assert answer.status_code == status
    assert json.loads(bytes(answer.body)) == {"error": failure.message}


@pytest.mark.parametrize(
    ("problem", "status"),
    [(unknown_route("/api/v1/jobs/a/b"), 404), (wrong_method("PUT", ["GET"]), 405), (internal_error("r-1"), 500)],
)
def test_what_no_route_said_has_the_same_shape(problem: Problem, status: int) -> None:
    answer = envelopes.failure(problem)
    assert (answer.status_code, json.loads(bytes(answer.body))) == (status, {"error": problem.message})


def test_headers_are_kept() -> None:
    assert envelopes.failure(wrong_method("PUT", ["GET"])).headers["allow"] == "GET"
    assert envelopes.failure(problem_of(failures.Unauthenticated())).headers["www-authenticate"] == "Bearer"
    assert "retry-after" in envelopes.failure(problem_of(failures.Unavailable())).headers


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    answer = envelopes.failure(problem_of(TooManyRequests("x", retry_after_seconds=7)))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_success_is_the_thing_itself() -> None:
    answer = envelopes.success(schemas.JobDeleted(jobId="a", message="it ends"))
    assert json.loads(bytes(answer.body)) == {"jobId": "a", "status": "terminating", "message": "it ends"}
