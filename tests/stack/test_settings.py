from __future__ import annotations

import socket
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cli.stack import settings
from cli.stack.attachments import Attachments, parse
from cli.stack.failures import StackError

if TYPE_CHECKING:
    from pathlib import Path


def some_settings(home: Path, name: str) -> settings.Settings:
    (home / name).mkdir(exist_ok=True)
    return settings.load(home / name)


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    first = some_settings(tmp_path, "one")
    first.claim(["api", "postgres"])
    second = some_settings(tmp_path, "one")
    assert second.claim(["api", "postgres"]) == []
    assert second.ports == first.ports


def test_two_stacks_never_share_a_port_even_while_one_is_stopped(tmp_path: Path) -> None:
    one, two = some_settings(tmp_path, "one"), some_settings(tmp_path, "two")
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda each: each.claim(["api", "postgres", "temporal.ui"]), [one, two]))
    assert not set(one.ports.values()) & set(two.ports.values())


def test_a_port_that_somebody_else_took_moves_and_is_told(tmp_path: Path) -> None:
    one = some_settings(tmp_path, "one")
    one.claim(["api"])
    with socket.create_server(("127.0.0.1", one.ports["api"])):
        before = one.ports["api"]
        assert one.claim(["api"]) == ["api"]
    assert one.ports["api"] != before


def test_the_settings_are_private_because_a_url_holds_a_password(tmp_path: Path) -> None:
    one = some_settings(tmp_path, "one")
    one.attached = Attachments(database_url="postgresql://me:secret@there/berth")
    one.save()
    assert (tmp_path / "one" / settings.FILE).stat().st_mode & 0o077 == 0
    assert settings.load(tmp_path / "one").attached == one.attached


@pytest.mark.parametrize("name", ["", "Up", "a/b", "..", "-a", "a" * 33])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="cannot name a stack"):
        settings.require_name(name)


@pytest.mark.parametrize("words", ["worker-1", "=path", "worker-1=", "a.b=path", "A=path"])
def test_a_kubeconfig_needs_a_name_and_a_path(words: str) -> None:
    with pytest.raises(StackError, match="names no cluster"):
        parse({}, [words])


def test_a_part_that_was_attached_once_stays_attached_until_another_is_named() -> None:
    before = Attachments(database_url="postgresql://a/b", temporal_address="a:1")
    assert parse({"TEMPORAL_ADDRESS": "b:2"}).or_else(before) == Attachments("postgresql://a/b", "b:2")


def test_the_key_to_the_secrets_is_made_once(tmp_path: Path) -> None:
    one = some_settings(tmp_path, "one")
    one.ensure_secrets_key()
    again = some_settings(tmp_path, "one")
    again.ensure_secrets_key()
    assert again.secrets_keys == one.secrets_keys
    assert len(urlsafe_b64decode(one.secrets_keys)) == settings.SECRETS_KEY_BYTES


def test_a_stack_from_before_there_were_keys_gets_one(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / settings.FILE).write_text('{"ports": {"api": 1}, "attached": {}}')
    one = some_settings(tmp_path, "one")
    one.ensure_secrets_key()
    assert some_settings(tmp_path, "one") == one
