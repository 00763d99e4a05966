from __future__ import annotations

from datetime import UTC, datetime, timedelta

import yaml
from kubernetes.client import Configuration

from clusters.access import IssuedKubeconfig, kubeconfig, merged
from clusters.connection import ClusterConnection
from tests.builders_clusters import Json, a_tenancy

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def _connection(name: str) -> ClusterConnection:
    return ClusterConnection(name, Configuration(host=f"https://{name}:6443"))


def _issued(cluster: str, ends: datetime = NOON) -> IssuedKubeconfig:
    return IssuedKubeconfig(yaml.safe_dump(kubeconfig(_connection(cluster), a_tenancy(), f"t-{cluster}")), ends)


def _content(issued: IssuedKubeconfig) -> Json:
    content: Json = yaml.safe_load(issued.text)
    return content


def test_a_kubeconfig_opens_the_workspaces_first_namespace_on_its_cluster() -> None:
    tenancy = a_tenancy(namespaces=2)
    content = kubeconfig(_connection("west"), tenancy, "t")
    assert content["current-context"] == "alpha@west"
    assert content["contexts"][0]["context"] == {
        "cluster": "west",
        "user": "alpha@west",
        "namespace": tenancy.namespaces[0],
    }
    assert content["clusters"] == [{"name": "west", "cluster": {"server": "https://west:6443"}}]


def test_several_clusters_are_one_kubeconfig_with_the_first_ones_context_current() -> None:
    content = _content(merged([_issued("west"), _issued("east")]))
    assert content["current-context"] == "alpha@west"
    assert [context["name"] for context in content["contexts"]] == ["alpha@west", "alpha@east"]
    assert [user["user"]["token"] for user in content["users"]] == ["t-west", "t-east"]
    assert [cluster["name"] for cluster in content["clusters"]] == ["west", "east"]


def test_a_merged_kubeconfig_ends_with_the_first_of_its_tokens() -> None:
    soon = NOON - timedelta(minutes=5)
    assert merged([_issued("west"), _issued("east", soon)]).expires_at == soon


def test_merging_one_is_that_one() -> None:
    one = _issued("west")
    assert _content(merged([one])) == _content(one)
