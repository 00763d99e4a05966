"""What a cluster can do for Berth, and the cluster-wide objects that make it do so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clusters.connection import ClusterConnection
from clusters.disk_manifests import SNAPSHOT_GROUP
from clusters.disks import takes_snapshots
from clusters.failures import ObjectMissing
from clusters.inventory import leasable_nodes
from clusters.manifests import cluster_manifests, path_of
from clusters.observations import kept_off_daemon_sets
from domain.failures import ClusterRefused
from domain.hardware import ClusterCapabilities
from domain.identifiers import LABEL_DOMAIN, MANAGED_TAINT

_ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
_POLICY_KINDS: Final = frozenset({"mutatingadmissionpolicies", "validatingadmissionpolicies"})


@dataclass(frozen=True, slots=True)
class _Right:
    """Something that Berth's credentials must be allowed to do, and what follows where they are not."""

    verb: str
    resource: str
    without: str
    group: str = ""
    subresource: str = ""


_STATUS: Final = _Right(
    "patch", "nodes", "capacity tokens cannot be written, so no GPU can be held for a lease", subresource="status"
)
_TOKENS: Final = _Right("create", "serviceaccounts", "no kubeconfigs can be issued", subresource="token")
_OTHERS: Final = (
    _Right("patch", "nodes", "nodes cannot be kept for leases, nor set aside when something is stuck on them"),
    _Right("list", "pods", "what holds a GPU cannot be seen, so nothing can be released"),
    _Right("delete", "pods", "leases cannot be ended"),
    _Right("create", "namespaces", "no workspace can be made"),
    _Right("create", "secrets", "kubeconfigs cannot be made to end with their lease"),
    _Right("create", "rolebindings", "tenants cannot be given their rights", group="rbac.authorization.k8s.io"),
    _Right("assign", "leases", "no job of Berth's own can run", group=LABEL_DOMAIN),
    _Right("create", "jobs", "jobs of kind training cannot run", group="batch"),
    _Right("create", "deployments", "jobs of kind inference and compute cannot run", group="apps"),
    _Right("create", "statefulsets", "notebooks cannot run", group="apps"),
    _Right("create", "pods", "boxes cannot run"),
    _Right("create", "pods", "what lies on a disk is not listed", subresource="exec"),
    _Right("patch", "secrets", "boxes cannot be told who may enter"),
    _Right("create", "services", "jobs cannot be reached"),
    _Right("create", "persistentvolumes", "jobs cannot use folders of the nodes"),
    _Right("create", "persistentvolumeclaims", "boxes cannot have disks"),
    _Right("create", "volumesnapshots", "disks are not copied: they stay volumes", group=SNAPSHOT_GROUP),
    _Right("get", "pods", "logs cannot be read", subresource="log"),
    _Right("patch", "jobs", "jobs cannot be stopped at the end of a lease", group="batch"),
    _Right("patch", "deployments", "deployments cannot be stopped at the end of a lease", group="apps"),
)


def probe(connection: ClusterConnection) -> ClusterCapabilities:
    """Ask the cluster what it is and what Berth may do there. Changes nothing."""
    lacks = [_lack(right) for right in _OTHERS if not _is_allowed(connection, right)]
    lacks += [*_intolerances(connection), *_missing_snapshots(connection)]
    missing_policies = _missing_policy_kinds(connection)
    node_status, tokens = _is_allowed(connection, _STATUS), _is_allowed(connection, _TOKENS)
    required = [*missing_policies, *([] if node_status else [_lack(_STATUS)]), *([] if tokens else [_lack(_TOKENS)])]
    return ClusterCapabilities(
        version=str(connection.get("/version").get("gitVersion", "")),
        server=connection.server,
        admission_policies=not missing_policies,
        node_status_writable=node_status,
        token_requests=tokens,
        lacks=(*required, *lacks),
    )


def install(connection: ClusterConnection) -> None:
    """Apply the policies, the tenants' role and the priority classes. The same again writes nothing."""
    for manifest in cluster_manifests():
        connection.apply(path_of(manifest), manifest)


def _intolerances(connection: ClusterConnection) -> list[str]:
    try:
        names = kept_off_daemon_sets(connection.items("/apis/apps/v1/daemonsets"), leasable_nodes(connection))
    except ClusterRefused:
        return []  # what may not be seen is said with the rights
    return [
        f"DaemonSet {name} does not tolerate {MANAGED_TAINT}: its pods would not start again on GPU nodes kept by Berth"
        for name in names
    ]


def _missing_snapshots(connection: ClusterConnection) -> list[str]:
    try:
        if takes_snapshots(connection):
            return []
    except ClusterRefused:
        return []  # what may not be seen is said with the rights
    return ["has no VolumeSnapshotClass for its default storage class: disks are not copied, they stay volumes"]


def _missing_policy_kinds(connection: ClusterConnection) -> list[str]:
    try:
        served = {resource["name"] for resource in connection.get(_ADMISSION)["resources"]}
    except ObjectMissing:
        served = set()
    return [
        f"does not serve {kind} (v1, Kubernetes 1.36): pods could use GPUs without a lease"
        for kind in sorted(_POLICY_KINDS - served)
    ]


def _is_allowed(connection: ClusterConnection, right: _Right) -> bool:
    what = {"group": right.group, "resource": right.resource, "subresource": right.subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": right.verb, **what}},
    }
    answer = connection.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def _lack(right: _Right) -> str:
    what = "/".join(filter(None, [right.resource, right.subresource]))
    return f"its credentials may not {right.verb} {what}: {right.without}"
