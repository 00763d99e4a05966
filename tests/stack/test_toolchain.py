from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stack import compiler, toolchain
from cli.stack.compiler import Go, Work
from cli.stack.events import Event, Moment, silence
from cli.stack.failures import StackError
from cli.stack.toolchain import Toolset

if TYPE_CHECKING:
    from collections.abc import Callable

GO = shutil.which("go")
SILENT = Work("a part", 1.0, silence)
needs_go = pytest.mark.skipif(GO is None or not compiler._is_new_enough(GO), reason="no Go 1.26 or newer on the PATH")


@pytest.fixture
def a_module(tmp_path: Path) -> Callable[[str], Path]:
    """A Go module with one tool, `hello`, and no dependencies."""

    def make(body: str) -> Path:
        module = tmp_path / "module"
        (module / "hello").mkdir(parents=True)
        (module / "go.mod").write_text("module example.dev/m\n\ngo 1.26.0\n\ntool example.dev/m/hello\n")
        (module / "hello" / "main.go").write_text(f'package main\n\nvar word = ""\n\nfunc main() {{ {body} }}\n')
        return module

    return make


def built(module: Path, told: list[Event]) -> Path:
    into = module.parent / "bin"
    into.mkdir()
    Go(Path(GO or "")).install_tools(module, into, "-X main.word=hi", Work("hello", 1.0, told.append))
    return into / "hello"


@needs_go
def test_tools_are_built_with_the_link_flags_asked_for(a_module: Callable[[str], Path]) -> None:
    hello = built(a_module("println(word)"), [])
    assert subprocess.run([hello], capture_output=True, text=True, check=True).stderr == "hi\n"


@needs_go
def test_our_own_compiler_writes_nothing_outside_its_scratch_folder(
    a_module: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    module = a_module("")
    compiler._count_nothing(tmp_path / "scratch" / "config")
    go = Go(Path(GO or ""), scratch=tmp_path / "scratch")
    go._download(module, go._environment(tmp_path / "bin"), tmp_path / "log", SILENT)
    go.forget_scratch()
    assert list(home.iterdir()) == []
    assert not (tmp_path / "scratch").exists()


@needs_go
def test_a_tool_that_does_not_compile_shows_the_compilers_words(a_module: Callable[[str], Path]) -> None:
    with pytest.raises(StackError, match="could not be built") as failure:
        built(a_module("nonsense()"), [])
    assert "undefined: nonsense" in failure.value.detail


@needs_go
def test_a_tool_is_built_once_and_what_it_ships_is_kept_beside_it(
    a_module: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "cache"))
    module, told = a_module(""), list[Event]()
    (module / "go.sum").touch()
    (module / "config" / "crd").mkdir(parents=True)
    (module / "config" / "crd" / "snapshot.storage.k8s.io_things.yaml").write_text("a kind")
    (module / "config" / "crd" / "kustomization.yaml").write_text("not a kind")
    hello = Toolset("hello", module, "hello", ("hello",), 1.0, crds_of="example.dev/m")
    monkeypatch.setattr(toolchain, "TOOLSETS", (hello,))
    for _ in range(2):
        toolchain.binaries(told.append)
    assert [event.moment for event in told if event.moment is not Moment.PROGRESS] == [Moment.STARTING, Moment.READY]
    kept = sorted(str(file.relative_to(hello.place)) for file in hello.place.rglob("*") if file.is_file())
    assert kept == ["crds/snapshot.storage.k8s.io_things.yaml", "hello"]


def test_the_snapshot_controller_has_a_key_of_its_own_in_the_cache(tmp_path: Path) -> None:
    shutil.copytree(toolchain.SNAPSHOTS.module, tmp_path / "snapshots")
    other = replace(toolchain.SNAPSHOTS, module=tmp_path / "snapshots")
    assert other.fingerprint == toolchain.SNAPSHOTS.fingerprint
    with (other.module / "go.mod").open("a") as file:
        file.write("// changed\n")
    assert other.fingerprint != toolchain.SNAPSHOTS.fingerprint
    assert not list(toolchain.SNAPSHOTS.module.rglob("*.go")), "would change the key of the Kubernetes binaries"


def test_binaries_that_a_user_has_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*toolchain.TOOLS, *toolchain.SNAPSHOT_TOOLS, toolchain.CRDS):
        (tmp_path / name).touch()
    monkeypatch.setenv(toolchain.GIVEN, str(tmp_path))
    assert toolchain.binaries() == toolchain.SNAPSHOTS.place == tmp_path


def test_a_given_folder_that_lacks_a_binary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(toolchain.GIVEN, str(tmp_path))
    with pytest.raises(StackError, match=r"lacks server, kube-apiserver.*, snapshot-controller, crds"):
        toolchain.binaries()


def test_too_little_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "DISK_BYTES_MIN", 1 << 62)
    with pytest.raises(StackError, match="GiB free") as failure:
        Go(Path("/no/go")).install_tools(tmp_path, tmp_path, "", SILENT)
    assert "BERTH_CACHE_DIR" in failure.value.mend


def test_the_network_is_named_when_modules_cannot_be_fetched(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text('go: example.dev/x@v1: Get "https://proxy": dial tcp: lookup proxy: no such host\n')
    assert "GOPROXY" in compiler._failure(log).mend


def test_a_compiler_that_is_too_old_is_not_taken(tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.25.9\n")
    old.chmod(0o755)
    assert not compiler._is_new_enough(str(old))


def test_our_own_caches_are_removed_and_a_users_are_not(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    Go(Path("go"), scratch=tmp_path / "scratch").forget_scratch()
    Go(Path("go")).forget_scratch()
    assert list(tmp_path.iterdir()) == []
