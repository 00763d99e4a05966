"""Compares the three truths and mends what differs. Everything mended is said, in the ledger's events and in the log."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from temporalio import activity

from clusters.capacity import read_tokens, remove_tokens, write_tokens
from clusters.ceilings import set_ceilings
from clusters.connection import ClusterConnection
from clusters.inventory import adopt_nodes, observe_nodes
from clusters.pods import bound_pods
from clusters.teardown import delete_pods, gpu_holders, lift_quarantine, strays
from clusters.tenancy import apply_tenancy, delete_tenancy, namespaces_left
from clusters.use import last_used
from delivery.courier import Courier
from delivery.temporal import TemporalDoor
from domain.disk import DiskAction
from domain.failures import ClusterRefused, Gone, NodeUnfit, NotReadyYet
from domain.gpr import Phase
from domain.hardware import ObservedNode
from domain.identifiers import SCHEDULING_DOMAIN, workspace_workflow_id
from domain.messages import OutboxMessage, keep_reservation, kick_arbiter, start_recovery, start_workspace
from domain.slices import host_of
from ledger import (
    arbitration,
    disks,
    events,
    gprs,
    handovers,
    health,
    honesty,
    idempotency,
    inventory,
    leases,
    outbox,
    personal,
    pods_seen,
    quotas,
    reservations,
    workspaces,
)
from ledger.connection import Ledger
from ledger.leases import LeftBehind, OpenLease
from ledger.personal import Joining
from workflows.signatures.reconciling import ClusterAt, ClusterReconciling, LedgerReconciling, Repairs

Json = dict[str, Any]

log = structlog.get_logger()

STRAY_GRACE_SECONDS = 30


class RealClusterReconciling(ClusterReconciling):
    """One real cluster against the ledger."""

    def __init__(self, cluster: ClusterConnection, ledger: Ledger, courier: Courier) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._courier = courier

    @activity.defn(name="observe_cluster")
    async def observe_cluster(self, at: ClusterAt) -> None:
        await self.observe(at.now)

    async def observe(self, now: datetime) -> list[ObservedNode]:
        """Bring the ledger's nodes up to date, and have the plan made anew if that changes it. Also for the node watch."""
        observed = await asyncio.to_thread(observe_nodes, self._cluster)
        await asyncio.to_thread(adopt_nodes, self._cluster, [node.name for node in observed])
        async with self._ledger.transaction() as connection:
            changed = await inventory.observe(connection, self._cluster.name, observed, now)
            messages = [await outbox.put(connection, kick_arbiter())] if changed else []
        self._courier.deliver_soon(messages)
        return observed

    @activity.defn(name="repair_cluster")
    async def repair_cluster(self, at: ClusterAt) -> Repairs:
        observed = {node.name: node for node in await asyncio.to_thread(observe_nodes, self._cluster)}
        async with self._ledger.reading() as connection:
            held = await leases.open_leases(connection, self._cluster.name)
        pods = await asyncio.to_thread(bound_pods, self._cluster, observed)
        await self._note_use(held, pods, at.now)
        mended = [*await self._write_missing_tokens(held, observed)]
        if taken := await self._take_left_over_tokens(observed):
            mended += taken
            pods = await asyncio.to_thread(bound_pods, self._cluster, observed)  # what those had let in is a stray now
        mended += [
            *await self._clear_strays([pod for found in pods.values() for pod in found]),
            *await self._free_what_was_left_behind(at.now),
            *await self._set_ceilings(at.now),
            *await self._let_workspaces_join(at.now),
        ]
        await self._say(mended, at.now)
        return Repairs(mended)

    async def _note_use(self, held: list[OpenLease], pods: Mapping[str, list[Json]], now: datetime) -> None:
        """Whether pods are on the GPUs of each lease; of one that is also on a node which cannot be seen nothing is said."""
        seen: dict[int, datetime | None] = {}
        for lease in held:
            nodes = _counts(lease)
            if lease.phase is Phase.ACTIVE and nodes and nodes.keys() <= pods.keys():
                there = (pod for node in nodes for pod in pods[node])
                seen[lease.fence] = last_used(there, lease.token, now)
        async with self._ledger.transaction() as connection:
            await pods_seen.note(connection, seen, now)

    async def _write_missing_tokens(self, held: list[OpenLease], observed: Mapping[str, ObservedNode]) -> list[str]:
        """Tokens vanish with a Node object that is made anew, or with a kubelet's lost checkpoint."""
        mended = []
        for lease in held:
            if lease.phase is not Phase.ACTIVE:
                continue
            for node, count in _counts(lease).items():
                is_missing = node in observed and observed[node].tokens.get(lease.token) != count
                if is_missing and await self._rewritten(lease, node, count):
                    mended.append(f"wrote {count} missing token(s) of {lease.gpr_name} on {node}")
        return mended

    async def _rewritten(self, lease: OpenLease, node: str, count: int) -> bool:
        """Look at both again: the lease may have ended since, and its tokens may have been written since the node was seen.

        Its release waits meanwhile: it would take the tokens before they are written, and they would outlive the lease.
        """
        async with self._ledger.transaction() as connection:
            if not await leases.hold_active(connection, UUID(lease.gpr_id), lease.fence):
                return False
            return await asyncio.to_thread(self._put_back, lease.token, node, count)

    def _put_back(self, key: str, node: str, count: int) -> bool:
        if read_tokens(self._cluster, key, [node])[node] == count:
            return False
        try:
            write_tokens(self._cluster, key, {node: count})
        except NodeUnfit as failure:
            log.warning("tokens not written again", node=node, failure=str(failure))
            return False
        return True

    async def _take_left_over_tokens(self, observed: Mapping[str, ObservedNode]) -> list[str]:
        """Tokens that no open lease stands behind: somebody wrote them, or a lifecycle was lost half-way.

        Under the arbiter's lock, so that no lease is granted between the look into the ledger and the removal.
        """
        seen = {(key, node.name) for node in observed.values() for key in node.tokens}
        if not seen:
            return []
        async with self._ledger.transaction() as connection:
            await arbitration.lock(connection, SCHEDULING_DOMAIN)
            held = await leases.open_leases(connection, self._cluster.name)
            left_over = sorted(seen - {(lease.token, node) for lease in held for node in _counts(lease)})
            taken = [place for place in left_over if await asyncio.to_thread(self._taken, *place)]
        return [f"took tokens {key} off {node}: no open lease stands behind them" for key, node in taken]

    def _taken(self, key: str, node: str) -> bool:
        """Whether there were any: a teardown may have taken them since the node was seen."""
        there = read_tokens(self._cluster, key, [node])
        remove_tokens(self._cluster, key, [node])
        return there[node] > 0

    async def _clear_strays(self, pods: Collection[Json]) -> list[str]:
        """Pods that a scheduler bound by tokens which it had not yet seen to be gone; their GPUs are nobody's to use."""
        if not strays(pods, ()):
            return []
        async with self._ledger.transaction() as connection:
            await arbitration.lock(connection, SCHEDULING_DOMAIN)
            held = await leases.open_leases(connection, self._cluster.name)
            leased = {(lease.token, node) for lease in held for node in _counts(lease)}
            found = [pod for pod in strays(pods, leased) if "deletionTimestamp" not in pod["metadata"]]
            await asyncio.to_thread(delete_pods, self._cluster, found, STRAY_GRACE_SECONDS)
        return [f"deleted pod {_name(pod)} on {pod['spec']['nodeName']}: no lease stands behind it" for pod in found]

    async def _free_what_was_left_behind(self, now: datetime) -> list[str]:
        """Nodes quarantined by a teardown come back once no pod of the closed lease is left, and nothing on its devices."""
        async with self._ledger.reading() as connection:
            left = await leases.left_behind(connection, self._cluster.name)
        mended = []
        free = [part for part in left if part.devices_rest and not await self._is_held(part)]
        stuck = {host_of(part.node) for part in left if part not in free}
        for part in free:
            host = host_of(part.node)
            if host not in stuck:
                await asyncio.to_thread(lift_quarantine, self._cluster, [host])
            async with self._ledger.transaction() as connection:
                await leases.release_left_behind(connection, self._cluster.name, part, now)
                if host not in stuck:
                    await inventory.lift_quarantine(connection, self._cluster.name, part.node, now)
            quarantine = "has something else left behind on it" if host in stuck else "is lifted"
            mended.append(f"{part.node} is free again: its quarantine {quarantine}")
        if mended:
            await self.observe(now)  # the nodes without our taint, and a new plan
        return mended

    async def _is_held(self, part: LeftBehind) -> bool:
        return bool(await asyncio.to_thread(gpu_holders, self._cluster, part.token, [host_of(part.node)]))

    async def _set_ceilings(self, now: datetime) -> list[str]:
        """A changed quota, or a ResourceQuota that somebody changed."""
        async with self._ledger.reading() as connection:
            wanted = await quotas.ceilings(connection, self._cluster.name, now)
        changed = await asyncio.to_thread(set_ceilings, self._cluster, wanted)
        return [f"set the ceiling of namespace {namespace}" for namespace in changed]

    async def _let_workspaces_join(self, now: datetime) -> list[str]:
        """People's own workspaces that were made before this cluster was registered."""
        async with self._ledger.reading() as connection:
            waiting = await personal.joining(connection, self._cluster.name)
        said = await asyncio.gather(*(self._join(one, now) for one in waiting))
        return [sentence for sentence in said if sentence]

    async def _join(self, one: Joining, now: datetime) -> str:
        """What has begun to go meanwhile is taken away again, and looked after until nothing of it is left."""
        if one.is_wanted:
            try:
                await asyncio.to_thread(apply_tenancy, self._cluster, one.tenancy)
            except NotReadyYet:
                return ""  # the next round will find it ready
            except ClusterRefused as refusal:
                async with self._ledger.transaction() as connection:
                    await personal.did_not_join(connection, one.workspace_id, self._cluster.name, now)
                return f"workspace {one.tenancy.workspace_name} cannot be here: {refusal}"
            async with self._ledger.transaction() as connection:
                messages = await personal.joined(connection, one.workspace_id, self._cluster.name, now)
            if messages is not None:
                self._courier.deliver_soon(messages)
                return f"workspace {one.tenancy.workspace_name} is here, too"
        await asyncio.to_thread(delete_tenancy, self._cluster, one.tenancy.tenant, one.tenancy.namespaces)
        if not await asyncio.to_thread(namespaces_left, self._cluster, one.tenancy.tenant):
            async with self._ledger.transaction() as connection:
                await personal.did_not_join(connection, one.workspace_id, self._cluster.name, now)
        return ""

    async def _say(self, mended: list[str], now: datetime) -> None:
        if not mended:
            return
        log.warning("drift mended", cluster=self._cluster.name, mended=mended)
        async with self._ledger.transaction() as connection:
            detail = {"cluster": self._cluster.name, "mended": mended}
            await events.record(connection, now, "drift_mended", detail=detail)


class RealLedgerReconciling(LedgerReconciling):
    """Temporal against the ledger."""

    def __init__(self, ledger: Ledger, courier: Courier, temporal: TemporalDoor) -> None:
        self._ledger = ledger
        self._courier = courier
        self._temporal = temporal

    @activity.defn(name="revive_lifecycles")
    async def revive_lifecycles(self) -> Repairs:
        missing = await self._missing()
        async with self._ledger.transaction() as connection:
            messages = [await outbox.put(connection, message) for message in (*missing, kick_arbiter())]
        self._courier.deliver_soon(messages)
        await outbox.forget_delivered(self._ledger)
        await idempotency.forget_old(self._ledger, datetime.now(UTC))
        await honesty.forget_old(self._ledger, datetime.now(UTC))
        await self._learn(datetime.now(UTC))
        await self._prune(datetime.now(UTC))
        mended = [f"started {message.workflow_id}: unfinished in the ledger, not running" for message in missing]
        if mended:
            log.warning("drift mended", mended=mended)
        return Repairs(mended)

    async def _learn(self, now: datetime) -> None:
        changed = await handovers.learn(self._ledger, now)
        if changed:
            log.info("plans allow for other handovers", **asdict(changed))

    async def _prune(self, now: datetime) -> None:
        """Snapshots grow old also while nothing is done with their disk."""
        async with self._ledger.reading() as connection:
            due = await disks.due_prunes(connection, now)
        for disk_id in due:
            with suppress(Gone):  # deleted since: then they go with the disk
                async with self._ledger.transaction() as connection:
                    messages = await disks.request(connection, disk_id, uuid4(), DiskAction.PRUNE, {}, None, now)
                self._courier.deliver_soon(messages)

    @activity.defn(name="mark_cluster_away")
    async def mark_cluster_away(self, at: ClusterAt) -> None:
        async with self._ledger.transaction() as connection:
            if await inventory.mark_away(connection, at.cluster, at.now):
                await outbox.put(connection, kick_arbiter())

    async def _missing(self) -> list[OutboxMessage]:
        """Read Temporal first: what starts between the two reads then counts as running, or is started again, which is harmless."""
        running = await self._running()
        async with self._ledger.reading() as connection:
            starts = await gprs.unfinished(connection)
            starts += await disks.unfinished_operations(connection)
            starts += [keep_reservation(found) for found in await reservations.unfinished(connection)]
            starts += [start_recovery(str(found)) for found in await health.unfinished(connection)]
            workspace_ids = await workspaces.unfinished(connection)
        return [
            *(start for start in starts if start.workflow_id not in running),
            *(start_workspace(found) for found in workspace_ids if workspace_workflow_id(found) not in running),
        ]

    async def _running(self) -> set[str]:
        client = await self._temporal.client()
        kinds = "'Gpr', 'Job', 'Box', 'DiskOperation', 'Workspace', 'Recovery', 'Reservation'"
        query = f"ExecutionStatus = 'Running' and WorkflowType in ({kinds})"
        return {workflow.id async for workflow in client.list_workflows(query, page_size=1000)}


def _name(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _counts(lease: OpenLease) -> dict[str, int]:
    """By node of the cluster: of a lease on a part of one, by the node that it is a part of."""
    counts: dict[str, int] = {}
    for gpu in lease.gpus:
        host = host_of(gpu.node)
        counts[host] = counts.get(host, 0) + 1
    return counts
