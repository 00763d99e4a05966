from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import main as rim
from cli.exits import EPILOG, INTERRUPTED, ExitCode

HEAVY = "temporalio kubernetes asyncpg fastapi ledger api worker workflows clusters"


def test_the_command_brings_in_nothing_that_it_does_not_need() -> None:
    program = f"import sys, cli.main; print([name for name in '{HEAVY}'.split() if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_a_fault_of_ours_is_one_line_and_a_file_with_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rim, "app", lambda: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        rim.main()
    told = capsys.readouterr().err
    file = Path(told.rsplit(maxsplit=1)[-1])
    assert ended.value.code == 1
    assert "Traceback" not in told
    assert "ZeroDivisionError" in file.read_text()
    file.unlink()


def test_the_help_lists_every_exit_code() -> None:
    shown = " ".join(CliRunner().invoke(rim.app, ["--help"]).stdout.split())
    assert EPILOG in shown
    assert all(f"{code.value} " in EPILOG for code in ExitCode)
    assert str(INTERRUPTED) in EPILOG


def test_every_command_explains_itself() -> None:
    for words in (["up"], ["gpr", "create"], ["workspace", "delete"], ["key", "create"], ["test"], ["logs"]):
        result = CliRunner().invoke(rim.app, [*words, "--help"])
        assert result.exit_code == 0


def test_the_shell_can_complete_it() -> None:
    result = CliRunner(env={"_BERTH_COMPLETE": "complete_bash", "COMP_WORDS": "berth gpr w", "COMP_CWORD": "2"}).invoke(
        rim.app, [], prog_name="berth"
    )
    assert result.stdout.split() == ["watch"]
