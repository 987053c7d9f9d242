"""Orchestrators and activities as values: a name, a function, and the types of what crosses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

import msgspec

from adjourn.errors import ApprovalRequiredError, InvalidPayloadError, RegistrationError
from adjourn.model import codec
from adjourn.model.ids import check_name
from adjourn.model.retry import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741  the input of an orchestrator; O is its output
O = TypeVar("O")  # noqa: E741

_NOT_BY_NAME = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The function's annotations, resolved. Raises: RegistrationError naming what is missing."""
    try:
        return get_type_hints(function)
    except NameError as error:
        raise RegistrationError(
            f"The annotations of {function.__qualname__} name something that is not there "
            f"({error}). Import it at module level, where the function is defined."
        ) from error


@dataclass(frozen=True, eq=False)
class Activity(Generic[P, R]):
    """A registered activity. Calling it runs the function itself, as a test would."""

    function: Callable[..., Any]
    name: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | None = None
    concurrency: int | None = None
    at_most_once: bool = False
    requires_approval: bool = False

    def __post_init__(self) -> None:
        check_name("an activity name", self.name)
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind in _NOT_BY_NAME:
                raise RegistrationError(
                    f"Activity {self.name!r} takes *{parameter.name}: its input is stored by "
                    "parameter name, so name each parameter."
                )
        if self.timeout is not None and self.timeout <= timedelta():
            raise RegistrationError(f"Activity {self.name!r}: timeout must be positive.")
        if self.concurrency is not None and self.concurrency < 1:
            raise RegistrationError(f"Activity {self.name!r}: concurrency must be at least 1.")
        if self.at_most_once and self.retry.max_number_of_attempts > 1:
            raise RegistrationError(
                f"Activity {self.name!r} cannot be at_most_once and retried: choose one."
            )
        if self.requires_approval and len(inspect.signature(self.function).parameters) != 1:
            raise RegistrationError(
                f"Activity {self.name!r} requires an approval, so it takes one argument: the "
                "approved value, whole."
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.function(*args, **kwargs)

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def _input_words(self) -> str:
        return f"The input of activity {self.name!r}"

    @cached_property
    def _result_words(self) -> str:
        return f"The result of activity {self.name!r}"

    @cached_property
    def _parameters(self) -> tuple[inspect.Parameter, ...]:
        return tuple(inspect.signature(self.function).parameters.values())

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self._parameters)

    @property
    def only_parameter(self) -> str:
        """Its one parameter's name. Raises: ApprovalRequiredError when it has another number."""
        if len(self._names) != 1:
            raise ApprovalRequiredError(
                f"Activity {self.name!r} takes {len(self._names)} arguments; one that executes a "
                "decision takes the approved value, whole, and nothing else."
            )
        return self._names[0]

    def encode_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> msgspec.Raw:
        """The call's input: a JSON object by parameter name.

        Raises: TypeError as a call would, SerializationError, PayloadTooLargeError.
        """
        names = self._names
        given = dict(zip(names, args, strict=False))
        if kwargs or len(args) != len(names):
            inspect.signature(self.function).bind(*args, **kwargs)  # raises Python's own message
            given.update(kwargs)
        return codec.encode(given, self._input_words)

    @cached_property
    def _read_arguments(self) -> codec.Reader:
        hints = hints_of(self.function)
        empty = inspect.Parameter.empty
        fields = [
            (p.name, hints.get(p.name, Any))
            if p.default is empty
            else (p.name, hints.get(p.name, Any), msgspec.field(default_factory=_giving(p.default)))
            for p in self._parameters
        ]
        shape = msgspec.defstruct(f"{self.name} input", cast("Any", fields), kw_only=True)
        return codec.decoder(shape)

    def decode_arguments(self, text: msgspec.Raw) -> dict[str, Any]:
        """Typed arguments by parameter name. Raises: InvalidPayloadError."""
        values = codec.read(self._read_arguments, text, self._input_words)
        return {name: getattr(values, name) for name in self._names}

    @cached_property
    def _read_result(self) -> codec.Reader:
        return codec.decoder(hints_of(self.function).get("return", Any))

    def decode_result(self, text: bytes | msgspec.Raw) -> Any:
        """The typed result. Raises: InvalidPayloadError."""
        return codec.read(self._read_result, text, self._result_words)

    def encode_result(self, value: Any) -> msgspec.Raw:
        """Raises: SerializationError, PayloadTooLargeError."""
        return codec.encode(value, self._result_words)


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


@dataclass(frozen=True, eq=False)
class Orchestrator(Generic[I, O]):
    """A registered orchestrator: `async def f(ctx)`, `async def f(ctx, input)`, or a generator."""

    function: Callable[..., Any]
    name: str
    version: str = ""

    def __post_init__(self) -> None:
        check_name("an orchestrator name", self.name)
        parameters = list(inspect.signature(self.function).parameters.values())
        if not 1 <= len(parameters) <= 2 or any(p.kind in _NOT_BY_NAME for p in parameters):
            raise RegistrationError(
                f"Orchestrator {self.name!r} must take the context and at most one input: "
                f"async def {self.function.__name__}(ctx: Context, order: Order). "
                "Put several values into one dataclass."
            )
        if not (
            inspect.iscoroutinefunction(self.function) or inspect.isgeneratorfunction(self.function)
        ):
            raise RegistrationError(
                f"Orchestrator {self.name!r} must be `async def`, or a generator with `yield`."
            )

    @cached_property
    def is_generator(self) -> bool:
        return inspect.isgeneratorfunction(self.function)

    @cached_property
    def takes_input(self) -> bool:
        return len(inspect.signature(self.function).parameters) == 2

    @cached_property
    def _read_input(self) -> codec.Reader:
        parameters = list(inspect.signature(self.function).parameters)
        kind = hints_of(self.function).get(parameters[1], Any) if self.takes_input else Any
        return codec.decoder(kind)

    def encode_input(self, value: Any) -> msgspec.Raw:
        """Raises: SerializationError, PayloadTooLargeError."""
        return codec.encode(value, f"The input of orchestrator {self.name!r}")

    def decode_input(self, text: msgspec.Raw) -> Any:
        """Raises: InvalidPayloadError."""
        if not self.takes_input and text == codec.NULL:
            return None
        return codec.read(self._read_input, text, f"The input of orchestrator {self.name!r}")

    def check_input(self, text: msgspec.Raw) -> None:
        """Refuse at the door what the orchestrator could not read. Raises: InvalidPayloadError."""
        if not self.takes_input and text != codec.NULL and not self.is_generator:
            raise InvalidPayloadError(
                f"The input of orchestrator {self.name!r}", "it takes no input"
            )
        self.decode_input(text)

    @cached_property
    def _read_result(self) -> codec.Reader:
        hint = hints_of(self.function).get("return", Any)
        return codec.decoder(Any if self.is_generator else hint)

    def decode_result(self, text: bytes | msgspec.Raw) -> Any:
        """The typed result. Raises: InvalidPayloadError."""
        return codec.read(self._read_result, text, f"The result of orchestrator {self.name!r}")

    def encode_result(self, value: Any) -> msgspec.Raw:
        """Raises: SerializationError, PayloadTooLargeError."""
        return codec.encode(value, f"The result of orchestrator {self.name!r}")
