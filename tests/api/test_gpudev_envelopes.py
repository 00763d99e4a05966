"""Whatever goes wrong under `/v1`, `detail` says it: a sentence for a person, or a list of fields."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter

from api.app import build_app
from api.auth.rates import TooManyRequests
from api.backends import Backends
from api.dialects.gpudev import envelopes
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
from ledger.connection import Ledger

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

STATUSES = [
    (failures.InvalidRequest("x"), 400),
    (TooLarge("x"), 413),
    (failures.Unauthenticated("x"), 401),
    (failures.Forbidden("x"), 403),
    (failures.NotFound("x not found"), 404),
    (failures.AlreadyExists("x"), 409),
    (failures.InUse("x"), 409),
    (failures.WrongPhase("x"), 409),
    (failures.IdempotencyMismatch("x"), 409),
    (failures.Gone("x"), 410),
    (failures.LedgerUnavailable("x"), 503),
    (failures.ClusterUnavailable("x"), 503),
    (failures.ClusterRefused("x"), 500),
    (failures.DataMissing("x"), 500),
    (failures.BerthFailure("x"), 500),
]


@pytest.mark.parametrize(("failure", "status"), STATUSES, ids=lambda value: type(value).__name__)
def test_each_failure_has_its_status_and_its_sentence(failure: failures.BerthFailure, status: int) -> None:
    answer = envelopes.failure(problem_of(failure))
    assert answer.status_code == status
    assert json.loads(bytes(answer.body)) == {"detail": failure.message}


@pytest.mark.parametrize(
    ("problem", "status"),
    [(unknown_route("/v1/a/b"), 404), (wrong_method("PUT", ["GET"]), 405), (internal_error("r-1"), 500)],
)
def test_what_no_route_said_has_the_same_shape(problem: Problem, status: int) -> None:
    answer = envelopes.failure(problem)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body.keys()) == (status, {"detail"})
    assert body["detail"].startswith(problem.message)


def test_every_404_contains_the_words_that_clients_look_for() -> None:
    for failure in (failures.NotFound("there is no such thing"), failures.NotFound("disk 'd' not found")):
        told = json.loads(bytes(envelopes.failure(problem_of(failure)).body))["detail"]
        assert told.count("not found") == 1


def test_fields_are_told_as_fastapi_tells_them_and_no_value_is_repeated() -> None:
    fields = [
        FieldProblem("image", "missing", "Field required"),
        FieldProblem("query.limit", "greater_than_equal", "too small"),
        FieldProblem("env_vars.A", "string_type", "no text"),
        FieldProblem("disks.0", "string_type", "no text"),
    ]
    answer = envelopes.failure(problem_of(InvalidFields(fields)))
    assert answer.status_code == 422
    told = json.loads(bytes(answer.body))["detail"]
    assert told[0] == {"type": "missing", "loc": ["body", "image"], "msg": "Field required", "input": None}
    assert [one["loc"] for one in told[1:]] == [["query", "limit"], ["body", "env_vars", "A"], ["body", "disks", 0]]


def test_headers_are_kept() -> None:
    assert envelopes.failure(wrong_method("PUT", ["GET"])).headers["allow"] == "GET"
    assert envelopes.failure(problem_of(failures.Unauthenticated())).headers["www-authenticate"] == "Bearer"
    assert "retry-after" in envelopes.failure(problem_of(failures.Unavailable())).headers
    answer = envelopes.failure(problem_of(TooManyRequests("x", retry_after_seconds=7)))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


# --- over HTTP --------------------------------------------------------------------------------------------------------


async def told(api: TheApi, method: str, path: str, status: int, **more: Any) -> Any:
    answer = await api.call(method, path, more.pop("who", None), **more)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"detail"}
    return body["detail"]


async def test_who_is_turned_away_is_told_why(api: TheApi) -> None:
    me = await api.someone(valid_until=api.clock() + timedelta(seconds=60))
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}, {"Authorization": me.key}):
        assert await told(api, "GET", "/v1/jobs", 401, headers=headers) == "Not authenticated"
    for bearer in ("nonsense", "a.b.c", f"berth_{'0' * 64}", "x" * 10_000):
        assert (
            await told(api, "GET", "/v1/jobs", 401, headers={"Authorization": f"Bearer {bearer}"}) == "Invalid API key"
        )
    api.clock.ahead = timedelta(seconds=61)
    assert await told(api, "GET", "/v1/jobs", 401, who=me) == "API key has expired"


async def test_a_stranger_is_turned_away_before_anything_is_read(api: TheApi) -> None:
    for method, path in (("POST", "/v1/jobs/submit"), ("GET", "/v1/nothing"), ("PUT", "/v1/jobs"), ("GET", "/v1")):
        assert await told(api, method, path, 401, content=b"{not json") == "Not authenticated"


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/v1/jobs/a/b/c", "/v1/gpu", "/v1/disks/d/e/f/g", "/v1/%00"]
)
async def test_an_unknown_path_is_not_found(api: TheApi, path: str) -> None:
    assert "not found" in await told(api, "GET", path, 404, who=await api.someone())


async def test_a_path_beside_this_api_is_not_its_own(api: TheApi) -> None:
    answer = await api.call("GET", "/v1x")
    assert answer.json().keys() == {"detail", "error"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/v1/jobs", "GET, HEAD, OPTIONS"),
        ("PUT", "/v1/disks", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/disks/d", "GET, HEAD, DELETE, OPTIONS"),
        ("GET", "/v1/jobs/x/cancel", "POST, OPTIONS"),
        ("GET", "/v1/auth/aws-login", "POST, OPTIONS"),
        ("DELETE", "/v1/gpu/availability", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_says_which_are_right(api: TheApi, method: str, path: str, allowed: str) -> None:
    answer = await api.call(method, path, await api.someone())
    assert (answer.status_code, answer.headers["allow"], answer.json().keys()) == (405, allowed, {"detail"})


async def test_submit_is_a_word_of_its_own_and_no_job(api: TheApi) -> None:
    answer = await api.call("GET", "/v1/jobs/submit", await api.someone())
    assert (answer.status_code, "not found" in answer.json()["detail"]) == (404, True)


@pytest.mark.parametrize("body", [b"{", b"[1,", b"\xff\xfe{}", b'{"a": NaN}', b"'{}'", b"[" * 5000])
async def test_a_body_that_is_not_json_is_refused(api: TheApi, body: bytes) -> None:
    for path in ("/v1/jobs/submit", "/v1/disks", "/v1/auth/aws-login"):
        (problem,) = await told(api, "POST", path, 422, who=await api.someone(), content=body)
        assert (problem["type"], problem["loc"]) == ("json_invalid", ["body"])


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null", b"true"])
async def test_a_body_that_is_no_object_is_refused(api: TheApi, body: bytes) -> None:
    (problem,) = await told(api, "POST", "/v1/disks", 422, who=await api.someone(), content=body)
    assert problem["loc"][0] == "body"


async def test_what_is_missing_is_named(api: TheApi) -> None:
    me = await api.someone()
    for path, name in (
        ("/v1/disks", "disk_name"),
        ("/v1/disks/d/rename", "new_name"),
        ("/v1/jobs/x/extend", "extension_hours"),
        ("/v1/jobs/x/users", "github_username"),
    ):
        (problem,) = await told(api, "POST", path, 422, who=me, json={})
        assert (problem["type"], problem["loc"]) == ("missing", ["body", name])


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain", "nonsense"])
async def test_json_is_read_under_any_content_type(api: TheApi, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await api.call("POST", "/v1/jobs/submit", await api.someone(), content=b"{}", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/jobs/submit", "/v1/disks", "/v1/auth/aws-login"])
async def test_a_body_too_large_is_refused(api: TheApi, path: str) -> None:
    assert "larger than" in await told(api, "POST", path, 413, who=await api.someone(), content=b" " * 1_000_000)


async def test_head_and_a_trailing_slash_are_the_same_handler(api: TheApi) -> None:
    me = await api.someone()
    get, head, slash = [
        await api.call(method, path, me)
        for method, path in (("GET", "/v1/jobs"), ("HEAD", "/v1/jobs"), ("GET", "/v1/jobs/"))
    ]
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", get.headers["content-length"])
    assert slash.json() == get.json()


async def test_options_needs_no_login(api: TheApi) -> None:
    answer = await api.call("OPTIONS", "/v1/jobs/submit")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")


async def test_what_breaks_inside_is_a_500_in_shape(api: TheApi) -> None:
    router = APIRouter()

    @router.get("/v1/broken/inside")
    async def broken() -> None:
        raise RuntimeError("something of ours")

    app = build_app(api.app.state.backends)
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
        answer = await client.get("/v1/broken/inside")
    assert (answer.status_code, answer.json().keys()) == (500, {"detail"})
    assert "something of ours" not in answer.text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/disks", "/v1/gpu/availability", "/v1/cluster/status"])
async def test_without_the_ledger_everything_is_unavailable_for_now(api: TheApi, path: str) -> None:
    me, backends = await api.someone(), api.app.state.backends
    away = Ledger("postgresql://nobody@127.0.0.1:1/nothing")
    app = build_app(Backends(away, backends.courier, backends.kubeconfigs))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
        answer = await client.get(path, headers=me.headers)
    assert (answer.status_code, answer.headers["retry-after"], answer.json().keys()) == (503, "2", {"detail"})


async def test_the_documents_are_served_without_the_internet(api: TheApi) -> None:
    page, document = (await api.client.get("/docs/gpudev")), (await api.client.get("/openapi/gpudev.json")).json()
    assert (page.status_code, "/openapi/gpudev.json" in page.text) == (200, True)
    assert {"/v1/jobs/submit", "/v1/disks/{disk_name}", "/v1/keys/rotate"} <= document["paths"].keys()
    index = (await api.client.get("/")).json()
    assert index["endpoints"]["gpudev"] == "/v1"
