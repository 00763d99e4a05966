"""Every route x role x tenant x state of the credential: what counts for nothing opens nothing, whosever it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from domain.identity import Role
from tests.api.credential_states import COUNTS, COUNTS_FOR_NOTHING, Signers
from tests.api.route_table import ROUTES, Asked, filled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.api.api_kit import Someone, TheApi

NOWHERE = {"workspace": "no-such-ws", "gpr": "gpr-00000000-0000", "new": "not a name"}


@dataclass
class Stage:
    """A workspace with a queued GPR, people who are something to it, and their dead credentials."""

    signers: Signers
    people: dict[str, Someone]
    words: dict[str, str]
    dead: dict[tuple[str, str], str]


@pytest_asyncio.fixture(scope="module")
async def stage(api: TheApi) -> Stage:
    signers = await Signers.of(api)
    owner = await api.someone()
    workspace = await api.workspace(owner)
    people = {
        "administrator": await api.someone(administrator=True),
        "owner": owner,
        "editor": await api.member(workspace, Role.EDITOR),
        "viewer": await api.member(workspace, Role.VIEWER),
        "another tenant": await api.someone(),
    }
    dead = {
        (state, role): await make(api, who, signers)
        for state, make in COUNTS_FOR_NOTHING.items()
        for role, who in people.items()
    }
    words = {"workspace": workspace, "gpr": await api.gpr(owner, workspace), "new": f"{workspace}-new"}
    return Stage(signers, people, words, dead)


@pytest.mark.parametrize("asked", ROUTES, ids=str)
async def test_a_credential_that_counts_for_nothing_opens_no_route_whosever_it_was(
    api: TheApi, stage: Stage, asked: Asked
) -> None:
    answers = {
        (state, role): await status_of(api, asked, stage.dead[state, role], stage.words)
        for state, role in each_with_one_role(asked, COUNTS_FOR_NOTHING, stage.people)
    }
    assert {case: status for case, status in answers.items() if status != 401} == {}


@pytest.mark.parametrize("asked", ROUTES, ids=str)
async def test_a_credential_that_counts_opens_every_route_as_the_key_itself_does(
    api: TheApi, stage: Stage, asked: Asked
) -> None:
    for state, role in each_with_one_role(asked, COUNTS, stage.people):
        who = stage.people[role]
        bearer = await COUNTS[state](api, who, stage.signers)
        as_the_key = await status_of(api, asked, who.key, NOWHERE)
        assert as_the_key != 401
        assert (state, role, await status_of(api, asked, bearer, NOWHERE)) == (state, role, as_the_key)


def each_with_one_role(asked: Asked, states: Iterable[str], roles: Iterable[str]) -> list[tuple[str, str]]:
    """Every state, with another role on the next route and in the next state: all pairs of the three come by."""
    turn, order = ROUTES.index(asked), list(roles)
    return [(state, order[(turn + number) % len(order)]) for number, state in enumerate(states)]


def test_every_state_meets_every_role_and_every_role_every_route() -> None:
    roles = ["a", "b", "c", "d", "e"]
    met = {(str(asked), *case) for asked in ROUTES for case in each_with_one_role(asked, COUNTS_FOR_NOTHING, roles)}
    assert {(state, role) for _, state, role in met} == {
        (state, role) for state in COUNTS_FOR_NOTHING for role in roles
    }
    assert {(route, role) for route, _, role in met} == {(str(asked), role) for asked in ROUTES for role in roles}


async def test_nothing_of_it_has_changed_anything(api: TheApi, stage: Stage) -> None:
    owner = stage.people["owner"]
    view = (await api.call("GET", f"/berth/v1/gprs/{stage.words['gpr']}", owner)).json()
    assert (view["phase"], view["priority"]) == ("queued", 201)
    mine = (await api.call("GET", "/berth/v1/workspaces", owner)).json()["items"]
    mine = [one for one in mine if not one["name"].startswith("dev-")]  # what counts has asked for boxes, too
    assert [(one["name"], one["phase"]) for one in mine] == [(stage.words["workspace"], "ready")]


async def status_of(api: TheApi, asked: Asked, bearer: str, words: dict[str, str]) -> int:
    headers = {"Authorization": f"Bearer {bearer}"}
    path, query = filled(asked.path, **words), filled(asked.query, **words)
    answer = await api.call(asked.method, path, headers=headers, params=query, json=filled(asked.body, **words))
    return answer.status_code
