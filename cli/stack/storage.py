"""What makes a development cluster able to store and to copy: the kinds of snapshots, and a driver that is simulated.

Says what is written and where; `cluster` writes it. kwok plays the driver (`deploy/devcluster/stages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from cli.stack.folders import DEVCLUSTER

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = DEVCLUSTER / "storage.yaml"
PLAYED: Final = (b'"VolumeSnapshot"', b'"VolumeSnapshotContent"')
"""The kinds that kwok plays; it ends where it does not find them when it starts."""
LISTED: Final = ("/apis/snapshot.storage.k8s.io/v1", "/openapi/v3/apis/snapshot.storage.k8s.io/v1")
"""Where it looks for them: each shows a kind a moment after it was made, and one before the other."""
COPIES: Final = "/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots"
"""Where one snapshot may be asked for and not made, to see whether any would be taken."""
A_COPY: Final = {
    "apiVersion": "snapshot.storage.k8s.io/v1",
    "kind": "VolumeSnapshot",
    "metadata": {"name": "probe"},
    "spec": {"source": {"persistentVolumeClaimName": "probe"}},
}
"""That one: of a claim that need not be there."""
_KINDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_COLLECTIONS: Final = {
    "CSIDriver": "/apis/storage.k8s.io/v1/csidrivers",
    "MutatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "VolumeSnapshotClass": "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses",
}


def kinds(folder: Path) -> dict[str, bytes]:
    """The kinds that the snapshot-controller needs, as its module ships them, by the path at which each lives."""
    return {f"{_KINDS}/{_kind_name(file)}": file.read_bytes() for file in sorted(folder.glob("*.yaml"))}


def objects(file: Path = FILE) -> dict[str, dict[str, Any]]:
    """The simulated driver and its classes, by path."""
    documents = yaml.safe_load_all(file.read_text())
    return {f"{_COLLECTIONS[each['kind']]}/{each['metadata']['name']}": each for each in documents}


def _kind_name(file: Path) -> str:
    """The files are called group_plural; the kinds, plural.group."""
    group, _, plural = file.stem.partition("_")
    return f"{plural}.{group}"
