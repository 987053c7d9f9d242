"""`python -m support_agent.serve`: the whole support agent, with a day's requests on the desk.

It serves until Ctrl-C. Nothing is staged: approving pays in the shop's own ledger. A server that is
killed is started again on the same files, so that a visitor may try.
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

from support_agent.channels.teams import playground
from support_agent.channels.teams.missing import TeamsNotInstalled
from support_agent.channels.teams.playground import Playground
from support_agent.clock import now
from support_agent.desk_queue import fill_desk
from support_agent.engine_process import (
    HOST,
    EngineProcess,
    EngineTrouble,
    free_port,
    listens,
    start_engine,
)
from support_agent.shop.database import DATABASE_VARIABLE, open_database
from support_agent.shop.shipped import import_shipped

PORT = 7071
TRY = "I was charged twice for order A-1201"


def serve(console: Console, folder: Path, port: int, channel: str = "web") -> int:
    """Fill a desk in `folder`, or take up the one that is there, and serve it; the exit code."""
    try:
        teams = playground.prepare(folder, port) if channel == "teams" else None
    except TeamsNotInstalled as missing:
        console.print(Text(str(missing), style="bold red"))
        return 1
    shop = f"sqlite:///{folder / 'shop.db'}"
    database = folder / "desk.db"
    records = open_database(shop)
    said = import_shipped(records, now())
    records.dispose()
    if not database.exists():
        console.print(said)
        # Under another name until it is whole: a desk that was killed on the way is filled anew.
        filling = folder / "filling.db"
        for left in folder.glob("filling.db*"):
            left.unlink()
        console.print(f"{fill_desk(filling, shop, now())} requests of two days are on the desk.")
        filling.rename(database)
        filling.with_name("filling.db.lock").unlink(missing_ok=True)
    engine: EngineProcess | None = None
    try:
        while True:
            engine = _start(database, port, folder, shop, teams)
            _tell(console, engine, teams)
            code = engine.process.wait()
            if code != -signal.SIGKILL:
                return code
            line = f"Process {engine.pid} was killed. It starts again on the same files."
            console.print(Text(line, style="bold red"))
    except EngineTrouble as trouble:
        console.print(Text(str(trouble), style="bold red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if engine is not None:
            engine.stop()


def _start(
    database: Path, port: int, folder: Path, shop: str, teams: Playground | None
) -> EngineProcess:
    address = f"http://{HOST}:{port}"
    return start_engine(
        database,
        port,
        folder / "server.log",
        {
            DATABASE_VARIABLE: shop,
            "SUPPORT_PUBLIC_URL": address,
            **({} if teams is None else teams.environment),
        },
        target="support_agent.site:app",
        people=None if teams is None else teams.people,
    )


def _tell(console: Console, engine: EngineProcess, teams: Playground | None) -> None:
    """Where to go, what to type, and what to try."""
    green = "bold green"
    console.print("\nNo sign-in: anyone on this machine can act, and nobody else.", style="yellow")
    console.print(Text(f"The customers' chat:       {engine.address}/chat/", style=green))
    console.print(f'   Be Amina Diallo, and write: "{TRY}". Then: "yes please".', soft_wrap=True)
    console.print(Text(f"The supervisors' dashboard: {engine.address}/", style=green))
    console.print("   Be Lena Fischer: change the amount, approve, and look at the chat again.")
    if teams is not None:
        console.print(Text(f"Microsoft Teams, local mode: {engine.address}/api/messages", green))
        console.print(f"   {teams.how}", soft_wrap=True, markup=False)
    else:
        console.print(f"Microsoft Teams: {playground.HOW_TO_ADD}", style="dim", markup=False)
    console.print(f"To see that nothing is lost: kill -9 {engine.pid}", style="dim")
    console.print("Ctrl-C ends it.", style="dim")
    console.file.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when somebody ended it, else 1."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.serve", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files here, and go on")
    parser.add_argument("--port", type=int, help=f"{PORT}, or a free one, without it")
    parser.add_argument(
        "--channel",
        choices=("web", "teams"),
        default="web",
        help="teams: Microsoft Teams as well, in its local mode, for the Agents Playground",
    )
    asked = parser.parse_args(arguments)
    channel: str = asked.channel
    usual = playground.PORT if channel == "teams" else PORT
    port: int = asked.port or (free_port() if listens(usual) else usual)
    keep: Path | None = asked.keep
    # Without this, a polite kill of the demonstration would leave its server running.
    signal.signal(signal.SIGTERM, _leave)
    console = Console(highlight=False)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return serve(console, keep.resolve(), port, channel)
    with tempfile.TemporaryDirectory(prefix="adjourn-support-") as folder:
        return serve(console, Path(folder), port, channel)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
