"""`adjourn verify`: is every history what was written?"""

from __future__ import annotations

import sys
from collections import Counter

from rich.progress import Progress, SpinnerColumn, TextColumn

from adjourn.cli.exits import DamagedError
from adjourn.cli.text import console, printable
from adjourn.store.verify import keys_of_columns, verify


def verify_file(path: str) -> None:
    """Print what was checked. Raises: DamagedError when anything is broken, naming the first."""
    executions = rows = 0
    keys: Counter[str] = Counter()
    broken: list[str] = []
    columns = SpinnerColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task("Checking")
        for checked in verify(path):
            executions += 1
            rows += checked.rows
            keys.update(checked.keys)
            if checked.broken is not None:
                broken.append(str(checked.broken))
            if executions % 100 == 0:
                progress.update(task, description=f"Checking: {rows:,} rows")
    print(printable(f"{path}: {executions:,} executions, {rows:,} rows checked."))
    keys += keys_of_columns(path)
    for id, count in sorted(keys.items()):
        print(printable(f"{count:,} rows and texts are encrypted with key {id}: keep it."))
    if not broken:
        print("Every row is what was written.")
        return
    for line in broken:
        print(printable(line))
    raise DamagedError(path, len(broken))
