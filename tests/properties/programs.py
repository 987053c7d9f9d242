"""Random workflows: a program is data, and one orchestrator interprets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from adjourn import Adjourn, Context, Task, TaskFailedError, UpdateRequest


class Step(msgspec.Struct, frozen=True, tag_field="do"):
    """One line of a program."""


class Call(Step, frozen=True, tag="call"):
    """Call an activity and wait, or cancel it, or race it against a timer."""

    how: Literal["await", "cancel", "race"]


class Sleep(Step, frozen=True, tag="sleep"):
    seconds: int
    plain: bool
    """By asyncio.sleep, not by create_timer."""


class Wait(Step, frozen=True, tag="wait"):
    name: str
    typed: bool
    """Only whole numbers fit; other messages are set aside."""


class Race(Step, frozen=True, tag="race"):
    """Wait against a deadline, several rounds."""

    name: str
    seconds: int
    rounds: int
    keep: bool
    same_wait: bool
    same_timer: bool


class All(Step, frozen=True, tag="all"):
    calls: int
    name: str | None


class Together(Step, frozen=True, tag="together"):
    """Branches side by side."""

    how: Literal["gather", "group", "wait"]
    branches: list[Any]


class Timeout(Step, frozen=True, tag="timeout"):
    seconds: int
    steps: list[Any]


class WaitFor(Step, frozen=True, tag="wait_for"):
    """asyncio.wait_for, with or without a shield."""

    name: str
    seconds: int
    shielded: bool


class Background(Step, frozen=True, tag="background"):
    """A task beside the body, at its end cancelled, awaited or forgotten."""

    steps: list[Any]
    body: list[Any]
    end: Literal["cancel", "await", "forget"]


class Shared(Step, frozen=True, tag="shared"):
    """Two coroutines await one wait; who gets it cancels the other."""

    name: str


class Snatched(Step, frozen=True, tag="snatched"):
    """A task is cancelled in the very turn in which it gets an early event."""

    name: str
    through: Literal["any", "all"]
    spins: int
    """How many steps of the loop it has until then."""


class Pipe(Step, frozen=True, tag="pipe"):
    """A producer and consumers over asyncio's own primitives."""

    kind: Literal["queue", "event", "semaphore", "lock", "condition"]
    items: int


class Update(Step, frozen=True, tag="update"):
    name: str
    accept: bool


class Child(Step, frozen=True, tag="child"):
    pass


class Tell(Step, frozen=True, tag="tell"):
    """Send an event to another instance and start one: nothing to wait for."""

    name: str


class Dice(Step, frozen=True, tag="dice"):
    pass


class Again(Step, frozen=True, tag="again"):
    """continue_as_new, at most twice."""


AnyStep = (
    Call | Sleep | Wait | Race | All | Together | Timeout | WaitFor | Background | Shared
    | Snatched | Pipe | Update | Child | Tell | Dice | Again
)  # fmt: skip

_read_steps = msgspec.json.Decoder(list[AnyStep])


class Program(msgspec.Struct, frozen=True):
    steps: list[AnyStep]
    log: list[Any] = []
    """What earlier executions have seen."""


NAMES = ("A", "B")

app = Adjourn()


@app.activity
def work(value: str) -> int:
    return len(value)


@app.orchestrator
async def child(ctx: Context, value: int) -> int:
    return value


@app.orchestrator
async def run_program(ctx: Context, program: Program) -> list[Any]:
    runner = _Runner(ctx, program)
    await runner.run(program.steps)
    runner.note("end")
    return runner.log


class _Runner:
    """Interprets a program; the custom status always shows its whole log."""

    def __init__(self, ctx: Context, program: Program) -> None:
        self.ctx = ctx
        self.program = program
        self.log = list(program.log)
        self.received: set[Task[Any]] = set()
        self.ctx.set_custom_status(self.log)

    def note(self, word: str, value: Any = None) -> None:
        self.log.append([word, value])
        self.ctx.set_custom_status(self.log)

    def receive(self, wait: Task[Any], value: Any) -> None:
        """This wait gave this message: noted once, however many awaited it."""
        if wait not in self.received:
            self.received.add(wait)
            self.note("got", value)

    async def receive_from(self, wait: Task[Any]) -> None:
        self.receive(wait, await wait)

    async def run(self, steps: list[Any]) -> None:
        if steps and not isinstance(steps[0], Step):  # branches come as plain JSON
            steps = _read_steps.decode(msgspec.json.encode(steps))
        for step in steps:
            perform: Callable[[Any], Coroutine[Any, Any, None]] = getattr(
                self, type(step).__name__.lower()
            )
            await perform(step)

    def start_call(self, text: str = "x") -> Task[int]:
        return self.ctx.call_activity(work, f"{text}{len(self.log)}")

    async def call(self, step: Call) -> None:
        task = self.start_call()
        if step.how == "cancel":
            await asyncio.sleep(0)
            self.note("cancelled", task.cancel())
            return
        if step.how == "race":
            timer = self.ctx.create_timer(timedelta(seconds=5))
            winner = await self.ctx.when_any(task, timer)
            self.note("raced", winner is task)
        try:
            self.note("called", await task)
        except TaskFailedError as error:
            self.note("failed", error.failure.message)

    async def sleep(self, step: Sleep) -> None:
        if step.plain:
            await asyncio.sleep(step.seconds)
        else:
            await self.ctx.create_timer(timedelta(seconds=step.seconds))
        self.note("slept", self.ctx.current_utc_datetime.isoformat())

    async def wait(self, step: Wait) -> None:
        kind: Any = int if step.typed else Any
        await self.receive_from(self.ctx.wait_for_external_event(step.name, kind))

    async def race(self, step: Race) -> None:
        wait = self.ctx.wait_for_external_event(step.name)
        timer = self.ctx.create_timer(timedelta(seconds=step.seconds))
        for _ in range(step.rounds):
            winner = await self.ctx.when_any(wait, timer, keep=step.keep)
            if winner is wait:
                self.receive(wait, wait.result())
                wait = self.ctx.wait_for_external_event(step.name)
            else:
                self.note("late")
                if not step.same_wait:
                    wait = self.ctx.wait_for_external_event(step.name)
                if not step.same_timer:
                    timer = self.ctx.create_timer(timedelta(seconds=step.seconds))
        wait.cancel()
        timer.cancel()
        if wait.done() and not wait.cancelled():
            self.receive(wait, wait.result())

    async def all(self, step: All) -> None:
        tasks: list[Task[Any]] = [self.start_call(str(n)) for n in range(step.calls)]
        wait = None if step.name is None else self.ctx.wait_for_external_event(step.name)
        if wait is not None:
            tasks.insert(0, wait)
        try:
            self.note("all", await self.ctx.when_all(tasks))
        except TaskFailedError as error:
            self.note("not all", error.failure.message)
        if wait is not None:
            self.receive(wait, wait.result())

    async def together(self, step: Together) -> None:
        if step.how == "gather":
            await asyncio.gather(*map(self.run, step.branches))
        elif step.how == "group":
            async with asyncio.TaskGroup() as group:
                for branch in step.branches:
                    group.create_task(self.run(branch))
        elif step.branches:
            tasks = {asyncio.create_task(self.run(branch)) for branch in step.branches}
            done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.note("first", [task.get_name() for task in done])
            for task in left:
                task.cancel()
            await asyncio.wait(tasks)
        self.note("joined")

    async def timeout(self, step: Timeout) -> None:
        try:
            async with asyncio.timeout(step.seconds):
                await self.run(step.steps)
        except TimeoutError:
            self.note("timed out")

    async def waitfor(self, step: WaitFor) -> None:
        wait = self.ctx.wait_for_external_event(step.name)
        awaited: Any = asyncio.shield(wait) if step.shielded else wait
        try:
            self.receive(wait, await asyncio.wait_for(awaited, step.seconds))
        except TimeoutError:
            self.note("gave up")
        if step.shielded:
            await self.receive_from(wait)

    async def background(self, step: Background) -> None:
        task = asyncio.create_task(self.run(step.steps))
        await self.run(step.body)
        if step.end == "forget":
            return
        if step.end == "cancel":
            task.cancel()
        await asyncio.wait({task})

    async def shared(self, step: Shared) -> None:
        wait = self.ctx.wait_for_external_event(step.name)

        async def take(other: Callable[[], asyncio.Task[None]]) -> None:
            await self.receive_from(wait)
            other().cancel()

        first = asyncio.create_task(take(lambda: second))
        second = asyncio.create_task(take(lambda: first))
        await asyncio.wait({first, second})

    async def snatched(self, step: Snatched) -> None:
        async def take() -> None:
            wait = self.ctx.wait_for_external_event(step.name)
            timer = self.ctx.create_timer(timedelta(seconds=3))
            if step.through == "any":
                await self.ctx.when_any(wait, timer)
            else:
                timer.cancel()
                await self.ctx.when_all(wait)
            if wait.done():
                self.receive(wait, wait.result())

        task = asyncio.create_task(take())
        for _ in range(step.spins):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        self.note("snatched", task.cancelled())

    async def pipe(self, step: Pipe) -> None:
        await _PIPES[step.kind](self, step.items)

    async def through_queue(self, items: int) -> None:
        queue: asyncio.Queue[int | None] = asyncio.Queue(maxsize=1)

        async def produce() -> None:
            try:
                for n in range(items):
                    await queue.put(await self.start_call(str(n)) if n % 2 else n)
            except TaskFailedError:
                self.note("producer failed")
            await queue.put(None)

        producer = asyncio.create_task(produce())
        try:
            while (item := await queue.get()) is not None:
                self.note("item", item)
                if producer.done():
                    break
        finally:
            producer.cancel()

    async def through_event(self, items: int) -> None:
        opened = asyncio.Event()

        async def walk(n: int) -> None:
            await opened.wait()
            self.note("through", n)

        walkers = [asyncio.create_task(walk(n)) for n in range(items)]
        await asyncio.sleep(1)
        opened.set()
        await asyncio.gather(*walkers)

    async def through_semaphore(self, items: int) -> None:
        await self._one_by_one(asyncio.Semaphore(2), items)

    async def through_lock(self, items: int) -> None:
        await self._one_by_one(asyncio.Lock(), items)

    async def _one_by_one(self, door: asyncio.Semaphore | asyncio.Lock, items: int) -> None:
        async def enter(n: int) -> None:
            async with door:
                await self.call(Call("await"))
                self.note("left", n)

        await asyncio.gather(*(enter(n) for n in range(items)))

    async def through_condition(self, items: int) -> None:
        condition, ready = asyncio.Condition(), [0]

        async def consume(n: int) -> None:
            async with condition:
                await condition.wait_for(lambda: ready[0] > n)
                self.note("consumed", n)

        consumers = [asyncio.create_task(consume(n)) for n in range(items)]
        for _ in range(items):
            await asyncio.sleep(1)
            async with condition:
                ready[0] += 1
                condition.notify_all()
        await asyncio.gather(*consumers)

    async def update(self, step: Update) -> None:
        request: UpdateRequest[Any] = await self.ctx.wait_for_update(step.name)
        if step.accept:
            request.accept(["yes", request.value])
        else:
            request.refuse("no")
        self.note("answered", request.update_id)

    async def child(self, step: Child) -> None:
        try:
            self.note("child", await self.ctx.call_sub_orchestration(child, len(self.log)))
        except TaskFailedError as error:
            self.note("child failed", error.failure.message)

    async def tell(self, step: Tell) -> None:
        self.ctx.raise_event("other", step.name, self.log)
        self.ctx.start(child, len(self.log), id=f"other-{len(self.log)}")
        self.note("told")

    async def dice(self, step: Dice) -> None:
        text = f"{self.ctx.new_uuid()} {self.ctx.random.random()}"
        task = self.start_call(text)
        self.note("dice", text)
        task.cancel()

    async def again(self, step: Again) -> None:
        if self.ctx.execution < 3:
            self.ctx.continue_as_new(Program(self.program.steps, self.log))


_PIPES: dict[str, Callable[[_Runner, int], Coroutine[Any, Any, None]]] = {
    "queue": _Runner.through_queue,
    "event": _Runner.through_event,
    "semaphore": _Runner.through_semaphore,
    "lock": _Runner.through_lock,
    "condition": _Runner.through_condition,
}


# Drawing programs.

_names = st.sampled_from(NAMES)
_seconds = st.integers(0, 9)


def _lines(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(inner, min_size=1, max_size=3)


_waits = st.one_of(
    st.builds(Snatched, _names, st.sampled_from(["any", "all"]), st.integers(0, 5)),
    st.builds(Wait, _names, st.booleans()),
    st.builds(
        Race, _names, _seconds, st.integers(1, 3), st.just(False), st.booleans(), st.booleans()
    ),
    st.builds(WaitFor, _names, _seconds, st.just(False)),
    st.builds(Shared, _names),
)

_others = st.one_of(
    # Waits that stay live although nobody awaits them may keep an event for ever: these two.
    st.builds(WaitFor, _names, _seconds, st.just(True)),
    st.builds(
        Race, _names, _seconds, st.integers(1, 3), st.just(True), st.booleans(), st.booleans()
    ),
    st.builds(Call, st.sampled_from(["await", "cancel", "race"])),
    st.builds(Sleep, _seconds, st.booleans()),
    st.builds(All, st.integers(0, 2), st.none() | _names),
    st.builds(
        Pipe,
        st.sampled_from(["queue", "event", "semaphore", "lock", "condition"]),
        st.integers(1, 3),
    ),
    st.builds(Update, st.just("U"), st.booleans()),
    st.builds(Child),
    st.builds(Tell, _names),
    st.builds(Dice),
)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    branches = st.lists(_lines(inner), min_size=1, max_size=3)
    return st.one_of(
        st.builds(Together, st.sampled_from(["gather", "group", "wait"]), branches),
        st.builds(Timeout, _seconds, _lines(inner)),
        st.builds(
            Background,
            _lines(inner),
            _lines(inner),
            st.sampled_from(["cancel", "await", "forget"]),
        ),
    )


def programs(again: bool = True, only_waits: bool = False) -> st.SearchStrategy[Program]:
    """Programs of up to a dozen lines, nested up to three deep."""
    line = _waits if only_waits else _waits | _others
    steps = st.lists(st.recursive(line, _nested, max_leaves=6), min_size=1, max_size=4)
    end = st.sampled_from([[], [Again()]]) if again else st.just([])
    return st.builds(lambda lines, last: Program([*lines, *last]), steps, end)
