"""`berth department`: workspaces that share what is theirs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.client.sharing import Department, DepartmentSetting, NewDepartment
from cli.completion import workspace_names
from cli.screen import table
from cli.shares import Ceiling, Description, Guaranteed, held, limit, override_lines, share_table
from cli.terminal import Terminal, at_terminal

app = typer.Typer(help="Workspaces that share what is theirs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="DEPARTMENT")]


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Departments of the workspaces that you may see."""
    found = terminal.client.departments()
    terminal.screen.show(found, department_table(found) if found else "none")


@app.command()
@at_terminal
def show(terminal: Terminal, name: Name) -> None:
    """One department."""
    _shown(terminal, terminal.client.department(name))


@app.command()
@at_terminal
def create(
    terminal: Terminal, name: Name, *, gpus: Guaranteed = None, ceiling: Ceiling = None, description: Description = ""
) -> None:
    """Make a department; administrators."""
    wanted = NewDepartment(name=name, gpus=gpus, ceiling=ceiling, description=description)
    _shown(terminal, terminal.client.create_department(wanted))


@app.command("set")
@at_terminal
def set_(
    terminal: Terminal,
    name: Name,
    *,
    gpus: Guaranteed = None,
    ceiling: Ceiling = None,
    description: Annotated[str | None, typer.Option(help="For people; it stays by default.")] = None,
) -> None:
    """Limit what its workspaces hold together; administrators. What runs goes on."""
    kept = terminal.client.department(name).description if description is None else description
    setting = DepartmentSetting(gpus=gpus, ceiling=ceiling, description=kept)
    _shown(terminal, terminal.client.set_department(name, setting))


@app.command()
@at_terminal
def delete(terminal: Terminal, name: Name) -> None:
    """Forget a department; administrators. Refused while a workspace is in it."""
    gone = terminal.client.delete_department(name)
    terminal.screen.show(gone, f"there is no department {gone.name} any more")


@app.command()
@at_terminal
def assign(
    terminal: Terminal, workspace: Annotated[str, typer.Argument(autocompletion=workspace_names)], name: Name
) -> None:
    """Put a workspace, with all that it has, into a department; administrators."""
    quota = terminal.client.assign(workspace, name)
    terminal.screen.show(quota, share_table([quota]))


def department_table(found: list[Department]) -> Table:
    """Many departments."""
    built = table("DEPARTMENT", ">GPUS", ">GUARANTEED", ">CEILING", "WORKSPACES", "DESCRIPTION")
    for each in found:
        guaranteed, ceiling = limit(each.now.gpus, each.limit.gpus), limit(each.now.ceiling, each.limit.ceiling)
        built.add_row(each.name, held(each.held), guaranteed, ceiling, ", ".join(each.workspaces), each.description)
    return built


def _shown(terminal: Terminal, department: Department) -> None:
    built = department_table([department])
    if department.overrides:
        built.caption = "\n".join(override_lines(department.overrides))
    terminal.screen.show(department, built)
