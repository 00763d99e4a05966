"""One development cluster as one foreground process, for a container: `python -m cli.stack.foreground worker-1`.

Writes the administrator's kubeconfig where others can read it, and stops the cluster when it is told to stop.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from cli.stack import nodes, toolchain
from cli.stack.cluster import Cluster
from cli.stack.control_plane import COMPONENTS, ClusterPorts, ControlPlane
from cli.stack.failures import StackError, tail
from cli.stack.roster import Roster

PORTS = ClusterPorts(
    etcd=2379, etcd_peer=2380, api=6443, controllers=10257, scheduler=10259, kwok=10250, snapshots=8080
)
"""Everyone knows these; a container has them to itself."""
LOOK_SECONDS = 2.0


def main() -> int:
    """Run until told to stop; a component that ends is the end of all, so that the container is restarted."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cluster = _cluster(arguments.cluster, arguments.folder, arguments.host)
    try:
        cluster.start()
        _publish(cluster.kubeconfig_path, arguments.kubeconfig)
        print(f"{cluster.name} answers at {cluster.url}", flush=True)  # noqa: T201 - the container's log
        return _watch(cluster)
    except KeyboardInterrupt:
        return 0
    except StackError as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - the container's log
        return 1
    finally:
        cluster.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cli.stack.foreground", description=__doc__)
    parser.add_argument("cluster", help="its name, one of the fleet's")
    parser.add_argument("--folder", type=Path, required=True, help="where its data is kept")
    parser.add_argument("--host", default="127.0.0.1", help="the name under which others reach it")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write the kubeconfig")
    return parser.parse_args()


def _cluster(name: str, folder: Path, host: str) -> Cluster:
    roster = Roster(folder)
    audit = roster.log(f"{name}.audit")
    binaries, snapshots = toolchain.binaries(), toolchain.SNAPSHOTS.place
    plane = ControlPlane(name, folder / name, binaries, snapshots, PORTS, audit, host=host)
    return Cluster(plane, roster, nodes.fleet(name))


def _publish(kubeconfig: Path, place: Path) -> None:
    """Whole or not at all: others wait for this file."""
    fresh = place.with_name(f".{place.name}.new")
    shutil.copy(kubeconfig, fresh)
    fresh.replace(place)


def _watch(cluster: Cluster) -> int:
    while all(cluster.is_running(component) for component in COMPONENTS):
        time.sleep(LOOK_SECONDS)
    for component in COMPONENTS:
        if not cluster.is_running(component):
            print(f"{component} ended", tail(cluster.roster.log(f"{cluster.name}.{component}")))  # noqa: T201 - likewise
    return 1


if __name__ == "__main__":
    sys.exit(main())
