"""The first command, `./berth`, in a tree of its own: empty home, empty caches, nothing but Python on the PATH.

The tree's lock file is empty and its build backend is its own, so that the tests need no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stack.folders import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKEND = """
import zipfile

META = "berth-0.dist-info"

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/berth-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("berth.pth", TREE)
        wheel.writestr(f"{META}/METADATA", "Metadata-Version: 2.1\\nName: berth\\nVersion: 0\\n")
        wheel.writestr(f"{META}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{META}/entry_points.txt", "[console_scripts]\\nberth = said:main\\n")
        wheel.writestr(f"{META}/RECORD", "")
    return "berth-0-py3-none-any.whl"
"""
SAID = "import sys\ndef main():\n    print(*sys.argv[1:])\n"
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "berth"
version = "0"
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose .venv was made by its first run."""
    folder = bare_tree(tmp_path_factory.mktemp("first"))
    first = run(folder, "gpr", "list")
    assert (first.returncode, first.stdout) == (0, "gpr list\n"), first.stderr
    assert "usually one minute" in first.stderr
    return folder


def bare_tree(folder: Path) -> Path:
    shutil.copy(REPOSITORY / "berth", folder / "berth")
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND.replace("TREE", repr(str(folder))))
    (folder / "said.py").write_text(SAID)
    (folder / "home").mkdir()
    return folder


def environment(tree: Path) -> dict[str, str]:
    return {"HOME": str(tree / "home"), "PATH": os.defpath, "PIP_NO_INDEX": "1"}


def run(tree: Path, *words: str, python: Sequence[str] = (sys.executable,)) -> subprocess.CompletedProcess[str]:
    argv = [*python, str(tree / "berth"), *words]
    return subprocess.run(argv, env=environment(tree), capture_output=True, text=True, check=False)


def test_a_second_run_says_nothing_and_starts_at_once(tree: Path) -> None:
    run(tree)
    started = time.monotonic()
    second = run(tree, "status", "--json")
    whole_seconds = time.monotonic() - started
    assert (second.stdout, second.stderr) == ("status --json\n", "")
    assert whole_seconds < 1


def test_arguments_and_the_exit_code_are_the_real_commands(tree: Path) -> None:
    (tree / "said.py").write_text("import sys\ndef main():\n    sys.exit(int(sys.argv[1]))\n")
    assert run(tree, "7").returncode == 7
    (tree / "said.py").write_text(SAID)


def test_a_changed_lock_file_or_project_installs_again(tree: Path) -> None:
    for file in ("requirements.lock", "pyproject.toml"):
        with (tree / file).open("a") as changed:
            changed.write("# changed\n")
        assert "preparing" in run(tree).stderr
        assert run(tree).stderr == ""


def test_an_interrupted_installation_is_finished_by_the_next_run(tree: Path) -> None:
    (tree / ".venv" / "berth-stamp").write_text("unfinished")
    (tree / ".venv" / "bin" / "berth").unlink()
    assert run(tree, "up").stdout == "up\n"


def test_a_venv_whose_making_was_interrupted_is_made_anew(tree: Path) -> None:
    shutil.rmtree(tree / ".venv")
    (tree / ".venv").mkdir()
    (tree / ".venv" / "berth-stamp").write_text("unfinished")
    assert run(tree, "up").stdout == "up\n"


def test_first_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    tree = bare_tree(tmp_path)
    argv = [sys.executable, str(tree / "berth"), "up"]
    runs = [
        subprocess.Popen(argv, env=environment(tree), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [each.communicate() for each in runs]
    assert [output for output, _ in said] == ["up\n"] * 3, said
    assert sum("preparing" in errors for _, errors in said) == 1


def test_a_venv_that_is_not_ours_and_does_not_work_is_left_alone(tmp_path: Path) -> None:
    tree = bare_tree(tmp_path)
    (tree / ".venv").mkdir()
    refused = run(tree)
    assert refused.returncode == 1
    assert "was not made here" in refused.stderr
    assert "Mend: " in refused.stderr


def test_a_failed_installation_shows_pips_last_words_and_a_mend(tree: Path) -> None:
    (tree / "requirements.lock").write_text("berth-of-nowhere==1 --hash=sha256:" + "0" * 64 + "\n")
    refused = run(tree)
    assert refused.returncode == 1
    assert "berth-of-nowhere" in refused.stderr
    assert "is PyPI reachable" in refused.stderr
    (tree / "requirements.lock").write_text("# nothing\n")


def test_a_python_without_ensurepip_is_told_what_to_install(tmp_path: Path) -> None:
    tree = bare_tree(tmp_path)
    blind = (
        "import importlib.util as u, runpy, sys; real = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'ensurepip' else real(name, *rest); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    refused = run(tree, python=(sys.executable, "-c", blind))
    assert refused.returncode == 1
    assert f"python3.{sys.version_info[1]}-venv" in refused.stderr


def test_an_incomplete_copy_of_the_repository_is_told_apart(tmp_path: Path) -> None:
    tree = bare_tree(tmp_path)
    (tree / "requirements.lock").unlink()
    assert "requirements.lock is missing" in run(tree).stderr
