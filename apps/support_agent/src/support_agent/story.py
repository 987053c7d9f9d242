"""`python -m support_agent.story`: a refund that survives kill -9, played with real processes.

Nothing is staged but one pause: the refund is held for a moment after the money has moved and
before the engine has heard of it, so that the worst moment to die can be hit.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text
from sqlalchemy import Engine

from support_agent.engine_process import (
    Answer,
    EngineProcess,
    EngineTrouble,
    free_port,
    listens,
    start_engine,
    wait_until,
)
from support_agent.shop.cases import Case, open_case, status_of
from support_agent.shop.database import DATABASE_VARIABLE, open_database, reading, writing
from support_agent.shop.errors import SupportError
from support_agent.shop.ledger import LedgerEntry, entries
from support_agent.shop.messages import WrittenMessage, messages_of
from support_agent.shop.orders import import_orders

CASE = Case("C-1001", "A-1042", Decimal("64.50"), "The teapot arrived broken.")
CLICK = "click-81"
STEP_SECONDS = 15.0
PAUSE_SECONDS = 20.0  # far longer than the demonstration needs to see the money and kill


@dataclass(slots=True)
class Story:
    """What the steps share: where to talk, the two data files, and the engine of the moment."""

    console: Console
    folder: Path
    port: int
    shop: Engine
    engine: EngineProcess | None = None
    steps: int = 0
    killed: list[int] = field(default_factory=list[int])

    def step(self, title: str) -> None:
        self.steps += 1
        self.console.print(Text(f"\n{self.steps}. {title}", style="bold cyan"))

    def say(self, line: str, style: str = "") -> None:
        self.console.print(Text(f"   {line}", style=style), soft_wrap=True)

    def start(self, **environment: str) -> EngineProcess:
        """Start an engine on the same file and the same port as the last one."""
        log = self.folder / f"engine-{len(self.killed) + 1}.log"
        environment[DATABASE_VARIABLE] = self.shop.url.render_as_string(hide_password=False)
        self.engine = start_engine(self.folder / "support.db", self.port, log, environment)
        self.say(f"adjourn run support_agent.workflow:app    pid {self.engine.pid}")
        return self.engine

    def kill(self, engine: EngineProcess) -> None:
        """kill -9, and a look that nothing is left."""
        engine.kill()
        self.killed.append(engine.pid)
        self.say(f"kill -9 {engine.pid}", style="bold red")
        if listens(self.port):
            raise EngineTrouble(f"Port {self.port} still answers after the engine was killed.")
        self.say(f"Process {engine.pid} is gone and port {self.port} is silent: nothing runs now.")

    def case_status(self) -> str:
        with reading(self.shop) as session:
            return status_of(session, CASE.id)

    def ledger(self) -> list[LedgerEntry]:
        with reading(self.shop) as session:
            return entries(session, CASE.id)

    def messages(self) -> list[WrittenMessage]:
        with reading(self.shop) as session:
            return messages_of(session, CASE.id)


def play(story: Story) -> list[str]:
    """Play every step; the faults that were found, none when all is as it should be."""
    customer_asks(story)
    engine = workflow_waits(story)
    engine = dies_while_waiting(story, engine)
    dies_while_paying(story, engine)
    engine, final = finishes(story)
    ledger, messages = look(story)
    shown = show_timeline(story, engine)
    return faults(final, ledger, messages, shown)


def customer_asks(story: Story) -> None:
    story.step("A customer asks for money back")
    report = import_orders(story.shop)
    story.say(f"{report.imported} orders imported from the order file.")
    with writing(story.shop) as session:
        open_case(session, CASE)
    story.say(f'Case {CASE.id}: {CASE.amount} EUR of order {CASE.order_number}. "{CASE.reason}"')


def workflow_waits(story: Story) -> EngineProcess:
    story.step("The workflow starts, and stops to wait for a person")
    engine = story.start()
    value = {**asdict(CASE), "amount": str(CASE.amount)}
    expect(engine.start_workflow("support_case", CASE.id, value), 202, "starting the workflow")
    wait_until(
        lambda: story.case_status() == "pending_approval", "the case to be pending", STEP_SECONDS
    )
    story.say(f"Workflow {runtime_status(engine)}, case {story.case_status()}: up to seven days.")
    return engine


def dies_while_waiting(story: Story, engine: EngineProcess) -> EngineProcess:
    story.step("The engine dies while it waits, and starts again")
    story.kill(engine)
    engine = story.start(SUPPORT_REFUND_PAUSE=str(PAUSE_SECONDS))
    story.say(f"Workflow {runtime_status(engine)}, case {story.case_status()}: nothing was lost.")
    return engine


def dies_while_paying(story: Story, engine: EngineProcess) -> None:
    story.step("A person approves, and the engine dies while the money moves")
    for attempt in ("a click", "the same click again"):
        answer = engine.raise_event(CASE.id, "Approval", {"approved": True}, CLICK)
        expect(answer, 202, "approving")
        story.say(f"Approved over HTTP: {answer.status}    ({attempt}, event id {CLICK})")
    (entry,) = wait_until(story.ledger, "the refund to appear in the ledger", STEP_SECONDS)
    story.say(f"The ledger has {entry.receipt.number}, {entry.receipt.money}.")
    story.say("The engine has not heard of it yet. Now:")
    story.kill(engine)


def finishes(story: Story) -> tuple[EngineProcess, Answer]:
    story.step("Started once more, it finishes")
    engine = story.start()

    def finished() -> Answer | None:
        answer = engine.status(CASE.id)
        return answer if answer.status == 200 else None

    final = wait_until(finished, f"{CASE.id} to finish", STEP_SECONDS)
    story.say(f"Workflow {final.body.get('runtimeStatus')}: {final.body.get('output')}")
    return engine, final


def look(story: Story) -> tuple[list[LedgerEntry], list[WrittenMessage]]:
    """Show and give back what is on record about the money and the message."""
    story.step("What is on record")
    ledger, messages = story.ledger(), story.messages()
    for entry in ledger:
        story.say(f"Refund   {entry.receipt.number}, {entry.receipt.money}", style="bold green")
        story.say(f"         called {entry.calls} times with the key {entry.idempotency_key}")
    for message in messages:
        story.say(f"Message  to {message.recipient}: {message.text}", style="bold green")
    return ledger, messages


def show_timeline(story: Story, engine: EngineProcess) -> int:
    """Print what `adjourn show` says; its exit code."""
    story.step("The timeline, from the history on disk")
    command = [sys.executable, "-m", "adjourn", "show", CASE.id, "--at", engine.address]
    story.say(f"adjourn show {CASE.id} --at {engine.address}", style="dim")
    story.console.file.flush()  # the next lines come from another process
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, timeout=STEP_SECONDS, check=False
    ).returncode


def faults(
    final: Answer, ledger: Sequence[LedgerEntry], messages: Sequence[WrittenMessage], shown: int
) -> list[str]:
    """Everything that contradicts the story, in words."""
    found: list[str] = []
    outcome = (final.body.get("runtimeStatus"), final.body.get("output"))
    if outcome != ("Completed", "approved"):
        found.append(f"the workflow ended as {outcome}, not as Completed with 'approved'")
    if [entry.receipt.amount for entry in ledger] != [CASE.amount]:
        found.append(f"the ledger holds {len(ledger)} refunds for the case instead of the one")
    if any(entry.calls < 2 for entry in ledger):
        found.append("the refund was called once only: the crash missed it and proved nothing")
    if len(messages) != 1:
        found.append(f"the customer got {len(messages)} messages instead of one")
    if shown != 0:
        found.append(f"`adjourn show` ended with code {shown}")
    return found


def expect(answer: Answer, status: int, doing: str) -> None:
    if answer.status != status:
        raise EngineTrouble(f"Expected {status} when {doing}, got {answer.status}: {answer.body}")


def runtime_status(engine: EngineProcess) -> str:
    answer = engine.status(CASE.id)
    expect(answer, 202, "asking for a waiting workflow")
    return str(answer.body.get("runtimeStatus"))


def how_to_look_deeper(story: Story, kept: bool) -> None:
    folder = story.folder if kept else Path("story")
    shop = f"sqlite:///{folder / 'shop.db'}"
    story.console.print(Text("\nLook deeper", style="bold cyan"))
    if not kept:
        story.say("python -m support_agent.story --keep story")
        story.say("   plays again and keeps the files", style="dim")
    for command, what in (
        (f"sqlite3 {folder / 'shop.db'} 'SELECT * FROM refund_calls'", "the shop's own records"),
        (f"sqlite3 {folder / 'support.db'} .schema", "the engine's file: every history, as text"),
        (
            f"{DATABASE_VARIABLE}={shop} adjourn run support_agent.workflow:app"
            f" --db {folder / 'support.db'}",
            "the engine once more, on these files",
        ),
    ):
        story.say(command)
        story.say(f"   {what}", style="dim")


def tell(console: Console, folder: Path, *, kept: bool) -> int:
    """Play the story in `folder`; the exit code. No process outlives this call."""
    shop = open_database(f"sqlite:///{folder / 'shop.db'}")
    story = Story(console, folder, free_port(), shop)
    try:
        found = play(story)
    except (EngineTrouble, SupportError, subprocess.TimeoutExpired) as trouble:
        found = [str(trouble)]
    finally:
        if story.engine is not None:
            story.engine.stop()
        shop.dispose()
    for fault in found:
        console.print(Text(f"\nWRONG: {fault}", style="bold red"), soft_wrap=True)
    if found:
        return 1
    console.print(
        Text(f"\nKilled {len(story.killed)} times. Paid once. Told once.", style="bold green")
    )
    how_to_look_deeper(story, kept)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the money moved exactly once and the customer was told exactly once, else 1."""
    parser = argparse.ArgumentParser(prog="python -m support_agent.story", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files of the run here")
    keep: Path | None = parser.parse_args(arguments).keep
    # Without this, a polite kill of the demonstration would leave its engine running.
    signal.signal(signal.SIGTERM, _leave)
    console = Console(highlight=False)
    console.print(Text("A refund that survives kill -9", style="bold"))
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="adjourn-demo-") as folder:
            return tell(console, Path(folder), kept=False)
    if keep.exists() and any(keep.iterdir()):
        line = f"{keep} is not empty. Name a new folder, to start a new story."
        console.print(Text(line), soft_wrap=True)
        return 1
    keep.mkdir(parents=True, exist_ok=True)
    return tell(console, keep.resolve(), kept=True)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
