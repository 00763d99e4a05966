"""The processes of one real node as command lines: its mounts, containerd, kubelet, device plugin.

Only says how each is run and when it is ready; `real_node` decides the order.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.failures import StackError
from cli.stack.node_traces import SEARCHED, entrance, program
from cli.stack.ports import LOOPBACK
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.stack.node_configuration import Place
    from cli.stack.nodes import GpuNode

MOUNTS = "mounts"
CONTAINERD = "containerd"
KUBELET = "kubelet"
PLUGIN = "deviceplugin"
HIDE = """
umask 022
echo $$ > "$1"
mount -t tmpfs -o mode=755 berth /run
mount -t tmpfs -o mode=755 berth /var/lib
cd "$2"
for file in $(find . -type f); do mount --bind "$file" "/proc/sys/$file"; done
mkdir "$3"
mount --bind "$3" "$3"
mount --make-rshared "$3"
: > "$4"
exec sleep infinity
"""
"""Holds the node's own mounts: over the folders whose paths are built into its parts, and over the kernel's settings.

The kubelet's folder is shared already when it starts. It would share it itself, beside everything else that it starts
with: its socket may then be written before and renamed after, which is from one mount into another, and it ends
(seen once, version 1.36.3).
"""
HIDDEN = ("/run", "/var/run", "/var/lib")
"""Nothing that the node needs of this machine may lie there."""
ENTER = 'umask 022; echo $$ > "$1"; holder=$2; shift 2; exec nsenter --target="$holder" --mount --root -- "$@"'


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """Everything the command lines depend on."""

    node: GpuNode
    place: Place
    binaries: Path
    kubeconfig: Path
    health_port: int
    """The kubelet's, on loopback."""

    def mounts(self) -> Program:
        """What holds the mounts that all other parts see."""
        done = self.place.files / "mounted"
        files = [self.place.files / "sysctls", self._kubelet_folder, done]
        script = [HIDE, "berth", str(entrance(self.place.name)), *map(str, files)]
        return self._program(MOUNTS, ["unshare", "--mount", "/bin/sh", "-euc", *script], done.exists)

    def part(self, part: str, mounts_pid: int) -> Program:
        """How one part is run among those mounts."""
        argv, ready = {CONTAINERD: self._containerd, KUBELET: self._kubelet, PLUGIN: self._plugin}[part]()
        entered = [ENTER, "berth", str(entrance(self.place.name)), str(mounts_pid), *argv]
        return self._program(part, ["/bin/sh", "-euc", *entered], ready)

    def import_image(self, archive: Path) -> None:
        """Let containerd have an image."""
        answer = self._ctr("--namespace", "k8s.io", "images", "import", str(archive))
        if answer.returncode:
            raise StackError(f"{self.node.name} does not take image {archive}", detail=answer.stderr.strip())

    @property
    def _kubelet_folder(self) -> Path:
        return self.place.files / "kubelet"

    def _containerd(self) -> tuple[list[str], Callable[[], bool]]:
        argv = ["containerd", "--config", str(self.place.files / "containerd.toml")]
        return argv, lambda: self._ctr("version").returncode == 0

    def _kubelet(self) -> tuple[list[str], Callable[[], bool]]:
        labels = self.node.manifest["metadata"]["labels"]
        argv = [
            str(self.binaries / "kubelet"),
            f"--config={self.place.files / 'kubelet.json'}",
            f"--kubeconfig={self.kubeconfig}",
            f"--root-dir={self._kubelet_folder}",
            f"--cert-dir={self.place.files / 'kubelet-pki'}",
            f"--hostname-override={self.node.name}",
            f"--node-ip={self.place.address}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
            "--v=2",
        ]
        health = Endpoint(f"http://{LOOPBACK}:{self.health_port}")
        return argv, lambda: health.answers("/healthz")

    def _plugin(self) -> tuple[list[str], Callable[[], bool]]:
        return [str(self.binaries / "deviceplugin"), f"-count={self.node.gpus}"], lambda: True

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [program("ctr") or "ctr", "--address", str(self.place.socket), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def _program(self, part: str, argv: list[str], ready: Callable[[], bool]) -> Program:
        return Program(
            name=f"{self.node.name}.{part}",
            argv=argv,
            ready=ready,
            folder=self.place.files,
            environment={"PATH": SEARCHED, "HOME": str(self.place.files)},
        )


def require_visible(*paths: Path) -> None:
    """Refuse what the node's own mounts would hide from it."""
    hidden = [path for path in paths if any(path.resolve().is_relative_to(Path(place).resolve()) for place in HIDDEN)]
    if hidden:
        mend = "name other folders: TMPDIR, BERTH_CACHE_DIR"
        raise StackError(f"a real node cannot see {', '.join(map(str, hidden))}", mend=mend)
