from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.failures import CommandFailed
from cli.narration import Narrator, narrated
from cli.stack.events import Event, Moment
from cli.steps import picture
from tests.builders_cli import SteppingClock, printed


def a_narrator() -> tuple[Narrator, SteppingClock, io.StringIO]:
    out, clock = io.StringIO(), SteppingClock()
    return Narrator(Console(file=out, force_terminal=False, width=200), clock), clock, out


def test_without_a_terminal_each_step_is_told_when_it_begins_and_when_it_ends() -> None:
    narrator, clock, out = a_narrator()
    narrator.running("postgres", "starting")
    clock.sleep(1.25)
    narrator.done("postgres", "127.0.0.1:5433")
    assert out.getvalue().splitlines() == ["postgres: starting", "postgres: 127.0.0.1:5433 (1.2 s)"]


def test_a_long_step_is_told_now_and_then_with_how_long_it_usually_takes() -> None:
    narrator, clock, out = a_narrator()
    for done in range(41):
        event = Event("kubernetes", Moment.PROGRESS, "compiling", done=done, total=900, usually_seconds=270)
        narrator.event(event)
        clock.sleep(0.5)
    assert out.getvalue().splitlines() == [
        "kubernetes: compiling 0/900 (usually 4m 30s)",
        "kubernetes: compiling 20/900 (usually 4m 30s)",
        "kubernetes: compiling 40/900 (usually 4m 30s)",
    ]


def test_what_the_stack_reports_is_told_in_its_words() -> None:
    narrator, _, out = a_narrator()
    narrator.event(Event("temporal", Moment.STARTING))
    narrator.event(Event("temporal", Moment.READY, "127.0.0.1:7233"))
    narrator.event(Event("postgres", Moment.ATTACHED, "postgresql://db"))
    narrator.event(Event("api", Moment.NOTE, "its port is taken; it moved to 8001"))
    narrator.event(Event("worker-1", Moment.STOPPED, elapsed_seconds=1.5))
    assert out.getvalue().splitlines() == [
        "temporal: begins",
        "temporal: 127.0.0.1:7233",
        "postgres: attached: postgresql://db",
        "api: its port is taken; it moved to 8001",
        "worker-1: stopped (1.5 s)",
    ]


def test_the_picture_shows_every_step_with_its_mark_and_its_time() -> None:
    narrator, clock, _ = a_narrator()
    narrator.done("postgres", "ready")
    narrator.running("worker-1", "starting", usually_seconds=4)
    narrator.running("worker-2", "starting")
    narrator.failed("worker-2", "does not accept pods")
    clock.sleep(2)
    lines = printed(picture(narrator.steps, clock.monotonic())).splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "postgres", "ready"],
        [lines[1][0], "worker-1", "2.0", "s", "starting", "(usually", "4", "s)"],
        ["✗", "worker-2", "does", "not", "accept", "pods"],
    ]


def failing(console: Console) -> None:
    with narrated(console, SteppingClock()) as narrator:
        narrator.running("worker-1", "starting")
        raise CommandFailed("worker-1 is not ready after 60 s")


def test_what_was_under_way_when_it_failed_is_marked_as_failed() -> None:
    out = io.StringIO()
    with pytest.raises(CommandFailed):
        failing(Console(file=out, force_terminal=False, width=200))
    assert out.getvalue().splitlines()[-1] == "worker-1: FAILED: worker-1 is not ready after 60 s"


def test_on_a_terminal_the_last_picture_stays() -> None:
    out, clock = io.StringIO(), SteppingClock()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with narrated(console, clock) as narrator:
        narrator.running("postgres", "starting")
        narrator.done("postgres", "127.0.0.1:5433")
    assert "127.0.0.1:5433" in out.getvalue()
