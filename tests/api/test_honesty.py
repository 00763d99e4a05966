"""Every start that was shown is kept and held against what became of it; intervals are learnt from that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest_asyncio

from domain.honesty import horizon_of
from ledger import honesty
from planner.intervals import KNOWN_MIN
from tests.api.api_kit import opened
from tests.api.time_kit import Town, instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from cli.stack.testing import Postgres
    from tests.api.api_kit import TheApi

SHOWN = "select shown_at, starts_at, earliest, latest, started_at from shown_estimate where gpr_id = $1 order by id"
A_LESSON = """
insert into shown_estimate (gpr_id, shown_at, starts_at, earliest, latest, started_at)
values ($1, $2, $3, $3, $3, $4)
"""


@pytest_asyncio.fixture
async def api(postgres: Postgres, migrated_template: str) -> AsyncIterator[TheApi]:
    """One of the test's own: what was learnt in one is not known in another."""
    async with opened(postgres.create_database(template=migrated_template)) as the_api:
        yield the_api


async def shown(town: Town, gpr_id: str) -> list[dict[str, datetime]]:
    async with town.api.ledger.reading() as connection:
        return [dict(row) for row in await connection.fetch(SHOWN, UUID(gpr_id))]


async def test_an_estimate_is_kept_when_it_changes_and_not_when_it_is_made_again(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    waiting = await town.waiting(8)
    await town.run()
    assert len(await shown(town, waiting)) == 1
    await town.waiting(8, priority=300, duration="2h")
    first, second = await shown(town, waiting)
    assert second["starts_at"] >= first["starts_at"] + timedelta(hours=2)
    assert first["earliest"] <= first["starts_at"] <= first["latest"]


async def test_the_start_settles_all_that_was_shown_of_it_once(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    waiting = await town.waiting(8)
    town.later(minutes=30)
    await town.end(running)
    await town.run()
    (row,) = await shown(town, waiting)
    assert row["started_at"] == (await town.gpr(waiting)).active_at
    async with api.ledger.transaction() as connection:
        assert await honesty.settle(connection, UUID(waiting), api.clock()) == []
    found = await town.got("honesty")
    (item,) = found["items"]
    assert (item["horizon"], item["shown"]) == (horizon_of(3600), 1)
    assert -31 * 60 < item["median_seconds"] < -29 * 60
    assert 29 * 60 < item["p90_seconds"] < 31 * 60
    assert found["handover"] == {"provisioning_seconds": 3, "teardown_seconds": 5}
    assert item["inside_share"] == 1.0  # without experience: at any time up to twice as far


async def test_what_never_started_is_not_judged(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    waiting = await town.waiting(8)
    await town.ask("POST", f"gprs/{waiting}/release")
    assert (await town.got("honesty"))["items"] == []


async def test_intervals_are_learnt_from_how_early_leases_really_end(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    async with api.ledger.transaction() as connection:
        for number in range(KNOWN_MIN * 2):
            said = api.clock() - timedelta(hours=3)
            actual = said + timedelta(minutes=30 + number % 3)
            await connection.execute(A_LESSON, UUID(running), said, said + timedelta(hours=1), actual)
    waiting = await town.waiting(8)
    estimate = (await town.got(f"gprs/{waiting}"))["estimate"]
    ahead = instant(estimate["starts_at"]) - api.clock()
    early = instant(estimate["earliest"]) - api.clock()
    assert 0.4 < early / ahead < 0.6
    assert instant(estimate["latest"]) == instant(estimate["starts_at"])


async def test_horizons_are_judged_apart(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    now = api.clock()
    async with api.ledger.transaction() as connection:
        for ahead, late in ((60, 5), (60, 7), (7200, 600)):
            said = now - timedelta(hours=6)
            starts = said + timedelta(seconds=ahead)
            await connection.execute(A_LESSON, UUID(running), said, starts, starts + timedelta(seconds=late))
    items = {one["horizon"]: one for one in (await town.got("honesty"))["items"]}
    assert {name: one["shown"] for name, one in items.items()} == {horizon_of(60): 2, horizon_of(7200): 1}
    assert items[horizon_of(60)]["median_seconds"] == 6.0
    assert items[horizon_of(7200)]["p90_seconds"] == 600.0
    assert (await town.got("honesty?days=1"))["items"]


async def test_what_is_old_is_forgotten(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    waiting = await town.waiting(8)
    await honesty.forget_old(api.ledger, api.clock())
    assert len(await shown(town, waiting)) == 1
    await honesty.forget_old(api.ledger, api.clock() + honesty.KEPT + timedelta(minutes=1))
    assert await shown(town, waiting) == []
