"""Pools and quotas, in each form in which they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from api.dialects.gpuctl.limits import Limits
from api.dialects.gpuctl.pool_document import (
    PoolChange,
    PoolNode,
    PoolOrder,
    pool_content_of,
    read_pool,
    read_pool_change,
)
from api.dialects.gpuctl.quota_document import NamespaceLimits, QuotaOrder, quota_content_of, read_quota
from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml
from api.problems import InvalidFields
from domain.failures import InvalidRequest

POOL = """
kind: pool
version: v0.1
pool: {name: fast, description: the fast ones}
nodes:
  node1: {gpu-type: a100-80g}
  node2.rack: {gpuType: t4}
  node3:
"""
QUOTA = """
kind: quota
version: v0.1
quota: {name: teams, description: both}
default: {cpu: 20, memory: 40Gi, gpu: 2}
namespace:
  team-a: {cpu: 0.5, memory: 1Ti, gpu: 8}
  team-b: {gpu: 0}
  team-c:
"""
FAST = PoolOrder(
    "fast", "the fast ones", (PoolNode("node1", "a100-80g"), PoolNode("node2.rack", "t4"), PoolNode("node3"))
)
TEAMS = QuotaOrder(
    "teams",
    "both",
    (
        NamespaceLimits("default", Limits("20", "40Gi", 2)),
        NamespaceLimits("team-a", Limits("500m", "1Ti", 8)),
        NamespaceLimits("team-b", Limits(gpus=0)),
        NamespaceLimits("team-c", Limits()),
    ),
)
WRONG_POOLS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "pool"}, "pool: is required"),
    ({"kind": "pool", "pool": {"name": "Fast"}}, "pool.name: 'Fast' is not a name"),
    ({"kind": "pool", "pool": {"name": "a"}, "nodes": ["n"]}, "nodes: must be a mapping, not a list"),
    ({"kind": "pool", "pool": {"name": "a"}, "nodes": {"n": {"gpu": 1}}}, "nodes.n.gpu: there is no such field"),
    ({"kind": "pool", "pool": {"name": "a"}, "nodes": {"N_1": {}}}, "'N_1' is not a name"),
    ({"pool": {"name": "a"}}, "kind: is required: one of pool"),
    ({"description": "x"}, "name: is required"),
    ({"name": "a", "nodes": {"n": {}}}, "nodes: must be a list, not a mapping"),
    ({"name": "a", "gpuTypes": []}, "gpuTypes: there is no such field (did you mean 'gpu-type'?)"),
    ({"name": "a", "quota": {"gpus": 1}}, "quota.gpus: there is no such field (did you mean 'gpu'?)"),
]
NAMED = "kind: quota\nquota: {name: a}\n"
WRONG_QUOTAS = [
    ("kind: quota\nnamespace: {a: {}}", "quota: is required"),
    (NAMED, "namespace: must name at least one namespace (line 1)"),
    (f"{NAMED}namespace:\n  a: {{gpu: -1}}", "namespace.a.gpu: must be at least 0, not the number -1 (line 4)"),
    (f"{NAMED}namespace:\n  a: {{memory: 1GB}}", "namespace.a.memory: '1GB' is not an amount of memory"),
    (f"{NAMED}namespace:\n  a: {{memroy: 1}}", "namespace.a.memroy: there is no such field (did you mean 'memory'?)"),
    (f"{NAMED}namespace:\n  A: {{}}", "'A' is not a name"),
    (f"{NAMED}default: {{}}\nnamespace: {{default: {{}}}}", "namespace.default: has limits already"),
    (f"{NAMED}namespace: [a]", "namespace: must be a mapping, not a list"),
]


def test_a_pool_is_read_from_yaml() -> None:
    assert read_pool(load_yaml(POOL)) == FAST
    assert read_pool(load_yaml(POOL.replace("pool: {", "metadata: {"))) == FAST


def test_a_pool_is_read_from_a_flat_body() -> None:
    body = {"name": "fast", "nodes": ["a", "b", "a"], "gpuType": ["t4"], "quota": {"gpu": 4, "cpu": "8"}}
    assert read_pool(YamlDocument(body)) == PoolOrder(
        "fast", "", (PoolNode("a"), PoolNode("b")), ("t4",), Limits(cpu="8", gpus=4)
    )


def test_nulls_of_a_body_were_not_given() -> None:
    body = {"name": "fast", "description": None, "nodes": None, "gpuType": None, "quota": None}
    assert read_pool(YamlDocument(body)) == PoolOrder("fast")


@pytest.mark.parametrize(("content", "sentence"), WRONG_POOLS)
def test_what_is_wrong_with_a_pool_is_said(content: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        read_pool(YamlDocument(content))
    assert sentence in refused.value.message


def test_a_pool_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Unsupported kind: quota"):
        read_pool(load_yaml(QUOTA))


def test_a_pool_comes_out_as_it_went_in() -> None:
    assert read_pool(YamlDocument(pool_content_of(FAST))) == FAST


def test_a_change_of_a_pool_names_only_what_changes() -> None:
    assert read_pool_change(YamlDocument({"nodes": []})) == (None, PoolChange(nodes=()))
    assert read_pool_change(YamlDocument({"description": ""})) == (None, PoolChange(description=""))
    assert read_pool_change(YamlDocument({})) == (None, PoolChange())


def test_a_change_of_a_pool_may_be_the_whole_document() -> None:
    assert read_pool_change(load_yaml(POOL)) == ("fast", PoolChange("the fast ones", FAST.nodes))


def test_a_quota_is_read_and_comes_out_as_it_went_in() -> None:
    assert read_quota(load_yaml(QUOTA)) == TEAMS
    assert read_quota(load_yaml(QUOTA.replace("quota: {", "metadata: {"))) == TEAMS
    assert read_quota(YamlDocument(quota_content_of(TEAMS))) == TEAMS


@pytest.mark.parametrize(("text", "sentence"), WRONG_QUOTAS)
def test_what_is_wrong_with_a_quota_is_said(text: str, sentence: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        read_quota(load_yaml(text))
    assert sentence in refused.value.message
