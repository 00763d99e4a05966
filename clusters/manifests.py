"""The objects that Berth writes into a cluster, as they go over the wire, and where each of them lives. Pure.

Names come from what they stand for, so that writing them twice is writing them once. The cluster-wide objects are YAML
beside this file, because they are read by people who decide whether to let them in.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import yaml

from domain.identifiers import LABEL_DOMAIN, WORKSPACE_LABEL, access_anchor_name
from domain.slices import GPU_RESOURCE
from domain.workspace import Tenancy

Json = dict[str, Any]

MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "berth"}
UNMANAGED_LABEL: Final = f"{LABEL_DOMAIN}/unmanaged"
FENCE_LABEL: Final = f"{LABEL_DOMAIN}/fence"
REPLICAS_ANNOTATION: Final = f"{LABEL_DOMAIN}/replicas"
SUSPENDED_ANNOTATION: Final = f"{LABEL_DOMAIN}/suspended"
QUARANTINE_ANNOTATION: Final = f"{LABEL_DOMAIN}/quarantine"
TENANT_ROLE: Final = "berth-tenant"
TENANT_ACCOUNT: Final = "berth-user"
CEILING: Final = "berth-ceiling"
GPUS_CEILING: Final = 4096
"""Of a namespace without a quota."""

_SHIPPED_DOMAIN = "berth.io"
_COLLECTIONS: Final = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "MutatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "ResourceQuota": "/api/v1/namespaces/{namespace}/resourcequotas",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}


def path_of(manifest: Json) -> str:
    """Where this object lives."""
    metadata = manifest["metadata"]
    collection = _COLLECTIONS[manifest["kind"]].format(namespace=metadata.get("namespace", ""))
    return f"{collection}/{metadata['name']}"


def cluster_manifests() -> list[Json]:
    """What every registered cluster needs once: policies, the tenants' role, priority classes."""
    shipped = sorted((files("clusters") / "policies").iterdir(), key=lambda file: file.name)
    texts = [file.read_text().replace(_SHIPPED_DOMAIN, LABEL_DOMAIN) for file in shipped if file.name.endswith(".yaml")]
    return [_labelled(manifest) for text in texts for manifest in yaml.safe_load_all(text)]


def namespace_manifest(tenant: str, name: str) -> Json:
    """A namespace of a workspace."""
    labels = {**MANAGED_BY, WORKSPACE_LABEL: tenant, "pod-security.kubernetes.io/enforce": "baseline"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def tenancy_manifests(tenancy: Tenancy) -> list[Json]:
    """What a workspace needs in its namespaces: one account, and in each namespace its rights, ceiling and fence."""
    account = _namespaced("v1", "ServiceAccount", tenancy.namespaces[0], TENANT_ACCOUNT, {})
    return [
        account,
        *(manifest for namespace in tenancy.namespaces for manifest in _namespace_contents(tenancy, namespace)),
    ]


def access_anchor_manifest(namespace: str, fence: int) -> Json:
    """The Secret that a kubeconfig is bound to for as long as a lease lives. It holds nothing."""
    anchor = _namespaced("v1", "Secret", namespace, access_anchor_name(fence), {"type": "Opaque"})
    anchor["metadata"]["labels"][FENCE_LABEL] = str(fence)
    return anchor


def probe_pod_manifest(namespace: str) -> Json:
    """A pod that asks for a GPU; only ever sent as a dry run, to see what admission makes of it."""
    container = {"name": "probe", "image": "probe", "resources": {"limits": {GPU_RESOURCE: "1"}}}
    return _namespaced("v1", "Pod", namespace, "berth-probe", {"spec": {"containers": [container]}})


def ceiling_spec(gpus: int | None) -> Json:
    """So many GPUs at most; None: far more than a mistake may ask for."""
    return {"hard": {f"requests.{GPU_RESOURCE}": str(GPUS_CEILING if gpus is None else gpus)}}


def _namespace_contents(tenancy: Tenancy, namespace: str) -> list[Json]:
    rbac, subject = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": TENANT_ACCOUNT}
    binding = {
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": TENANT_ROLE},
        "subjects": [{**subject, "namespace": tenancy.namespaces[0]}],
    }
    ceiling = {"spec": ceiling_spec(None)}
    own_pods = {"namespaceSelector": {"matchLabels": {WORKSPACE_LABEL: tenancy.tenant}}}
    ingress = {"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [own_pods]}]}}
    return [
        _namespaced(f"{rbac}/v1", "RoleBinding", namespace, TENANT_ROLE, binding),
        _namespaced("v1", "ResourceQuota", namespace, CEILING, ceiling),
        _namespaced("networking.k8s.io/v1", "NetworkPolicy", namespace, "berth-default-deny-ingress", ingress),
    ]


def _namespaced(api_version: str, kind: str, namespace: str, name: str, content: Json) -> Json:
    metadata = {"name": name, "namespace": namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _labelled(manifest: Json) -> Json:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **MANAGED_BY}}}
