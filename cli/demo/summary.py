"""What `berth up` leaves on the screen: keys, addresses, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.text import Text

from cli.client import Gpr
from cli.invocation import command
from cli.servers import API, TEMPORAL_UI
from cli.stack.stack import DEFAULT, KEY_FILE, Stack
from cli.stack.temporal import NAMESPACE
from domain.identifiers import gpr_workflow_id

LIFECYCLE = "the Gpr's lifecycle"
FIELDS = {API: "api", "API documentation": "docs", TEMPORAL_UI: "temporal_ui", LIFECYCLE: "lifecycle"}
"""What people read, as programs call it."""


class Summary:
    """One stack, and the Gpr that was shown on it if there was one."""

    def __init__(self, stack: Stack, *, first: bool) -> None:
        self._stack = stack
        self._first = first
        self.gpr: Gpr | None = None

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "name": self._stack.name,
            "folder": self._stack.folder,
            "urls": {FIELDS.get(name, name): url for name, url in self._urls()},
            "administrator_key": self._stack.administrator_key(),
            "kubectl": self._stack.kubectl(),
            "kubeconfigs": {name: self._stack.kubeconfig(name) for name in self._stack.clusters()},
            "gpr": self.gpr,
        }

    def picture(self) -> RenderableType:
        """For people."""
        facts = [*self._key(), *self._urls(), ("kubectl", str(self._stack.kubectl()))]
        width = max(len(name) for name, _ in facts)
        lines = [Text.assemble((name.ljust(width + 2), "bold"), text) for name, text in facts]
        title = Text(f"\nBerth is up: stack {self._stack.name!r} in {self._stack.folder}\n", "bold green")
        return Group(title, *lines, Text("\nTry next\n", "bold"), *map(_indented, self._next()))

    def _key(self) -> Iterator[tuple[str, str]]:
        file = self._stack.folder / KEY_FILE
        key = self._stack.administrator_key()
        if key is None:
            yield "administrator key", "made when this database was new; not kept here"
        elif self._first:
            yield "administrator key", f"{key}  (kept in {file})"
        else:
            yield "administrator key", f"in {file}"

    def _urls(self) -> Iterator[tuple[str, str]]:
        urls = self._stack.urls()
        yield from urls.items()
        ui = urls.get(TEMPORAL_UI)
        if ui and self.gpr:
            workflow = quote(gpr_workflow_id(self.gpr.id), safe="")
            yield LIFECYCLE, f"{ui}/namespaces/{NAMESPACE}/workflows/{workflow}"

    def _next(self) -> Iterator[str]:
        berth = command()
        if self._stack.name != DEFAULT:
            yield f"export BERTH_STACK={self._stack.name}"
        if self.gpr:
            yield f"{berth} workspace create team --cluster {self.gpr.lease.cluster if self.gpr.lease else ''}"
            yield f"{berth} gpr create train -w team --shape {self.gpr.shape} -d 10m --watch"
            yield f"{berth} kubeconfig team -o team.kubeconfig"
            yield f"{berth} gpr show {str(self.gpr.id)[:8]}"
        yield f"{berth} nodes"
        yield f"{berth} status"
        yield f"{berth} down"


def _indented(line: str) -> Text:
    return Text(f"  {line}")
