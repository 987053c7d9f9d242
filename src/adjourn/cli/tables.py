"""A page of instances as a table."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from adjourn.cli.text import clock, printable, short
from adjourn.cli.timeline import STATUS_STYLE
from adjourn.model.state import InstanceState, Page

COLUMNS = ("ID", "ORCHESTRATOR", "STATUS", "UPDATED (UTC)", "WAITS FOR")


def table_of(page: Page) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for state in page.instances:
        table.add_row(*_row(state))
    return table


def _row(state: InstanceState) -> tuple[Text, ...]:
    waits = ", ".join(printable(name) for name in state.waiting_for)
    if state.problem is not None:
        waits = short(state.problem.partition("\n")[0])
    return (
        Text(state.id, "bold"),
        Text(printable(state.name)),
        Text(state.status, STATUS_STYLE[state.status]),
        Text(clock(state.updated_at), "dim"),
        Text(waits, "cyan"),
    )
