"""`berth price`: what GPUs cost, and from when on."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.table import Table

from cli.client import PriceSetting
from cli.client.answers import Price
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.screen import table
from cli.terminal import Terminal, at_terminal

NO_PRICE = "none"

app = typer.Typer(help="What GPUs cost.", no_args_is_help=True)


@app.command("list")
@at_terminal
def list_(terminal: Terminal) -> None:
    """Every price, by shape and time."""
    found = terminal.client.prices()
    terminal.screen.show(found, price_table(found))


@app.command("set")
@at_terminal
def set_(
    terminal: Terminal,
    shape: Annotated[str, typer.Argument(help="GPU product, as `berth nodes` names it.")],
    per_gpu_hour: Annotated[str, typer.Argument(help="For one GPU and hour, as in 2.50; `none`: no price.")],
    *,
    since: Annotated[
        datetime | None, typer.Option("--from", help="In UTC; now by default.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"])
    ] = None,
) -> None:
    """Set a price; administrators. It counts until the next one of its shape."""
    starts_at = since.replace(tzinfo=UTC) if since else None
    price = terminal.client.set_price(
        PriceSetting(shape=shape, per_gpu_hour=_amount(per_gpu_hour), starts_at=starts_at)
    )
    terminal.screen.show(price, price_table([price]))


def price_table(found: list[Price]) -> Table:
    """Many prices."""
    built = table("SHAPE", "FROM (UTC)", ">PER GPU AND HOUR", "SET BY")
    for each in found:
        amount = NO_PRICE if each.per_gpu_hour is None else f"{each.per_gpu_hour:f}"
        built.add_row(each.shape, f"{each.starts_at.astimezone(UTC):%Y-%m-%d %H:%M}", amount, each.set_by)
    return built


def _amount(text: str) -> Decimal | None:
    if text == NO_PRICE:
        return None
    try:
        return Decimal(text)
    except InvalidOperation as error:
        mend = f"write a number, as in 2.50, or {NO_PRICE}"
        raise CommandFailed(f"{text!r} is not a price", mend=mend, code=ExitCode.USAGE) from error
