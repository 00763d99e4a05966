from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import tiers
from cli.main import app
from cli.tiers import TIERS, Outcome, Tier, outcome_table, plan_table
from tests.builders_cli import printed


def berth_test(*words: str) -> Result:
    return CliRunner().invoke(app, ["test", *words], catch_exceptions=False)


def a_test(folder: Path, body: str) -> str:
    file = folder / "test_it.py"
    file.write_text(f"import pytest\n{body}\n")
    return str(file)


def test_a_path_is_run_alone_and_pytests_options_reach_pytest(tmp_path: Path) -> None:
    file = a_test(tmp_path, "def test_fine(): pass\ndef test_wrong(): assert False")
    assert berth_test(file, "-k", "test_fine", "-q").exit_code == 0
    assert berth_test(f"{file}::test_wrong", "-q").exit_code == 1


def test_long_forms_run_only_when_they_are_asked_for() -> None:
    assert tiers._marks(["-x"], long=False) == ["-m", "not long"]
    assert tiers._marks(["-x"], long=True) == []


def test_who_chooses_marks_chooses_alone() -> None:
    assert tiers._marks(["-m", "long"], long=False) == []


def test_a_tier_that_does_not_exist_is_a_wrong_command_line() -> None:
    result = berth_test("--tier", "purity")
    assert result.exit_code == 2
    assert "no tier purity" in result.stderr


def test_the_plan_says_what_each_tier_needs_and_how_long_all_usually_take() -> None:
    shown = printed(plan_table([Tier("pure", "nothing", 10), Tier("api", "PostgreSQL", 80)], long=True))
    assert "1m 30s, then the long forms" in shown
    assert "PostgreSQL" in shown


def test_the_outcome_tells_failures_from_empty_folders() -> None:
    shown = printed(outcome_table([Outcome("pure", 0, 3), Outcome("api", 1, 3), Outcome("system", 5, 1)]))
    assert [line.split()[1] for line in shown.splitlines()[1:]] == ["passed", "failed", "no"]


def test_every_folder_of_tests_is_a_tier() -> None:
    folders = {folder.name for folder in Path(__file__).parents[1].iterdir() if list(folder.rglob("test_*.py"))}
    assert folders <= {tier.name for tier in TIERS}


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.name)
def test_every_tier_says_how_long_it_usually_takes(tier: Tier) -> None:
    assert tier.usually_seconds > 0
