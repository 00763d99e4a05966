"""How a box's image comes about without a registry, with programs that only pretend. What it is for: tests/system."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from cli.stack import box_image, node_traces
from cli.stack.events import Event, Moment
from cli.stack.failures import StackError

MAKES_A_SYSTEM = 'for root; do :; done; mkdir -p "$root/etc"; echo debian > "$root/etc/issue"'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH for the build; debootstrap and chroot are pretended, and so is pip."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for module in (box_image, node_traces):
        monkeypatch.setattr(module, "SEARCHED", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("BERTH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(box_image.sys, "executable", str(folder / "python"))
    for name in ("debootstrap", "chroot", "python"):
        _program(folder, name, MAKES_A_SYSTEM if name == "debootstrap" else "")
    return folder


def _program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_it_is_built_once_and_says_how_far_it_is(programs: Path) -> None:
    told: list[Event] = []
    built = box_image.archive(told.append)
    assert [event.moment for event in told] == [Moment.STARTING, *[Moment.PROGRESS] * 4, Moment.READY]
    with tarfile.open(built) as archive:
        assert "index.json" in archive.getnames()
    assert box_image.archive(told.append) == built
    assert len(told) == 6
    assert sorted(file.name for file in built.parent.iterdir()) == sorted([built.name, "build.log", "lock"])


def test_a_build_that_fails_leaves_nothing_that_looks_finished(programs: Path) -> None:
    _program(programs, "chroot", "echo no room >&2; exit 1")
    with pytest.raises(StackError, match="could not be built") as failure:
        box_image.archive()
    assert "no room" in failure.value.detail
    assert not isinstance(failure.value, box_image.Unreachable)
    _program(programs, "chroot", "")
    assert box_image.archive().exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("debootstrap", "E: Failed getting release file"),
        ("python", "WARNING: Retrying after connection broken by NewConnectionError"),
    ],
)
def test_packages_that_cannot_be_reached_are_told_from_a_build_that_is_broken(
    name: str, says: str, programs: Path
) -> None:
    _program(programs, name, f"echo '{says}' >&2; exit 1")
    with pytest.raises(box_image.Unreachable):
        box_image.archive()


def test_without_debootstrap_it_says_so_unless_the_image_is_there(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box_image.archive()
    (programs / "debootstrap").unlink()
    monkeypatch.setattr(node_traces, "SEARCHED", str(programs))
    assert box_image.lack() == ""
    box_image.archive().unlink()
    assert box_image.lack() == "the image of a dev box needs debootstrap; mend: apt-get install debootstrap"


def test_what_the_image_has_of_python_is_pinned_and_hashed() -> None:
    lock = (box_image.RECIPE / "requirements.lock").read_text()
    named = re.findall(r"^([a-z0-9-]+)==\S+ \\\n +--hash=sha256:", lock, flags=re.MULTILINE)
    assert "jupyterlab" in named
    assert len(named) == len(re.findall(r"^[a-z]", lock, flags=re.MULTILINE))
