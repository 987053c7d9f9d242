"""`python -m support_agent.desk_demo`: the supervisors' dashboard, with a day's requests in it.

It serves until Ctrl-C. Nothing is staged: approving pays in the shop's own ledger.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from support_agent.clock import now
from support_agent.desk_queue import fill_desk
from support_agent.engine_process import (
    EngineProcess,
    EngineTrouble,
    free_port,
    listens,
    start_engine,
)
from support_agent.shop.database import DATABASE_VARIABLE, open_database
from support_agent.shop.orders import import_orders

PORT = 7071


def serve(console: Console, folder: Path, port: int) -> int:
    """Fill a desk in `folder`, or take up the one that is there, and serve it; the exit code."""
    shop = f"sqlite:///{folder / 'shop.db'}"
    database = folder / "desk.db"
    if not database.exists():
        records = open_database(shop)
        import_orders(records)
        waiting = fill_desk(database, shop, now())
        records.dispose()
        console.print(f"{waiting} requests of the last two days are on the desk.")
    engine: EngineProcess | None = None
    try:
        engine = start_engine(
            database,
            port,
            folder / "desk.log",
            {DATABASE_VARIABLE: shop},
            target="support_agent.desk:app",
        )
        console.print(Text(f"The dashboard: {engine.address}/", style="bold green"))
        console.print("Choose who you are, and decide. Ctrl-C ends it.", soft_wrap=True)
        console.file.flush()
        return engine.process.wait()
    except EngineTrouble as trouble:
        console.print(Text(str(trouble), style="bold red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if engine is not None:
            engine.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when somebody ended it, else 1."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.desk_demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files here, and go on")
    parser.add_argument("--port", type=int, help=f"{PORT}, or a free one, without it")
    asked = parser.parse_args(arguments)
    port: int = asked.port or (free_port() if listens(PORT) else PORT)
    keep: Path | None = asked.keep
    # Without this, a polite kill of the demonstration would leave its engine running.
    signal.signal(signal.SIGTERM, _leave)
    console = Console(highlight=False)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return serve(console, keep.resolve(), port)
    with tempfile.TemporaryDirectory(prefix="adjourn-desk-") as folder:
        return serve(console, Path(folder), port)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
