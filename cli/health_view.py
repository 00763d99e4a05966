"""How the server says its parts are, as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.client.answers import Health

STATE = "state"
OK = "ok"


def parts_of(health: Health) -> Iterator[tuple[str, str, str]]:
    """Name, state and detail of each part, whatever parts the server has."""
    yield from _parts(health.model_dump(mode="json"), "")


def is_well(health: Health) -> bool:
    """Whether the server finds nothing wrong."""
    return all(state == OK for _, state, _ in parts_of(health))


def _parts(found: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, part in found.items():
        if not isinstance(part, Mapping):
            continue
        if STATE in part:
            yield f"{prefix}{name}", str(part[STATE]), str(part.get("detail") or "")
        else:
            yield from _parts(part, f"{prefix}{name}." if prefix else "")
