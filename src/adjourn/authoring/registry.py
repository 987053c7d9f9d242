"""The registry: names are data, so each stands for one function only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from adjourn.authoring.context import Context
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.errors import RegistrationError, UnknownActivityError, UnknownOrchestratorError
from adjourn.model.approval import Notice
from adjourn.model.ids import WATCH, check_instance_id
from adjourn.model.privacy import Privacy, Redactor
from adjourn.model.retry import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  input, as in functions.py
O = TypeVar("O")  # noqa: E741  output


class _ActivityDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Activity[P, R]: ...


class _OrchestratorDecorator(Protocol):
    @overload
    def __call__(
        self, function: Callable[[Context], Coroutine[Any, Any, O]], /
    ) -> Orchestrator[None, O]: ...
    @overload
    def __call__(
        self, function: Callable[[Context, I], Coroutine[Any, Any, O]], /
    ) -> Orchestrator[I, O]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], Generator[Any, Any, O]], /
    ) -> Orchestrator[Any, O]: ...


class Registry:
    """The orchestrators and activities of one application, by name."""

    def __init__(self) -> None:
        self.orchestrators: dict[str, Orchestrator[Any, Any]] = {}
        self.activities: dict[str, Activity[..., Any]] = {}
        self.built_in: dict[str, Orchestrator[Any, Any]] = {}
        """Orchestrators that come with Adjourn; nobody registers or lists them."""
        self.privacy = Privacy()
        self.redactor = Redactor()
        """Hides what `privacy` says, in what people are shown and in what failures tell."""
        self.watchers: dict[str, str] = {}
        """The orchestrators that approvals tell of themselves, by the names they watch under."""

    @overload
    def activity(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...
    @overload
    def activity(self, function: Callable[P, R], /) -> Activity[P, R]: ...
    @overload
    def activity(
        self,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        concurrency: int | None = None,
        at_most_once: bool = False,
        requires_approval: bool = False,
    ) -> _ActivityDecorator: ...
    def activity(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        concurrency: int | None = None,
        at_most_once: bool = False,
        requires_approval: bool = False,
    ) -> Any:
        """Register an ordinary function with effects, sync or async.

        It runs at least once, each attempt with the same idempotency key (`current_activity()`).
        `timeout` bounds one attempt, start to close; `concurrency` bounds how many run at once in
        this process; `at_most_once` never starts it twice: after a crash it is *in doubt*. With
        `requires_approval` it takes one argument and runs by `ctx.execute(decision, ...)` only.

        Raises: RegistrationError when the name is taken or the options make no sense.
        """

        def register(function: Callable[..., Any]) -> Activity[..., Any]:
            made: Activity[..., Any] = Activity(
                function,
                function.__name__ if name is None else name,
                retry=retry or RetryPolicy(),
                timeout=timeout,
                concurrency=concurrency,
                at_most_once=at_most_once,
                requires_approval=requires_approval,
            )
            self._refuse_duplicate("activity", made.name, self.activities)
            self.activities[made.name] = made
            return made

        return register if function is None else register(function)

    @overload
    def orchestrator(
        self, function: Callable[[Context], Coroutine[Any, Any, O]], /
    ) -> Orchestrator[None, O]: ...
    @overload
    def orchestrator(
        self, function: Callable[[Context, I], Coroutine[Any, Any, O]], /
    ) -> Orchestrator[I, O]: ...
    @overload
    def orchestrator(
        self, function: Callable[Concatenate[Context, P], Generator[Any, Any, O]], /
    ) -> Orchestrator[Any, O]: ...
    @overload
    def orchestrator(
        self, /, *, name: str | None = None, version: str = ""
    ) -> _OrchestratorDecorator: ...
    def orchestrator(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: str = "",
    ) -> Any:
        """Register the workflow: `async def f(ctx, input)` or a Durable Functions generator.

        Raises: RegistrationError when the name is taken or the function has another form.
        """

        def register(function: Callable[..., Any]) -> Orchestrator[Any, Any]:
            made: Orchestrator[Any, Any] = Orchestrator(
                function, function.__name__ if name is None else name, version=version
            )
            self._refuse_duplicate("orchestrator", made.name, self.orchestrators)
            self.orchestrators[made.name] = made
            return made

        return register if function is None else register(function)

    def watch_approvals(
        self, orchestrator: Orchestrator[Notice, Any], /, *, name: str = WATCH
    ) -> None:
        """Have this orchestrator told of every approval that opens from now on.

        Each approval gets an instance of it (`watcher_id(approval, name)`), started with a `Notice`
        in the commit that opens the approval; every later change is the external event "Notice" to
        it, exactly once and in order, in the commit of that change. The last notice is `final`,
        also where nobody has decided: whoever asked has ended, or was terminated. Whoever is told
        this way may take days over it: no decision waits for them.

        Several may watch, each under a `name` of its own, and none knows of the others. Who is told
        of an approval is fixed when it opens. One whose orchestrator is not registered any more
        waits, quarantined, until it is again; the approval goes on.

        Raises: RegistrationError when the orchestrator is not registered here, or the name is taken
        by another; InvalidIdError for a name that cannot stand in an instance id.
        """
        check_instance_id(name)
        known = self.built_in.get(orchestrator.name) or self.orchestrators.get(orchestrator.name)
        if known is not orchestrator:
            raise RegistrationError(
                f"{orchestrator.name!r} is not registered here: put @app.orchestrator above it."
            )
        if self.watchers.setdefault(name, orchestrator.name) != orchestrator.name:
            raise RegistrationError(
                f"{self.watchers[name]!r} watches approvals as {name!r}: pass another name=."
            )

    @staticmethod
    def _refuse_duplicate(noun: str, name: str, known: dict[str, Any]) -> None:
        if name in known:
            raise RegistrationError(
                f"There is already an {noun} called {name!r}. Names are stored in histories, so "
                f"each means one function: pass name= to one of them."
            )

    def find_activity(self, name: str) -> Activity[..., Any]:
        """Raises: UnknownActivityError."""
        try:
            return self.activities[name]
        except KeyError:
            raise UnknownActivityError(name, self.activities) from None

    def find_orchestrator(self, name: str) -> Orchestrator[Any, Any]:
        """Raises: UnknownOrchestratorError."""
        try:
            return self.built_in.get(name) or self.orchestrators[name]
        except KeyError:
            raise UnknownOrchestratorError(name, self.orchestrators) from None


def awaitable_function(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """The function of an async activity, typed as such."""
    return cast("Callable[..., Awaitable[Any]]", function)
