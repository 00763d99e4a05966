"""Secrets are sealed in the ledger: nobody reads them there, or guesses them; whoever has the keys makes pods with them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from domain.failures import IdempotencyMismatch, InvalidRequest
from domain.job import EnvironmentVariable
from ledger import boxes, idempotency, jobs
from ledger.sealing import KEYRING, NoSecretsKey
from tests.builders import a_box, a_job, a_principal, a_workspace, now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from domain.job import JobSpec
    from ledger.connection import Ledger

SECRET = "hunter2-and-more"
VARIABLES = (EnvironmentVariable("TOKEN", SECRET), EnvironmentVariable("EMPTY", ""))
EVERYTHING = (
    "select to_json(j)::text || (select coalesce(json_agg(e)::text, '') from event e) from job j where gpr_id = $1"
)
PLAIN = """
update job set spec = jsonb_set(spec, '{environment}', '[{"name": "TOKEN", "value": "from before"}]') where gpr_id = $1
"""
OF_BOX = "select to_json(b)::text || (select coalesce(json_agg(e)::text, '') from event e) from box b where gpr_id = $1"
ASKED = {"image": "box", "environment": [{"name": "PIN", "value": "1234"}]}


@pytest.fixture
def keys() -> Iterator[list[str]]:
    """Keys to choose from; afterwards the session's own is in use again."""
    usual = KEYRING._held
    yield [Fernet.generate_key().decode() for _ in range(2)]
    KEYRING._held = usual


async def spec_of(ledger: Ledger, job_id: UUID) -> JobSpec:
    async with ledger.reading() as connection:
        return await jobs.spec_of(connection, job_id)


async def test_the_ledger_holds_no_value_of_a_variable_and_whoever_makes_the_pods_gets_it(ledger: Ledger) -> None:
    job_id = await a_job(ledger, await a_workspace(ledger), environment=VARIABLES)
    async with ledger.reading() as connection:
        written = await connection.fetchval(EVERYTHING, job_id)
        found = await jobs.find(connection, job_id)
    assert SECRET not in written
    assert "TOKEN" in written
    assert (await spec_of(ledger, job_id)).environment == VARIABLES
    assert [(one.name, one.value) for one in found.spec.environment] == [("TOKEN", ""), ("EMPTY", "")]


async def test_a_row_from_before_values_were_sealed_is_read_as_it_is(ledger: Ledger) -> None:
    job_id = await a_job(ledger, await a_workspace(ledger))
    async with ledger.transaction() as connection:
        await connection.execute(PLAIN, job_id)
    assert (await spec_of(ledger, job_id)).environment == (EnvironmentVariable("TOKEN", "from before"),)


async def test_a_new_key_seals_and_the_old_one_still_opens_until_it_goes(ledger: Ledger, keys: list[str]) -> None:
    old, new = keys
    workspace = await a_workspace(ledger)
    KEYRING.use(old)
    first = await a_job(ledger, workspace, environment=VARIABLES)
    KEYRING.use(f"{new}, {old}")
    second = await a_job(ledger, workspace, environment=VARIABLES)
    assert [(await spec_of(ledger, one)).environment for one in (first, second)] == [VARIABLES] * 2
    KEYRING.use(new)
    assert (await spec_of(ledger, second)).environment == VARIABLES
    with pytest.raises(NoSecretsKey, match="none of the keys"):
        await spec_of(ledger, first)


@pytest.mark.usefixtures("keys")
async def test_without_a_key_a_job_with_variables_is_refused_and_every_other_is_not(ledger: Ledger) -> None:
    KEYRING.use("")
    workspace = await a_workspace(ledger)
    with pytest.raises(NoSecretsKey, match="BERTH_SECRETS_KEYS"):
        await a_job(ledger, workspace, environment=VARIABLES)
    async with ledger.reading() as connection:
        assert await connection.fetchval("select count(*) from gpr where workspace_id = $1", workspace) == 0
    await a_job(ledger, workspace)


@pytest.mark.parametrize("words", ["short", "not base64 at all!", f"{'A' * 43}=,short"])
def test_what_is_no_key_is_refused_at_once(words: str) -> None:
    before = KEYRING._held
    with pytest.raises(InvalidRequest, match="BERTH_SECRETS_KEYS"):
        KEYRING.use(words)
    assert KEYRING._held is before


# --- tokens of Jupyter ------------------------------------------------------------------------------------------------


async def a_box_with_jupyter(ledger: Ledger, token: str) -> UUID:
    box_id = await a_box(ledger, await a_workspace(ledger))
    async with ledger.transaction() as connection:
        await boxes.want_jupyter(connection, box_id, True, token, now())
    return box_id


async def tokens_of(ledger: Ledger, box_id: UUID) -> tuple[str, str]:
    """The token that its people are shown, and that it is told."""
    async with ledger.reading() as connection:
        shown = (await boxes.find(connection, box_id)).jupyter_token
        return shown, (await boxes.orders(connection, box_id, now())).jupyter_token


async def test_the_ledger_holds_no_token_of_jupyter_and_its_box_and_its_people_get_it(ledger: Ledger) -> None:
    box_id = await a_box_with_jupyter(ledger, SECRET)
    async with ledger.reading() as connection:
        assert SECRET not in await connection.fetchval(OF_BOX, box_id)
    assert await tokens_of(ledger, box_id) == (SECRET, SECRET)


async def test_a_token_from_before_tokens_were_sealed_is_read_as_it_is(ledger: Ledger) -> None:
    box_id = await a_box_with_jupyter(ledger, SECRET)
    async with ledger.transaction() as connection:
        await connection.execute("update box set jupyter_token = 'gAAAA-from-before' where gpr_id = $1", box_id)
    assert await tokens_of(ledger, box_id) == ("gAAAA-from-before", "gAAAA-from-before")


async def test_without_its_key_a_box_is_seen_and_jupyter_is_not_and_it_is_told_nothing_wrong(
    ledger: Ledger, keys: list[str]
) -> None:
    box_id = await a_box_with_jupyter(ledger, SECRET)
    KEYRING.use(keys[0])
    async with ledger.reading() as connection:
        assert not (await boxes.find(connection, box_id)).jupyter_token
        with pytest.raises(NoSecretsKey):
            await boxes.orders(connection, box_id, now())
    KEYRING.use("")
    with pytest.raises(NoSecretsKey, match="BERTH_SECRETS_KEYS"):
        await a_box_with_jupyter(ledger, SECRET)


# --- marks of requests ------------------------------------------------------------------------------------------------


def test_nobody_without_a_key_can_tell_what_was_asked_for_from_its_mark(keys: list[str]) -> None:
    guess = hashlib.sha256(json.dumps(ASKED, sort_keys=True).encode()).digest()
    marks = {guess}
    for words in keys:
        KEYRING.use(words)
        marks.add(idempotency.hash_of(ASKED))
        assert not idempotency.is_hash_of(b"", ASKED)
    assert len(marks) == 3


def test_a_request_is_known_again_after_a_key_was_put_before_the_old_one_and_from_before_there_were_keys(
    keys: list[str],
) -> None:
    old, new = keys
    made = []
    for words in ("", old, f"{new},{old}"):
        KEYRING.use(words)
        made.append(idempotency.hash_of(ASKED))
    assert [idempotency.is_hash_of(one, ASKED) for one in made] == [True] * 3
    assert not any(idempotency.is_hash_of(one, {**ASKED, "image": "other"}) for one in made)
    KEYRING.use(new)
    assert [idempotency.is_hash_of(one, ASKED) for one in made] == [True, False, True]


async def test_a_repeat_is_a_repeat_under_another_key_too(ledger: Ledger, keys: list[str]) -> None:
    principal_id, first = await a_principal(ledger), uuid4()
    for words in (keys[0], f"{keys[1]},{keys[0]}"):
        KEYRING.use(words)
        async with ledger.transaction() as connection:
            wish = idempotency.Claim(principal_id, "submit_box", "once", ASKED)
            assert await idempotency.claim(connection, wish, uuid4() if words != keys[0] else first, now()) == first
            assert await idempotency.earlier(connection, wish) == first
    async with ledger.transaction() as connection:
        with pytest.raises(IdempotencyMismatch):
            await idempotency.claim(
                connection, idempotency.Claim(principal_id, "submit_box", "once", {}), uuid4(), now()
            )
