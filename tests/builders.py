"""Things with good defaults, so that a test says only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from domain.box import GRACE_SECONDS, pod_name
from domain.gpr import GprRequest
from domain.hardware import ClusterCapabilities, ObservedNode
from domain.job import JobKind, JobSpec
from domain.workspace import WorkspaceRequest
from ledger import boxes, disks, gprs, inventory, jobs, workspaces

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

INSERT_PRINCIPAL = "insert into principal (id, name, created_at) values ($1, $2, $3)"


def now() -> datetime:
    return datetime.now(UTC)


async def a_principal(ledger: Ledger, name: str = "") -> UUID:
    principal_id = uuid4()
    async with ledger.transaction() as connection:
        await connection.execute(INSERT_PRINCIPAL, principal_id, name or f"p-{principal_id.hex[:8]}", now())
    return principal_id


async def a_workspace(
    ledger: Ledger,
    name: str = "",
    *,
    owner: UUID | None = None,
    clusters: tuple[str, ...] = ("worker-1",),
    ready: bool = True,
) -> UUID:
    workspace_id = uuid4()
    name = name or f"ws-{workspace_id.hex[:8]}"
    owner = owner or await a_principal(ledger)
    request = WorkspaceRequest(name, clusters, (f"{name.lower()}-ns",))
    async with ledger.transaction() as connection:
        await workspaces.create(connection, workspace_id, owner, request, now())
        if ready:
            await workspaces.to_ready(connection, workspace_id, now())
    return workspace_id


def a_request(**changes: object) -> GprRequest:
    fields: dict[str, object] = {
        "name": "training",
        "nodes": 1,
        "gpus_per_node": 1,
        "duration_seconds": 3600,
        "priority": 101,
        **changes,
    }
    return GprRequest(**fields)  # type: ignore[arg-type]


async def a_gpr(ledger: Ledger, workspace_id: UUID, **changes: object) -> UUID:
    gpr_id = uuid4()
    submitter = await a_principal(ledger)
    async with ledger.transaction() as connection:
        await gprs.submit(connection, gpr_id, workspace_id, submitter, a_request(**changes), {}, now())
    return gpr_id


async def a_job(ledger: Ledger, workspace_id: UUID, *, kind: JobKind = JobKind.TRAINING, **changes: Any) -> UUID:
    """Id of a queued job in the first namespace of its workspace; changes of its spec, or of `duration_seconds`."""
    job_id, submitter = uuid4(), await a_principal(ledger)
    duration = changes.pop("duration_seconds", 3600)
    async with ledger.transaction() as connection:
        namespace = (await workspaces.find(connection, workspace_id)).request.namespaces[0]
        fields = {"name": f"job-{job_id.hex[:8]}", "gpus_per_replica": 1, "image": "busybox", **changes}
        spec = JobSpec(kind=kind, namespace=namespace, **fields)
        request = a_request(
            name=spec.name,
            nodes=spec.replicas,
            gpus_per_node=spec.gpus_per_replica,
            duration_seconds=duration,
            exclusive=False,
            namespace=namespace,
            spread=kind is JobKind.TRAINING,
        )
        await jobs.submit(connection, job_id, workspace_id, submitter, request, spec, {}, now())
    return job_id


async def a_disk(ledger: Ledger, workspace_id: UUID, name: str = "", *, size_gb: int = 20) -> UUID:
    """Id of a new disk, which no box has had yet."""
    disk_id, owner = uuid4(), await a_principal(ledger)
    async with ledger.transaction() as connection:
        name = name or f"disk-{disk_id.hex[:8]}"
        await disks.create(connection, disk_id, workspace_id, owner, name, size_gb, now())
    return disk_id


async def a_box(ledger: Ledger, workspace_id: UUID, *, hours: int = 1, **changes: Any) -> UUID:
    """Id of a queued box of one GPU; changes of its request, or `owner`, `github_user`, `keys`, `jupyter_token`."""
    box_id = changes.pop("box_id", None) or uuid4()
    owner = changes.pop("owner", None) or await a_principal(ledger)
    github_user, keys = changes.pop("github_user", "ada"), changes.pop("keys", ())
    token = changes.pop("jupyter_token", "")
    async with ledger.transaction() as connection:
        namespace = (await workspaces.find(connection, workspace_id)).request.namespaces[0]
        fields: dict[str, Any] = {"exclusive": False, "grace_seconds": GRACE_SECONDS, "namespace": namespace, **changes}
        request = a_request(name=pod_name(box_id), duration_seconds=hours * 3600 + GRACE_SECONDS, **fields)
        spec = JobSpec(
            name=pod_name(box_id),
            kind=JobKind.BOX,
            namespace=namespace,
            image="box",
            replicas=request.nodes,
            gpus_per_replica=request.gpus_per_node,
        )
        who = (workspace_id, owner)
        people = (github_user, keys, bool(token), now())
        await boxes.submit(connection, box_id, *who, request, spec, {}, *people, jupyter_token=token)
    return box_id


async def some_nodes(ledger: Ledger, cluster: str = "worker-1", *, count: int = 4, gpus: int = 1) -> list[str]:
    """Names of nodes in the ledger, of a cluster that exists nowhere else."""
    names = [f"{cluster}-n{number}" for number in range(count)]
    nodes = [
        ObservedNode(name, "T4", "g4dn", gpus, 16384, ready=True, schedulable=True, region="here") for name in names
    ]
    async with ledger.transaction() as connection:
        capabilities = ClusterCapabilities("v1.36.3", "https://10.0.0.1", True, True, True)
        await inventory.register_cluster(connection, cluster, capabilities, now())
        await inventory.observe(connection, cluster, nodes, now())
    return names


async def the_inventory_of(ledger: Ledger, cluster: ClusterConnection) -> None:
    """Register a cluster and write its nodes into the ledger."""
    from clusters.inventory import adopt_nodes, observe_nodes  # noqa: PLC0415
    from clusters.registration import probe  # noqa: PLC0415

    observed = observe_nodes(cluster)
    adopt_nodes(cluster, [node.name for node in observed])
    async with ledger.transaction() as connection:
        await inventory.register_cluster(connection, cluster.name, probe(cluster), now())
        await inventory.observe(connection, cluster.name, observed, now())
