"""A town of its own for tests about time: a cluster whose GPUs nobody else asks for, requests, and the arbiter's passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from arbitration import arbiter_pass
from domain.gpr import EndCause, Phase
from ledger import gprs, honesty, inventory, lifecycle
from tests.api.api_kit import CAPABILITIES, Someone, TheApi, a_node

if TYPE_CHECKING:
    import httpx

    from domain.gpr import Gpr

Json = dict[str, Any]
TYPE = "p5.48xlarge"
MEMORY_MIB = 81559


@dataclass
class Town:
    """One cluster, one kind of GPU unless more are named, one administrator to whom all is visible."""

    api: TheApi
    me: Someone
    cluster: str
    shape: str
    nodes: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Shape and GPUs by name."""

    @classmethod
    async def founded(cls, api: TheApi, *gpus: int, **others: int) -> Town:
        """Nodes with so many GPUs of the town's own kind; and nodes of one other kind each."""
        town = cls(api, await api.someone(administrator=True), f"c-{uuid4().hex[:8]}", f"gpu{uuid4().hex[:8]}")
        town.nodes = {f"{town.cluster}-{number}": (town.shape, count) for number, count in enumerate(gpus)}
        town.nodes |= {f"{town.cluster}-{name}": (f"{name}{town.shape}", count) for name, count in others.items()}
        async with api.ledger.transaction() as connection:
            await inventory.register_cluster(connection, town.cluster, CAPABILITIES, api.clock())
        await town.observe()
        return town

    async def observe(self, *, lost: tuple[str, ...] = ()) -> None:
        """What a look at the cluster finds; lost nodes are there no more."""
        there = [
            a_node(name, shape, TYPE, gpus=gpus, memory_mib=MEMORY_MIB)
            for name, (shape, gpus) in self.nodes.items()
            if name not in lost
        ]
        async with self.api.ledger.transaction() as connection:
            await inventory.observe(connection, self.cluster, there, self.api.clock())

    async def workspace(self, owner: Someone | None = None) -> str:
        """Name of a new one on this cluster."""
        return await self.api.workspace(owner or self.me, self.cluster)

    async def submit(self, gpus: int = 1, *, workspace: str = "", who: Someone | None = None, **changes: Any) -> str:
        """Id of a new request, in a workspace of its own unless one is named."""
        workspace = workspace or await self.workspace(who)
        body = {"workspace": workspace, "name": "train", "duration": "1h", "gpus_per_node": gpus, "shape": self.shape}
        answer = await self.ask("POST", "gprs", who, json={**body, **changes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def run(self) -> None:
        """A pass; what it grants is active at once; then everybody's estimates."""
        await arbiter_pass.grant(self.api.ledger, self.api.clock())
        now = self.api.clock()
        async with self.api.ledger.transaction() as connection:
            rows = await connection.fetch("select id, fence from gpr where phase = 'provisioning'")
            for row in rows:
                await lifecycle.activate(connection, row["id"], row["fence"], now)
                await honesty.settle(connection, row["id"], now)
        await arbiter_pass.estimate(self.api.ledger, self.api.clock())

    async def running(self, gpus: int, **changes: Any) -> str:
        """Id of a request that has its GPUs."""
        gpr_id = await self.submit(gpus, **changes)
        await self.run()
        assert (await self.gpr(gpr_id)).phase is Phase.ACTIVE
        return gpr_id

    async def waiting(self, gpus: int, **changes: Any) -> str:
        """Id of a request that has been looked at, and waits."""
        gpr_id = await self.submit(gpus, **changes)
        await self.run()
        assert (await self.gpr(gpr_id)).phase is Phase.QUEUED
        return gpr_id

    async def end(self, gpr_id: str) -> None:
        """End it now, and let everything of it be free."""
        async with self.api.ledger.transaction() as connection:
            await lifecycle.begin_release(connection, UUID(gpr_id), EndCause.OPERATOR, self.api.clock())
        await self.api.come_to_rest(UUID(gpr_id))

    async def make_endless(self, gpr_id: str) -> None:
        """Nobody knows when it ends."""
        async with self.api.ledger.transaction() as connection:
            await connection.execute(
                "update gpr set duration_seconds = null, end_at = null where id = $1", UUID(gpr_id)
            )

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.api.clock.ahead += timedelta(**time)

    async def gpr(self, gpr_id: str) -> Gpr:
        """As the ledger holds it."""
        async with self.api.ledger.reading() as connection:
            return await gprs.find(connection, UUID(gpr_id))

    async def ask(self, method: str, path: str, who: Someone | None = None, **more: Any) -> httpx.Response:
        """The native API."""
        return await self.api.call(method, f"/berth/v1/{path}", who or self.me, **more)

    async def got(self, path: str, who: Someone | None = None) -> Json:
        """What it answers to a question."""
        answer = await self.ask("GET", path, who)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def promise(self, gpr_id: str) -> datetime:
        """The start that it is promised."""
        answer = await self.ask("POST", f"gprs/{gpr_id}/promise")
        assert answer.status_code == 200, answer.text
        return instant(answer.json()["promise"]["starts_at"])

    async def start_of(self, gpr_id: str) -> datetime:
        """The estimate that is shown."""
        return instant((await self.got(f"gprs/{gpr_id}"))["estimate"]["starts_at"])

    async def kinds(self, gpr_id: str) -> list[str]:
        """Of its events."""
        return [event["kind"] for event in (await self.got(f"gprs/{gpr_id}/events"))["items"]]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Its status and its code."""
    return answer.status_code, answer.json()["error"]["code"]
