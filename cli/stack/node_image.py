"""Container images without a registry: one layer, made of files of this machine, as an OCI archive.

Only writes the archive; the node imports it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MEDIA = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "PATH=/bin"


@dataclass(frozen=True, slots=True)
class Image:
    """What is in an image, and what it runs."""

    name: str
    """With its tag, as pods ask for it."""
    programs: Mapping[str, Path]
    """By their path inside; statically linked, for there is nothing else inside."""
    entrypoint: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Further names, and the path that each points to."""


def write(image: Image, file: Path) -> None:
    """Write the image as an archive that containerd can import."""
    layer = _layer(image)
    system = {"architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    run = {"Entrypoint": list(image.entrypoint), "Env": [PATH]}
    root = {"type": "layers", "diff_ids": [_digest(layer)]}
    configuration = json.dumps({**system, "config": run, "rootfs": root}).encode()
    manifest = _document("manifest", config=_entry("config", configuration), layers=[_entry("layer", layer)])
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name.rpartition(":")[2]}
    listed = {**_entry("manifest", manifest), "platform": system, "annotations": names}
    blobs = {f"blobs/{_digest(blob).replace(':', '/')}": blob for blob in (layer, configuration, manifest)}
    content = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": _document("index", manifests=[listed])}
    with tarfile.open(file, "w") as archive:
        for path, blob in {**content, **blobs}.items():
            _add(archive, path, blob)


def _layer(image: Image) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for path, program in image.programs.items():
            _add(layer, path, program.read_bytes(), mode=0o755)
        for path, target in image.links.items():
            link = tarfile.TarInfo(path)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
            layer.addfile(link)
    return content.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _document(kind: str, **content: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": f"{MEDIA}.{kind}.v1+json", **content}).encode()


def _entry(kind: str, blob: bytes) -> dict[str, Any]:
    media = f"{MEDIA}.layer.v1.tar" if kind == "layer" else f"{MEDIA}.{kind}.v1+json"
    return {"mediaType": media, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
