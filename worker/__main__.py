"""`python -m worker core|cluster|relay|node|migrate|bootstrap`: one of Berth's processes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain.failures import BerthFailure
from ledger.access import ensure_administrator
from ledger.connection import Ledger
from ledger.migrate import migrate
from ledger.sealing import KEYRING
from worker.garbage import look_seldom
from worker.observability import configure_logging
from worker.processes import run_cluster, run_core, run_node, run_relay
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Coroutine


def main() -> int:
    """Run the process that the command line names until it is told to stop."""
    arguments = _arguments()
    settings = WorkerSettings()
    configure_logging(settings.berth_log_format)
    look_seldom()
    try:
        KEYRING.use(settings.berth_secrets_keys)
        asyncio.run(_process(arguments, settings))
    except BerthFailure as failure:
        print(f"worker: {failure}", file=sys.stderr)  # noqa: T201 - for whoever started it by hand
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("process", choices=["core", "cluster", "relay", "node", "migrate", "bootstrap"])
    parser.add_argument("--cluster", default="", help="which cluster, for cluster and node")
    return parser.parse_args()


def _process(arguments: argparse.Namespace, settings: WorkerSettings) -> Coroutine[None, None, None]:
    if arguments.process == "cluster":
        return run_cluster(settings, arguments.cluster)
    if arguments.process == "node":
        return run_node(settings, arguments.cluster)
    return {"core": run_core, "relay": run_relay, "migrate": _migrate, "bootstrap": _bootstrap}[arguments.process](
        settings
    )


async def _migrate(settings: WorkerSettings) -> None:
    ledger = Ledger(settings.database_url)
    try:
        print(json.dumps({"migrations": await migrate(ledger)}))  # noqa: T201 - the answer of this command
    finally:
        await ledger.close()


async def _bootstrap(settings: WorkerSettings) -> None:
    ledger = Ledger(settings.database_url)
    try:
        key = await ensure_administrator(ledger, datetime.now(UTC))
        print(json.dumps({"administratorKey": key}))  # noqa: T201 - the answer of this command
    finally:
        await ledger.close()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Temporal's client may abort in the interpreter's own exit (sdk-python issue 300)
