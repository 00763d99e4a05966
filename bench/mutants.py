"""Do the tests of `planner/` notice when it is wrong? `python -m bench.mutants FOLDER planner.steps planner.holes`.

mutmut changes one thing at a time and runs the tests on it (`pip install mutmut` beside the tests' needs; they do not
need it). It works on a copy in FOLDER, so that no mutant ever lies in this tree; with the same folder it goes on where it
stopped. Afterwards `mutmut show NAME` in that folder says what a survivor changed. How thorough the laws are:
`BERTH_LAWS_EXAMPLES`.
"""

from __future__ import annotations

import json
import subprocess
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

ROOT = Path(__file__).parent.parent
NEEDED = ("planner", "domain", "tests/pure/planner", "tests/builders_planner.py", "pyproject.toml")
SETTINGS = """[mutmut]
source_paths = planner
also_copy = domain
pytest_add_cli_args_test_selection = tests/pure/planner
"""
KILLED, SURVIVED = (1, 3), 0
"""What pytest exits with."""


def main() -> None:
    """Prints a line for each module."""
    parser = ArgumentParser(prog="bench.mutants", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the copy")
    parser.add_argument("modules", nargs="+", help="planner.steps, planner.holes, ...")
    asked = parser.parse_args()
    if not asked.folder.exists():
        copy_of_the_planner(asked.folder)
    mutate(asked.folder, asked.modules)
    for line in table(asked.folder):
        print(line)


def copy_of_the_planner(folder: Path) -> None:
    """All that its tests need."""
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            copytree(source, target, ignore=ignore_patterns("__pycache__"))
        else:
            copy(source, target)
    (folder / "setup.cfg").write_text(SETTINGS)


def mutate(folder: Path, modules: Sequence[str]) -> None:
    """Runs the tests once for each mutant of these modules that has no result yet."""
    names = [name for module in modules for name in untried(folder, module)]
    if names:
        subprocess.run(["mutmut", "run", "--max-children", "1", *names], cwd=folder, check=True)


def untried(folder: Path, module: str) -> list[str]:
    """Their names; a pattern where none is known yet. What mutmut is told the name of it tries again."""
    file = folder / "mutants" / f"{module.replace('.', '/')}.py.meta"
    return [name for name, code in _results(file).items() if code is None] if file.exists() else [f"{module}.*"]


def table(folder: Path) -> list[str]:
    """A line for each module that was looked at, and one for each mutant that survived."""
    lines: list[str] = []
    for file in sorted((folder / "mutants" / "planner").glob("*.meta")):
        results = _results(file)
        found = Counter(_fate(code) for code in results.values())
        if found.total() > found["not tried"]:
            counts = ", ".join(f"{count} {fate}" for fate, count in sorted(found.items()))
            lines.append(f"{file.name.removesuffix('.py.meta')}: {len(results)} mutants: {counts}")
            lines += [f"  survived: {name}" for name, code in results.items() if code == SURVIVED]
    return lines


def _results(file: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = json.loads(file.read_text())["exit_code_by_key"]
    return found


def _fate(code: int | None) -> str:
    if code is None:
        return "not tried"
    if code == SURVIVED:
        return "survived"
    return "killed" if code in KILLED else "without end or answer"


if __name__ == "__main__":
    main()
