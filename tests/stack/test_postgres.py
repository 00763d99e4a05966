from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.stack import folders, processes
from cli.stack.failures import StackError
from cli.stack.guard import guarded
from cli.stack.ports import free_anywhere, is_free
from cli.stack.postgres import SEGMENTS, Postgres
from cli.stack.roster import Roster

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own_postgres(roster: Roster) -> Postgres:
    """One that a test may kill."""
    postgres = Postgres(roster, free_anywhere(1)[0], durable=False)
    postgres.start()
    return postgres


def test_rows_outlive_a_stop_and_a_crash(own_postgres: Postgres) -> None:
    own_postgres.execute("create table t as select 42 as answer", "berth")
    own_postgres.stop()
    own_postgres.start()
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.execute("select answer from t", "berth") == "42"


def test_a_pid_file_that_names_another_process_does_not_stop_the_next_start(own_postgres: Postgres) -> None:
    own_postgres.kill()
    file = own_postgres.data / "postmaster.pid"
    lines = file.read_text().splitlines()
    with guarded() as other:
        stranger = Postgres(other, free_anywhere(1)[0], durable=False)
        stranger.start()
        record = other.record("postgres")
        assert record is not None
        file.write_text("\n".join([str(record.pid), *lines[1:]]) + "\n")
        own_postgres.start()
        assert own_postgres.execute("select 1") == "1"


@pytest.mark.parametrize("crashed", [False, True])
def test_a_stopped_server_leaves_no_process_no_port_and_no_shared_memory(
    own_postgres: Postgres, *, crashed: bool
) -> None:
    pid = (own_postgres.data / "postmaster.pid").read_text().split()[0]
    if crashed:
        own_postgres.kill()
    own_postgres.stop()
    assert processes.working_in(own_postgres.data) == []
    assert is_free(own_postgres.port)
    assert pid not in {row.split()[4] for row in SEGMENTS.read_text().splitlines()[1:]}
    assert not own_postgres.is_running()


def test_a_copied_database_has_the_rows_of_its_template(own_postgres: Postgres) -> None:
    own_postgres.execute("create table t as select 1 as one", "berth")
    copy = own_postgres.create_database("copy", template="berth")
    assert copy.endswith("/copy")
    assert own_postgres.execute("select one from t", "copy") == "1"


def test_a_refused_statement_says_why(own_postgres: Postgres) -> None:
    with pytest.raises(StackError, match="does not exist"):
        own_postgres.execute("select * from nothing")


@pytest.mark.skipif(not folders.is_root(), reason="only root runs PostgreSQL as another user")
def test_root_is_told_when_another_user_cannot_reach_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(StackError, match="cannot be entered") as failure:
        Postgres(Roster(tmp_path), 1).start()
    assert "BERTH_STATE_DIR" in failure.value.mend
