"""What a real node asks of this machine, and that nothing of it stays. What it is for: tests/system/test_real_node.py."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stack import folders, node_image, node_requirements, node_traces, toolchain
from cli.stack.failures import StackError
from cli.stack.folders import REPOSITORY
from cli.stack.node_image import Image
from cli.stack.node_programs import require_visible

if TYPE_CHECKING:
    from collections.abc import Callable

NODE_UNTIL_KILLED = """
import time
from cli.stack.real_node import running_real_node
from cli.stack.testing import running_cluster
with running_cluster([]) as cluster, running_real_node(cluster) as node:
    print(node.roster.folder, flush=True)
    time.sleep(600)
"""


def test_a_killed_test_leaves_nothing_of_its_real_node_behind() -> None:
    if lack := node_requirements.lack():
        pytest.skip(lack)
    with subprocess.Popen([sys.executable, "-c", NODE_UNTIL_KILLED], cwd=REPOSITORY, stdout=subprocess.PIPE) as test:
        assert test.stdout is not None
        folder = Path(test.stdout.readline().decode().strip())
        name = node_traces.name_of(folder)
        assert node_traces.processes(name)
        assert (node_traces.LINKS / name).exists()
        test.kill()
    assert_eventually(lambda: not folder.exists())
    assert list(node_traces.cgroups(name)) == []
    assert not (node_traces.LINKS / name).exists()


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "is_root", lambda: False)
    with pytest.raises(StackError, match="needs Linux and root"):
        node_requirements.check()


def test_missing_programs_are_named_with_the_packages_that_have_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(node_traces, "SEARCHED", str(tmp_path))
    with pytest.raises(StackError, match="needs containerd, containerd-shim-runc-v2, ctr, runc") as lack:
        node_requirements._programs()
    assert lack.value.mend == "apt-get install busybox-static containerd iproute2 runc util-linux"


def test_missing_network_plugins_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node_requirements, "PLUGIN_FOLDERS", (tmp_path,))
    with pytest.raises(StackError, match="needs the CNI plugins bridge, host-local, loopback") as lack:
        node_requirements._plugins()
    assert lack.value.mend == "apt-get install containernetworking-plugins"


def test_a_machine_without_cgroups_is_told_which_controllers_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(node_traces, "MOUNTS", tmp_path / "no-mounts")
    with pytest.raises(StackError, match="needs the cgroup controllers cpu, cpuset, memory, pids"):
        node_requirements._cgroups()


def test_a_given_folder_of_binaries_without_a_kubelet_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(toolchain.GIVEN, str(tmp_path))
    with pytest.raises(StackError, match=f"needs kubelet, deviceplugin, pause in {tmp_path}"):
        node_requirements._binaries()


def test_what_the_nodes_own_mounts_would_hide_is_refused(tmp_path: Path) -> None:
    require_visible(tmp_path)
    with pytest.raises(StackError, match="cannot see /var/lib/berth/x"):
        require_visible(tmp_path, Path("/var/lib/berth/x"))


def test_an_image_is_one_layer_of_the_files_and_links_given(tmp_path: Path) -> None:
    program, archive = tmp_path / "program", tmp_path / "image.tar"
    program.write_text("#!")
    node_image.write(Image("localhost/it:1", {"bin/it": program}, links={"bin/also": "it"}), archive)
    with tarfile.open(archive) as image:
        manifest = blob(image, json.loads(read(image, "index.json"))["manifests"][0]["digest"])
        (layer,) = json.loads(manifest)["layers"]
        (tmp_path / "layer.tar").write_bytes(blob(image, layer["digest"]))
    with tarfile.open(tmp_path / "layer.tar") as files:
        assert [(file.name, file.linkname, file.mode & 0o111) for file in files] == [
            ("bin/it", "", 0o111),
            ("bin/also", "it", 0o111),
        ]


def assert_eventually(claim: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def blob(archive: tarfile.TarFile, digest: str) -> bytes:
    return read(archive, f"blobs/{digest.replace(':', '/')}")


def read(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    assert file is not None
    return file.read()
