"""What a box is made of besides what every job has: pods that nothing makes again, what they are told, and ways in. Pure.

The program in its first container comes with the box, not with its image (`deploy/box/berth-box`): any image that has a
shell will do, and sshd where it cannot be fetched.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Final

from clusters.job_pods import BOX_INDEX_LABEL, STARTUP_SECONDS_MAX, JobPlace, job_object, pod_template
from clusters.manifests import REPLICAS_ANNOTATION
from domain.box import HOME, JUPYTER_PORT, SSH_PORT
from domain.identifiers import JOB_LABEL
from domain.job import JobSpec

Json = dict[str, Any]

ORDERS: Final = "/run/berth"
"""Where a box finds what it is told."""
STATE: Final = "/run/berth-box"
"""Where its program remembers what it has done, over restarts of its container."""
PROGRAM: Final = "berth-box"
"""The key of its Secret that is the program; the others are written by `boxes.py`."""
PORTS: Final = {"ssh": SSH_PORT, "jupyter": JUPYTER_PORT}
GRACE_SECONDS: Final = 30
"""From the word that a pod goes to its end by force: Jupyter saves, the command ends, people are hung up."""
CAPABILITIES: Final = (
    "AUDIT_WRITE",  # sshd says who logged in where the kernel listens, and ends a session that it may not tell of
    "CHOWN",  # terminals, and the home, belong to the person
    "DAC_OVERRIDE",  # the home is the person's, the host key in it is not
    "KILL",  # Jupyter and the command run as the person
    "NET_BIND_SERVICE",  # port 22
    "SETGID",  # to become the person
    "SETUID",  # the same
    "SYS_CHROOT",  # sshd talks to strangers from an empty folder
)
"""All that root has in a box. Whether its people can become root is the image's affair: ours has no sudo."""
_PROGRAM_FILE: Final = Path(__file__).resolve().parents[1] / "deploy" / "box" / "berth-box"


def box_name(job_id: str) -> str:
    """Of a box's Secret, its Service and its NetworkPolicy."""
    return f"berth-box-{job_id}"


def box_manifests(spec: JobSpec, place: JobPlace) -> list[Json]:
    """The Secret by which it is told things, which says nothing yet; the ways in; its pods."""
    pods = [_pod(spec, place, index) for index in range(spec.replicas)]
    return [_orders(spec, place), *_ways_in(spec, place), *pods]


def _orders(spec: JobSpec, place: JobPlace) -> Json:
    content = {"type": "Opaque", "stringData": {PROGRAM: _PROGRAM_FILE.read_text()}}
    return job_object("v1", "Secret", box_name(place.job_id), (spec, place), content)


def _ways_in(spec: JobSpec, place: JobPlace) -> list[Json]:
    """From anywhere, to the first pod: at its own node, so that it sees who comes and nobody takes a detour."""
    first = {JOB_LABEL: place.job_id, BOX_INDEX_LABEL: "0"}
    service = {
        "type": "NodePort",
        "externalTrafficPolicy": "Local",
        "selector": first,
        "ports": [{"name": name, "port": port, "targetPort": port} for name, port in PORTS.items()],
    }
    let_in = {
        "podSelector": {"matchLabels": first},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": port} for port in PORTS.values()]}],
    }
    name, job = box_name(place.job_id), (spec, place)
    return [
        job_object("networking.k8s.io/v1", "NetworkPolicy", name, job, {"spec": let_in}),
        job_object("v1", "Service", name, job, {"spec": service}),
    ]


def _pod(spec: JobSpec, place: JobPlace, index: int) -> Json:
    template = pod_template(spec, place)
    pod = template["spec"]
    (container,) = pod.pop("containers")
    name = place.name if index == 0 else f"{place.name}-{index}"
    content = {
        **pod,
        "hostname": name,
        "containers": [_container(container, spec)],
        "volumes": [*pod["volumes"], *_volumes(place, index)],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": GRACE_SECONDS,
    }
    made = job_object("v1", "Pod", name, (spec, place), {"spec": content})
    made["metadata"]["labels"][BOX_INDEX_LABEL] = str(index)
    made["metadata"]["annotations"] = {REPLICAS_ANNOTATION: str(spec.replicas)}
    return made


def _container(container: Json, spec: JobSpec) -> Json:
    line = [*container.pop("command", []), *container.pop("args", [])]
    mounts = [
        *container["volumeMounts"],
        {"name": "home", "mountPath": HOME},
        {"name": "orders", "mountPath": ORDERS, "readOnly": True},
        {"name": "state", "mountPath": STATE},
    ]
    ports = [{"name": name, "containerPort": port} for name, port in PORTS.items()]
    made = {**container, "volumeMounts": mounts, "ports": ports}
    if spec.keeps_entrypoint:
        return {**made, "args": line} if line else made
    return {**made, **_program(line)}


def _program(line: list[str]) -> Json:
    """Ready once sshd listens, and not asked again: each question would be a stranger in its log."""
    return {
        "command": ["/bin/sh", f"{ORDERS}/{PROGRAM}"],
        "args": [shlex.join(line)] if line else [],
        "startupProbe": {
            "tcpSocket": {"port": SSH_PORT},
            "periodSeconds": 1,
            "failureThreshold": STARTUP_SECONDS_MAX,
        },
        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _volumes(place: JobPlace, index: int) -> list[Json]:
    disk = {"persistentVolumeClaim": {"claimName": place.volume}}
    return [
        {"name": "home", **(disk if place.volume and index == 0 else {"emptyDir": {}})},
        {"name": "orders", "secret": {"secretName": box_name(place.job_id), "defaultMode": 0o400}},
        {"name": "state", "emptyDir": {}},
    ]
