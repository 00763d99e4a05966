"""Why something waits, and what would start sooner: and it does, when that is then asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.api.time_kit import Town, error_of, instant

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


async def test_why_names_what_it_waits_for_and_until_when(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8, name="before-me")
    waiting = await town.waiting(8)
    told = await town.got(f"gprs/{waiting}/why")
    assert (told["phase"], told["estimate"]["reason_code"], told["estimate"]["position"]) == (
        "queued",
        "waiting_for_gpus",
        1,
    )
    assert "when before-me ends" in told["estimate"]["reason"]


async def test_what_would_start_sooner_is_another_kind_or_fewer_gpus(api: TheApi) -> None:
    town = await Town.founded(api, 8, other=8)
    await town.running(4, duration="8h")
    await town.waiting(8, duration="1h", priority=300, name="strong", who=town.me)
    waiting = await town.waiting(8, duration="5h", clusters=[town.cluster])
    told = await town.got(f"gprs/{waiting}/why")
    now_ = instant(told["estimate"]["starts_at"])
    found = {one["change"]: one for one in told["sooner"]}
    assert found["shape"]["shape"] == f"other{town.shape}"
    assert (found["gpus"]["nodes"], found["gpus"]["gpus_per_node"]) == (1, 4)
    assert all(instant(one["estimate"]["starts_at"]) < now_ for one in told["sooner"])


async def test_a_shorter_time_fits_a_gap_and_then_really_starts(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(4, duration="2h")
    await town.waiting(8, duration="1h", priority=300)
    waiting = await town.waiting(4, duration="4h")
    told = await town.got(f"gprs/{waiting}/why")
    shorter = next(one for one in told["sooner"] if one["change"] == "duration")
    assert shorter["duration_seconds"] <= 2 * 3600
    assert abs(instant(shorter["estimate"]["starts_at"]) - api.clock()) < timedelta(seconds=10)
    await town.ask("POST", f"gprs/{waiting}/release")
    await town.running(4, duration=f"{shorter['duration_seconds']}s")


async def test_what_does_not_wait_needs_no_reason(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    told = await town.got(f"gprs/{await town.running(8)}/why")
    assert (told["phase"], told["estimate"], told["sooner"]) == ("active", None, [])


async def test_what_is_suspended_says_so(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    waiting = await town.running(8)
    waiting = await town.waiting(8)
    await town.ask("POST", f"jobs/{waiting}/suspend")
    told = await town.got(f"gprs/{waiting}/why")
    assert (told["estimate"]["reason_code"], told["sooner"]) == ("suspended", [])


async def test_a_promise_is_told_beside_the_reason(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    waiting = await town.waiting(8)
    promised = await town.promise(waiting)
    assert instant((await town.got(f"gprs/{waiting}/why"))["promise"]["starts_at"]) == promised


async def test_what_others_wait_for_is_not_told(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    waiting = await town.submit(8)
    assert error_of(await town.ask("GET", f"gprs/{waiting}/why", await api.someone())) == (404, "not_found")
