from __future__ import annotations

from pathlib import Path

import pytest

from cli.completion import gpr_words, workspace_names
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.servers import chosen_server
from cli.stack.settings import Settings
from tests.builders_cli import a_gpr_document, a_workspace_document
from tests.cli.scripted_server import Script, items, served


@pytest.fixture(autouse=True)
def a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local stack named `here` whose API is on port 8765."""
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    (tmp_path / "here").mkdir()
    Settings(tmp_path / "here", {"api": 8765}).save()
    (tmp_path / "here" / "administrator.key").write_text("berth_stack_key")


def test_without_a_word_it_is_the_local_stack_and_its_administrator() -> None:
    server = chosen_server("", "", "here")
    assert (server.url, server.api_key) == ("http://127.0.0.1:8765", "berth_stack_key")


def test_another_key_may_be_used_on_the_local_stack() -> None:
    assert chosen_server("", "mine\n", "here").api_key == "mine"


def test_the_stacks_key_is_never_sent_to_another_server() -> None:
    assert chosen_server("https://berth.example", "", "here").api_key == ""


def test_without_a_server_and_without_a_stack_it_says_how_to_get_one() -> None:
    with pytest.raises(CommandFailed, match="no local stack 'nowhere'") as failed:
        chosen_server("", "", "nowhere")
    assert failed.value.code is ExitCode.AWAY
    assert "berth up" in failed.value.mend


def test_the_shell_is_offered_what_the_server_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    gpr = a_gpr_document(name="train")
    script = Script().on("GET /berth/v1/gprs", items(gpr))
    script.on("GET /berth/v1/workspaces", items(a_workspace_document("demo"), a_workspace_document("team")))
    with served(script) as url:
        monkeypatch.setenv("BERTH_URL", url)
        assert workspace_names("te") == ["team"]
        assert gpr_words("") == ["train", gpr["id"][:8]]


def test_the_shell_is_offered_nothing_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STACK", "nowhere")
    assert workspace_names("") == []
