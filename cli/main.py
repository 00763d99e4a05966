"""The `berth` command: its nouns, put together; what each means is in the module of its noun.

The rim of the process: what no command expected becomes one line too, and the traceback of it is a file's.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import typer

from cli import (
    costs,
    departments,
    gprs,
    gpus,
    idle_rules,
    inventory,
    keys,
    logs,
    maintenance,
    pools,
    prices,
    quotas,
    reservations,
    scheduling,
    stacks,
    tiers,
    time_axis,
    workspaces,
)
from cli.command_group import CommandGroup, show
from cli.exits import EPILOG, ExitCode
from cli.failures import CommandFailed

app = typer.Typer(
    cls=CommandGroup,
    name="berth",
    help="Berth says when: queue, start estimate, lease and certain teardown for every request for GPUs.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TO_PYTEST = {"allow_extra_args": True, "ignore_unknown_options": True}
STACK = "The local stack"
GPUS = "GPUs"
TIME = "Time"
ACCESS = "Access"

app.command(rich_help_panel=STACK)(stacks.up)
app.command(rich_help_panel=STACK)(stacks.down)
app.command(rich_help_panel=STACK)(stacks.status)
app.command(rich_help_panel=STACK)(logs.logs)
app.command("test", rich_help_panel=STACK, context_settings=TO_PYTEST)(tiers.run_tests)
app.add_typer(gprs.app, name="gpr", rich_help_panel=GPUS)
app.command(rich_help_panel=TIME)(time_axis.plan)
app.command(rich_help_panel=TIME)(time_axis.when)
app.command(rich_help_panel=TIME)(time_axis.why)
app.command(rich_help_panel=TIME)(time_axis.promise)
app.command(rich_help_panel=TIME)(time_axis.extend)
app.command(rich_help_panel=TIME)(time_axis.honesty)
app.command(rich_help_panel=TIME)(reservations.reserve)
app.add_typer(reservations.app, name="reservation", rich_help_panel=TIME)
app.command(rich_help_panel=TIME)(scheduling.scheduling)
app.command(rich_help_panel=TIME)(scheduling.weight)
app.command(rich_help_panel=GPUS)(inventory.nodes)
app.command(rich_help_panel=GPUS)(inventory.clusters)
app.add_typer(pools.app, name="pool", rich_help_panel=GPUS)
app.add_typer(maintenance.app, name="maintenance", rich_help_panel=GPUS)
app.add_typer(quotas.app, name="quota", rich_help_panel=GPUS)
app.add_typer(departments.app, name="department", rich_help_panel=GPUS)
app.add_typer(prices.app, name="price", rich_help_panel=GPUS)
app.command(rich_help_panel=GPUS)(costs.cost)
app.add_typer(gpus.app, name="gpu", rich_help_panel=GPUS)
app.add_typer(idle_rules.app, name="idle-rule", rich_help_panel=GPUS)
app.add_typer(workspaces.app, name="workspace", rich_help_panel=ACCESS)
app.command(rich_help_panel=ACCESS)(workspaces.kubeconfig)
app.add_typer(keys.app, name="key", rich_help_panel=ACCESS)
app.command(rich_help_panel=ACCESS)(keys.whoami)


def main() -> None:
    """Run one command, and end with its exit code."""
    try:
        app()
    except Exception as fault:  # noqa: BLE001 - the rim of the process
        show(CommandFailed(f"this is a fault of Berth: {fault!r}", mend=f"report it with {_traceback_file()}"))
        sys.exit(int(ExitCode.FAILED))


def _traceback_file() -> str:
    handle, path = tempfile.mkstemp(prefix="berth-fault-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        traceback.print_exc(file=file)
    return path


if __name__ == "__main__":
    main()
