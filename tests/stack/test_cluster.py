"""One cluster of its own, because these tests kill its components; each leaves it running."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from cli.stack import storage
from cli.stack.control_plane import API_SERVER, COMPONENTS, KWOK, SNAPSHOTS
from cli.stack.nodes import GpuNode
from cli.stack.testing import running_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.stack.cluster import Cluster

PODS = "/api/v1/namespaces/default/pods"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
SNAPSHOT_KINDS = "/apis/snapshot.storage.k8s.io/v1"
COPIES = f"{SNAPSHOT_KINDS}/namespaces/default/volumesnapshots"
AUDIT_LIMITS = ("--audit-log-maxsize", "--audit-log-maxbackup")


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with running_cluster([GpuNode("gpu-1", gpus=8), GpuNode("gpu-2", gpus=8)], name="worker-9") as cluster:
        yield cluster


def a_pod(cluster: Cluster, name: str, **annotations: str) -> None:
    known = {f"kwok.berth.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    container = {"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    body = {"metadata": {"name": name, "annotations": known}, "spec": spec}
    assert cluster.api.request("POST", PODS, body).status == 201


def pod(cluster: Cluster, name: str) -> Any:
    return cluster.api.request("GET", f"{PODS}/{name}").json()


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def phase(cluster: Cluster, name: str) -> str:
    return str(pod(cluster, name)["status"].get("phase"))


def test_a_pod_runs_until_it_is_deleted(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "plain")
    eventually(lambda: phase(own_cluster, "plain") == "Running")
    own_cluster.api.request("DELETE", f"{PODS}/plain")
    eventually(lambda: own_cluster.api.request("GET", f"{PODS}/plain").status == 404)


def test_a_pod_starts_late_and_completes_when_its_annotations_say_so(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "late", start="300ms", run="300ms")
    eventually(lambda: bool(pod(own_cluster, "late")["spec"].get("nodeName")))
    assert phase(own_cluster, "late") == "Pending"
    eventually(lambda: phase(own_cluster, "late") == "Succeeded")


def test_a_pod_fails_with_the_reason_and_exit_code_asked_for(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "oom", fail="OOMKilled", exit_code="137")
    eventually(lambda: phase(own_cluster, "oom") == "Failed")
    ended = pod(own_cluster, "oom")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_pod_waits_for_a_reason_until_the_annotation_goes(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "pulling", wait_reason="ImagePullBackOff")
    eventually(lambda: "containerStatuses" in pod(own_cluster, "pulling")["status"])
    waiting = pod(own_cluster, "pulling")["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    annotate(own_cluster, f"{PODS}/pulling", "wait-reason", None)
    eventually(lambda: phase(own_cluster, "pulling") == "Running")


def test_a_held_pod_stays_terminating_until_the_annotation_goes(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "held", hold_delete="true")
    eventually(lambda: phase(own_cluster, "held") == "Running")
    own_cluster.api.request("DELETE", f"{PODS}/held?gracePeriodSeconds=1")
    time.sleep(0.5)
    assert "deletionTimestamp" in pod(own_cluster, "held")["metadata"]
    annotate(own_cluster, f"{PODS}/held", "hold-delete", None)
    eventually(lambda: own_cluster.api.request("GET", f"{PODS}/held").status == 404)


def test_a_node_is_not_ready_while_annotated(own_cluster: Cluster) -> None:
    annotate(own_cluster, "/api/v1/nodes/gpu-2", "not-ready", "unplugged")
    eventually(lambda: ready_status(own_cluster, "gpu-2") == "False")
    own_cluster.start()
    annotate(own_cluster, "/api/v1/nodes/gpu-2", "not-ready", None)
    eventually(lambda: ready_status(own_cluster, "gpu-2") == "True")


def test_what_was_written_into_a_nodes_status_outlives_a_restart_of_everything(own_cluster: Cluster) -> None:
    token = [
        {"op": "add", "path": f"/status/{each}/a.berth.io~1gpu", "value": "3"} for each in ("capacity", "allocatable")
    ]
    patch(own_cluster, "/api/v1/nodes/gpu-1/status", token, "application/json-patch+json")
    own_cluster.stop()
    own_cluster.start()
    status = own_cluster.api.request("GET", "/api/v1/nodes/gpu-1").json()["status"]
    assert status["allocatable"]["a.berth.io/gpu"] == status["capacity"]["a.berth.io/gpu"] == "3"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_killed_component_comes_back_and_pods_run_again(own_cluster: Cluster, component: str) -> None:
    own_cluster.kill(component)
    assert not own_cluster.is_running(component)
    own_cluster.start()
    a_pod(own_cluster, f"after-{component}")
    eventually(lambda: phase(own_cluster, f"after-{component}") == "Running", seconds=15)


def a_claim(cluster: Cluster, name: str) -> None:
    spec = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "10Gi"}}}
    assert cluster.api.request("POST", CLAIMS, {"metadata": {"name": name}, "spec": spec}).status == 201


def a_copy(cluster: Cluster, name: str) -> None:
    """Of the claim by the same name, with the class that counts where none is named."""
    kind = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
    spec = {"source": {"persistentVolumeClaimName": name}}
    assert cluster.api.request("POST", COPIES, {**kind, "metadata": {"name": name}, "spec": spec}).status == 201


def is_bound(cluster: Cluster, name: str) -> bool:
    return bool(cluster.api.request("GET", f"{CLAIMS}/{name}").json()["status"].get("phase") == "Bound")


def is_copied(cluster: Cluster, name: str) -> bool:
    return bool(cluster.api.request("GET", f"{COPIES}/{name}").json().get("status", {}).get("readyToUse"))


def stored(cluster: Cluster) -> list[dict[str, Any]]:
    """The volumes, and the contents of copies, that are behind claims and copies."""
    paths = ("/api/v1/persistentvolumes", f"{SNAPSHOT_KINDS}/volumesnapshotcontents")
    return [each for path in paths for each in cluster.api.request("GET", path).json()["items"]]


def test_a_claim_is_bound_and_copied_by_default_classes_and_all_of_it_goes(own_cluster: Cluster) -> None:
    a_claim(own_cluster, "plain")
    eventually(lambda: is_bound(own_cluster, "plain"))
    a_copy(own_cluster, "plain")
    eventually(lambda: is_copied(own_cluster, "plain"))
    for collection in (COPIES, CLAIMS):
        own_cluster.api.request("DELETE", f"{collection}/plain")
    eventually(lambda: not stored(own_cluster))


@pytest.mark.parametrize("component", [KWOK, SNAPSHOTS])
def test_a_copy_that_was_asked_for_while_a_part_was_away_is_made_once_it_is_back(
    own_cluster: Cluster, component: str
) -> None:
    a_claim(own_cluster, component)
    eventually(lambda: is_bound(own_cluster, component))
    own_cluster.kill(component)
    a_copy(own_cluster, component)
    time.sleep(0.5)
    assert not is_copied(own_cluster, component)
    own_cluster.start_component(component)
    eventually(lambda: is_copied(own_cluster, component), seconds=15)


def test_starting_again_leaves_what_stores_as_it_is(own_cluster: Cluster) -> None:
    paths = [*storage.kinds(own_cluster.plane.snapshots / "crds"), *storage.objects()]
    versions = [own_cluster.api.request("GET", path).json()["metadata"]["resourceVersion"] for path in paths]
    own_cluster.start()
    again = [own_cluster.api.request("GET", path).json()["metadata"]["resourceVersion"] for path in paths]
    assert again == versions


def test_other_users_have_only_the_rights_they_were_given(own_cluster: Cluster) -> None:
    assert status_as(own_cluster, "ann", "/version") == 200
    assert status_as(own_cluster, "ann", "/api/v1/nodes") == 403


def audited(cluster: Cluster, resource: str, verb: str, subresource: str = "") -> list[dict[str, Any]]:
    """Entries of the audit log about one kind of change."""
    entries = [json.loads(line) for line in cluster.audit_log.read_text().splitlines() if line.endswith("}")]
    wanted = {"resource": resource, **({"subresource": subresource} if subresource else {})}
    return [each for each in entries if each["verb"] == verb and wanted.items() <= each["objectRef"].items()]


def audited_soon(
    cluster: Cluster, kind: tuple[str, ...], about: Callable[[dict[str, Any]], object] = bool
) -> dict[str, Any]:
    """The newest entry about one kind of change that `about` accepts: an API server answers before its log is written."""
    eventually(lambda: any(about(each) for each in audited(cluster, *kind)))
    return [each for each in audited(cluster, *kind) if about(each)][-1]


def test_writes_are_audited_and_reads_are_not(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "audited")
    audited_soon(own_cluster, ("pods", "create"), lambda each: each["objectRef"].get("name") == "audited")
    verbs = {json.loads(line)["verb"] for line in own_cluster.audit_log.read_text().splitlines()}
    assert "create" in verbs
    assert not verbs & {"get", "list", "watch"}


def test_the_audit_log_says_who_wrote_which_token_on_a_node(own_cluster: Cluster) -> None:
    change = {"status": {"capacity": {"audit.berth.io/gpu": "2"}}}
    patch(own_cluster, "/api/v1/nodes/gpu-1/status", change, "application/merge-patch+json")
    entry = audited_soon(own_cluster, ("nodes", "patch", "status"), lambda each: each.get("requestObject") == change)
    assert (entry["user"]["username"], entry["objectRef"]["name"]) == ("admin", "gpu-1")


def test_the_audit_log_says_where_a_pod_was_bound_and_how_many_gpus_it_asked_for(own_cluster: Cluster) -> None:
    a_pod(own_cluster, "bound")
    eventually(lambda: phase(own_cluster, "bound") == "Running")
    binding = audited_soon(
        own_cluster, ("pods", "create", "binding"), lambda each: each["objectRef"]["name"] == "bound"
    )
    assert binding["user"]["username"] == "kube-scheduler"
    assert binding["requestObject"]["target"]["name"].startswith("gpu-")
    asked = audited_soon(own_cluster, ("pods", "create"), lambda each: "spec" in each.get("requestObject", {}))
    assert asked["requestObject"]["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_the_audit_log_shows_no_secret(own_cluster: Cluster) -> None:
    body = {"metadata": {"name": "hidden"}, "stringData": {"password": "must-not-be-logged"}}
    own_cluster.api.request("POST", "/api/v1/namespaces/default/secrets", body)
    spec = {"spec": {"expirationSeconds": 600}}
    answer = own_cluster.api.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", spec)
    assert audited_soon(own_cluster, ("secrets", "create"))["objectRef"]["namespace"] == "default"
    assert audited_soon(own_cluster, ("serviceaccounts", "create", "token"))["user"]["username"] == "admin"
    log = own_cluster.audit_log.read_text()
    assert "must-not-be-logged" not in log
    assert answer.json()["status"]["token"] not in log


def test_nothing_that_is_said_all_the_time_fills_the_audit_log(own_cluster: Cluster) -> None:
    entries = [json.loads(line) for line in own_cluster.audit_log.read_text().splitlines()]
    said_by_kwok = [each for each in entries if each["user"]["username"] == "kwok" and each["verb"] != "delete"]
    assert {each["objectRef"]["resource"] for each in said_by_kwok} <= {"persistentvolumes", "volumesnapshotcontents"}
    assert [each for each in said_by_kwok if each["objectRef"].get("subresource") == "status"] == []
    argv = own_cluster.plane.program(API_SERVER).argv
    limits = {name: int(value) for name, _, value in (each.partition("=") for each in argv) if name in AUDIT_LIMITS}
    megabytes = limits["--audit-log-maxsize"] * (1 + limits["--audit-log-maxbackup"])
    assert megabytes <= 150


def test_a_node_is_added_once_and_then_left_alone(own_cluster: Cluster) -> None:
    own_cluster.add_node(GpuNode("gpu-3", gpus=4))
    own_cluster.add_node(GpuNode("gpu-3", gpus=2))
    status = own_cluster.api.request("GET", "/api/v1/nodes/gpu-3").json()["status"]
    assert status["allocatable"]["nvidia.com/gpu"] == "4"


def annotate(cluster: Cluster, path: str, key: str, value: str | None) -> None:
    body = {"metadata": {"annotations": {f"kwok.berth.io/{key}": value}}}
    patch(cluster, path, body, "application/merge-patch+json")


def patch(cluster: Cluster, path: str, body: object, content_type: str) -> None:
    request = urllib.request.Request(cluster.url + path, json.dumps(body).encode(), method="PATCH")
    request.add_header("Content-Type", content_type)
    request.add_header("Authorization", f"Bearer {cluster.api.token}")
    with opened(request, ssl.create_default_context(cafile=cluster.api.ca_file)) as answer:
        assert answer.status == 200


def status_as(cluster: Cluster, user: str, path: str) -> int:
    cluster.kubeconfig_as(user)
    context = ssl.create_default_context(cafile=cluster.api.ca_file)
    context.load_cert_chain(
        cluster.plane.pki.folder / f"user-{user}.crt", cluster.plane.pki.folder / f"user-{user}.key"
    )
    try:
        with opened(urllib.request.Request(cluster.url + path), context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def opened(request: urllib.request.Request, context: ssl.SSLContext) -> Any:
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    return urllib.request.build_opener(*handlers).open(request, timeout=5)


def ready_status(cluster: Cluster, node: str) -> str:
    conditions = cluster.api.request("GET", f"/api/v1/nodes/{node}").json()["status"]["conditions"]
    return str(next(each["status"] for each in conditions if each["type"] == "Ready"))
