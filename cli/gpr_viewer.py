"""Shows a followed Gpr: redrawn in place on a terminal, a line for each change elsewhere, JSON lines for programs."""

from __future__ import annotations

from contextlib import suppress
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.client import Away, BerthClient, Gpr
from cli.client.answers import Event
from cli.clock import Clock
from cli.gpr_view import event_table, gpr_panel, sentence
from cli.screen import Screen
from cli.watching import Sight

REDRAWS_PER_SECOND = 4


class Viewer:
    """One watcher's view of one Gpr."""

    def __init__(self, screen: Screen, clock: Clock, client: BerthClient) -> None:
        self._screen = screen
        self._clock = clock
        self._client = client
        self._sight: Sight | None = None
        self._told: Gpr | None = None
        self._events: list[Event] = []
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._screen.out.is_terminal and not self._screen.as_json:
            self._live = Live(
                console=self._screen.out, get_renderable=self._picture, refresh_per_second=REDRAWS_PER_SECOND
            )
            self._live.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._live:
            self._live.stop()

    def see(self, sight: Sight) -> None:
        """The newest sight; told when it says something new."""
        before, self._sight = self._sight, sight
        if sight.away and not (before and before.away) and self._live is None:
            self._screen.err.print(f"no news: {sight.away}", soft_wrap=True)
        if not sight.away and _is_news(self._told, sight.gpr):
            self._told = sight.gpr
            self._tell(sight.gpr)

    def _tell(self, gpr: Gpr) -> None:
        if self._screen.as_json:
            self._screen.json_line(gpr)
        elif self._live is None:
            now = self._clock.now()
            self._screen.say(f"{now.astimezone():%H:%M:%S}  {gpr.name}  {sentence(gpr, now)}")
        else:
            with suppress(Away):  # what happened can be shown at the next change
                self._events = list(self._client.events(gpr.id))

    def _picture(self) -> RenderableType:
        if self._sight is None:
            return Text("")
        now = self._clock.now()
        away = [Text(f"no news: {self._sight.away}", "red")] if self._sight.away else []
        return Group(gpr_panel(self._sight.gpr, now), event_table(self._events, now), *away)


def _is_news(told: Gpr | None, gpr: Gpr) -> bool:
    """An estimate may move without a new version."""
    return told is None or told.version != gpr.version or told.estimate != gpr.estimate
