"""The house's rules: style, types, import contracts, and what must not stand in the repository."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CHECKS = {
    "ruff finds nothing": ["ruff", "check", "."],
    "the formatter agrees": ["ruff", "format", "--check", "."],
    "types hold": ["mypy"],
    "imports point one way": ["lint-imports"],
}
README_LINES_MAX = 150
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/")
TEXT = {".py", ".sql", ".md", ".toml", ".yml", ".yaml", ".sh", ".mod", ".go"}


@pytest.mark.parametrize("command", CHECKS.values(), ids=CHECKS.keys())
def test_the_house_is_in_order(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


def test_no_file_names_somebodys_machine() -> None:
    assert [str(path) for path in tracked() if MACHINE_PATH.search(path.read_text(errors="replace"))] == []


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return [path for path in paths if path.suffix in TEXT and path.is_file() and path != Path(__file__)]
