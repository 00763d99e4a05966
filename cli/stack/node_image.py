"""Container images without a registry: one layer, as an OCI archive.

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
Blob = io.BufferedReader | io.BytesIO
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
    layer = file.with_suffix(".layer")
    layer.write_bytes(_layer(image))
    pack(image.name, layer, {"Entrypoint": list(image.entrypoint), "Env": [PATH]}, file)
    layer.unlink()


def pack(name: str, layer: Path, run: Mapping[str, Any], file: Path) -> None:
    """Write an image of one layer, a tar of all its files, as such an archive; `run` says how it is run, as OCI does."""
    system = {"architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    with layer.open("rb") as content, tarfile.open(file, "w") as archive:
        packed = _entry("layer", content)
        root = {"type": "layers", "diff_ids": [packed["digest"]]}
        configuration = io.BytesIO(json.dumps({**system, "config": run, "rootfs": root}).encode())
        configured = _entry("config", configuration)
        manifest = _document("manifest", config=configured, layers=[packed])
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        listed = {**_entry("manifest", manifest), "platform": system, "annotations": names}
        _add(archive, "oci-layout", io.BytesIO(b'{"imageLayoutVersion": "1.0.0"}'))
        _add(archive, "index.json", _document("index", manifests=[listed]))
        for entry, blob in ((packed, content), (configured, configuration), (listed, manifest)):
            _add(archive, f"blobs/{entry['digest'].replace(':', '/')}", blob)


def _layer(image: Image) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for path, program in image.programs.items():
            _add(layer, path, io.BytesIO(program.read_bytes()), mode=0o755)
        for path, target in image.links.items():
            link = tarfile.TarInfo(path)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
            layer.addfile(link)
    return content.getvalue()


def _add(archive: tarfile.TarFile, path: str, content: Blob, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = content.seek(0, io.SEEK_END), mode
    content.seek(0)
    archive.addfile(entry, content)


def _document(kind: str, **content: Any) -> Blob:
    return io.BytesIO(json.dumps({"schemaVersion": 2, "mediaType": f"{MEDIA}.{kind}.v1+json", **content}).encode())


def _entry(kind: str, blob: Blob) -> dict[str, Any]:
    media = f"{MEDIA}.layer.v1.tar" if kind == "layer" else f"{MEDIA}.{kind}.v1+json"
    return {"mediaType": media, "digest": _digest(blob), "size": blob.seek(0, io.SEEK_END)}


def _digest(blob: Blob) -> str:
    blob.seek(0)
    return f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"
