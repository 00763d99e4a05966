"""Holds a transaction of Berth still at a chosen moment, so that a part can be killed just there.

`Barrier`: before what a trigger stands before, or before the arbiter's lock. `Unanswered`: when it is committed and safe, and
whoever committed it does not know yet: the server waits for a standby that there is not.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final, Self

from cli.stack.postgres_binaries import binaries
from tests.system.freedom import until
from tests.system.tables import Tables

if TYPE_CHECKING:
    from tests.system.installation import Installation

KEY: Final = 8_000_017
"""Of an advisory lock that only these tests know."""
ARBITER: Final = "hashtext('berth.arbiter.default')"
"""Of the lock that a pass, a promise and a reservation take first."""
WAIT_SECONDS_MAX: Final = 60.0
WAITING: Final = """
    select l.pid from pg_locks l where l.locktype = 'advisory' and not l.granted
    and (l.classid::bigint << 32 | l.objid::bigint) = ({key}::bigint & x'ffffffffffffffff'::bigint)
"""
FUNCTION: Final = f"""
    create or replace function test_barrier() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared({KEY});
        return new;
    end $$
"""


class Barrier:
    """While it is up, whoever comes to it waits."""

    def __init__(self, installation: Installation, key: str) -> None:
        self._tables = installation.tables
        self._key = key
        self._session: subprocess.Popen[str] | None = None

    @classmethod
    def before_the_lock(cls, installation: Installation) -> Self:
        """Of the arbiter: nothing has been read or written yet."""
        return cls(installation, ARBITER)

    @classmethod
    def before(cls, installation: Installation, what: str, table: str) -> Self:
        """`what`: as a trigger says it, as in `insert`; the transaction has written whatever it writes before."""
        tables = installation.tables
        run(tables, FUNCTION)
        run(
            tables,
            f"create or replace trigger test_barrier before {what} on {table} for each row execute function test_barrier()",
        )
        return cls(installation, str(KEY))

    def __enter__(self) -> Self:
        argv = [str(binaries() / "psql"), "-XAtq", "-d", self._tables.url]
        self._session = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._session.stdin
        assert self._session.stdout
        self._session.stdin.write(f"select pg_advisory_lock({self._key});\n\\echo up\n")
        self._session.stdin.flush()
        while self._session.stdout.readline().strip() != "up":
            assert self._session.poll() is None, "psql has ended"
        return self

    def __exit__(self, *_: object) -> None:
        self.take_away()

    def take_away(self) -> None:
        """Whoever waits goes on, if it still can."""
        if self._session is not None:
            self._session.communicate("\\q\n")
            self._session = None

    def await_somebody(self) -> int:
        """The server's process of whoever waits."""
        query = WAITING.format(key=self._key)
        found = until(lambda: self._tables.rows(query), "somebody at the barrier", WAIT_SECONDS_MAX)
        return int(found[0]["pid"])


class Unanswered:
    """Meanwhile whatever commits is safe, but is not told so."""

    def __init__(self, installation: Installation) -> None:
        self._tables = installation.tables

    def __enter__(self) -> Self:
        self._wait_for("nobody")
        return self

    def __exit__(self, *_: object) -> None:
        self._wait_for("")

    def await_commit(self, pid: int) -> None:
        """Of the server's process that this is about."""
        query = f"select pid from pg_stat_activity where pid = {pid} and wait_event = 'SyncRep'"
        until(lambda: self._tables.rows(query), f"the commit of process {pid}", WAIT_SECONDS_MAX)

    def _wait_for(self, standby: str) -> None:
        run(self._tables, f"alter system set synchronous_standby_names = '{standby}'")
        run(self._tables, "select pg_reload_conf()")
        shown = "select setting from pg_settings where name = 'synchronous_standby_names'"
        until(lambda: self._tables.rows(shown)[0]["setting"] == standby, "the reload", WAIT_SECONDS_MAX)


def tear_down(installation: Installation, *tables: str) -> None:
    """No barrier is left."""
    for table in tables:
        run(installation.tables, f"drop trigger if exists test_barrier on {table}")


def run(tables: Tables, statement: str) -> None:
    """As the superuser, in a transaction of its own."""
    tables._printed(statement)
