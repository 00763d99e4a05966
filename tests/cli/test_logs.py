from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.logs import Tail
from cli.main import app
from cli.stack.settings import Settings


@pytest.fixture
def log_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    folder = tmp_path / "here" / "log"
    folder.mkdir(parents=True)
    Settings(tmp_path / "here").save()
    return folder


def berth(*words: str) -> Result:
    return CliRunner(env={"BERTH_STACK": "here"}).invoke(app, words, catch_exceptions=False)


def test_one_part_is_shown_as_it_wrote(log_folder: Path) -> None:
    (log_folder / "core.log").write_text("one\ntwo\nthree\n")
    assert berth("logs", "core", "-n", "2").stdout == "two\nthree\n"


def test_all_parts_are_shown_with_their_names(log_folder: Path) -> None:
    (log_folder / "core.log").write_text("".join(f"{number}\n" for number in range(9)))
    (log_folder / "api.log").write_text("ready\n")
    lines = berth("logs").stdout.splitlines()
    assert lines == [*(f"core | {number}" for number in range(4, 9)), "api | ready"]


@pytest.mark.usefixtures("log_folder")
def test_a_part_that_does_not_exist_ends_with_3_and_the_names_that_do() -> None:
    result = berth("logs", "cor")
    assert result.exit_code == 3
    assert "mend: one of postgres, temporal" in result.stderr


def test_what_is_added_is_shown_in_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "core.log"
    log.write_text("one\ntw")
    tail = Tail(log)
    assert tail.last(10) == ["one"]
    with log.open("a") as file:
        file.write("o\nthree\n")
    assert tail.new() == ["two", "three"]
    assert tail.new() == []


def test_a_log_that_was_set_aside_is_begun_again(tmp_path: Path) -> None:
    log = tmp_path / "core.log"
    log.write_text("a long first log\n")
    tail = Tail(log)
    tail.last(1)
    log.write_text("new\n")
    assert tail.new() == ["new"]


def test_a_part_that_never_wrote_has_no_lines(tmp_path: Path) -> None:
    assert Tail(tmp_path / "core.log").last(5) == []
