"""Jobs on the whole stack, submitted as YAML: every kind to its end, every way to fare badly with its reason, nothing left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import EndCause, Phase
from domain.identifiers import lease_token_key
from tests.system.campaign import CEILING
from tests.system.cast import (
    BAD_ENDS,
    BAD_STARTS,
    KINDS,
    LIMITED,
    NAMESPACE,
    PODS,
    POOL,
    POOL_NODES,
    STEP_SECONDS_MAX,
    Cast,
)
from tests.system.egs import Refusal
from tests.system.freedom import left_in_ledger, left_of_jobs, left_on_nodes, until, workspace_namespaces
from tests.system.gpuctl import a_document
from tests.system.history import EVENTS, double_grants, writes_beside_leases
from tests.system.witness import Witness, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]

DEPLOYMENTS = "/apis/apps/v1/deployments"
SIMULATED_LINE = "This pod is simulated by kwok: nothing runs in it."
LAST_EVENT = "select coalesce(max(id), 0) as last from event"
DRIFT = "select id, detail from event where kind = 'drift_mended'"
NODE_SECONDS_MAX = 20.0
"""From the loss of a node until its pods are told to be lost and, the node being back, to run: no pod says a word of it."""
FLIPS = 8
SEEN_SECONDS_MAX = 5.0
"""From a pod's change until the API tells it; generous, for a machine that does everything else as well."""


@pytest.fixture(scope="module")
def witness(installation: Installation) -> Iterator[Witness]:
    with Witness(installation) as watching:
        yield watching


@pytest.fixture(scope="module")
def last_before(installation: Installation) -> int:
    return int(installation.tables.rows(LAST_EVENT)[0]["last"])


@pytest.fixture(scope="module")
def cast(installation: Installation, witness: Witness, last_before: int) -> Iterator[Cast]:
    playing = Cast(installation)
    playing.enter()
    yield playing
    playing.close()


# --- every kind -------------------------------------------------------------------------------------------------------


def test_a_training_job_runs_to_its_end_and_its_log_and_events_stay(cast: Cast) -> None:
    job = cast.comes_to("trains", "Succeeded")
    assert cast.free.log("trains") == [SIMULATED_LINE]
    assert {event["reason"] for event in job["events"]} >= {"Scheduled", "Started", "Completed"}
    assert left_of_jobs(cast.installation, str(cast.gpr("trains").id)) == []


def test_the_replicas_of_a_training_job_find_each_other_on_two_nodes(cast: Cast) -> None:
    cast.comes_to("gang", "Running")
    pods = cast.objects("gang", PODS)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    (service,) = cast.objects("gang", "/api/v1/services")
    assert service["spec"]["clusterIP"] == "None"
    variables = {one["name"] for one in pods[0]["spec"]["containers"][0]["env"]}
    assert variables >= {"MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE"}
    cast.let_end("gang")
    cast.comes_to("gang", "Succeeded")
    assert len(cast.free.pods("gang")) == 2


def test_what_serves_is_reached_through_its_service_by_all_of_its_replicas(cast: Cast) -> None:
    job = cast.comes_to("inference", "Running")
    pods = cast.free.pods("inference")
    assert [pod["ready"] for pod in pods] == ["1/1", "1/1"]
    (service,) = cast.objects("inference", "/api/v1/services")
    (port,) = service["spec"]["ports"]
    assert port["port"] == 8080
    access = job["access_methods"]
    assert access["node_port_access"]["node_port"] == port["nodePort"]
    assert access["pod_ip_access"]["pod_ip"] in {pod["ip"] for pod in pods}


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_end_runs_and_can_be_reached(cast: Cast, kind: str) -> None:
    job = cast.comes_to(kind, "Running")
    assert (job["resource_type"], job["completed"]) == (KINDS[kind], None)
    assert job["access_methods"]["pod_ip_access"]["url"]
    assert cast.gpr(kind).end_at is None


def test_all_dialects_see_the_same_job(cast: Cast) -> None:
    cast.comes_to("compute", "Running")
    gpr, (pod,) = cast.gpr("compute"), cast.free.pods("compute")
    egs = next(one for one in cast.installation.egs.gprs(NAMESPACE) if one["gprName"] == "compute")
    assert egs["gprId"] == gpr.external_id
    assert egs["status"]["provisioningStatus"] == "Provisioned"
    assert gpr.lease is not None
    assert egs["status"]["nodes"] == [part.node for part in gpr.lease.nodes] == [pod["node"]]


# --- every way to fare badly ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", BAD_STARTS)
def test_a_job_that_cannot_start_waits_and_says_why(cast: Cast, reason: str) -> None:
    cast.comes_to(reason.lower(), f"Pending ({reason})")
    assert [pod["status"] for pod in cast.free.pods(reason.lower())] == [reason]


@pytest.mark.parametrize("reason", BAD_ENDS)
def test_a_job_that_dies_has_failed_and_says_of_what(cast: Cast, reason: str) -> None:
    name = reason.lower()
    cast.comes_to(name, f"Failed (BackoffLimitExceeded: {reason})")
    assert [pod["status"] for pod in cast.free.pods(name)] == [reason]
    gpr = cast.gpr(name)
    assert (gpr.phase, gpr.end_cause) == (Phase.FAILED, EndCause.JOB_FAILED)
    assert f"{reason}; exit code {BAD_ENDS[reason]}" in gpr.failure


def test_a_job_that_no_node_has_room_for_says_what_is_missing(cast: Cast) -> None:
    cast.comes_to("too-big", "Pending (Unschedulable)")
    job = cast.when("too-big", lambda job: "FailedScheduling" in str(job["events"]), "with the scheduler's word")
    assert "Insufficient cpu" in str(job["events"])


def test_a_job_whose_node_is_lost_is_unknown_until_the_node_is_back(cast: Cast) -> None:
    cast.comes_to("pooled", "Running")
    node = f"/api/v1/nodes/{cast.free.pods('pooled')[0]['node']}"
    cluster = cast.cluster_of("pooled")
    cluster.merge(node, {"metadata": {"annotations": {"kwok.berth.io/not-ready": "no power"}}})
    began = time.monotonic()
    cast.comes_to("pooled", "Unknown (NodeLost)")
    cluster.merge(node, {"metadata": {"annotations": {"kwok.berth.io/not-ready": None}}})
    cast.comes_to("pooled", "Running")
    assert time.monotonic() - began <= NODE_SECONDS_MAX


# --- suspending -------------------------------------------------------------------------------------------------------


def test_a_suspended_job_gives_its_gpus_back_and_comes_back_when_it_is_resumed(cast: Cast) -> None:
    native, before = cast.installation.native, cast.free.submit(a_document("notebook", "pauses", NAMESPACE))
    cast.comes_to("pauses", "Running")
    first = cast.gpr("pauses")
    native.suspend(first.id)
    native.suspend(first.id)
    until(lambda: cast.gpr("pauses").phase is Phase.QUEUED, "the queue again", STEP_SECONDS_MAX)
    assert cast.free.status("pauses") == "Suspended"
    assert left_of_jobs(cast.installation, str(first.id)) == []
    assert first.lease is not None
    assert lease_token_key(first.lease.fence or 0) not in _tokens(cast)
    assert _reason(cast, "pauses", NAMESPACE) == "suspended"
    assert cast.free.log(before) == [SIMULATED_LINE]
    native.resume(first.id)
    cast.comes_to("pauses", "Running")
    again = cast.gpr("pauses")
    assert again.lease is not None
    assert (again.id, again.retries, again.lease.fence != first.lease.fence) == (first.id, 0, True)
    native.suspend(first.id)
    cast.free.delete("pauses")
    until(lambda: cast.gpr("pauses").ended, "its end", STEP_SECONDS_MAX)
    assert left_of_jobs(cast.installation, str(first.id)) == []


# --- pools and quotas -------------------------------------------------------------------------------------------------


def test_a_pool_serves_those_who_name_it_and_nobody_else(cast: Cast) -> None:
    cast.comes_to("pooled", "Running")
    on_pool = {row["name"] for row in cast.free.rows() if row["node"] in POOL_NODES}
    assert on_pool == {"pooled"}


def test_a_pool_in_use_cannot_be_deleted(cast: Cast) -> None:
    with pytest.raises(Refusal, match="409"):
        cast.free.ask("DELETE", f"/pools/{POOL}")


def test_two_jobs_over_a_quota_of_one_gpu_run_one_after_the_other(cast: Cast) -> None:
    until(lambda: cast.gpr("second", LIMITED).ended, "the end of the second job", STEP_SECONDS_MAX)
    first, second = (cast.gpr(name, LIMITED) for name in ("first", "second"))
    assert (first.phase, second.phase) == (Phase.RELEASED, Phase.RELEASED)
    assert first.finished_at is not None
    assert second.active_at is not None
    assert first.finished_at <= second.active_at


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_a_queued_job_that_is_deleted_has_never_held_anything(cast: Cast) -> None:
    cast.limited.submit(a_document("compute", "holds", LIMITED, job={"duration": "1h"}))
    cast.limited.submit(a_document("compute", "waits", LIMITED))
    until(lambda: _reason(cast, "waits") == "quota_busy", "the reason of the wait", STEP_SECONDS_MAX)
    cast.limited.delete("waits")
    waits = until(lambda: _ended(cast, "waits"), "the end of what waits", STEP_SECONDS_MAX)
    assert (waits.phase, waits.lease, waits.active_at) == (Phase.CANCELLED, None, None)
    assert "waits" not in {row["name"] for row in cast.limited.rows()}


def _reason(cast: Cast, name: str, workspace: str = LIMITED) -> str:
    estimate = cast.gpr(name, workspace).estimate
    return estimate.reason_code if estimate else ""


def _ended(cast: Cast, name: str) -> Any:
    gpr = cast.gpr(name, LIMITED)
    return gpr if gpr.ended else None


def test_a_running_job_that_is_deleted_goes_with_all_that_was_made_for_it(cast: Cast) -> None:
    cast.comes_to("notebook", "Running")
    gpr = cast.gpr("notebook")
    assert gpr.lease is not None
    assert gpr.lease.fence is not None
    assert lease_token_key(gpr.lease.fence) in _tokens(cast)
    cast.free.delete("notebook")
    until(lambda: cast.gpr("notebook").ended, "the end of the notebook", STEP_SECONDS_MAX)
    assert left_of_jobs(cast.installation, str(gpr.id)) == []
    assert lease_token_key(gpr.lease.fence) not in _tokens(cast)
    assert cast.installation.tables.count(f"lease_gpu where fence = {gpr.lease.fence} and released_at is null") == 0
    assert cast.free.submit(a_document("notebook", "notebook", NAMESPACE)) == "notebook"


def test_a_job_that_somebody_deletes_on_its_cluster_is_over_and_holds_nothing(cast: Cast) -> None:
    cast.comes_to("inference", "Running")
    cluster, (deployment,) = cast.cluster_of("inference"), cast.objects("inference", DEPLOYMENTS)
    cluster.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment['metadata']['name']}")
    until(lambda: cast.gpr("inference").ended, "the end of the job", STEP_SECONDS_MAX)
    gpr = cast.gpr("inference")
    assert (gpr.phase, gpr.end_cause) == (Phase.FAILED, EndCause.JOB_FAILED)
    assert left_of_jobs(cast.installation, str(gpr.id)) == []


def _tokens(cast: Cast) -> set[str]:
    nodes = [node for cluster in cast.installation.clusters() for node in cluster.items("/api/v1/nodes")]
    return {key for node in nodes for key in tokens_of(node)}


# --- how soon ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """The figures are for people: they are shown, whatever becomes of the test."""
    capturing = request.config.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capturing.global_and_fixture_disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    return show


def test_what_happens_to_a_pod_is_soon_told(cast: Cast, say: Callable[[str], None]) -> None:
    cast.comes_to("compute", "Running")
    cluster, (pod,) = cast.cluster_of("compute"), cast.free.pods("compute")
    seconds = []
    for flip in range(FLIPS):
        ready = bool(flip % 2)
        _set_ready(cluster, pod["jobId"], ready=ready)
        began = time.monotonic()
        _await_ready(cast, f"{int(ready)}/1")
        seconds.append(time.monotonic() - began)
    told = sorted(seconds)
    say(f"from a pod's change to the API, {FLIPS} times: p50 {told[FLIPS // 2]:.2f} s, slowest {told[-1]:.2f} s")
    assert told[-1] <= SEEN_SECONDS_MAX


def _set_ready(cluster: Any, pod: str, *, ready: bool) -> None:
    condition = {"type": "Ready", "status": str(ready)}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/status"
    content_type = "application/strategic-merge-patch+json"
    cluster._call("PATCH", path, {}, {"status": {"conditions": [condition]}}, content_type)


def _await_ready(cast: Cast, word: str) -> None:
    give_up_at = time.monotonic() + STEP_SECONDS_MAX
    while [pod["ready"] for pod in cast.free.pods("compute")] != [word]:
        assert time.monotonic() < give_up_at, f"the pod is not {word}"
        time.sleep(0.01)


# --- afterwards -------------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_any_of_them_and_nothing_was_held_twice(
    cast: Cast, installation: Installation, witness: Witness, last_before: int
) -> None:
    cast.leave()
    assert left_of_jobs(installation) == []
    assert left_on_nodes(installation) == []
    assert left_in_ledger(installation) == []
    assert not {f"{cluster}/{name}" for cluster in installation.stack.clusters() for name in (NAMESPACE, LIMITED)} & {
        *workspace_namespaces(installation)
    }
    assert [*witness.complaints, *double_grants(installation.tables.rows(EVENTS))] == []
    assert writes_beside_leases(installation) == []
    mended = [
        one for row in installation.tables.rows(DRIFT) if row["id"] > last_before for one in row["detail"]["mended"]
    ]
    assert [one for one in mended if not one.startswith(CEILING)] == []
