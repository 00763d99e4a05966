"""Under which conditions a bench ran: a figure without them says nothing."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("temporalio", "asyncpg", "fastapi", "uvicorn", "kubernetes")
CPU_INFO = Path("/proc/cpuinfo")
FIRST = os.sched_param(1)
"""The priority of those who go first, above all that has none."""


def conditions() -> dict[str, str | int | float]:
    """The machine, how busy it is, and the versions of what is measured."""
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}",
        "load average at the begin": load_average(),
        "commit": _commit(),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def load_average() -> str:
    """Runnable processes over 1, 5 and 15 minutes, those of others included."""
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def arguments(description: str | None, **sizes: int) -> argparse.Namespace:
    """The command line: `--json FILE`, an option for each size, and a flag for each that is False."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=None, help="keep the figures in this file")
    for name, size in sizes.items():
        option = f"--{name.replace('_', '-')}"
        if size is False:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=int, default=size, help=f"{size} by default")
    return parser.parse_args()


def go_first(pid: int) -> None:
    """Let all threads of a process have a core whenever they want one, as on a machine that others do not fill; for root."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_RR, FIRST)


def _processor() -> str:
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return answer.stdout.strip() or "unknown"
