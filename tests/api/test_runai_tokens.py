"""Logging in by this API: any key of Berth, in every documented form, for the token that counts everywhere."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest

from tests.api.runai_kit import assert_failure

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOBODYS_KEY = "berth_" + "0" * 64


def grants(who: Someone, owner: str) -> list[dict[str, str]]:
    return [
        {"grantType": "app_token", "AppId": owner, "AppSecret": who.key},
        {"grantType": "client_credentials", "clientID": owner, "clientSecret": who.key},
    ]


async def test_a_key_is_exchanged_for_a_token_that_counts_everywhere(api: TheApi) -> None:
    me = await api.someone()
    for owner in (str(me.key_id), me.principal.name, ""):
        for grant in grants(me, owner):
            answer = await api.client.post("/api/v1/token", json=grant)
            assert answer.status_code == 200, answer.text
            assert answer.json().keys() == {"accessToken"}
            await assert_counts(api, answer.json()["accessToken"])


async def test_the_second_version_takes_a_form(api: TheApi) -> None:
    me = await api.someone()
    form = {"grant_type": "client_credentials", "client_id": str(me.key_id), "client_secret": me.key}
    answer = await api.client.post("/api/v2/token", content=urlencode(form), headers=FORM)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert answer.headers["cache-control"] == "no-store"
    await assert_counts(api, body["access_token"])


async def assert_counts(api: TheApi, token: str) -> None:
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert jwt.decode(token, options={"verify_signature": False})["exp"] > api.clock().timestamp()
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/api/v1/workloads", "/berth/v1/whoami", "/api/v1/slice-workspace/list"):
        assert (await api.call("GET", path, headers=headers)).status_code == 200


@pytest.mark.parametrize("owner", ["somebody-else", "00000000-0000-0000-0000-000000000001"])
async def test_a_key_that_is_somebody_elses_is_refused(api: TheApi, owner: str) -> None:
    for grant in grants(await api.someone(), owner):
        await assert_unauthorized(api, grant)


@pytest.mark.parametrize("secret", [NOBODYS_KEY, "nonsense", ""])
async def test_a_key_that_nobody_has_is_refused(api: TheApi, secret: str) -> None:
    await assert_unauthorized(api, {"grantType": "app_token", "AppId": "", "AppSecret": secret})
    form = {"grant_type": "client_credentials", "client_id": "x", "client_secret": secret}
    answer = await api.client.post("/api/v2/token", content=urlencode(form), headers=FORM)
    assert answer.status_code == 401
    assert_failure(answer)


async def test_an_expired_key_is_refused_and_its_tokens_die_with_it(api: TheApi) -> None:
    me = await api.someone(valid_until=api.clock() + timedelta(seconds=60))
    token = (await api.client.post("/api/v1/token", json=grants(me, "")[0])).json()["accessToken"]
    api.clock.ahead = timedelta(seconds=61)
    assert "expired" in (await assert_unauthorized(api, grants(me, "")[0]))["message"]
    answer = await api.call("GET", "/api/v1/workloads", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert_failure(answer)


async def assert_unauthorized(api: TheApi, grant: dict[str, str]) -> dict[str, Any]:
    answer = await api.client.post("/api/v1/token", json=grant)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    return assert_failure(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"grantType": "password", "AppId": "x", "AppSecret": "y"}',
        b'{"grantType": "app_token", "AppId": "x"}',
        b'{"grantType": "app_token", "AppId": "x", "AppSecret": 7}',
        b'{"grantType": "client_credentials", "AppId": "x", "AppSecret": "y"}',
        b"grantType=app_token",
        b"\xff",
    ],
)
async def test_a_login_that_cannot_be_read_is_refused_in_shape_and_repeats_no_secret(api: TheApi, body: bytes) -> None:
    for path in ("/api/v1/token", "/api/v2/token"):
        answer = await api.client.post(path, content=body)
        assert answer.status_code == 400, answer.text
        assert_failure(answer)


async def test_a_refused_login_does_not_repeat_what_was_sent(api: TheApi) -> None:
    answer = await api.client.post("/api/v1/token", json={"grantType": "app_token", "AppSecret": "a-secret-of-mine"})
    assert answer.status_code == 400
    assert "a-secret-of-mine" not in answer.text
