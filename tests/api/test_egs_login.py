"""Login: an API key for a token. Clients call it before every request."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from api.auth.tokens import Tokens

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

PATH = "/api/v1/auth"


async def test_a_key_is_exchanged_for_a_token_and_nothing_else(api: TheApi) -> None:
    answer = await api.call("POST", PATH, json={"apiKey": (await api.someone()).key})
    assert answer.json().keys() == {"statusCode", "status", "message", "data", "error"}
    assert answer.json()["data"].keys() == {"token"}


async def test_the_token_is_a_jwt_signed_with_rs256_for_900_seconds_and_verifies_with_the_public_keys(
    api: TheApi,
) -> None:
    token = (await api.call("POST", PATH, json={"apiKey": (await api.someone()).key})).json()["data"]["token"]
    published = jwt.PyJWKSet.from_dict((await api.call("GET", "/.well-known/jwks.json")).json())
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, published[header["kid"]], algorithms=["RS256"], audience="berth", issuer="berth")
    assert (header["alg"], claims["exp"] - claims["iat"]) == ("RS256", 900)


async def test_a_token_works_in_every_dialect_and_so_does_the_key_itself(api: TheApi) -> None:
    me = await api.someone()
    token = (await api.call("POST", PATH, json={"apiKey": me.key})).json()["data"]["token"]
    for bearer in (token, me.key):
        for path in ("/api/v1/slice-workspace/list", "/berth/v1/whoami"):
            answer = await api.call("GET", path, headers={"Authorization": f"bearer {bearer}"})
            assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"apiKey": ""}, {"apiKey": None}, {"apiKey": "nonsense"}, {"apiKey": "berth_123"}, {"apikey": "x"}]
)
async def test_a_key_that_cannot_be_one_is_malformed(api: TheApi, body: dict[str, Any]) -> None:
    answer = await api.call("POST", PATH, json=body)
    message = "Api Key Configuration is invalid. Request a new API-key or contact administrator"
    error = {"errorKey": "UNHANDLED_REQUEST_ERROR", "message": message, "data": None}
    expected = {
        "statusCode": 400,
        "status": "UNHANDLED_REQUEST_ERROR",
        "message": message,
        "data": None,
        "error": error,
    }
    assert (answer.status_code, answer.json()) == (400, expected)


async def test_an_unknown_key_is_unauthenticated(api: TheApi) -> None:
    answer = await api.call("POST", PATH, json={"apiKey": "berth_" + "f" * 64})
    error = {"errorKey": "UNAUTHENTICATED", "message": "Unauthenticated", "data": None}
    expected = {
        "statusCode": 401,
        "status": "UNAUTHENTICATED",
        "message": "Unauthenticated",
        "data": None,
        "error": error,
    }
    assert (answer.status_code, answer.json()) == (401, expected)


@pytest.mark.parametrize("key", [7, ["a"], {"a": 1}, True])
async def test_a_key_of_the_wrong_type_is_refused(api: TheApi, key: Any) -> None:
    assert (await api.call("POST", PATH, json={"apiKey": key})).status_code == 422


async def test_login_is_read_under_curls_content_type(api: TheApi) -> None:
    content = f'{{"apiKey": "{(await api.someone()).key}"}}'
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await api.call("POST", PATH, content=content, headers=headers)).status_code == 200


async def test_two_processes_verify_each_others_tokens(api: TheApi) -> None:
    caller = await api.app.state.credentials.keys.login((await api.someone()).key)
    one, other = Tokens(api.ledger, api.clock), Tokens(api.ledger, api.clock)
    assert await other.key_id_of(await one.issue(caller)) == caller.key_id


async def test_a_signing_key_is_replaced_after_a_month_and_old_tokens_live_out_their_time(api: TheApi) -> None:
    caller = await api.app.state.credentials.keys.login((await api.someone()).key)
    old, new = Tokens(api.ledger, api.clock), Tokens(api.ledger, api.clock)
    await old.issue(caller)
    api.clock.ahead = timedelta(days=30, seconds=-30)
    token = await old.issue(caller)
    api.clock.ahead = timedelta(days=30, seconds=30)
    fresh = await new.issue(caller)
    kids = {jwt.get_unverified_header(one)["kid"] for one in (token, fresh)}
    assert len(kids) == 2
    assert {key["kid"] for key in (await new.jwks())["keys"]} >= kids
    assert await new.key_id_of(token) == await old.key_id_of(fresh) == caller.key_id
    async with api.ledger.transaction() as connection:
        await connection.execute("delete from signing_key")


async def test_logins_of_one_second_share_a_token_and_later_ones_do_not(api: TheApi) -> None:
    caller = await api.app.state.credentials.keys.login((await api.someone()).key)
    tokens, start = Tokens(api.ledger, api.clock), api.clock()
    second = start.replace(microsecond=100_000)
    frozen = Tokens(api.ledger, lambda: second)
    assert await frozen.issue(caller) == await frozen.issue(caller)
    assert await tokens.issue(caller)
