"""One person's seven workloads, of every dialect and in several phases, for lists and filters over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gpr import Phase
from tests.api.gpudev_kit import a_box
from tests.api.runai_kit import a_workload, job_id_of

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

EVERY = ["waits", "failed", "expired", "elsewhere", "runs", "job", "box"]
"""What is not deleted, in the order of submission."""


@dataclass(frozen=True, slots=True)
class Town:
    """Somebody with a workspace and what is in it; `ids` by the name that tests call them by."""

    me: Someone
    workspace: str
    ids: dict[str, str]


async def a_town(api: TheApi) -> Town:
    """Of its workloads one is deleted."""
    me = await api.someone()
    workspace, other = await api.workspace(me), await api.workspace(me)
    ids = {
        "waits": await a_workload(api, me, workspace, gprName="alpha", priority=10),
        "failed": await a_workload(api, me, workspace, Phase.FAILED, gprName="beta-2", priority=150),
        "expired": await a_workload(api, me, workspace, Phase.EXPIRED, gprName="x.y_z", priority=290),
        "elsewhere": await a_workload(api, me, other, gprName="gamma", priority=201),
        "deleted": await a_workload(api, me, workspace, Phase.RELEASED, gprName="gone"),
        "runs": await a_workload(api, me, workspace, Phase.ACTIVE, gprName="beta", priority=150),
        "job": await job_id_of(api, me, f"{workspace}-ns"),
        "box": await a_box(api, me, env_vars={"POD_NAME": "mybox"}),
    }
    return Town(me, workspace, ids)


def named(town: Town, ids: list[str]) -> list[str]:
    words = {value: name for name, value in town.ids.items()}
    return [words[one] for one in ids]
