"""A user of EGS who remembers: every answer about a Gpr becomes a claim, every other one is counted, none is overlooked."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tests.system import claims as claimed
from tests.system.claims import NOT_DELETED, NOT_EARLY, Claims
from tests.system.egs import NoAnswer, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.egs import Egs
    from tests.system.stories import State

Json = dict[str, Any]

NOBODY: Final = 0
"""In place of a status: nobody answered."""
AWAY: Final = frozenset({NOBODY, int(HTTPStatus.SERVICE_UNAVAILABLE)})
STATE_WORD: Final = re.compile(r"in (\w+) state")
LATER: Final = int(HTTPStatus.TOO_MANY_REQUESTS)
LATER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question."""

    status: int
    data: Any
    text: str
    began: float

    @property
    def is_fine(self) -> bool:
        return self.status == HTTPStatus.OK


@dataclass(slots=True)
class Replies:
    """All replies of all users."""

    claims: Claims = field(default_factory=Claims)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    away: list[tuple[datetime, str]] = field(default_factory=list)
    """Questions that found a part away, or nobody at all."""
    strange: list[str] = field(default_factory=list)
    """Answers that nobody should get."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, reply: Reply, expected: frozenset[int]) -> None:
        """Count it; keep it where it is not what the question may be answered with."""
        with self._lock:
            self.counts[what, reply.status] += 1
            if reply.status in AWAY:
                self.away.append((datetime.now(UTC), f"{what}: {reply.text or 'no answer'}"))
            elif reply.status not in expected | {LATER}:
                self.strange.append(f"{datetime.now(UTC):%H:%M:%S} {what} was answered {reply.text or reply.status}")


class User:
    """One user with one key."""

    def __init__(self, egs: Egs, replies: Replies) -> None:
        self.egs = egs
        self.replies = replies
        self.claims = replies.claims

    def ask(self, what: str, question: Callable[[], Any], *expected: int) -> Reply:
        """Ask once. `expected`: what it may be answered with; 200 alone by default."""
        began = time.monotonic()
        try:
            reply = Reply(int(HTTPStatus.OK), question(), "", began)
        except NoAnswer as silence:
            reply = Reply(NOBODY, None, str(silence), began)
        except Refusal as refusal:
            reply = Reply(refusal.status, None, str(refusal), began)
        self.replies.note(what, reply, frozenset(expected or (int(HTTPStatus.OK),)))
        if reply.status == LATER:
            time.sleep(LATER_SECONDS)
        return reply

    def submit(self, workspace: str, name: str, *expected: int, **wish: Any) -> str | None:
        """Queue a GPR, asked again under the same key where no answer came; its id."""
        again = False
        while True:
            question = lambda: self.egs.submit(workspace, name, key=name, **wish)  # noqa: E731
            reply = self.ask("create GPR", question, *(expected or (200,)))
            if reply.is_fine:
                self.claims.add_submitted(reply.data, reply.began, again=again)
            if reply.status not in AWAY | {LATER}:
                return reply.data if reply.is_fine else None
            again = True
            time.sleep(LATER_SECONDS)

    def look(self, workspace: str, own: list[str]) -> list[Json]:
        """List a workspace; `own` are ids that must be in it."""
        known = list(own)
        reply = self.ask("list GPRs", lambda: self.egs.gprs(workspace))
        if not reply.is_fine:
            return []
        items: list[Json] = reply.data
        self.claims.add_list(items, known, reply.began)
        return items

    def get(self, gpr_id: str) -> None:
        """Look at one."""
        reply = self.ask("get GPR", lambda: self.egs.gpr(gpr_id))
        if reply.is_fine:
            self.claims.add_sight(reply.data, reply.began)

    def release(self, gpr_id: str) -> None:
        """End it early, if it is provisioned."""
        reply = self.ask("early release", lambda: self.egs.release_early(gpr_id), 200, 500)
        if reply.is_fine:
            self.claims.add(gpr_id, "released early", reply.began, claimed.ends_early)
        elif reply.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._refused(gpr_id, "not released early", reply, NOT_EARLY)

    def delete(self, gpr_id: str) -> None:
        """Withdraw it, if it is not provisioned."""
        reply = self.ask("delete GPR", lambda: self.egs.delete_gpr(gpr_id), 200, 500)
        if reply.is_fine:
            self.claims.add(gpr_id, "deleted", reply.began, claimed.is_withdrawn)
        elif reply.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._refused(gpr_id, "not deleted", reply, NOT_DELETED)

    def move(self, gpr_id: str, priority: int) -> None:
        """Give it another place in the queue, if it is still there."""
        reply = self.ask("set priority", lambda: self.egs.set_priority(gpr_id, priority), 200, 409)
        if reply.is_fine:  # also where it has that priority already, and the place does not matter any more
            self.claims.add(gpr_id, "moved", reply.began, lambda state: state.priority == priority)
        elif reply.status == HTTPStatus.CONFLICT:
            self.claims.add(gpr_id, "not moved", reply.began, claimed.cannot_be_moved)

    def _refused(self, gpr_id: str, what: str, reply: Reply, states: dict[str, Callable[[State], bool]]) -> None:
        """One of the two documented 500s; any other is a fault."""
        word = STATE_WORD.search(reply.text)
        if word is None or word[1] not in states:
            self.replies.strange.append(f"{gpr_id} was {what}: {reply.text}")
        else:
            self.claims.add(gpr_id, f"{what}: {word[1]}", reply.began, states[word[1]])
