"""The keys that sign tokens: replaced in time by whichever process notices, known to all of them at once, shown in the JWKS."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio

from api.auth.tokens import LEEWAY_SECONDS, SIGNING_KEY_AGE_MAX, TOKEN_SECONDS, VERIFY_RETIRED, Tokens
from domain.failures import CredentialExpired, Unauthenticated
from ledger.connection import Ledger
from tests.api.api_kit import Clock, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.api_kit import Someone, TheApi

A_MOMENT = timedelta(seconds=10)
BY_ANOTHER_CLOCK: jwt.types.Options = {"verify_iat": False, "verify_nbf": False, "verify_exp": False}


@asynccontextmanager
async def two_processes(database_url: str) -> AsyncIterator[list[TheApi]]:
    """Two API processes on one ledger, as far as anything that they keep can tell, by one clock."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(database_url, clock=clock)) for _ in range(2)]


@pytest_asyncio.fixture
async def processes(database_url: str) -> AsyncIterator[list[TheApi]]:
    async with two_processes(database_url) as both:
        yield both


async def token_from(process: TheApi, who: Someone) -> str:
    answer = await process.call("POST", "/api/v1/auth", json={"apiKey": who.key})
    token: str = answer.json()["data"]["token"]
    return token


async def jwks_of(process: TheApi) -> dict[str, Any]:
    keys: dict[str, Any] = (await process.call("GET", "/.well-known/jwks.json")).json()
    return keys


async def status_of(process: TheApi, token: str) -> int:
    return (await process.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {token}"})).status_code


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


async def replaced(processes: list[TheApi], who: Someone) -> tuple[str, str]:
    """Both have signed with the first key; a moment after the other's last look the first one replaces it."""
    first, second = processes
    await token_from(first, who)
    first.clock.ahead = SIGNING_KEY_AGE_MAX - A_MOMENT
    old = await token_from(second, who)
    first.clock.ahead = SIGNING_KEY_AGE_MAX + A_MOMENT
    first.app.state.credentials.tokens._keys = None
    return old, await token_from(first, who)


async def test_what_one_process_signs_with_a_new_key_another_accepts_at_once_and_the_old_everywhere(
    processes: list[TheApi],
) -> None:
    old, new = await replaced(processes, await processes[0].someone())
    assert kid_of(old) != kid_of(new)
    assert [await status_of(process, token) for process in processes for token in (new, old)] == [200] * 4


async def test_the_public_keys_of_either_process_verify_what_either_signs_at_every_moment(
    processes: list[TheApi],
) -> None:
    for token in await replaced(processes, await processes[0].someone()):
        for process in processes:
            published = jwt.PyJWKSet.from_dict(await jwks_of(process))
            jwt.decode(token, published[kid_of(token)], ["RS256"], audience="berth", options=BY_ANOTHER_CLOCK)


async def test_the_public_keys_show_nothing_private(processes: list[TheApi]) -> None:
    for key in (await jwks_of(processes[0]))["keys"]:
        assert key.keys() == {"kty", "key_ops", "n", "e", "kid", "use", "alg"}
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


async def test_an_old_key_goes_from_the_public_keys_when_the_last_that_it_signed_has_ended(
    processes: list[TheApi],
) -> None:
    old, _ = await replaced(processes, await processes[0].someone())
    processes[0].clock.ahead += VERIFY_RETIRED - A_MOMENT
    assert kid_of(old) in {key["kid"] for key in (await jwks_of(processes[1]))["keys"]}
    processes[0].clock.ahead += 2 * A_MOMENT
    assert kid_of(old) not in {key["kid"] for key in (await jwks_of(processes[1]))["keys"]}
    assert [await status_of(process, old) for process in processes] == [401, 401]


async def test_processes_that_notice_at_the_same_moment_make_one_new_key(processes: list[TheApi]) -> None:
    me = await processes[0].someone()
    await token_from(processes[0], me)
    processes[0].clock.ahead = SIGNING_KEY_AGE_MAX + A_MOMENT
    made = await asyncio.gather(*(token_from(process, me) for process in processes * 5))
    assert len({kid_of(token) for token in made}) == 1
    assert len((await jwks_of(processes[0]))["keys"]) == 2


@pytest.mark.parametrize(
    ("seconds", "counts"),
    [
        (-LEEWAY_SECONDS - 0.001, Unauthenticated),
        (-LEEWAY_SECONDS, None),
        (0, None),
        (TOKEN_SECONDS + LEEWAY_SECONDS - 0.001, None),
        (TOKEN_SECONDS + LEEWAY_SECONDS, CredentialExpired),
    ],
)
async def test_a_token_counts_from_its_second_to_its_end_and_five_seconds_on_either_side(
    api: TheApi, seconds: float, counts: type[Exception] | None
) -> None:
    issued = datetime.now(UTC).replace(microsecond=0)
    caller = await api.app.state.credentials.keys.login((await api.someone()).key)
    token = await Tokens(api.ledger, lambda: issued).issue(caller)
    later = Tokens(api.ledger, lambda: issued + timedelta(seconds=seconds))
    for _ in range(2):  # fresh, and once its signature was seen
        if counts is None:
            assert await later.key_id_of(token) == caller.key_id
        else:
            with pytest.raises(counts):
                await later.key_id_of(token)


async def test_a_flood_of_tokens_of_unknown_keys_asks_the_ledger_once_a_second(database_url: str) -> None:
    ledger, now = Ledger(database_url), datetime.now(UTC)
    tokens = Tokens(ledger, lambda: now)
    await tokens.jwks()
    await ledger.close()
    foreign = jwt.encode({"key": "x"}, "k" * 64, "HS256", headers={"kid": "unknown"})
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            await tokens.key_id_of(foreign)
