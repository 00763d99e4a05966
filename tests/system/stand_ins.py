"""What kube-proxy does on a real node, played by this process: who comes to a port of a node reaches the pod of its service.

And what a storage driver does: a claim gets a folder of this machine. Both look at the cluster and nothing else, so that
what is tested is what Berth wrote there.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from domain.failures import BerthFailure

Json = dict[str, Any]
Target = tuple[str, int]

LOOK_SECONDS = 0.1
STORAGE_CLASS = "on-this-machine"
_STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_VOLUMES = "/api/v1/persistentvolumes"


@contextmanager
def leading_node_ports(connection: ClusterConnection) -> Iterator[None]:
    """While this lasts, the node ports of all services lead to their pods, at those pods' own nodes."""
    ports: dict[Target, _Port] = {}

    def look() -> None:
        wanted = _wanted(connection)
        for gone in ports.keys() - wanted.keys():
            ports.pop(gone).close()
        for address in wanted.keys() - ports.keys():
            ports[address] = _Port(address)
        for address, target in wanted.items():
            ports[address].target = target

    try:
        with _looking(look):
            yield
    finally:
        for port in ports.values():
            port.close()


@contextmanager
def folders_for_claims(connection: ClusterConnection, folder: Path) -> Iterator[str]:
    """While this lasts, each claim of the storage class that is yielded gets a folder in this one, which stays."""
    about = {"metadata": {"name": STORAGE_CLASS}, "provisioner": "berth.io/none", "reclaimPolicy": "Retain"}
    with contextlib.suppress(ObjectConflict):
        connection.create(_STORAGE_CLASSES, about)

    def look() -> None:
        for claim in connection.items("/api/v1/persistentvolumeclaims"):
            if claim["spec"].get("storageClassName") == STORAGE_CLASS and not claim["spec"].get("volumeName"):
                with contextlib.suppress(ObjectConflict):
                    connection.create(_VOLUMES, _volume(claim, folder))

    with _looking(look):
        yield STORAGE_CLASS
    for volume in connection.items(_VOLUMES):
        if volume["spec"].get("storageClassName") == STORAGE_CLASS:
            with contextlib.suppress(ObjectMissing):
                connection.delete(f"{_VOLUMES}/{volume['metadata']['name']}")


@contextmanager
def _looking(look: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(LOOK_SECONDS):
            with contextlib.suppress(BerthFailure):  # the cluster is busy, or on its way up or down
                look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _volume(claim: Json, folder: Path) -> Json:
    about, spec = claim["metadata"], claim["spec"]
    owner = {"namespace": about["namespace"], "name": about["name"], "uid": about["uid"]}
    content = {
        "accessModes": spec["accessModes"],
        "capacity": spec["resources"]["requests"],
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **owner},
        "hostPath": {"path": str(folder / about["uid"]), "type": "DirectoryOrCreate"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": STORAGE_CLASS,
    }
    return {"metadata": {"name": f"pvc-{about['uid']}"}, "spec": content}


def _wanted(connection: ClusterConnection) -> dict[Target, Target]:
    """By node address and port, the pod's address and port."""
    services = [each for each in connection.items("/api/v1/services") if each["spec"]["type"] == "NodePort"]
    pods = connection.items("/api/v1/pods") if services else []
    return {
        (pod["status"]["hostIP"], port["nodePort"]): (pod["status"]["podIP"], port["targetPort"])
        for service in services
        for pod in pods
        if _leads_to(service, pod)
        for port in service["spec"]["ports"]
    }


def _leads_to(service: Json, pod: Json) -> bool:
    own = pod["metadata"].get("labels", {}).items()
    here = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    return here and ready and "podIP" in pod["status"] and service["spec"].get("selector", {}).items() <= own


class _Port:
    """One port of a node, and where it leads to for those who come now."""

    def __init__(self, address: Target) -> None:
        self.target: Target | None = None
        self._listening = socket.create_server(address)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                comer, _ = self._listening.accept()
                threading.Thread(target=self._lead, args=(comer,), daemon=True).start()

    def _lead(self, comer: socket.socket) -> None:
        with comer, contextlib.suppress(OSError), socket.create_connection(self.target or ("", 0), timeout=5) as pod:
            pod.settimeout(None)
            _carry(comer, pod)


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until both have said all."""
    with selectors.DefaultSelector() as watched:
        watched.register(one, selectors.EVENT_READ, other)
        watched.register(other, selectors.EVENT_READ, one)
        while watched.get_map():
            for key, _ in watched.select():
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                if said := source.recv(65536):
                    sink.sendall(said)
                else:
                    watched.unregister(source)
                    sink.shutdown(socket.SHUT_WR)
