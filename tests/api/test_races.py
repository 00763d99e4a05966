"""Races are decided once: whatever is wished of one Gpr at the same moment has one outcome, and every answer is true of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from arbitration import arbiter_pass
from domain.gpr import HOLDING, MOVES, TERMINAL, EndCause, Phase
from ledger import gprs, leases, lifecycle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from domain.gpr import Gpr
    from tests.api.api_kit import Someone, TheApi

ROUNDS = 25
APART_SECONDS_MAX = 0.012


@dataclass
class Round:
    """One Gpr, and everything that is wished of it at the same moment."""

    api: TheApi
    owner: Someone
    workspace: str
    reference: str
    gpr_id: UUID
    chance: random.Random

    async def wish(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        await asyncio.sleep(self.chance.uniform(0, APART_SECONDS_MAX))
        return await self.api.call(method, path, self.owner, json=body)

    async def delete(self) -> httpx.Response:
        return await self.wish("DELETE", "/api/v1/gpr", {"gprId": self.reference})

    async def release_early(self) -> httpx.Response:
        return await self.wish("PUT", "/api/v1/gpr", {"gprId": self.reference, "earlyRelease": True})

    async def release(self) -> httpx.Response:
        return await self.wish("POST", f"/berth/v1/gprs/{self.reference}/release")

    async def set_priority(self, priority: int) -> httpx.Response:
        return await self.wish("PATCH", f"/berth/v1/gprs/{self.reference}", {"priority": priority})

    async def delete_workspace(self) -> httpx.Response:
        return await self.wish("DELETE", f"/berth/v1/workspaces/{self.workspace}")

    async def grant(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, APART_SECONDS_MAX))
        await arbiter_pass.grant(self.api.ledger, self.api.clock())

    async def activate(self) -> None:
        await self._step(lambda connection, fence: lifecycle.activate(connection, self.gpr_id, fence, self.api.clock()))

    async def fail_provisioning(self) -> None:
        await self._step(
            lambda connection, fence: lifecycle.provisioning_failed(
                connection, self.gpr_id, fence, "no tokens", [], self.api.clock()
            )
        )

    async def expire(self) -> None:
        at_its_end = self.api.clock() + timedelta(minutes=6)
        await self._step(lambda connection, _: lifecycle.expire(connection, self.gpr_id, at_its_end))

    async def _step(self, step: Callable[[Any, int], Awaitable[Any]]) -> None:
        await asyncio.sleep(self.chance.uniform(0, APART_SECONDS_MAX))
        async with self.api.ledger.transaction() as connection:
            fence = (await gprs.find(connection, self.gpr_id)).fence or 0
            await step(connection, fence)

    async def found(self) -> Gpr:
        async with self.api.ledger.reading() as connection:
            return await gprs.find(connection, self.gpr_id)

    async def holds_gpus(self) -> bool:
        async with self.api.ledger.reading() as connection:
            return str(self.gpr_id) in {lease.gpr_id for lease in await leases.open_leases(connection)}

    async def at_rest(self) -> Phase:
        """Where its lifecycle takes it in the end; then it is out of the way of the next round."""
        rested = await self.api.come_to_rest(self.gpr_id)
        async with self.api.ledger.transaction() as connection:
            await lifecycle.begin_release(connection, self.gpr_id, EndCause.OPERATOR, self.api.clock())
        return rested

    async def events(self) -> list[dict[str, Any]]:
        query = "select id, kind, detail from event where gpr_id = $1 order by id"
        async with self.api.ledger.reading() as connection:
            return [dict(row) for row in await connection.fetch(query, self.gpr_id)]


async def a_round(api: TheApi, phase: Phase, number: int) -> Round:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    reference = await api.gpr(owner, workspace, phase, exitDuration="5m")
    async with api.ledger.reading() as connection:
        gpr_id = await gprs.id_of_external(connection, reference)
    assert gpr_id is not None
    return Round(api, owner, workspace, reference, gpr_id, random.Random(number))


QUEUED: dict[str, Callable[[Round], Awaitable[Any]]] = {
    "grant": Round.grant,
    "delete": Round.delete,
    "early release": Round.release_early,
    "priority 7": lambda one: one.set_priority(7),
    "priority 299": lambda one: one.set_priority(299),
}
PROVISIONING: dict[str, Callable[[Round], Awaitable[Any]]] = {
    "activate": Round.activate,
    "fail": Round.fail_provisioning,
    "delete": Round.delete,
    "early release": Round.release_early,
    "priority 7": lambda one: one.set_priority(7),
}
FAILED_PROVISIONING: dict[str, Callable[[Round], Awaitable[Any]]] = {
    "fail": Round.fail_provisioning,
    "activate": Round.activate,
    "release": Round.release,
}
ACTIVE: dict[str, Callable[[Round], Awaitable[Any]]] = {
    "expire": Round.expire,
    "early release": Round.release_early,
    "release": Round.release,
    "delete": Round.delete,
    "priority 7": lambda one: one.set_priority(7),
}
WITH_ITS_WORKSPACE: dict[str, Callable[[Round], Awaitable[Any]]] = {
    "workspace": Round.delete_workspace,
    "grant": Round.grant,
    "delete": Round.delete,
    "release": Round.release,
}


@pytest.mark.parametrize(
    ("phase", "wishes", "outcomes"),
    [
        (Phase.QUEUED, QUEUED, {("cancelled", "cancelled"), ("releasing", "cancelled")}),
        (Phase.PROVISIONING, PROVISIONING, {("releasing", "cancelled"), ("activated", "")}),
        (Phase.PROVISIONING, FAILED_PROVISIONING, {("releasing", "cancelled"), ("releasing", "early_release")}),
        (Phase.ACTIVE, ACTIVE, {("releasing", "expired"), ("releasing", "early_release")}),
        (Phase.QUEUED, WITH_ITS_WORKSPACE, {("cancelled", "workspace_deleted"), ("cancelled", "cancelled")}),
    ],
    ids=["in the queue", "while provisioned", "as provisioning fails", "while active", "with its workspace"],
)
async def test_what_is_wished_at_the_same_moment_has_one_outcome_and_every_answer_is_true(
    api: TheApi, phase: Phase, wishes: dict[str, Callable[[Round], Awaitable[Any]]], outcomes: set[tuple[str, str]]
) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    ahead = [None] * ROUNDS + list(wishes)  # each is ahead of the others once: chance alone may never let it be
    for number, first in enumerate(ahead):
        one = await a_round(api, phase, number)
        answers = {first: await wishes[first](one)} if first else {}
        others = {name: wish for name, wish in wishes.items() if name != first}
        answers |= zip(others, await asyncio.gather(*(wish(one) for wish in others.values())), strict=True)
        gpr, events = await one.found(), await one.events()
        assert_one_outcome(gpr, events, await one.holds_gpus())
        seen[kinds_of(events)[-1], gpr.end_cause] += 1
        rested = await one.at_rest()
        for wish, answer in answers.items():
            if answer is not None:
                assert IS_TRUE[wish.split()[0]](answer, gpr, events, rested), (wish, answer.text, events)
    assert outcomes <= seen.keys(), seen


# --- the judge --------------------------------------------------------------------------------------------------------

PHASE_AFTER = {
    "submitted": Phase.QUEUED,
    "granted": Phase.PROVISIONING,
    "activated": Phase.ACTIVE,
    "releasing": Phase.RELEASING,
    "withdrawn": Phase.RELEASING,
    "cancelled": Phase.CANCELLED,
}
Events = list[dict[str, Any]]


def kinds_of(events: Events) -> list[str]:
    return [event["kind"] for event in events if event["kind"] in PHASE_AFTER]


def assert_one_outcome(gpr: Gpr, events: Events, holds_gpus: bool) -> None:
    kinds = kinds_of(events)
    phases = [PHASE_AFTER[kind] for kind in kinds]
    for before, after, kind in zip(phases, phases[1:], kinds[1:], strict=False):
        assert after in MOVES[before] or kind == "withdrawn", kinds
    causes = [event["detail"]["cause"] for event in events if "cause" in event["detail"]]
    assert len([kind for kind in kinds if kind in {"releasing", "cancelled"}]) <= 1
    assert (gpr.phase, gpr.end_cause) == (phases[-1], causes[-1] if causes else "")
    assert holds_gpus is (gpr.phase in HOLDING)


def deletion_is_true(answer: httpx.Response, _: Gpr, events: Events, rested: Phase) -> bool:
    if answer.status_code == 200:
        return rested is Phase.CANCELLED and "activated" not in kinds_of(events)
    return answer.json()["message"] == "Cannot delete" and "activated" in kinds_of(events)


def early_release_is_true(answer: httpx.Response, gpr: Gpr, events: Events, rested: Phase) -> bool:
    if answer.status_code == 200:
        return "activated" in kinds_of(events) and rested is Phase.RELEASED
    told = json.loads(answer.json()["error"]["data"])["error"]["DetailedError"]["Errormessage"]
    too_early = "GPR in Queued state" in told and gpr.end_cause not in {"early_release", "expired"}
    too_late = "GPR in Complete state" in told and (gpr.phase is Phase.CANCELLED or gpr.end_cause == "expired")
    overtaken = "GPR in Queued state" in told and "activated" in kinds_of(events)
    return answer.status_code == 500 and (too_early or too_late or overtaken)


def release_is_true(answer: httpx.Response, gpr: Gpr, _: Events, rested: Phase) -> bool:
    view = answer.json()
    as_told = view["end_cause"] == gpr.end_cause and view["phase"] == gpr.phase
    return answer.status_code == 200 and as_told and rested in TERMINAL


def priority_is_true(answer: httpx.Response, gpr: Gpr, events: Events, _: Phase) -> bool:
    wished = json.loads(answer.request.content)["priority"]
    left = next((event["id"] for event in events if event["kind"] in {"granted", "cancelled"}), 2**62)
    taken = [event["detail"]["priority"] for event in events if event["kind"] == "priority_set" and event["id"] < left]
    assert gpr.request.priority == (taken[-1] if taken else 201)
    if answer.status_code == 200:
        return wished in taken
    return answer.status_code == 409 and wished not in taken and left < 2**62


def deletion_of_the_workspace_is_true(answer: httpx.Response, gpr: Gpr, events: Events, _: Phase) -> bool:
    if answer.status_code == 202:
        return gpr.phase is Phase.CANCELLED and "granted" not in kinds_of(events)
    return answer.status_code == 409 and "granted" in kinds_of(events)


IS_TRUE = {
    "delete": deletion_is_true,
    "release": release_is_true,
    "early": early_release_is_true,
    "priority": priority_is_true,
    "workspace": deletion_of_the_workspace_is_true,
}
