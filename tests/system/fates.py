"""What becomes of a job's pods, written into the job: `command: [fate, run, 2s]`.

Nothing is executed on a simulated node; kwok reads annotations instead. An admission policy of the test's own copies the
command of every such pod into them when the pod is made, so a fate cannot come too late.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from clusters.failures import ObjectConflict
from tests.system.freedom import until

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection

Json = dict[str, Any]

NAME: Final = "fate.test.example"
ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
KWOK: Final = "kwok.berth.io"
PODS: Final = "/api/v1/namespaces/default/pods"
EFFECT_SECONDS_MAX: Final = 30.0


def fate(**annotations: str) -> list[str]:
    """The command of a container whose pod is to fare so; at most two things can be said."""
    words = [word for name, value in annotations.items() for word in (name.replace("_", "-"), value)]
    assert len(words) in {2, 4}
    return ["fate", *words, *([] if len(words) == 4 else ["nothing", "more"])]


def let_fates_count(cluster: ClusterConnection) -> None:
    """Put the policy in place, and wait until it counts."""
    for kind, body in (("mutatingadmissionpolicies", _policy()), ("mutatingadmissionpolicybindings", _binding())):
        with suppress(ObjectConflict):
            cluster.create(f"{ADMISSION}/{kind}", body)
    until(lambda: _counts(cluster), f"fates in {cluster.name}", EFFECT_SECONDS_MAX)


def _counts(cluster: ClusterConnection) -> bool:
    """Whether a pod that is made for nothing but looking gets its annotation."""
    container = {"name": "main", "image": "busybox", "command": fate(run="1s")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": {"containers": [container]}}
    made = cluster.create(PODS, pod, dryRun="All")
    return f"{KWOK}/run" in (made["metadata"].get("annotations") or {})


def _policy() -> Json:
    words = "object.spec.containers[0].command"
    pairs = ", ".join(f"'{KWOK}/' + {words}[{at}]: {words}[{at + 1}]" for at in (1, 3))
    expression = f"Object{{metadata: Object.metadata{{annotations: {{{pairs}}}}}}}"
    condition = f"has({words}) && {words}.size() == 5 && {words}[0] == 'fate'"
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [{"name": "has-a-fate", "expression": condition}],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    return _object("MutatingAdmissionPolicy", spec)


def _binding() -> Json:
    return _object("MutatingAdmissionPolicyBinding", {"policyName": NAME})


def _object(kind: str, spec: Json) -> Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": NAME},
        "spec": spec,
    }
