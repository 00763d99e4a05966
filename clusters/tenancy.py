"""A workspace on a cluster: its namespaces and what stands in them, made and taken away whole."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.holders import asked_count
from clusters.manifests import namespace_manifest, path_of, probe_pod_manifest, tenancy_manifests
from clusters.observations import why_namespace_stays
from domain.failures import ClusterRefused, NamespaceNotOurs, NotReadyYet
from domain.identifiers import WORKSPACE_LABEL, token_key
from domain.workspace import Tenancy

Json = dict[str, Any]

EFFECT_SECONDS_MAX: Final = 5.0
"""A new namespace has its default account, its quota's first count and its policies within a second or so."""
EFFECT_SECONDS_STEP: Final = 0.1


@dataclass(frozen=True, slots=True)
class NamespaceLeft:
    """A namespace of a workspace that is still there, and what it says about why."""

    name: str
    why: str


def apply_tenancy(connection: ClusterConnection, tenancy: Tenancy) -> None:
    """Make the workspace's namespaces and what stands in them; on return a GPU pod created there gets its tokens."""
    for name in tenancy.namespaces:
        _make_namespace(connection, tenancy, name)
    for manifest in tenancy_manifests(tenancy):
        connection.apply(path_of(manifest), manifest)
    for name in tenancy.namespaces:
        _wait_for_effect(connection, tenancy, name)


def delete_tenancy(connection: ClusterConnection, tenant: str, namespaces: Collection[str]) -> None:
    """Begin to delete those of the namespaces that are this workspace's. Others by these names are left alone."""
    for name in namespaces:
        namespace = connection.find(_path(name))
        if namespace and _tenant_of(namespace) == tenant and not _is_terminating(namespace):
            _delete(connection, namespace)


def namespaces_left(connection: ClusterConnection, tenant: str) -> list[NamespaceLeft]:
    """The workspace's namespaces that are still there."""
    found = connection.items("/api/v1/namespaces", labelSelector=f"{WORKSPACE_LABEL}={tenant}")
    return [NamespaceLeft(namespace["metadata"]["name"], why_namespace_stays(namespace)) for namespace in found]


def _make_namespace(connection: ClusterConnection, tenancy: Tenancy, name: str) -> None:
    manifest = namespace_manifest(tenancy.tenant, name)
    try:
        namespace = connection.create("/api/v1/namespaces", manifest)
    except ObjectConflict:
        namespace = connection.get(_path(name))
    _check_ours(connection, tenancy, namespace)
    connection.apply(_path(name), manifest)


def _check_ours(connection: ClusterConnection, tenancy: Tenancy, namespace: Json) -> None:
    name = namespace["metadata"]["name"]
    if _is_terminating(namespace):
        why = why_namespace_stays(namespace)
        raise NotReadyYet(f"namespace {name} of cluster {connection.name} is still being deleted: {why}")
    if _tenant_of(namespace) != tenancy.tenant:
        message = f"namespace {name} of cluster {connection.name} was not made for workspace {tenancy.workspace_name}"
        raise NamespaceNotOurs(message, cluster=connection.name, namespace=name)


def _wait_for_effect(connection: ClusterConnection, tenancy: Tenancy, namespace: str) -> None:
    deadline = time.monotonic() + EFFECT_SECONDS_MAX
    while trouble := _trouble(connection, tenancy, namespace):
        if time.monotonic() > deadline:
            raise NotReadyYet(
                f"namespace {namespace} of cluster {connection.name} does not take GPU pods yet: {trouble}"
            )
        time.sleep(EFFECT_SECONDS_STEP)


def _trouble(connection: ClusterConnection, tenancy: Tenancy, namespace: str) -> str:
    """What admission still makes of a GPU pod that it should not: asked by a dry run."""
    try:
        pod = connection.create(f"/api/v1/namespaces/{namespace}/pods", probe_pod_manifest(namespace), dryRun="All")
    except (ClusterRefused, NotReadyYet) as refused:
        return refused.message
    key = token_key(tenancy.tenant)
    return (
        "" if asked_count(pod["spec"], key) == 1 else f"the policy that makes GPU pods ask for {key} is not in effect"
    )


def _delete(connection: ClusterConnection, namespace: Json) -> None:
    try:
        connection.delete(_path(namespace["metadata"]["name"]), uid=namespace["metadata"]["uid"])
    except (ObjectMissing, ObjectConflict):
        return  # gone, or replaced by a namespace that is not the one we meant


def _path(name: str) -> str:
    return f"/api/v1/namespaces/{name}"


def _tenant_of(namespace: Json) -> str:
    labels = namespace["metadata"].get("labels") or {}
    return str(labels.get(WORKSPACE_LABEL, ""))


def _is_terminating(namespace: Json) -> bool:
    return "deletionTimestamp" in namespace["metadata"]
