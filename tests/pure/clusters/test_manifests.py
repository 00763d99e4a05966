from __future__ import annotations

import yaml

from clusters.manifests import access_anchor_manifest, cluster_manifests, path_of, tenancy_manifests
from tests.builders_clusters import a_tenancy


def test_every_shipped_object_has_a_place_and_says_that_it_is_berths() -> None:
    manifests = cluster_manifests()
    assert len({path_of(manifest) for manifest in manifests}) == len(manifests)
    assert all(manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "berth" for manifest in manifests)


def test_every_policy_is_bound_and_every_binding_has_its_policy() -> None:
    kinds = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")
    policies = {one["metadata"]["name"] for one in cluster_manifests() if one["kind"] in kinds}
    bound = {one["spec"]["policyName"] for one in cluster_manifests() if one["kind"].endswith("PolicyBinding")}
    assert policies == bound


def test_the_tenants_role_can_neither_mint_nor_bind_nor_impersonate() -> None:
    (role,) = [one for one in cluster_manifests() if one["kind"] == "ClusterRole"]
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert not resources & {"serviceaccounts/token", "serviceaccounts", "pods/binding", "rolebindings", "nodes", "*"}
    assert not verbs & {"impersonate", "bind", "escalate", "*", "deletecollection"}


def test_no_priority_class_ever_preempts() -> None:
    classes = [one for one in cluster_manifests() if one["kind"] == "PriorityClass"]
    assert [one["preemptionPolicy"] for one in classes] == ["Never"] * 3


def test_a_workspace_has_one_account_and_rights_ceiling_and_fence_in_each_namespace() -> None:
    tenancy = a_tenancy(namespaces=2)
    manifests = tenancy_manifests(tenancy)
    kinds = [manifest["kind"] for manifest in manifests]
    assert [kinds.count(kind) for kind in ("ServiceAccount", "RoleBinding", "ResourceQuota", "NetworkPolicy")] == [
        1,
        2,
        2,
        2,
    ]
    subjects = [subject for manifest in manifests for subject in manifest.get("subjects", [])]
    assert {subject["namespace"] for subject in subjects} == {tenancy.namespaces[0]}


def test_pods_of_one_workspace_reach_one_another_and_nobody_else_reaches_them() -> None:
    tenancy = a_tenancy()
    (policy,) = [one for one in tenancy_manifests(tenancy) if one["kind"] == "NetworkPolicy"]
    own = {"namespaceSelector": {"matchLabels": {"berth.io/workspace": tenancy.tenant}}}
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [own]}]}


def test_an_anchor_holds_nothing_and_carries_its_fence() -> None:
    anchor = access_anchor_manifest("alpha-0", 17)
    assert path_of(anchor) == "/api/v1/namespaces/alpha-0/secrets/berth-access-17"
    assert "data" not in anchor
    assert anchor["metadata"]["labels"]["berth.io/fence"] == "17"


def test_manifests_are_plain_values() -> None:
    assert yaml.safe_dump(tenancy_manifests(a_tenancy()))
