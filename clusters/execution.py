"""Running a command in a pod and reading what it prints: the one conversation with a cluster that is no plain request."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from domain.failures import ClusterRefused, NotReadyYet

_PRINTED, _ENDED = 1, 3
"""Channels: a container's standard output, and how it ended. The first byte of each message names its channel."""


def output_of(
    connection: ClusterConnection, namespace: str, pod: str, command: Sequence[str], seconds_max: float
) -> str:
    """What a command prints, as far as it comes in time. ObjectMissing without the pod; NotReadyYet where it fails."""
    give_up_at = time.monotonic() + seconds_max
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    query = [("stdout", "true"), *(("command", part) for part in command)]
    try:
        with connection.conversation(path, query) as conversation:
            heard = _heard(conversation, give_up_at)
    except ObjectMissing:
        raise
    except ClusterRefused as refused:
        raise NotReadyYet(f"nothing can be run in pod {pod}: {refused.message}") from refused
    if why := _failure(heard[_ENDED]):
        raise NotReadyYet(f"the command did not run in pod {pod}: {why}")
    return heard[_PRINTED].decode(errors="replace")


def _heard(conversation: ClientConnection, give_up_at: float) -> dict[int, bytes]:
    heard = {_PRINTED: b"", _ENDED: b""}
    while True:
        try:
            message = conversation.recv(timeout=max(0.0, give_up_at - time.monotonic()), decode=False)
        except (ConnectionClosed, TimeoutError):
            return heard
        if message and message[0] in heard:
            heard[message[0]] += message[1:]


def _failure(status: bytes) -> str:
    """Why a command did not run to its end, as Kubernetes says it; "" where it did, or the time was up before."""
    said = json.loads(status) if status else {}
    return str(said.get("message", "")) if said.get("status") == "Failure" else ""
