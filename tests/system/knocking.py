"""Asks the API while a part is away, in three dialects: it may answer well, say 503 in its dialect's shape, or be away itself."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from cli.client import ApiFailure, BerthClient
from cli.client.transport import Patience, Transport
from tests.system.egs import NoAnswer, Refusal
from tests.system.population import HELD, MEANWHILE, WORKSPACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.population import Population

FINE, AWAY, NO_ANSWER = "200", "503", "no answer"
REQUEST_ID = re.compile(r"[0-9a-f]{32}")
"""One answer, however often it came."""
ONCE = Patience(attempts_max=1)
UNREACHABLE = frozenset({"unreachable", "broken_off"})


class Knocking:
    """What was asked, and each different answer that came."""

    def __init__(self, population: Population) -> None:
        self.answers: defaultdict[str, set[str]] = defaultdict(set)
        self.submitted: set[str] = set()
        """Ids that one idempotency key was answered with: never more than one."""
        self._population = population

    def knock(self) -> None:
        """Ask everything once."""
        egs = self._population.installation.egs
        self._ask_egs("read", lambda: egs.gpr(self._population.ids[HELD]))
        self._ask_egs("list", lambda: egs.gprs(WORKSPACES[HELD]))
        self._ask_egs("submit", lambda: self.submitted.add(self._population.submit(MEANWHILE)))
        self._ask_egs("kubeconfig", lambda: egs.kubeconfig(WORKSPACES[HELD]))
        self._ask_egs("jobs", self._population.jobs.gpuctl.rows)
        self._ask_native()

    @property
    def told(self) -> str:
        """All answers in one line."""
        return ", ".join(f"{what} {'/'.join(sorted(answers))}" for what, answers in sorted(self.answers.items()))

    @property
    def dishonest(self) -> list[str]:
        """Answers that nobody should get, and wishes that were granted twice."""
        strange = [
            f"{what} was answered {answer}"
            for what, answers in self.answers.items()
            for answer in answers - {FINE, AWAY, NO_ANSWER}
        ]
        twice = [f"one key made {sorted(self.submitted)}"] if len(self.submitted) > 1 else []
        return [*strange, *twice]

    def _ask_egs(self, what: str, question: Callable[[], object]) -> None:
        try:
            question()
        except NoAnswer:
            self.answers[what].add(NO_ANSWER)
        except Refusal as refusal:
            self.answers[what].add(AWAY if refusal.status == int(AWAY) else REQUEST_ID.sub("…", str(refusal)))
        else:
            self.answers[what].add(FINE)

    def _ask_native(self) -> None:
        """The client reads the failure's shape; it is told to ask once."""
        installation = self._population.installation
        client = BerthClient(installation.url, transport=Transport(installation.url, installation.key, patience=ONCE))
        try:
            client.gpr(self._population.ids[HELD])
            self.answers["native"].add(FINE)
        except ApiFailure as failure:
            honest = NO_ANSWER if failure.code in UNREACHABLE else str(failure.status)
            self.answers["native"].add(honest if honest in {NO_ANSWER, AWAY} else str(failure))
        finally:
            client.close()
