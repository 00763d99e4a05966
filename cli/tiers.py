"""`berth test`: the tests by what they need, each tier told with how long it usually takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.clock import Clock
from cli.exits import INTERRUPTED, ExitCode
from cli.failures import CommandFailed
from cli.narration import narrated
from cli.phrases import elapsed, span
from cli.screen import table
from cli.stack import box_image, toolchain
from cli.stack.folders import REPOSITORY

NO_TESTS = 5
"""What pytest answers when a folder, or a choice, holds none."""
ENDS = {0: ExitCode.FINE, 2: INTERRUPTED, 4: ExitCode.USAGE}
"""Pytest's exit codes in ours; any other is a failure."""
FOLDER = REPOSITORY / "tests"


@dataclass(frozen=True, slots=True)
class Tier:
    """One folder of tests. Seconds are on two cores, everything built."""

    name: str
    needs: str
    usually_seconds: float
    clusters: bool = False
    """Kubernetes is built first, where it is not yet."""
    boxes: bool = False
    """So is the image of a dev box, where this machine can run one."""


TIERS = (
    Tier("house", "nothing", 30),
    Tier("pure", "nothing", 110),
    Tier("cli", "nothing", 30),
    Tier("ledger", "PostgreSQL", 150),
    Tier("workflows", "PostgreSQL, Temporal, Kubernetes", 500, clusters=True),
    Tier("replay", "nothing", 10),
    Tier("stack", "PostgreSQL, Temporal, Kubernetes", 180, clusters=True),
    Tier("activities", "PostgreSQL, Temporal, Kubernetes", 330, clusters=True),
    Tier("api", "PostgreSQL, Temporal, Kubernetes", 780, clusters=True),
    Tier("system", "the whole stack", 1400, clusters=True, boxes=True),
)
"""In the order in which they run: what fails fast goes first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of pytest ended."""

    what: str
    code: int
    seconds: float

    @property
    def word(self) -> str:
        """For people."""
        return {0: "passed", NO_TESTS: "no tests"}.get(self.code, f"failed ({self.code})")

    @property
    def fine(self) -> bool:
        """Whether nothing failed."""
        return self.code in {0, NO_TESTS}


def run_tests(
    context: typer.Context,
    *,
    tier: Annotated[list[str] | None, typer.Option(help="Only this folder of tests; may be repeated.")] = None,
    long: Annotated[bool, typer.Option("--long", help="The long forms too; hours.")] = False,
) -> None:
    """Run the tests, tier by tier. What else is given goes to pytest; paths among it are run alone."""
    console = Console(highlight=False, markup=False)
    if importlib.util.find_spec("pytest") is None:
        mend = f"{sys.executable} -m pip install -e '{REPOSITORY}[dev]'"
        raise CommandFailed("pytest is not installed", mend=mend, code=ExitCode.AWAY)
    arguments = [*_marks(context.args, long=long), *context.args]
    if _names_paths(context.args):
        raise typer.Exit(ENDS.get(_run([], arguments), ExitCode.FAILED))
    chosen = _chosen(tier or [])
    console.print(plan_table(chosen, long=long))
    if any(each.clusters for each in chosen):
        with narrated(console, Clock()) as narrator:
            toolchain.binaries(narrator.event)
            if any(each.boxes for each in chosen):
                box_image.prepare(narrator.event)
    outcomes = [_outcome(each, console, arguments) for each in chosen]
    console.print(outcome_table(outcomes))
    if not all(outcome.fine for outcome in outcomes):
        failed = ", ".join(outcome.what for outcome in outcomes if not outcome.fine)
        raise CommandFailed(f"tests failed: {failed}")


def plan_table(tiers: Sequence[Tier], *, long: bool) -> Table:
    """What will run."""
    built = table("TIER", "NEEDS", ">USUALLY")
    for each in tiers:
        built.add_row(each.name, each.needs, span(each.usually_seconds))
    whole = span(sum(each.usually_seconds for each in tiers))
    built.add_row("all", "", f"{whole}, then the long forms" if long else whole)
    return built


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """What has run."""
    built = table("TIER", "RESULT", ">TOOK")
    for each in outcomes:
        built.add_row(each.what, each.word, elapsed(each.seconds), style="" if each.fine else "bold red")
    return built


def _chosen(names: Sequence[str]) -> list[Tier]:
    there = [each for each in TIERS if (FOLDER / each.name).is_dir()]
    unknown = set(names) - {each.name for each in there}
    if unknown:
        known = ", ".join(each.name for each in there)
        raise CommandFailed(f"no tier {', '.join(sorted(unknown))}", mend=f"one of {known}", code=ExitCode.USAGE)
    return [each for each in there if not names or each.name in names]


def _marks(given: Sequence[str], *, long: bool) -> list[str]:
    """The long forms run only when asked for; who chooses marks chooses alone."""
    return [] if long or "-m" in given else ["-m", "not long"]


def _names_paths(given: Sequence[str]) -> bool:
    return any(not word.startswith("-") and _is_path(word.partition("::")[0]) for word in given)


def _is_path(word: str) -> bool:
    return (REPOSITORY / word).exists() or Path(word).exists()


def _outcome(tier: Tier, console: Console, arguments: Sequence[str]) -> Outcome:
    console.rule(f"{tier.name}: needs {tier.needs}, usually {span(tier.usually_seconds)}", align="left")
    began = time.monotonic()
    code = _run([str(FOLDER / tier.name)], arguments)
    return Outcome(tier.name, code, time.monotonic() - began)


def _run(folders: Sequence[str], arguments: Sequence[str]) -> int:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *folders, *arguments], cwd=REPOSITORY, check=False
    ).returncode
