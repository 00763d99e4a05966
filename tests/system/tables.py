"""The ledger's tables as they are, read with psql: whoever checks Berth's books does not use Berth's way of reading them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from cli.stack.postgres_binaries import binaries

SECONDS_MAX = 10.0


class TablesAway(Exception):
    """PostgreSQL does not answer."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one database."""

    url: str

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a query finds."""
        found: list[dict[str, Any]] = json.loads(
            self._printed(f"select coalesce(json_agg(to_json(found)), '[]') from ({query}) found")
        )
        return found

    def count(self, table_and_condition: str) -> int:
        """How many rows `<table> where <condition>` has."""
        return int(self._printed(f"select count(*) from {table_and_condition}"))

    def _printed(self, statement: str) -> str:
        argv = [str(binaries() / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", statement]
        try:
            answer = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            raise TablesAway(f"no answer within {SECONDS_MAX} s") from error
        if answer.returncode:
            raise TablesAway(answer.stderr.strip())
        return answer.stdout
