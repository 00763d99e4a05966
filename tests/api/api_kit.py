"""What the tests of the API share: the application on a ledger, callers with keys, Gprs moved through their phases."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx

from api.app import build_app
from api.auth.login_doors import LoginDoors, LoginRules
from api.backends import Backends
from api.operations.log_streams import PodAddress, as_lines
from api.operations.pod_stream import told_of
from clusters.access import IssuedKubeconfig
from domain.devices import GpuIdentity
from domain.failures import AlreadyExists, BerthFailure, NotFound
from domain.gpr import EndCause, Phase
from domain.hardware import ClusterCapabilities, Gpu, NodeFacts, NodeUse, ObservedNode
from domain.identity import Principal, Role
from domain.job import JobEvent, LogLine, LogPlace
from domain.messages import WORKSPACE_WORKFLOW
from domain.workspace import WorkspacePhase
from ledger import access, gprs, inventory, leases, lifecycle, telemetry, workspaces
from ledger.connection import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from domain.workspace import Tenancy

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: ws@{cluster}
clusters: [{{name: {cluster}, cluster: {{server: "https://{cluster}"}}}}]
contexts: [{{name: ws@{cluster}, context: {{cluster: {cluster}, user: ws@{cluster}}}}}]
users: [{{name: ws@{cluster}, user: {{token: "{anchor}"}}}}]
"""
A_JOB = "{{kind: training, job: {{name: {name}, namespace: {namespace}}}, environment: {{image: pytorch}}}}"
_TURNS = count()
CAPABILITIES = ClusterCapabilities("v1.36.3", "https://10.0.0.1", True, True, True)


@dataclass
class Clock:
    """The real time, moved on where a test says so."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class RecordingCourier:
    """Notes what was handed in, and finishes workspaces as their workflow would."""

    ledger: Ledger
    clock: Clock
    delivered: list[int] = field(default_factory=list)
    workspaces_become: WorkspacePhase | None = WorkspacePhase.READY
    temporal_failure: BerthFailure | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def deliver_soon(self, ids: Sequence[int]) -> None:
        self.delivered += ids
        task = asyncio.get_running_loop().create_task(self._finish_workspaces(list(ids), self.workspaces_become))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def ping(self) -> None:
        if self.temporal_failure is not None:
            raise self.temporal_failure

    async def _finish_workspaces(self, ids: list[int], become: WorkspacePhase | None) -> None:
        async with self.ledger.transaction() as connection:
            rows = await connection.fetch("select * from outbox where id = any($1::bigint[]) and signal is null", ids)
            for row in rows:
                if row["workflow_type"] != WORKSPACE_WORKFLOW or become is None:
                    continue
                workspace_id = UUID(row["argument"])
                if become is WorkspacePhase.READY:
                    await workspaces.to_ready(connection, workspace_id, self.clock())
                else:
                    why = "namespace_not_ours: namespace 'kept' exists and was not made by Berth"
                    await workspaces.to_end(connection, workspace_id, become, why, self.clock())


@dataclass
class RecordingIssuer:
    """Answers as clusters would, and notes what it was asked."""

    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    failures: dict[str, BerthFailure] = field(default_factory=dict)
    anchor_failures: dict[str, BerthFailure] = field(default_factory=dict)

    async def issue(
        self,
        cluster: str,
        tenancy: Tenancy,  # noqa: ARG002 - a real cluster puts it into the text
        anchor: str | None,
        expires_in_seconds: int,
    ) -> IssuedKubeconfig:
        self.asked.append((cluster, anchor, expires_in_seconds))
        failures = self.anchor_failures if anchor else self.failures
        if cluster in failures:
            raise failures[cluster]
        text = KUBECONFIG.format(cluster=cluster, anchor=anchor or "unbound")
        return IssuedKubeconfig(text, datetime.now(UTC) + timedelta(seconds=expires_in_seconds))


@dataclass
class RecordingNodes:
    """Nodes as clusters would describe them, with labels that can be changed."""

    labels: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    failures: dict[str, BerthFailure] = field(default_factory=dict)
    namespaces: set[tuple[str, str]] = field(default_factory=set)

    def of(self, cluster: str, name: str) -> dict[str, str]:
        if cluster in self.failures:
            raise self.failures[cluster]
        return self.labels.setdefault((cluster, name), {"kubernetes.io/hostname": name, "nvidia.com/gpu.count": "1"})

    async def facts(self, cluster: str, names: Collection[str]) -> dict[str, NodeFacts]:
        now = datetime.now(UTC)
        return {name: NodeFacts(dict(self.of(cluster, name)), 8000, 30 * 1024, now, now) for name in names}

    async def use(self, cluster: str, name: str) -> NodeUse:
        self.of(cluster, name)
        return NodeUse(1500, 2048)

    async def add_label(self, cluster: str, node: str, key: str, value: str, *, overwrite: bool) -> None:
        labels = self.of(cluster, node)
        if key in labels and not overwrite:
            raise AlreadyExists(f"node {node!r} has a label {key!r} already")
        labels[key] = value

    async def set_label(self, cluster: str, node: str, key: str, value: str) -> None:
        self._present(cluster, node, key)[key] = value

    async def remove_label(self, cluster: str, node: str, key: str) -> None:
        del self._present(cluster, node, key)[key]

    async def has_namespace(self, cluster: str, name: str) -> bool:
        if cluster in self.failures:
            raise self.failures[cluster]
        return (cluster, name) in self.namespaces

    def _present(self, cluster: str, node: str, key: str) -> dict[str, str]:
        labels = self.of(cluster, node)
        if key not in labels:
            raise NotFound(f"node {node!r} has no label {key!r}")
        return labels


@dataclass
class RecordedLogs:
    """What pods would say, and what is said of jobs; nobody else is asked."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    told: dict[str, list[JobEvent]] = field(default_factory=dict)
    failure: BerthFailure | None = None
    over: set[str] = field(default_factory=set)
    """Pods that say nothing more."""
    followed: list[str] = field(default_factory=list)
    """Each time that somebody began to follow a pod."""

    def say(self, pod: str, *texts: str) -> list[str]:
        """The times of these new lines."""
        said = self.lines.setdefault(pod, [])
        times = [
            f"2026-06-01T12:{n // 60000:02}:{n // 1000 % 60:02}.{n % 1000:03}000000Z" for n in _counted(said, texts)
        ]
        said += [f"{at} {text}" for at, text in zip(times, texts, strict=True)]
        return times

    async def tail(self, cluster: str, namespace: str, pod: str, lines: int) -> list[str]:  # noqa: ARG002 - as asked
        if self.failure:
            raise self.failure
        return self.lines.get(pod, [])[-lines:]

    async def follow(self, address: PodAddress, after: LogPlace | None) -> AsyncGenerator[list[LogLine], None]:
        self.followed.append(address.pod)
        lines = as_lines(self.lines.get(address.pod, []))
        told = told_of(lines, after) if after else 0
        while True:
            is_over = address.pod in self.over
            if batch := as_lines(self.lines.get(address.pod, [])[told : told + 50]):
                told += len(batch)
                yield batch
            elif is_over:
                return
            else:
                await asyncio.sleep(0.005)

    async def events(self, cluster: str, namespace: str, job_id: str) -> list[JobEvent]:  # noqa: ARG002 - as asked
        if self.failure:
            raise self.failure
        return self.told.get(job_id, [])


def _counted(said: list[str], texts: Sequence[str]) -> range:
    return range(len(said), len(said) + len(texts))


@dataclass
class Someone:
    """A principal with a key."""

    principal: Principal
    key: str
    key_id: UUID

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@dataclass
class TheApi:
    """The application and what stands behind it."""

    ledger: Ledger
    courier: RecordingCourier
    issuer: RecordingIssuer
    clock: Clock
    app: Any
    client: httpx.AsyncClient
    nodes: RecordingNodes
    logs: RecordedLogs

    def reset(self) -> None:
        self.clock.ahead = timedelta(0)
        self.courier.workspaces_become = WorkspacePhase.READY
        self.courier.temporal_failure = None
        self.courier.delivered.clear()
        self.issuer.asked.clear()
        self.issuer.failures.clear()
        self.issuer.anchor_failures.clear()
        self.nodes.failures.clear()
        self.logs.failure = None

    async def call(self, method: str, path: str, who: Someone | None = None, **more: Any) -> httpx.Response:
        headers = {**(who.headers if who else {}), **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def register_clusters(self, *names: str) -> None:
        async with self.ledger.transaction() as connection:
            for name in names:
                await inventory.register_cluster(connection, name, CAPABILITIES, self.clock())
                nodes = [a_node(f"{name}-t4-{number}") for number in range(40)]
                nodes.append(a_node(f"{name}-h100", "NVIDIA-H100-80GB-HBM3", "p5.48xlarge", gpus=8, memory_mib=81559))
                await inventory.observe(connection, name, nodes, self.clock())

    async def someone(
        self,
        name: str = "",
        *,
        administrator: bool = False,
        role: Role = Role.OWNER,
        confined_to: UUID | None = None,
        valid_until: datetime | None = None,
        principal: Principal | None = None,
    ) -> Someone:
        async with self.ledger.transaction() as connection:
            who = principal or await access.ensure_principal(
                connection, name or f"p-{uuid4().hex[:10]}", self.clock(), administrator=administrator
            )
            key = access.NewKey(uuid4(), access.new_key_text(), who, "key", role, confined_to, valid_until)
            await access.add_key(connection, key, self.clock())
        return Someone(who, key.text, key.id)

    async def member(self, workspace: str, role: Role) -> Someone:
        """Somebody new who has this role in a workspace."""
        someone = await self.someone()
        async with self.ledger.transaction() as connection:
            found = await workspaces.find_by_name(connection, workspace)
            assert found is not None
            insert = "insert into membership (workspace_id, principal_id, role) values ($1, $2, $3)"
            await connection.execute(insert, found.id, someone.principal.id, role)
        return someone

    async def workspace(self, owner: Someone, *clusters: str) -> str:
        """Name of a new workspace, ready."""
        name = f"ws-{uuid4().hex[:10]}"
        body = {"workspaceName": name, "clusters": list(clusters or ("worker-1",)), "namespaces": [f"{name}-ns"]}
        answer = await self.call("POST", "/api/v1/slice-workspace", owner, json=body)
        assert answer.status_code == 200, answer.text
        return name

    async def pool(self, *nodes: str) -> str:
        """Name of a new pool of these nodes."""
        name = f"pool-{uuid4().hex[:10]}"
        administrator = await self.someone(administrator=True)
        answer = await self.call("POST", "/berth/v1/pools", administrator, json={"name": name, "nodes": list(nodes)})
        assert answer.status_code == 201, answer.text
        return name

    async def pool_with_weights(self, *nodes: str, **weights: int) -> str:
        """Name of a new pool in which these workspaces weigh so much."""
        name, administrator = await self.pool(*nodes), await self.someone(administrator=True)
        for workspace, weight in weights.items():
            path = f"/berth/v1/pools/{name}/weights/{workspace}"
            answer = await self.call("PUT", path, administrator, json={"weight": weight})
            assert answer.status_code == 200, answer.text
        return name

    async def quota(self, namespace: str, **limits: int) -> str:
        """The namespace, which now has this quota."""
        administrator = await self.someone(administrator=True)
        answer = await self.call("PUT", f"/berth/v1/quotas/{namespace}", administrator, json=limits)
        assert answer.status_code == 200, answer.text
        return namespace

    async def department(self, *workspaces: str) -> str:
        """Name of a new department with these workspaces."""
        name, administrator = f"d-{uuid4().hex[:10]}", await self.someone(administrator=True)
        answer = await self.call("POST", "/berth/v1/departments", administrator, json={"name": name})
        assert answer.status_code == 201, answer.text
        for workspace in filter(None, workspaces):
            path = f"/berth/v1/workspaces/{workspace}/department"
            answer = await self.call("PUT", path, administrator, json={"department": name})
            assert answer.status_code == 200, answer.text
        return name

    async def quota_override(self, workspace: str) -> str:
        """Id of an override of a workspace's quota that hinders nobody."""
        end = (self.clock() + timedelta(hours=1)).isoformat()
        body = {"scope": "workspace", "name": workspace, "gpus": 800, "end": end}
        administrator = await self.someone(administrator=True)
        answer = await self.call("POST", "/berth/v1/quota-overrides", administrator, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def ceiling(self, someone: Someone) -> str:
        """The name of somebody, who now has a ceiling that hinders nobody."""
        path = f"/berth/v1/user-ceilings/{someone.principal.name}"
        answer = await self.call("PUT", path, await self.someone(administrator=True), json={"gpus": 800})
        assert answer.status_code == 200, answer.text
        return someone.principal.name

    async def job(self, owner: Someone, namespace: str) -> str:
        """Id of a new job, which waits."""
        text = A_JOB.format(name=f"job-{uuid4().hex[:10]}", namespace=namespace)
        answer = await self.call("POST", "/api/v1/jobs", owner, json={"yamlContent": text})
        assert answer.status_code == 201, answer.text
        job_id: str = answer.json()["jobId"]
        return job_id

    async def reservation(self, owner: Someone, workspace: str) -> str:
        """Id of a new reservation of one GPU, later than anything that the workspace was promised."""
        start = (self.clock() + timedelta(days=3, minutes=next(_TURNS) * 11)).replace(microsecond=0)
        body = {"workspace": workspace, "name": "reserved", "duration": "10m", "start": start.isoformat()}
        answer = await self.call("POST", "/berth/v1/reservations", owner, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def maintenance(self) -> str:
        """Name of some that is announced, for later than anything else here."""
        name = f"m-{uuid4().hex[:10]}"
        times = {"begin": "2190-01-01T00:00:00Z", "end": "2190-01-02T00:00:00Z"}
        administrator = await self.someone(administrator=True)
        body = {"name": name, **times, "nodes": ["worker-1-t4-38"]}
        answer = await self.call("POST", "/berth/v1/maintenance", administrator, json=body)
        assert answer.status_code == 201, answer.text
        return name

    async def gpu(self, node: str = "worker-1-t4-39", ordinal: int = 0) -> int:
        """Id of a new GPU that the agent of this node sees, in place of the one that was there."""
        seen = GpuIdentity(f"GPU-{uuid4()}", ordinal or uuid4().int % 10**6, "Tesla-T4", 15360)
        async with self.ledger.transaction() as connection:
            ids = await telemetry.write_gpus(connection, "worker-1", node, [seen], self.clock())
        return ids[seen.uuid]

    async def label(self, node: str, cluster: str = "worker-1") -> str:
        """Key of a label that the node has."""
        self.nodes.of(cluster, node)["example.com/rack"] = "7"
        return "example.com/rack"

    async def workspace_id(self, name: str) -> UUID:
        async with self.ledger.reading() as connection:
            found = await workspaces.find_by_name(connection, name)
        assert found is not None
        return found.id

    async def gpr(self, owner: Someone, workspace: str, phase: Phase = Phase.QUEUED, **changes: Any) -> str:
        """EGS id of a new Gpr, moved on to this phase."""
        answer = await self.call("POST", "/api/v1/gpr", owner, json=a_gpr_body(workspace, **changes))
        assert answer.status_code == 200, answer.text
        external_id: str = answer.json()["data"]["gprId"]
        await self.move(external_id, phase)
        return external_id

    async def move(self, external_id: str, phase: Phase) -> None:
        """Take a queued Gpr through its life up to this phase."""
        steps = PATH_TO[phase]
        async with self.ledger.transaction() as connection:
            gpr_id = await gprs.id_of_external(connection, external_id)
            assert gpr_id is not None
            if phase is Phase.CANCELLED:
                await lifecycle.begin_release(connection, gpr_id, EndCause.CANCELLED, self.clock())
            fence = 0
            if "grant" in steps:
                free = next(
                    node for node in await inventory.nodes(connection, "worker-1") if node.free_gpus == node.gpus
                )
                granted = await leases.grant(connection, gpr_id, "worker-1", [Gpu(free.name, 0)], self.clock())
                assert granted is not None
                fence = granted
            if "activate" in steps:
                await lifecycle.activate(connection, gpr_id, fence, self.clock())
            if "release" in steps:
                await lifecycle.begin_release(
                    connection, gpr_id, CAUSE_OF.get(phase, EndCause.EARLY_RELEASE), self.clock()
                )
            if "finish" in steps:
                await connection.execute("update gpr set requeue_on_failure = false where id = $1", gpr_id)
                await lifecycle.finish_release(connection, gpr_id, fence, [], self.clock())
            found = await gprs.find(connection, gpr_id)
        assert found.phase is phase

    async def finish(self, external_id: str) -> None:
        """Let the teardown of a Gpr come to its end."""
        async with self.ledger.reading() as connection:
            gpr_id = await gprs.id_of_external(connection, external_id)
        assert gpr_id is not None
        await self.come_to_rest(gpr_id)

    async def come_to_rest(self, gpr_id: UUID) -> Phase:
        """Let its lifecycle go on until everything is free; the phase in which it then is."""
        async with self.ledger.transaction() as connection:
            found = await gprs.find(connection, gpr_id)
            if found.phase in {Phase.PROVISIONING, Phase.ACTIVE}:
                await lifecycle.begin_release(connection, gpr_id, EndCause.OPERATOR, self.clock())
            await lifecycle.finish_release(connection, gpr_id, found.fence or 0, [], self.clock())
            return (await gprs.find(connection, gpr_id)).phase


PATH_TO: dict[Phase, tuple[str, ...]] = {
    Phase.QUEUED: (),
    Phase.CANCELLED: (),
    Phase.PROVISIONING: ("grant",),
    Phase.ACTIVE: ("grant", "activate"),
    Phase.RELEASING: ("grant", "activate", "release"),
    Phase.RELEASED: ("grant", "activate", "release", "finish"),
    Phase.EXPIRED: ("grant", "activate", "release", "finish"),
    Phase.FAILED: ("grant", "release", "finish"),
}
CAUSE_OF = {Phase.EXPIRED: EndCause.EXPIRED, Phase.FAILED: EndCause.PROVISIONING_FAILED}


def a_node(
    name: str, shape: str = "Tesla-T4", instance_type: str = "n1-standard-8", *, gpus: int = 1, memory_mib: int = 15360
) -> ObservedNode:
    return ObservedNode(name, shape, instance_type, gpus, memory_mib, ready=True, schedulable=True, region="here")


def a_gpr_body(workspace: str, **changes: Any) -> dict[str, Any]:
    body = {
        "gprName": "gpr1",
        "sliceName": workspace,
        "clusterName": "worker-1",
        "numberOfGPUs": 1,
        "instanceType": "n1-standard-8",
        "exitDuration": "0d0h5m",
        "numberOfGPUNodes": 1,
        "priority": 201,
        "memoryPerGPU": 15,
        "gpuShape": "Tesla-T4",
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not ...}


@asynccontextmanager
async def opened(
    database_url: str,
    *,
    ready_seconds: float = 2.0,
    clock: Clock | None = None,
    logins: LoginRules | None = None,
) -> AsyncIterator[TheApi]:
    ledger, clock = Ledger(database_url), clock or Clock()
    courier, issuer, nodes = RecordingCourier(ledger, clock), RecordingIssuer(), RecordingNodes()
    logs = RecordedLogs()
    doors = LoginDoors(logins or LoginRules(), clock)
    backends = Backends(
        ledger,
        courier,
        issuer,
        clock,
        ready_seconds,
        nodes=nodes,
        logs=logs,
        host_path_prefixes=("/data",),
        logins=doors,
    )
    app = build_app(backends)
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://berth") as client:
            yield TheApi(ledger, courier, issuer, clock, app, client, nodes, logs)
    finally:
        await doors.close()
        await asyncio.gather(*courier.tasks)
        await ledger.close()
