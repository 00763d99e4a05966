"""Whatever goes wrong, and wherever, the answer has the shape of the dialect whose path was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.app import build_app
from api.backends import Backends
from ledger.connection import Ledger
from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

ENVELOPE = {"statusCode", "status", "message", "data", "error"}
EGS, NATIVE, OPEN = "/api/v1", "/berth/v1", ""
GPUCTL = "/api/v1/pools"
RUNAI = "/api/v1/workloads"


def assert_in_shape(answer: httpx.Response, status: int, dialect: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    if dialect == EGS:
        assert body.keys() == ENVELOPE
        assert body["statusCode"] == status
        assert body["error"].keys() == {"errorKey", "message", "data"}
        assert body["data"] is None
    elif dialect == GPUCTL:
        assert body.keys() == {"error"}
        assert isinstance(body["error"], str)
    elif dialect == RUNAI:
        assert {"code", "message"} <= body.keys() <= {"code", "message", "details"}
        assert body["code"] == status
    elif dialect == NATIVE:
        assert body.keys() == {"error"}
        assert body["error"].keys() == {"code", "message", "details"}
    else:
        assert body.keys() == {"detail", "error"}


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api/v1", EGS),
        ("/api/v1/", EGS),
        ("/api/v1/nothing", EGS),
        ("/api/v1/gpr/nothing", EGS),
        ("/api/v1/%00", EGS),
        ("/api/v1/poolsx", EGS),
        ("/api/v1/pools/a/b", GPUCTL),
        ("/api/v1/nodes/n/nothing", GPUCTL),
        ("/api/v1/jobs/a/b/c/d", GPUCTL),
        ("/api/v1/labels/a", GPUCTL),
        ("/berth/v1/nothing", NATIVE),
        ("/berth/v1/gprs/a/b", NATIVE),
        ("/nothing", OPEN),
        ("/api/v2/nothing", RUNAI),
        ("/api/v2", RUNAI),
        ("/api/v1/workloads/a/b/c", RUNAI),
        ("/api/v1/workload-nothing", RUNAI),
        ("/api/v1/token/nothing", RUNAI),
        ("/api/v1/tokens", EGS),
        ("/api/v20", OPEN),
        ("/api/v1x", OPEN),
    ],
)
async def test_an_unknown_path_is_not_found_in_its_dialects_shape(api: TheApi, path: str, dialect: str) -> None:
    assert_in_shape(await api.call("GET", path, await api.someone()), 404, dialect)


@pytest.mark.parametrize(
    ("method", "path", "dialect", "allowed"),
    [
        ("PATCH", "/api/v1/gpr", EGS, "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("POST", "/api/v1/gpr/list", EGS, "GET, HEAD, OPTIONS"),
        ("PUT", "/api/v1/slice-workspace", EGS, "POST, DELETE, OPTIONS"),
        ("HEAD", "/api/v1/slice-workspace", EGS, "POST, DELETE, OPTIONS"),
        ("TRACE", "/api/v1/gpr", EGS, "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("BREW", "/api/v1/gpr", EGS, "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("PATCH", "/api/v1/pools", GPUCTL, "GET, HEAD, POST, OPTIONS"),
        ("PATCH", "/api/v1/nodes/n/labels/a/b", GPUCTL, "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("POST", "/api/v1/labels", GPUCTL, "GET, HEAD, OPTIONS"),
        ("POST", "/api/v1/workloads", RUNAI, "GET, HEAD, OPTIONS"),
        ("GET", "/api/v2/token", RUNAI, "POST, OPTIONS"),
        ("PUT", "/berth/v1/gprs", NATIVE, "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/berth/v1/gprs/gpr-00000000-0000", NATIVE, "GET, HEAD, PATCH, OPTIONS"),
        ("POST", "/health", OPEN, "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_says_which_are_right(
    api: TheApi, method: str, path: str, dialect: str, allowed: str
) -> None:
    answer = await api.call(method, path, await api.someone())
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert_in_shape(answer, 405, dialect)
    assert answer.status_code == 405


@pytest.mark.parametrize("path", ["/api/v1/gpr", "/api/v1/auth", "/berth/v1/gprs/gpr-00000000-0000", "/health"])
async def test_options_needs_no_login(api: TheApi, path: str) -> None:
    answer = await api.call("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "OPTIONS" in answer.headers["allow"]


async def test_head_answers_like_get_without_the_body(api: TheApi) -> None:
    me = await api.someone()
    get, head = [await api.call(method, "/api/v1/slice-workspace/list", me) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/api/v1/slice-workspace/list/", "/berth/v1/gprs/", "/health/"])
async def test_a_trailing_slash_is_the_same_handler(api: TheApi, path: str) -> None:
    assert (await api.call("GET", path, await api.someone())).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,",
        b"nonsense",
        b"\xff\xfe{}",
        b'{"gprName": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b"[" * 5000,
        b"'{}'",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/gpr", "/api/v1/auth", "/berth/v1/gprs"])
async def test_a_body_that_is_not_json_is_refused(api: TheApi, path: str, body: bytes) -> None:
    answer = await api.call("POST", path, await api.someone(), content=body)
    assert_in_shape(answer, 422, path[:7] if path.startswith("/api") else NATIVE)


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null", b"", b"  ", b"true"])
async def test_a_body_that_is_no_object_is_refused(api: TheApi, body: bytes) -> None:
    for path, dialect in (("/api/v1/gpr", EGS), ("/berth/v1/gprs", NATIVE)):
        assert_in_shape(await api.call("POST", path, await api.someone(), content=body), 422, dialect)


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "nonsense"],
)
async def test_json_is_read_under_any_content_type(api: TheApi, content_type: str | None) -> None:
    me = await api.someone()
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps(a_gpr_body(await api.workspace(me)))
    assert (await api.call("POST", "/api/v1/gpr", me, content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("path", "dialect"), [("/api/v1/gpr", EGS), ("/berth/v1/gprs", NATIVE), ("/api/v1/auth", EGS), (GPUCTL, GPUCTL)]
)
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_too_large_is_refused_whether_it_says_so_or_not(
    api: TheApi, path: str, dialect: str, declared: bool
) -> None:
    async def streamed() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    content = b" " * 1_000_000 if declared else streamed()
    assert_in_shape(await api.call("POST", path, await api.someone(), content=content), 413, dialect)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/berth/v1/gprs?limit=0", 422),
        ("/berth/v1/gprs?limit=501", 422),
        ("/berth/v1/gprs?limit=x", 422),
        ("/berth/v1/gprs?after=-1", 422),
        (f"/berth/v1/gprs?after={2**70}", 422),
        ("/berth/v1/gprs?phase=sleeping", 422),
        ("/berth/v1/gprs?workspace=%00", 404),
        ("/berth/v1/workspaces/%00", 404),
        ("/berth/v1/gprs/%00", 404),
        ("/berth/v1/keys/nonsense", 405),
        ("/berth/v1/nodes?cluster=nowhere", 200),
        ("/berth/v1/nodes?cluster=%00", 422),
        ("/berth/v1/workspaces/ws/kubeconfig?expires_in_seconds=1", 422),
    ],
)
async def test_parameters_are_checked(api: TheApi, path: str, status: int) -> None:
    answer = await api.call("GET", path, await api.someone())
    assert answer.status_code == status, answer.text


async def test_a_name_in_a_query_that_no_workspace_can_have_is_not_found(api: TheApi) -> None:
    for path in (
        "/api/v1/gpr/list?sliceName=%00x",
        "/api/v1/inventory?sliceName=%F0%9F%98%80",
        "/api/v1/inventory?sliceName=%FF",
    ):
        assert (await api.call("GET", path, await api.someone())).status_code in {404, 422}


@pytest.mark.parametrize("prefix", [EGS, GPUCTL, RUNAI, NATIVE, OPEN])
async def test_what_breaks_inside_is_a_500_in_shape_and_a_line_in_the_log(api: TheApi, prefix: str) -> None:
    router = APIRouter()
    path = f"{prefix}/broken/inside"

    @router.get(path)
    async def broken() -> None:
        raise RuntimeError("something of ours")

    app = build_app(api.app.state.backends)
    app.include_router(router)
    with capture_logs(processors=[merge_contextvars]) as logged:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
            answer = await client.get(path, headers={"X-Request-Id": "request-7"})
    assert_in_shape(answer, 500, prefix)
    assert "something of ours" not in answer.text
    line = next(line for line in logged if line["event"] == "request failed")
    assert (line["request_id"], line["exc_info"]) == ("request-7", True)


@pytest.mark.parametrize("path", ["/api/v1/slice-workspace/list", GPUCTL, "/berth/v1/gprs", "/.well-known/jwks.json"])
async def test_without_the_ledger_everything_is_unavailable_for_now(api: TheApi, path: str) -> None:
    me = await api.someone()
    backends = api.app.state.backends
    away = Ledger("postgresql://nobody@127.0.0.1:1/nothing")
    app = build_app(Backends(away, backends.courier, backends.kubeconfigs))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
        answer = await client.get(path, headers=me.headers)
        ready, health = await client.get("/readyz"), await client.get("/health")
    prefixes = (GPUCTL, EGS, NATIVE, OPEN)
    assert_in_shape(answer, 503, next(prefix for prefix in prefixes if path.startswith(prefix)))
    assert answer.headers["retry-after"] == "2"
    assert (ready.status_code, health.status_code, health.json()["database"]) == (503, 200, "unhealthy")


async def test_every_answer_carries_a_request_id(api: TheApi) -> None:
    given = await api.call("GET", "/nothing", headers={"X-Request-Id": "mine-1"})
    odd = await api.call("GET", "/nothing", headers={"X-Request-Id": "not fine\t"})
    assert given.headers["x-request-id"] == "mine-1"
    assert len(odd.headers["x-request-id"]) == 32
