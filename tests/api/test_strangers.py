"""Whoever has no valid credential is turned away before anything else, on every route, in its dialect's shape."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest

from api.app import DIALECTS
from api.dialects.gpuctl.routes import GPUCTL
from api.dialects.gpudev.routes import GPUDEV
from api.dialects.runai.routes import RUNAI
from tests.api.route_table import ROUTES, SOME_ID, Asked, filled, served

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import TheApi

ENVELOPE = {"statusCode", "status", "message", "data", "error"}
NO_CREDENTIALS = (
    *(None, "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense", "Bearer a.b.c", "Bearer \u00e9.\u00e9.\u00e9"),
    f"Bearer berth_{'0' * 64}",
    f"Bearer {'x' * 10_000}",
)
NAMES = {"workspace": "ws", "gpr": "gpr-00000000-0000", "new": "new-ws", "pool": "p", "namespace": "ns"}
NAMES |= {"poolName": "p", "namespaceName": "ns", "nodeName": "n", "key": "example.com/rack", "jobId": "j"}
NAMES |= {"maintenance": "m", "reservation": str(SOME_ID)}
NAMES |= {"job_id": str(SOME_ID), "disk_name": "d", "operation_id": str(SOME_ID)}
NAMES |= {"gpu": "1", "workloadId": str(SOME_ID), "categoryId": str(SOME_ID), "workloadTypeId": str(SOME_ID)}


def test_the_route_table_names_every_route_that_needs_a_login() -> None:
    def generic(path: str) -> str:
        return re.sub(r"\{\w+\}", "{}", path)

    named = {(asked.method, generic(asked.path.replace(str(SOME_ID), "{key}"))) for asked in ROUTES}
    assert named == {(method, generic(path)) for method, path in served()}


@pytest.mark.parametrize("asked", ROUTES, ids=str)
async def test_a_stranger_is_told_only_that(api: TheApi, asked: Asked) -> None:
    for bearer in NO_CREDENTIALS:
        headers = {} if bearer is None else {"authorization": bearer.encode("latin-1")}
        path = filled(asked.path, **NAMES)
        assert_turned_away(await api.client.request(asked.method, path, headers=headers, content=b"{not json"))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_stranger_does_not_learn_which_paths_and_methods_exist(api: TheApi, dialect: object) -> None:
    prefix = dialect.prefix  # type: ignore[attr-defined]
    for method, path in [("GET", f"{prefix}/nothing/here"), ("TRACE", f"{prefix}/gprs"), ("PUT", f"{prefix}/gpr/list")]:
        assert_turned_away(await api.client.request(method, path))
    for method, path in [("GET", "/api/v1/nodes/a/b/c"), ("TRACE", "/api/v1/pools"), ("PATCH", "/api/v1/quotas")]:
        assert_turned_away(await api.client.request(method, path))


async def test_a_body_too_large_from_a_stranger_is_not_read(api: TheApi) -> None:
    answer = await api.client.post("/api/v1/gpr", content=b"x" * 10_000_000)
    assert_turned_away(answer)


async def test_a_revoked_key_is_dead_at_once_for_logins_and_within_seconds_for_its_tokens(api: TheApi) -> None:
    me = await api.someone()
    token = (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).json()["data"]["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await api.call("GET", "/berth/v1/whoami", headers=bearer)).status_code == 200
    assert (await api.call("DELETE", f"/berth/v1/keys/{me.key_id}", me)).status_code == 200
    assert (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).status_code == 401
    api.clock.ahead = timedelta(seconds=3)
    assert_turned_away(await api.call("GET", "/berth/v1/whoami", headers=bearer))
    assert_turned_away(await api.call("GET", "/api/v1/inventory/list", me))


async def test_an_expired_key_says_so_at_login_and_its_tokens_die_with_it(api: TheApi) -> None:
    me = await api.someone(valid_until=api.clock() + timedelta(seconds=60))
    token = (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).json()["data"]["token"]
    api.clock.ahead = timedelta(seconds=61)
    answer = await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})
    assert (answer.status_code, answer.json()["message"]) == (401, "Api Key has expired")
    assert_turned_away(await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {token}"}))


async def test_a_token_lives_for_fifteen_minutes(api: TheApi) -> None:
    me = await api.someone()
    token = (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).json()["data"]["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    api.clock.ahead = timedelta(seconds=890)
    assert (await api.call("GET", "/berth/v1/whoami", headers=bearer)).status_code == 200
    api.clock.ahead = timedelta(seconds=910)
    assert_turned_away(await api.call("GET", "/berth/v1/whoami", headers=bearer))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_that_was_not_signed_by_us_counts_for_nothing(api: TheApi, algorithm: str) -> None:
    me = await api.someone()
    real = (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).json()["data"]["token"]
    claims = jwt.decode(real, options={"verify_signature": False})
    key = None if algorithm == "none" else "k" * 64
    forged = jwt.encode(claims, key, algorithm, headers={"kid": jwt.get_unverified_header(real)["kid"]})  # type: ignore[arg-type]
    assert_turned_away(await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {forged}"}))


async def test_a_token_whose_claims_were_changed_counts_for_nothing(api: TheApi) -> None:
    me = await api.someone()
    token = (await api.call("POST", "/api/v1/auth", json={"apiKey": me.key})).json()["data"]["token"]
    head, claims, signature = token.split(".")
    changed = f"{head}.{claims[:-2]}AA.{signature}"
    assert_turned_away(await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {changed}"}))


@pytest.mark.parametrize(
    "path", ["/", "/health", "/readyz", "/metrics", "/docs", "/docs/gpudev", "/openapi.json", "/.well-known/jwks.json"]
)
async def test_the_open_paths_need_no_login(api: TheApi, path: str) -> None:
    assert (await api.client.get(path)).status_code == 200


def assert_turned_away(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    body = answer.json()
    path = str(answer.request.url.path)
    if GPUCTL.claims(path):
        assert body.keys() == {"error"}
        assert isinstance(body["error"], str)
    elif RUNAI.claims(path):
        assert body.keys() == {"code", "message"}
        assert body["code"] == 401
    elif GPUDEV.claims(path):
        assert body.keys() == {"detail"}
        assert isinstance(body["detail"], str)
    elif path.startswith("/api/v1"):
        assert set(body) == ENVELOPE
        assert body["statusCode"] == 401
        assert (body["status"], body["data"], body["error"]["data"]) == ("UNAUTHENTICATED", None, None)
    else:
        assert body["error"]["code"] in {"unauthenticated", "credential_expired"}
