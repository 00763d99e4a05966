"""Logging in with an ID token: which count, which do not, and how the issuer's keys are kept."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.auth.login_doors import LoginDoors, LoginRules
from tests.api.oidc_issuer import CLIENT, DISCOVERY, JWKS, Issuer, an_issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.api_kit import TheApi

PATH = "/v1/auth/oidc-login"
OTHER_CLIENT = "second-client"


@asynccontextmanager
async def with_issuers(api: TheApi, *urls: str, seconds_max: float = 20) -> AsyncIterator[None]:
    audiences = frozenset({CLIENT, OTHER_CLIENT})
    before = api.app.state.backends
    doors = LoginDoors(LoginRules(oidc=dict.fromkeys(urls, audiences), seconds_max=seconds_max), api.clock)
    api.app.state.backends = replace(before, logins=doors)
    try:
        yield
    finally:
        api.app.state.backends = before
        await doors.close()


@pytest_asyncio.fixture
async def issuer(api: TheApi) -> AsyncIterator[Issuer]:
    async with an_issuer(api.clock) as found, with_issuers(api, found.url):
        yield found


async def status_of(api: TheApi, token: Any) -> int:
    return (await api.call("POST", PATH, json={"id_token": token})).status_code


async def detail_of(api: TheApi, token: str, status: int) -> str:
    answer = await api.call("POST", PATH, json={"id_token": token})
    assert answer.status_code == status, answer.text
    detail: str = answer.json()["detail"]
    return detail


async def logged_in(api: TheApi, token: str) -> dict[str, Any]:
    answer = await api.call("POST", PATH, json={"id_token": token})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# --- which count -------------------------------------------------------------------------------------------------------


async def test_an_id_token_is_exchanged_for_a_key(api: TheApi, issuer: Issuer) -> None:
    told = await logged_in(api, issuer.token(preferred_username="Ann"))
    assert told.keys() == {"api_key", "key_prefix", "user_id", "username", "expires_at", "ttl_hours"}
    assert told["username"] == "Ann"
    headers = {"Authorization": f"Bearer {told['api_key']}"}
    assert (await api.call("GET", "/berth/v1/whoami", headers=headers)).json()["principal"] == "Ann@127.0.0.1"


async def test_who_comes_again_is_the_same_whatever_they_call_themselves(api: TheApi, issuer: Issuer) -> None:
    one = await logged_in(api, issuer.token(sub="s1", preferred_username="before"))
    other = await logged_in(api, issuer.token(sub="s1", preferred_username="after"))
    assert (one["user_id"], one["username"]) == (other["user_id"], other["username"])


async def test_the_same_name_of_somebody_else_is_somebody_else(api: TheApi, issuer: Issuer) -> None:
    one = await logged_in(api, issuer.token(sub="s2", preferred_username="same"))
    other = await logged_in(api, issuer.token(sub="s3", preferred_username="same"))
    assert one["user_id"] != other["user_id"]
    assert (one["username"], other["username"][:5]) == ("same", "same-")


async def test_the_same_subject_of_another_issuer_is_somebody_else(api: TheApi) -> None:
    async with an_issuer(api.clock) as here, an_issuer(api.clock) as there, with_issuers(api, here.url, there.url):
        one, other = [await logged_in(api, issuer.token(sub="shared")) for issuer in (here, there)]
    assert one["user_id"] != other["user_id"]


@pytest.mark.parametrize(
    ("claims", "principal"),
    [
        ({"email": "eve@meta.com", "email_verified": True, "preferred_username": "x"}, "eve@meta.com"),
        ({"email": "boss@meta.com", "email_verified": False, "sub": "n1"}, "n1@127.0.0.1"),
        ({"email": "boss@meta.com", "email_verified": "true", "sub": "n2"}, "n2@127.0.0.1"),
        ({"preferred_username": "boss@meta.com", "sub": "n3"}, "boss@127.0.0.1"),
        ({"preferred_username": 7, "sub": "n4"}, "n4@127.0.0.1"),
        ({"preferred_username": "  ", "sub": "n5"}, "n5@127.0.0.1"),
        ({"preferred_username": "a b/c\n<d>", "sub": "n6"}, "a-b-c-d@127.0.0.1"),
        ({"preferred_username": "\u00e9\u00e9", "sub": "n7"}, "user@127.0.0.1"),
        ({"preferred_username": "administrator", "sub": "n8"}, "administrator@127.0.0.1"),
    ],
    ids=str,
)
async def test_names_are_only_names(api: TheApi, issuer: Issuer, claims: dict[str, Any], principal: str) -> None:
    key = (await logged_in(api, issuer.token(**{"sub": "n0", **claims})))["api_key"]
    told = (await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {key}"})).json()
    assert (told["principal"], told["administrator"]) == (principal, False)


async def test_several_audiences_are_fine_where_one_of_ours_asked(api: TheApi, issuer: Issuer) -> None:
    assert await status_of(api, issuer.token(aud=["elsewhere", CLIENT], azp=OTHER_CLIENT)) == 200
    assert await status_of(api, issuer.token(aud=["elsewhere", CLIENT], azp="elsewhere")) == 401
    assert await status_of(api, issuer.token(azp=["elsewhere"])) == 401


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256"])
async def test_strong_signatures_count(api: TheApi, issuer: Issuer, algorithm: str) -> None:
    issuer.publish("one", algorithm=None)
    assert await status_of(api, issuer.token(algorithm=algorithm)) == 200


async def test_elliptic_curves_count(api: TheApi, issuer: Issuer) -> None:
    issuer.add_ec("curve")
    issuer.publish_as([issuer.jwk("curve", "ES256")])
    assert await status_of(api, issuer.token("curve", "ES256")) == 200


async def test_a_token_that_names_no_key_counts_where_there_is_only_one(api: TheApi, issuer: Issuer) -> None:
    assert await status_of(api, issuer.token("")) == 200
    issuer.publish("one", "two")
    api.clock.ahead = timedelta(hours=2)
    assert await status_of(api, issuer.token("")) == 401


@pytest.mark.parametrize(("changed", "seconds"), [("exp", -59), ("iat", 59), ("nbf", 59)])
async def test_clocks_may_differ_a_little(api: TheApi, issuer: Issuer, changed: str, seconds: int) -> None:
    second = int(api.clock().timestamp()) + seconds
    assert await status_of(api, issuer.token(**{changed: second + (2 if seconds < 0 else -2)})) == 200


# --- which do not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": ...},
        {"iss": 7},
        {"iss": ["x"]},
        {"aud": "elsewhere"},
        {"aud": ["elsewhere"]},
        {"aud": ...},
        {"aud": 7},
        {"aud": []},
        {"exp": ...},
        {"iat": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\0b"},
        {"exp": "never"},
        {"exp": True},
        {"exp": None},
        {"iat": {}},
        {"nbf": "now"},
        {"exp": 1},
        {"exp": 10**400},
    ],
    ids=lambda changes: str(changes)[:40],
)
async def test_a_token_with_wrong_claims_is_401(api: TheApi, issuer: Issuer, changes: dict[str, Any]) -> None:
    headers = {"kid": "one"}
    token = jwt.PyJWS().encode(json.dumps(issuer.claims(**changes)).encode(), issuer.keys["one"], "RS256", headers)
    if changes == {"exp": 10**400}:
        assert await status_of(api, token) in {200, 401}
    else:
        assert await status_of(api, token) == 401


async def test_an_expired_token_says_what_to_do(api: TheApi, issuer: Issuer) -> None:
    token = issuer.token()
    api.clock.ahead = timedelta(seconds=361)
    assert await detail_of(api, token, 401) == "the ID token has expired; log in to its issuer again"


async def test_a_token_from_the_future_is_401(api: TheApi, issuer: Issuer) -> None:
    second = int(api.clock().timestamp())
    assert "not valid yet" in await detail_of(api, issuer.token(iat=second + 120), 401)
    assert "not valid yet" in await detail_of(api, issuer.token(nbf=second + 120), 401)


async def test_a_token_that_nobody_signed_is_401(api: TheApi, issuer: Issuer) -> None:
    assert await status_of(api, jwt.encode(issuer.claims(), None, "none", headers={"kid": "one"})) == 401


async def test_a_token_signed_with_the_public_key_as_a_secret_is_401(api: TheApi, issuer: Issuer) -> None:
    pem = issuer.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", "kid": "one", "typ": "JWT"}
    parts = [_b64(json.dumps(head).encode()), _b64(json.dumps(issuer.claims()).encode())]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    forged = ".".join([*parts, _b64(signature.sign(".".join(parts).encode(), pem))])
    assert await status_of(api, forged) == 401


async def test_a_token_of_a_secret_that_the_issuer_publishes_is_401(api: TheApi, issuer: Issuer) -> None:
    secret = b"k" * 32
    issuer.publish_as([{"kty": "oct", "kid": "one", "k": _b64(secret), "use": "sig"}])
    for algorithm in ("HS256", "RS256"):
        head = _b64(json.dumps({"alg": algorithm, "kid": "one"}).encode())
        assert await status_of(api, f"{head}.{_b64(json.dumps(issuer.claims()).encode())}.{_b64(b'x' * 32)}") == 401


async def test_a_key_is_for_its_own_kind_of_signature(api: TheApi, issuer: Issuer) -> None:
    assert await status_of(api, issuer.token(algorithm="RS512")) == 401


async def test_a_key_for_encryption_signs_nothing(api: TheApi, issuer: Issuer) -> None:
    issuer.publish_as([{**issuer.jwk("one"), "use": "enc"}])
    assert await status_of(api, issuer.token()) == 401


async def test_a_token_signed_by_somebody_else_under_the_same_key_id_is_401(api: TheApi, issuer: Issuer) -> None:
    async with an_issuer(api.clock) as mallory:
        assert await status_of(api, mallory.token(iss=issuer.url)) == 401


async def test_altered_tokens_are_401(api: TheApi, issuer: Issuer) -> None:
    head, claims, signature = issuer.token().split(".")
    other = _b64(json.dumps(issuer.claims(sub="root")).encode())
    for token in (
        f"{head}.{other}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{claims}.{signature[:-8]}",
    ):
        assert await status_of(api, token) == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "e30.e30.e30", "bnVsbA.bnVsbA.", "W10.W10.W10", "[" * 9000])
async def test_what_is_no_token_is_401(api: TheApi, issuer: Issuer, token: str) -> None:
    assert await status_of(api, token) == 401
    assert issuer.stand_in.asked == []


@pytest.mark.parametrize("token", [None, "", 7, ["x"], "\u00e9", "a b", "x" * 16385])
async def test_a_wrong_shape_is_422(api: TheApi, issuer: Issuer, token: Any) -> None:
    assert await status_of(api, token) == 422


async def test_without_any_issuer_nobody_may(api: TheApi) -> None:
    async with an_issuer(api.clock) as issuer:
        assert await detail_of(api, issuer.token(), 403) == "logging in with OIDC is not set up here"


async def test_an_issuer_that_is_not_configured_is_asked_nothing(api: TheApi, issuer: Issuer) -> None:
    async with an_issuer(api.clock) as other:
        assert await status_of(api, other.token()) == 401
        assert other.stand_in.asked == []
    assert issuer.stand_in.asked == []


# --- the issuer's keys -------------------------------------------------------------------------------------------------


async def test_keys_are_asked_for_once_an_hour(api: TheApi, issuer: Issuer) -> None:
    for _ in range(3):
        await logged_in(api, issuer.token())
    assert (issuer.asked(DISCOVERY), issuer.asked(JWKS)) == (1, 1)
    api.clock.ahead = timedelta(hours=1, seconds=1)
    await logged_in(api, issuer.token())
    assert issuer.asked(JWKS) == 2


async def test_a_new_key_counts_at_once_and_an_old_one_until_the_keys_are_read_again(
    api: TheApi, issuer: Issuer
) -> None:
    old = issuer.token("one")
    await logged_in(api, old)
    issuer.publish("two")
    api.clock.ahead = timedelta(seconds=11)
    await logged_in(api, issuer.token("two"))
    assert await status_of(api, old) == 401


async def test_unknown_keys_make_nobody_ask_the_issuer_often(api: TheApi, issuer: Issuer) -> None:
    await logged_in(api, issuer.token())
    issuer.keys["unknown"] = issuer.keys["one"]
    for _ in range(10):
        assert await status_of(api, issuer.token("unknown")) == 401
    assert issuer.asked(JWKS) == 1


async def test_logins_at_the_same_time_read_the_keys_once(api: TheApi, issuer: Issuer) -> None:
    statuses = await asyncio.gather(*(status_of(api, issuer.token(sub="crowd")) for _ in range(8)))
    assert (set(statuses), issuer.asked(JWKS)) == ({200}, 1)


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        (DISCOVERY, "", {"status": 500}),
        (DISCOVERY, "not JSON", {}),
        (DISCOVERY, "[]", {}),
        (DISCOVERY, "[" * 100_000, {}),
        (DISCOVERY, '{"issuer": "https://elsewhere.example", "jwks_uri": "{url}/keys"}', {}),
        (DISCOVERY, '{"issuer": "{url}/", "jwks_uri": "{url}/keys"}', {}),
        (DISCOVERY, '{"issuer": "{url}"}', {}),
        (DISCOVERY, '{"issuer": "{url}", "jwks_uri": 7}', {}),
        (DISCOVERY, '{"issuer": "{url}", "jwks_uri": "file:///etc/passwd"}', {}),
        (DISCOVERY, '{"issuer": "{url}", "jwks_uri": "http://[::1"}', {}),
        (DISCOVERY, "", {"status": 302, "headers": {"location": "{url}/keys"}}),
        (DISCOVERY, "", {"hangs_up": True}),
        (DISCOVERY, "{}", {"bytes_sent": 300 * 1024}),
        (JWKS, "", {"status": 404}),
        (JWKS, "{}", {}),
        (JWKS, '{"keys": {}}', {}),
        (JWKS, '{"keys": [' + ",".join(["{}"] * 101) + "]}", {}),
        (JWKS, "{}", {"bytes_sent": 300 * 1024}),
    ],
    ids=lambda part: str(part)[:40],
)
async def test_an_issuer_that_is_away_or_talks_nonsense_is_503(
    api: TheApi, issuer: Issuer, path: str, body: str, more: dict[str, Any]
) -> None:
    headers = {name: value.replace("{url}", issuer.url) for name, value in more.get("headers", {}).items()}
    issuer.stand_in.says(path, body.replace("{url}", issuer.url), **{**more, "headers": headers})
    assert "try again later" in await detail_of(api, issuer.token(), 503)


@pytest.mark.parametrize("keys", ["[]", "[7, null]", '[{"kid": "one"}]', '[{"kid": "one", "kty": "RSA", "n": 7}]'])
async def test_keys_that_cannot_be_used_count_for_nothing(api: TheApi, issuer: Issuer, keys: str) -> None:
    issuer.stand_in.says(JWKS, f'{{"keys": {keys}}}')
    assert await status_of(api, issuer.token()) == 401


async def test_an_issuer_that_is_slow_is_503_and_those_who_wait_hear_so_together(api: TheApi) -> None:
    async with an_issuer(api.clock) as issuer, with_issuers(api, issuer.url, seconds_max=3):
        issuer.stand_in.says(DISCOVERY, "{}", seconds=60)
        asked = [status_of(api, issuer.token()) for _ in range(5)]
        assert await asyncio.gather(*asked) == [503] * 5
        assert issuer.asked(DISCOVERY) == 1


async def test_an_issuer_that_comes_back_is_believed_again(api: TheApi, issuer: Issuer) -> None:
    issuer.stand_in.says(DISCOVERY, status=500)
    assert await status_of(api, issuer.token()) == 503
    issuer.publish("one")
    api.clock.ahead = timedelta(seconds=3)
    assert await status_of(api, issuer.token()) == 200


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
