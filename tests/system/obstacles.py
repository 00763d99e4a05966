"""What keeps a Gpr where it is for as long as a test wants: a broken webhook before a node, a pod that does not go.

Both are things that happen in real clusters, and both are taken away again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusters.failures import ObjectConflict, ObjectMissing
from domain.failures import BerthFailure, ClusterUnavailable
from tests.system.freedom import until

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection

Json = dict[str, Any]

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
GATE = "gate.test.example"
BERTH = "admin"
"""The user of the kubeconfig that the local stack gives to Berth."""
NOBODY = "https://127.0.0.1:1/"
EFFECT_SECONDS_MAX = 20.0
MERGE_PATCH = "application/merge-patch+json"
HOLD = "kwok.berth.io/hold-delete"


class Gate:
    """While it is shut, Berth cannot write the status of one node: its provisionings wait, and try again."""

    def __init__(self, cluster: ClusterConnection, node: str) -> None:
        self._cluster = cluster
        self._node = node

    def shut(self) -> None:
        """Put a webhook that does not answer in front of the node, and wait until it counts."""
        with suppress(ObjectConflict):
            self._cluster.create(WEBHOOKS, _webhook(self._node))
        until(self._is_shut, f"the gate before {self._node}", EFFECT_SECONDS_MAX)

    def open(self) -> None:
        """Take it away. A cluster that is away for a moment is asked again."""
        until(self._opened, f"the opening of the gate before {self._node}", EFFECT_SECONDS_MAX)

    def _opened(self) -> bool:
        try:
            self._cluster.delete(f"{WEBHOOKS}/{GATE}")
        except ObjectMissing:
            return True
        except BerthFailure:
            return False
        return True

    def _is_shut(self) -> bool:
        """Whether a write that would change nothing is refused; `dryRun` is asked of webhooks too."""
        path, change = f"/api/v1/nodes/{self._node}/status", {"status": {"capacity": {"test.example/gate": "1"}}}
        try:
            self._cluster._call("PATCH", path, {"dryRun": "All"}, change, MERGE_PATCH)
        except ClusterUnavailable as refusal:
            return "webhook" in refusal.message
        return False


def let_pod_go(cluster: ClusterConnection, namespace: str, pod: str) -> None:
    """Let a pod that was told to go, go."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
    until(lambda: _let_go(cluster, path), f"the end of the hold on {namespace}/{pod}", EFFECT_SECONDS_MAX)


def _let_go(cluster: ClusterConnection, path: str) -> bool:
    try:
        cluster.merge(path, {"metadata": {"annotations": {HOLD: None}}})
    except ObjectMissing:
        return True
    except BerthFailure:
        return False
    return True


def _webhook(node: str) -> Json:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["nodes/status"],
        "operations": ["UPDATE"],
        "scope": "Cluster",
    }
    webhook = {
        "name": GATE,
        "rules": [rule],
        "clientConfig": {"url": NOBODY},
        "matchConditions": [
            {"name": "node", "expression": f"request.name == '{node}'"},
            # the node's own heart goes on beating
            {"name": "berth", "expression": f"request.userInfo.username == '{BERTH}'"},
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 1,
        "admissionReviewVersions": ["v1"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": GATE},
        "webhooks": [webhook],
    }
