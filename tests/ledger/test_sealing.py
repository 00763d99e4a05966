"""Values of variables are sealed in the ledger: nobody reads them there, and whoever has the keys makes the job's pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from domain.failures import InvalidRequest
from domain.job import EnvironmentVariable
from ledger import jobs
from ledger.sealing import KEYRING, NoSecretsKey
from tests.builders import a_job, a_workspace

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


@pytest.fixture
def keys() -> Iterator[list[str]]:
    """Keys to choose from; afterwards the session's own is in use again."""
    usual = KEYRING._fernet
    yield [Fernet.generate_key().decode() for _ in range(2)]
    KEYRING._fernet = usual


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
    before = KEYRING._fernet
    with pytest.raises(InvalidRequest, match="BERTH_SECRETS_KEYS"):
        KEYRING.use(words)
    assert KEYRING._fernet is before
