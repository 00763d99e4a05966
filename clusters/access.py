"""Kubeconfigs that end: tokens for a workspace's account, bound where wanted to a Secret that dies with a lease.

Kubernetes stops accepting a bound token within about ten seconds of its Secret's deletion (the API server remembers
successes that long). Who may have a kubeconfig, and when, is decided elsewhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import yaml

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.manifests import FENCE_LABEL, TENANT_ACCOUNT, access_anchor_manifest, path_of
from domain.failures import FenceLost, NotReadyYet
from domain.workspace import Tenancy

Json = dict[str, Any]

SECONDS_MIN: Final = 600
"""Kubernetes issues no token for less."""
SECONDS_MAX: Final = 3600
"""Longer is a new token, so that somebody who left a workspace is out within the hour."""


@dataclass(frozen=True, slots=True)
class IssuedKubeconfig:
    """A kubeconfig, and when its token really ends: the cluster may give less, or more, than was asked."""

    text: str
    expires_at: datetime


def make_anchor(connection: ClusterConnection, namespace: str, fence: int) -> None:
    """Make the Secret that a lease's kubeconfigs are bound to. Its name is the lease's, so twice is once."""
    anchor = access_anchor_manifest(namespace, fence)
    try:
        connection.create(_secrets(namespace), anchor)
    except ObjectConflict:
        return


def revoke_anchor(connection: ClusterConnection, namespace: str, fence: int) -> None:
    """End every kubeconfig bound to this lease."""
    try:
        connection.delete(path_of(access_anchor_manifest(namespace, fence)))
    except ObjectMissing:
        return


def anchors(connection: ClusterConnection, namespace: str) -> list[int]:
    """The fences of the leases whose kubeconfigs are alive."""
    found = connection.items(_secrets(namespace), labelSelector=FENCE_LABEL)
    return sorted(int(secret["metadata"]["labels"][FENCE_LABEL]) for secret in found)


def issue_kubeconfig(
    connection: ClusterConnection, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
) -> IssuedKubeconfig:
    """A kubeconfig for the workspace's namespaces here; FenceLost where the lease it was to end with is over."""
    status = _request_token(connection, tenancy, anchor, expires_in_seconds)
    content = kubeconfig(connection, tenancy, status["token"])
    return IssuedKubeconfig(
        yaml.safe_dump(content, sort_keys=False), datetime.fromisoformat(status["expirationTimestamp"])
    )


def kubeconfig(connection: ClusterConnection, tenancy: Tenancy, token: str) -> Json:
    """A kubeconfig's content."""
    context_name = f"{tenancy.workspace_name}@{connection.name}"
    context = {"cluster": connection.name, "user": context_name, "namespace": tenancy.namespaces[0]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context_name,
        "clusters": [{"name": connection.name, "cluster": _cluster(connection)}],
        "contexts": [{"name": context_name, "context": context}],
        "users": [{"name": context_name, "user": {"token": token}}],
    }


def merged(issued: Sequence[IssuedKubeconfig]) -> IssuedKubeconfig:
    """One kubeconfig for several clusters: the first one's context is current, the first to end says when it ends."""
    contents = [yaml.safe_load(one.text) for one in issued]
    together = {
        **contents[0],
        **{
            part: [entry for content in contents for entry in content[part]]
            for part in ("clusters", "contexts", "users")
        },
    }
    return IssuedKubeconfig(yaml.safe_dump(together, sort_keys=False), min(one.expires_at for one in issued))


def _request_token(
    connection: ClusterConnection, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
) -> Json:
    namespace = tenancy.namespaces[0]
    spec: Json = {"expirationSeconds": min(SECONDS_MAX, max(SECONDS_MIN, expires_in_seconds))}
    if anchor is not None:
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": anchor}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{TENANT_ACCOUNT}/token"
    try:
        status: Json = connection.create(path, request)["status"]
    except ObjectMissing as missing:
        raise _without(anchor, missing) from missing
    return status


def _without(anchor: str | None, missing: ObjectMissing) -> FenceLost | NotReadyYet:
    if anchor is not None and missing.details["object_kind"] == "secrets":
        return FenceLost(f"the lease that this kubeconfig was to end with has ended ({anchor} is gone)")
    return NotReadyYet(f"the workspace is not complete on this cluster: {missing.message}")


def _cluster(connection: ClusterConnection) -> Json:
    content = {"server": connection.server}
    if connection.certificate_authority:
        content["certificate-authority-data"] = b64encode(connection.certificate_authority.encode()).decode()
    if connection.tls_server_name:
        content["tls-server-name"] = connection.tls_server_name
    return content


def _secrets(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets"
