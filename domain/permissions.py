"""One table: which role may do what. Operations ask it; dialects never do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.identity import Role

_RANK: Final = {Role.VIEWER: 0, Role.EDITOR: 1, Role.OWNER: 2}


class Action(StrEnum):
    """What can be asked of a workspace or of what is in it."""

    VIEW = "view"
    SUBMIT = "submit"
    CHANGE = "change"
    ISSUE_KUBECONFIG = "issue_kubeconfig"
    DELETE_WORKSPACE = "delete_workspace"
    CREATE_WORKSPACE = "create_workspace"


LEAST_ROLE: Final[dict[Action, Role]] = {
    Action.VIEW: Role.VIEWER,
    Action.SUBMIT: Role.EDITOR,
    Action.CHANGE: Role.EDITOR,
    Action.ISSUE_KUBECONFIG: Role.EDITOR,
    Action.DELETE_WORKSPACE: Role.OWNER,
    Action.CREATE_WORKSPACE: Role.OWNER,
}


def allows(role: Role, action: Action) -> bool:
    """Whether a holder of this role may do it."""
    return _RANK[role] >= _RANK[LEAST_ROLE[action]]


def weaker(one: Role, other: Role) -> Role:
    """The lesser of two roles: what a limited credential leaves of a membership."""
    return min(one, other, key=_RANK.__getitem__)
