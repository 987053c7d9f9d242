"""The context of a replayed execution: each call becomes a task and, mostly, a command."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Unpack, cast
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from adjourn.authoring.approval import Terms, request_of
from adjourn.authoring.context import Attribute, Context, Validator
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.authoring.task import Task
from adjourn.errors import (
    AdjournError,
    ApprovalRequiredError,
    DeterminismError,
    UnknownActivityError,
    UnknownOrchestratorError,
)
from adjourn.model import codec, commands
from adjourn.model.approval import (
    APPROVAL,
    Approved,
    Cancelled,
    Expired,
    Rejected,
    Superseded,
)
from adjourn.model.codec import Reader
from adjourn.model.ids import check_instance_id, check_name, child_id
from adjourn.replay.execution import ContinuesAsNew, Execution
from adjourn.replay.tasks import AllTask, AnyTask, ApprovalTask

_log = logging.getLogger("adjourn.orchestrator")


class _ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, execution: Execution) -> None:
        super().__init__(_log, {})
        self._execution = execution

    def isEnabledFor(self, level: int) -> bool:
        return not self._execution.replaying and super().isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        extra = {"instance_id": self._execution.instance_id, "execution": self._execution.number}
        kwargs["extra"] = {**extra, **(kwargs.get("extra") or {})}
        return msg, kwargs


class ReplayContext(Context):
    """`Context` over an `Execution`."""

    __slots__ = ("_execution", "_logger", "_random", "_uuids", "execution", "instance_id")

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self.instance_id = execution.instance_id
        self.execution = execution.number
        self._random: random.Random | None = None
        self._logger: _ReplaySafeLogger | None = None
        self._uuids = 0

    @property
    def current_utc_datetime(self) -> datetime:
        return self._execution.now

    @property
    def is_replaying(self) -> bool:
        return self._execution.replaying

    @property
    def random(self) -> random.Random:
        if self._random is None:
            seed = hashlib.sha256(f"{self.instance_id}/{self.execution}".encode()).digest()
            self._random = random.Random(seed)
        return self._random

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        if self._logger is None:
            self._logger = _ReplaySafeLogger(self._execution)
        return self._logger

    def new_uuid(self) -> UUID:
        self._uuids += 1
        return uuid5(NAMESPACE_OID, f"adjourn/{self.instance_id}/{self.execution}/{self._uuids}")

    def call_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._execution.require_turn()
        found = self._find_activity(activity)
        if found.requires_approval:
            raise ApprovalRequiredError(
                f"Activity {found.name!r} requires an approval. Ask for one with ctx.approval, and "
                "run it by ctx.execute(decision, activity)."
            )
        input = found.encode_arguments(args, kwargs)
        return self._execution.open_activity(found.name, input, found.decode_result)

    def _find_activity(self, activity: Any) -> Activity[..., Any]:
        registry = self._execution.registry
        if not isinstance(activity, Activity):
            return registry.find_activity(_name_of(activity, "call_activity"))
        given = cast("Activity[..., Any]", activity)
        if registry.activities.get(given.name) is not given:
            raise UnknownActivityError(given.name, registry.activities)
        return given

    def _find_orchestrator(self, orchestrator: Any, function: str) -> Orchestrator[Any, Any]:
        registry = self._execution.registry
        if not isinstance(orchestrator, Orchestrator):
            return registry.find_orchestrator(_name_of(orchestrator, function))
        given = cast("Orchestrator[Any, Any]", orchestrator)
        if registry.orchestrators.get(given.name) is not given:
            raise UnknownOrchestratorError(given.name, registry.orchestrators)
        return given

    def call_sub_orchestration(
        self, orchestrator: Any, input: Any = None, /, *, id: str | None = None
    ) -> Any:
        execution = self._execution
        execution.require_turn()
        found = self._find_orchestrator(orchestrator, "call_sub_orchestration")
        text = found.encode_input(input)
        found.check_input(text)
        if id is not None:
            check_instance_id(id)
        sequence = execution.next_sequence()
        command = commands.StartSubOrchestration(
            sequence=sequence,
            name=found.name,
            instance_id=id or child_id(self.instance_id, self.execution, sequence),
            input=text,
        )
        return execution.open_child(command, found.decode_result)

    def start(self, orchestrator: Any, input: Any = None, /, *, id: str) -> None:
        execution = self._execution
        execution.require_turn()
        name, text = self._to_start(orchestrator, input)
        check_instance_id(id)
        execution.ask(
            commands.StartOrchestration(
                sequence=execution.next_sequence(), name=name, instance_id=id, input=text
            )
        )

    def _to_start(self, orchestrator: Any, input: Any) -> tuple[str, msgspec.Raw]:
        registry = self._execution.registry
        if self._execution.orchestrator.name in registry.built_in:
            # Whom an approval tells was written into it when it was asked. Code that has changed
            # since must not end it: what it starts then waits for its own code, quarantined.
            name = _name_of(orchestrator, "start")
            return name, codec.encode(input, f"The input of orchestrator {name!r}")
        found = self._find_orchestrator(orchestrator, "start")
        if found.name in registry.built_in:  # without its asker, nobody would hear the answer
            raise UnknownOrchestratorError(found.name, registry.orchestrators)
        text = found.encode_input(input)
        found.check_input(text)
        return found.name, text

    def raise_event(self, instance_id: str, name: str, data: Any = None, /) -> None:
        execution = self._execution
        execution.require_turn()
        check_instance_id(instance_id)
        check_name("an event name", name)
        text = codec.encode(data, f"The data of event {name!r}")
        execution.ask(
            commands.SendEvent(
                sequence=execution.next_sequence(), instance_id=instance_id, name=name, data=text
            )
        )

    def approval(self, proposal: Any, /, *, id: str | None = None, **terms: Unpack[Terms]) -> Any:
        execution = self._execution
        execution.require_turn()
        terms.setdefault("case", self.instance_id)
        request = request_of(proposal, terms, execution.registry.watchers)
        execution.registry.find_orchestrator(APPROVAL)  # Adjourn() brings it, a bare Registry not
        sequence = execution.next_sequence()
        command = commands.StartSubOrchestration(
            sequence=sequence,
            name=APPROVAL,
            instance_id=child_id(self.instance_id, self.execution, sequence)
            if id is None
            else check_instance_id(id),
            input=request,
        )
        return execution.open_child(
            command, self._decision_reader(cast("type[Any]", type(proposal))), ApprovalTask
        )

    def _decision_reader(self, kind: type[Any]) -> Reader:
        """Reads the answer with its value typed, and keeps the value as it was decided: for a
        type may write it otherwise (550 as 550.0), and the digest is of what was decided."""
        read = _reader(Approved[kind] | Rejected | Expired | Cancelled | Superseded)
        decisions = self._execution.decisions

        def decide(text: bytes | msgspec.Raw) -> Any:
            decision = codec.read(read, text, "The decision")  # what was edited may not be one
            if isinstance(decision, Approved):
                raw = msgspec.json.decode(text, type=_DecidedValue)
                decisions[decision.id] = codec.encode(raw.value)
            return cast("Any", decision)

        return decide

    def execute(self, decision: Approved[Any], activity: Any, /) -> Any:
        self._execution.require_turn()
        found = self._find_activity(activity)
        name = found.only_parameter
        given = codec.encode(decision.value, "The approved value")
        decided = self._execution.decisions.get(decision.id, given)
        if codec.encode(_reader(type(decision.value))(decided), "The approved value") != given:
            raise ApprovalRequiredError(
                f"The value to execute is not the one that {decision.id} approved. Pass the "
                "decision on as it came."
            )
        input = codec.encode({name: decided}, f"The input of activity {found.name!r}")
        return self._execution.open_activity(
            found.name, input, found.decode_result, approval=decision.id
        )

    def create_timer(self, due: datetime | timedelta, /) -> Task[None]:
        self._execution.require_turn()
        if isinstance(due, timedelta):
            fire_at = self.current_utc_datetime + due
        elif due.tzinfo is None:
            raise DeterminismError(
                f"create_timer({due!r}) has no time zone, so it means another moment on another "
                "machine. Use ctx.current_utc_datetime + timedelta(...), or an aware datetime."
            )
        else:
            fire_at = due.astimezone(UTC)
        return self._execution.open_timer(fire_at)

    def wait_for_external_event(self, name: str, kind: Any = Any, /) -> Any:
        return self._wait("event", name, kind)

    def wait_for_update(
        self, name: str, kind: Any = Any, /, *, validator: Validator[Any] | None = None
    ) -> Any:
        return self._wait("update", name, kind, validator)

    def _wait(
        self, message: str, name: str, kind: Any, validator: Validator[Any] | None = None
    ) -> Any:
        self._execution.require_turn()
        check_name("an event name", name)
        return self._execution.open_wait(message, name, _reader(kind), validator)

    def when_any(self, *tasks: Any, keep: bool = False) -> Any:
        self._execution.require_turn()
        members = _members(tasks, "when_any")
        if not members:
            raise AdjournError("when_any needs at least one task: none would ever finish.")
        return AnyTask(self._execution.loop, members, keep)

    def when_all(self, *tasks: Any) -> Any:
        self._execution.require_turn()
        return AllTask(self._execution.loop, _members(tasks, "when_all"))

    def continue_as_new(self, input: Any = None) -> NoReturn:
        self._execution.require_turn()
        orchestrator = self._execution.orchestrator
        text = orchestrator.encode_input(input)
        orchestrator.check_input(text)
        self._execution.next_input = text
        self._execution.loop.stopped = True  # other coroutines must not consume what goes along
        raise ContinuesAsNew

    def get_input(self) -> Any:
        return self._execution.input

    def set_custom_status(self, status: Any) -> None:
        self._execution.require_turn()
        self._execution.custom_status = codec.encode(
            status, "The custom status", codec.STATUS_LIMIT
        )

    def set_attributes(self, **attributes: Attribute) -> None:
        self._execution.require_turn()
        for name, value in attributes.items():
            check_name("an attribute name", name)
            codec.check_scalar(f"Attribute {name!r}", value)
        self._execution.attributes.update(attributes)
        self._execution.attributes_changed = True


class _DecidedValue(msgspec.Struct):
    value: msgspec.Raw


_readers: dict[Any, Reader] = {}


def _reader(kind: Any) -> Reader:
    """A cached reader per type: building one costs more than the whole turn."""
    try:
        return _readers[kind]
    except KeyError:
        found = _readers[kind] = codec.decoder(kind)
        return found
    except TypeError:  # unhashable annotations, such as Annotated with a list
        return codec.decoder(kind)


def _members(tasks: tuple[Any, ...], function: str) -> list[Task[Any]]:
    members: list[Any] = list(tasks)
    if len(tasks) == 1 and not isinstance(tasks[0], Task) and isinstance(tasks[0], Iterable):
        members = list(cast("Iterable[Any]", tasks[0]))
    for member in members:
        if not isinstance(member, Task):
            raise DeterminismError(
                f"{function} takes tasks of this context, not {type(member).__name__}. For "
                "coroutines use asyncio.TaskGroup or asyncio.gather."
            )
    return members


def _name_of(value: Any, function: str) -> str:
    if isinstance(value, str):
        return value
    raise DeterminismError(
        f"{function} takes a registered function or its name, not {value!r}. "
        "Decorate it with @app.activity or @app.orchestrator."
    )
