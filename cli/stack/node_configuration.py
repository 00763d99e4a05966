"""The settings of a real node's parts: containerd, the pods' network, the kubelet. Pure: only says what is in the files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.stack.node_traces import PODS
from cli.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

PAUSE_IMAGE = "localhost/berth/pause:1"
SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet insists on writing into the kernel: it is shown files of ours instead, which hold it already."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one real node lives on this machine."""

    files: Path
    name: str
    """Of its cgroups and its bridge."""

    @property
    def subnet(self) -> str:
        """The first three numbers of its addresses: of those set aside for trials, which nothing outside has."""
        number = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:2]) % 512
        return f"198.{18 + number // 256}.{number % 256}"

    @property
    def address(self) -> str:
        """The node's own, on its bridge."""
        return f"{self.subnet}.1"

    @property
    def socket(self) -> Path:
        """Where containerd answers."""
        return self.files / "containerd.sock"


def containerd(place: Place, plugins: Path | None) -> str:
    """The file for containerd. Without this machine's AppArmor, and without lowering what the kernel kills last."""
    cri = "io.containerd.grpc.v1.cri"
    return f"""
version = 2
root = "{place.files}/containerd"
state = "{place.files}/containerd-state"
oom_score = 0
disabled_plugins = [{", ".join(f'"io.containerd.snapshotter.v1.{each}"' for each in ("aufs", "btrfs", "devmapper", "zfs"))}]
[grpc]
  address = "{place.socket}"
[plugins."{cri}"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "{LOOPBACK}"
  stream_server_port = "0"
[plugins."{cri}".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."{cri}".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."{cri}".cni]
  bin_dir = "{plugins}"
  conf_dir = "{place.files}/network"
"""


def network(place: Place) -> dict[str, Any]:
    """Pods reach each other and their node and nothing else, so that this machine forwards nothing for them."""
    addresses = {"subnet": f"{place.subnet}.0/24", "rangeStart": f"{place.subnet}.10"}
    ipam = {"type": "host-local", "dataDir": f"{place.files}/addresses", "ranges": [[addresses]]}
    plugin = {"type": "bridge", "bridge": place.name, "isGateway": False, "ipMasq": False, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": place.name, "plugins": [plugin]}


def kubelet(place: Place, ports: tuple[int, int], authority: Path, serving: tuple[Path, Path]) -> dict[str, Any]:
    """The file for the kubelet; `ports` are its own and that of its health."""
    certificate, key = serving
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "port": ports[0],
        "healthzBindAddress": LOOPBACK,
        "healthzPort": ports[1],
        "readOnlyPort": 0,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        # only who has a certificate of the cluster's own authority is let in: the API server
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{place.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.name}/{PODS}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "localStorageCapacityIsolation": False,
        "podLogsDir": f"{place.files}/logs",
        "resolvConf": "",
        "oomScoreAdj": 0,
        "evictionHard": dict.fromkeys(("nodefs.available", "imagefs.available"), "1%") | {"memory.available": "100Mi"},
        "nodeStatusUpdateFrequency": "1s",
        "nodeStatusReportFrequency": "1s",
    }
