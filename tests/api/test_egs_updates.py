"""Every change in every phase: a table of what is answered; what is refused has changed nothing, what is taken is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.gpr import Phase

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

PHASES = (
    *(Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE, Phase.RELEASING),
    *(Phase.RELEASED, Phase.EXPIRED, Phase.CANCELLED, Phase.FAILED),
)
EARLY, PRIORITY, NAME = {"earlyRelease": True}, {"priority": 7}, {"gprName": "renamed"}
SAME = {"priority": 201, "gprName": "gpr1", "earlyRelease": False}
BLANK = {"priority": None, "gprName": "", "earlyRelease": None}
BAD_PRIORITY, BAD_NAME = {"priority": 301}, {"gprName": "two words"}

EVERYWHERE = (200,) * 8
ONLY_QUEUED = (200, *(409,) * 7)
ONLY_PROVISIONED = (500, 500, 200, 200, 500, 500, 500, 500)
NOWHERE = (422,) * 8
TABLE: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "nothing": ({}, EVERYWHERE),
    "blanks": (BLANK, EVERYWHERE),
    "what it has": (SAME, EVERYWHERE),
    "priority": (PRIORITY, ONLY_QUEUED),
    "name": (NAME, EVERYWHERE),
    "priority and name": (PRIORITY | NAME, ONLY_QUEUED),
    "priority and no early release": (PRIORITY | {"earlyRelease": False}, ONLY_QUEUED),
    "early release": (EARLY, ONLY_PROVISIONED),
    "early release and priority": (EARLY | PRIORITY, ONLY_PROVISIONED),
    "early release and name": (EARLY | NAME, ONLY_PROVISIONED),
    "early release, priority and name": (EARLY | PRIORITY | NAME, ONLY_PROVISIONED),
    "bad priority": (BAD_PRIORITY, NOWHERE),
    "bad priority and name": (BAD_PRIORITY | NAME, NOWHERE),
    "priority and bad name": (PRIORITY | BAD_NAME, NOWHERE),
    "early release and bad name": (EARLY | BAD_NAME, NOWHERE),
    "early release and bad priority": (EARLY | BAD_PRIORITY, NOWHERE),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_each_change_is_answered_as_the_table_says_and_does_all_of_it_or_nothing(
    api: TheApi, phase: Phase
) -> None:
    me = await api.someone()
    wrong = []
    for what, (change, statuses) in TABLE.items():
        gpr = await api.gpr(me, await api.workspace(me), phase)
        answer = await api.call("PUT", "/api/v1/gpr", me, json={"gprId": gpr, **change})
        after = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()
        expected = (statuses[PHASES.index(phase)], *state_after(phase, change, statuses[PHASES.index(phase)]))
        if (seen := (answer.status_code, after["phase"], after["priority"], after["name"])) != expected:
            wrong.append(f"{what}: {seen}, not {expected}")
        await api.come_to_rest(UUID(after["id"]))
    assert wrong == []


def state_after(phase: Phase, change: dict[str, Any], status: int) -> tuple[str, int, str]:
    if status != 200:
        return phase, 201, "gpr1"
    early = change.get("earlyRelease") is True
    priority = 201 if early or phase is not Phase.QUEUED else change.get("priority") or 201
    return Phase.RELEASING if early else phase, priority, change.get("gprName") or "gpr1"
