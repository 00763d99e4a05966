from __future__ import annotations

import pytest

from clusters.observations import (
    foreign_gpus,
    kept_off_daemon_sets,
    left_out_because,
    node_fingerprint,
    node_tokens,
    observed_node,
    why_namespace_stays,
)
from tests.builders_clusters import GPU, TOKEN, Json, a_bound_pod, a_daemon_set, a_node_object


def test_a_healthy_node_is_ready_schedulable_and_has_nothing_to_say() -> None:
    seen = observed_node(a_node_object(), {GPU: 2})
    assert (seen.ready, seen.schedulable, seen.condition, seen.gpus, seen.foreign_gpus) == (True, True, "", 8, 2)


def test_a_node_without_labels_has_an_unknown_shape_and_no_memory() -> None:
    bare = a_node_object()
    bare["metadata"]["labels"] = None
    seen = observed_node(bare)
    assert (seen.shape, seen.memory_mib, seen.instance_type) == ("unknown", 0, "")


def test_the_cloud_is_read_from_the_providers_id() -> None:
    node = a_node_object()
    node["spec"]["providerID"] = "aws:///us-east-1a/i-0123"
    assert observed_node(node).cloud_provider == "aws"


def test_a_node_that_never_reported_is_not_ready() -> None:
    node = a_node_object()
    node["status"]["conditions"] = []
    assert observed_node(node).condition == "not ready: no report from the node"


@pytest.mark.parametrize("key", ["berth.io/managed", GPU])
def test_taints_that_gpu_pods_tolerate_keep_nothing_off(key: str) -> None:
    assert observed_node(a_node_object(taints=[{"key": key, "effect": "NoSchedule"}])).schedulable


@pytest.mark.parametrize(
    ("taint", "says"),
    [
        ({"key": "team/other", "effect": "NoSchedule"}, "taint team/other:NoSchedule"),
        ({"key": GPU, "effect": "NoExecute"}, f"taint {GPU}:NoExecute"),
        ({"key": "berth.io/quarantine", "effect": "NoSchedule"}, "quarantined: no reason kept"),
    ],
)
def test_other_hard_taints_keep_leases_off_and_are_named(taint: Json, says: str) -> None:
    seen = observed_node(a_node_object(taints=[taint]))
    assert (seen.schedulable, seen.condition) == (False, says)


def test_a_soft_taint_keeps_nothing_off() -> None:
    assert observed_node(a_node_object(taints=[{"key": "x", "effect": "PreferNoSchedule"}])).schedulable


def test_a_cordon_is_said_once() -> None:
    node = a_node_object(taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])
    node["spec"]["unschedulable"] = True
    assert observed_node(node).condition == "cordoned"


def test_a_node_with_a_sick_gpu_takes_no_new_leases_and_keeps_its_size() -> None:
    node = a_node_object()
    node["status"]["allocatable"][GPU] = "7"
    seen = observed_node(node)
    assert (seen.gpus, seen.schedulable, seen.condition) == (8, False, "1 of 8 GPUs are not healthy")


@pytest.mark.parametrize("labels", [{"nvidia.com/gpu.count": "4"}, {"berth.io/unmanaged": "true"}])
def test_nodes_that_cannot_be_leased_are_left_out_for_a_reason(labels: Json) -> None:
    assert left_out_because(a_node_object(labels=labels))


def test_a_node_of_whole_gpus_is_not_left_out() -> None:
    assert not left_out_because(a_node_object(labels={"nvidia.com/gpu.replicas": "1"}))


def test_tokens_count_as_the_scheduler_counts_them() -> None:
    node = a_node_object()
    node["status"]["capacity"] |= {TOKEN: "4", "beta-1.berth.io/gpu": "2"}
    node["status"]["allocatable"] |= {TOKEN: "3"}
    assert node_tokens(node) == {TOKEN: 3, "beta-1.berth.io/gpu": 0}


def test_heartbeats_and_tokens_leave_a_fingerprint_and_hardware_changes_it() -> None:
    before, after = a_node_object(), a_node_object(taints=[{"key": "berth.io/managed", "effect": "NoSchedule"}])
    after["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:05:00Z"
    after["status"]["allocatable"][TOKEN] = "4"
    assert node_fingerprint(before) == node_fingerprint(after)
    assert node_fingerprint(before) != node_fingerprint(a_node_object(gpus=4))


def test_only_living_pods_outside_workspaces_are_foreign() -> None:
    ours, theirs = a_bound_pod(), a_bound_pod(namespace="kube-system", count=2)
    over = a_bound_pod(namespace="default", phase="Succeeded")
    assert foreign_gpus([ours, theirs, over], frozenset({"alpha-0"})) == {"gpu-1": {GPU: 2}}


def test_daemon_sets_that_belong_on_gpu_nodes_must_tolerate_berth() -> None:
    node = a_node_object(labels={"nvidia.com/gpu.present": "true"})
    plugin = a_daemon_set("plugin", nodeSelector={"nvidia.com/gpu.present": "true"}, tolerations=[{"key": GPU}])
    elsewhere = a_daemon_set("elsewhere", nodeSelector={"disk": "ssd"})
    network = a_daemon_set("network", tolerations=[{"operator": "Exists"}])
    friendly = a_daemon_set("friendly", tolerations=[{"key": "berth.io/managed", "operator": "Exists"}])
    assert kept_off_daemon_sets([plugin, elsewhere, network, friendly], [node]) == ["system/plugin"]


def test_a_namespace_says_why_it_stays() -> None:
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 resource instances"},
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all is well"},
    ]
    going = {"status": {"phase": "Terminating", "conditions": conditions}}
    assert why_namespace_stays(going) == "pods. has 1 resource instances"
    assert why_namespace_stays({"status": {"phase": "Terminating"}}) == "its contents are being deleted"
    assert why_namespace_stays({"status": {"phase": "Active"}}) == "its deletion has not begun"
