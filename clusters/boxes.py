"""What a box is told while it runs, and what is seen of its disk. How it is made is in `box_pods.py` and `jobs.py`."""

from __future__ import annotations

import base64
from typing import Any, Final

from clusters.box_pods import PROGRAM, box_name
from clusters.connection import ClusterConnection
from clusters.execution import output_of
from clusters.failures import ObjectMissing
from clusters.jobs import PODS, collection
from domain.box import BoxOrders
from domain.failures import NotReadyYet
from domain.identifiers import JOB_LABEL, LABEL_DOMAIN

Json = dict[str, Any]

TOLD_ANNOTATION: Final = f"{LABEL_DOMAIN}/told"
"""On the Secret: the version that it says. On the pods: that, and which writing of it."""
LISTING_BYTES_MAX: Final = 256 * 1024
FILES: Final = r"""
cd "$1" && find . -xdev \( -path ./.berth-host-keys -o -path ./lost+found -o -path ./.cache \) -prune -o \
  -type f -exec ls -ldh -- {} + 2> /dev/null | head -c "$2"
"""
"""Sizes, times and names, as far as they come in time."""


def write_orders(connection: ClusterConnection, namespace: str, job_id: str, orders: BoxOrders, version: int) -> None:
    """Write all that a box is to know, and let its nodes look at once. What is older than what was written is left out.

    NotReadyYet where the box is not there, or somebody wrote at the same instant.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets/{box_name(job_id)}"
    there = connection.find(path)
    if there is None:
        raise NotReadyYet(f"box {job_id} is not there to be told")
    if _told(there) > version:
        return
    secret = connection.merge(path, _change(there, orders, version))
    writing = f"{version}.{secret['metadata']['resourceVersion']}"  # notices come without a new version
    for pod in connection.items(collection(PODS, namespace), labelSelector=f"{JOB_LABEL}={job_id}"):
        _poke(connection, pod, writing)


def list_files(connection: ClusterConnection, namespace: str, pod: str, path: str, seconds_max: float) -> str:
    """The files under a folder of a pod, a line each, cut at LISTING_BYTES_MAX or when the time is up.

    NotReadyYet or ClusterUnavailable where its node cannot be asked.
    """
    command = ("/bin/sh", "-c", FILES, "list", path, str(LISTING_BYTES_MAX))
    return output_of(connection, namespace, pod, command, seconds_max)


def _told(secret: Json) -> int:
    return int((secret["metadata"].get("annotations") or {}).get(TOLD_ANNOTATION, 0))


def _change(there: Json, orders: BoxOrders, version: int) -> Json:
    """The whole of the orders, against the Secret as it was read; the program in it stays."""
    texts = {
        "authorized_keys": _lines(orders.authorized_keys),
        "jupyter-token": orders.jupyter_token,
        "notices": _lines(orders.notices),
    }
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items() if text}
    gone = dict.fromkeys((there.get("data") or {}).keys() - coded.keys() - {PROGRAM})
    metadata = {
        "resourceVersion": there["metadata"]["resourceVersion"],
        "annotations": {TOLD_ANNOTATION: str(version)},
    }
    return {"metadata": metadata, "data": {**gone, **coded}}


def _lines(texts: tuple[str, ...]) -> str:
    """One line each, whatever was in them."""
    return "".join(f"{' '.join(text.split())}\n" for text in texts)


def _poke(connection: ClusterConnection, pod: Json, writing: str) -> None:
    """A kubelet brings a Secret into a pod when it looks after the pod: on a change of it, else after a minute or two."""
    path = f"{collection(PODS, pod['metadata']['namespace'])}/{pod['metadata']['name']}"
    try:
        connection.merge(path, {"metadata": {"annotations": {TOLD_ANNOTATION: writing}}})
    except ObjectMissing:
        return
