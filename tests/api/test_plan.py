"""The plan as data: every node's leases, promises and forecasts, with the names that the caller may know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.api.time_kit import Town, instant

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


async def spans(town: Town, who: Someone | None = None, hours: int = 24) -> dict[str, list[dict[str, Any]]]:
    found = await town.got(f"plan?hours={hours}&cluster={town.cluster}", who)
    return {node["node"]: node["spans"] for node in found["nodes"]}


async def test_leases_promises_and_forecasts_stand_one_behind_the_other(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8, name="first")
    promised = await town.waiting(8, name="second")
    await town.promise(promised)
    planned = await town.waiting(8, name="third")
    (found,) = (await spans(town)).values()
    assert [(one["kind"], one["gpr"], one["name"], one["gpus"]) for one in found] == [
        ("lease", running, "first", 8),
        ("promise", promised, "second", 8),
        ("forecast", planned, "third", 8),
    ]
    ends = [instant(one["ends_at"]) for one in found]
    begins = [instant(one["begins_at"]) for one in found]
    assert all(begin >= end for begin, end in zip(begins[1:], ends, strict=False))


async def test_what_others_have_is_only_in_use(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    mine, stranger = await api.someone(), await api.someone()
    own = await town.submit(4, who=mine, name="mine")
    await town.submit(4, who=stranger, name="secret")
    await town.run()
    (found,) = (await spans(town, mine)).values()
    assert sorted((one["name"], one["gpr"], one["gpus"]) for one in found) == [("in use", None, 4), ("mine", own, 4)]
    assert all(one["workspace"] for one in found if one["name"] == "mine")
    assert "secret" not in str(found)


async def test_a_gang_stands_on_each_of_its_nodes(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    await town.running(8), await town.running(8)
    gang = await town.waiting(8, nodes=2)
    found = await spans(town)
    assert all(node[-1]["gpr"] == gang for node in found.values())
    assert len(found) == 2


async def test_a_lease_without_an_end_has_none(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.make_endless(await town.running(8))
    await town.submit(8)
    await town.run()
    (found,) = (await spans(town)).values()
    assert [(one["kind"], one["ends_at"]) for one in found] == [("lease", None)]


async def test_what_begins_later_than_was_asked_about_is_left_out(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8, duration="3h")
    await town.waiting(8)
    (near,) = (await spans(town, hours=2)).values()
    (far,) = (await spans(town, hours=4)).values()
    assert ([one["kind"] for one in near], [one["kind"] for one in far]) == (["lease"], ["lease", "forecast"])


async def test_a_node_that_is_out_of_use_says_so(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    lost = next(iter(town.nodes))
    await town.observe(lost=(lost,))
    found = await town.got(f"plan?cluster={town.cluster}")
    assert instant(found["until"]) - instant(found["at"]) == timedelta(hours=24)
    told = {node["node"]: node["unusable_reason"] for node in found["nodes"] if not node["usable"]}
    assert lost not in told or told[lost]
