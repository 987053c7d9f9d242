"""The value of an approval, and what a person edits in it, measured by the proposal's schema."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import jsonschema_rs
import msgspec
from jsonschema_rs import FancyRegexOptions, ValidationError, ValidationErrorKind

from adjourn.approvals.state import State
from adjourn.errors import PayloadTooLargeError, SerializationError
from adjourn.model import codec
from adjourn.model.approval import ApprovalRequest, Bounds

FIELDS_LIMIT = 50  # fields that one refusal names
MESSAGE_LIMIT = 300  # characters about one field
NUMBER_LIMIT = 100  # characters of a number written as text
BACKTRACK_LIMIT = 10_000
"""Steps of one pattern; beyond them the value is refused. Not the linear engine: it knows no
lookahead, and some versions of pydantic write one into the pattern of every Decimal."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_REFERENCES = 16  # followed one after the other: a schema may refer to itself
_ALTERNATIVES = 4  # levels of anyOf within anyOf that are looked at

Errors = dict[str, str]
"""What is wrong, by field: "amount", "items.0.name"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The value that somebody approves."""

    value: Any
    digest: str
    """Empty where the value cannot even be written as JSON."""
    errors: Errors = field(default_factory=dict[str, str])


def digest_of(value: Any) -> str:
    """SHA-256 of the value's canonical JSON, in hexadecimal.

    Raises: SerializationError, PayloadTooLargeError.
    """
    return hashlib.sha256(bytes(codec.encode(value))).hexdigest()


def edit(request: ApprovalRequest, state: State, changes: Mapping[str, Any]) -> Edit:
    """The value as it stands with these fields changed, and what is wrong with them."""
    if not changes:
        return Edit(value=state.value, digest=state.digest)
    form = cast("dict[str, Any]", msgspec.json.decode(request.form))
    properties = _properties(form)
    try:
        plain = msgspec.json.decode(codec.encode(changes, "The changes"), type=dict[str, Any])
        changed = {
            name: _normal(_kinds(form, properties.get(name)), given)
            for name, given in plain.items()
        }
        value = {**cast("dict[str, Any]", state.value), **changed}
        digest = digest_of(value)
    except (SerializationError, PayloadTooLargeError) as error:
        return Edit(
            value=state.value, digest="", errors=_limited(dict.fromkeys(changes, str(error)))
        )
    errors = {name: "cannot be changed" for name in changed if name not in request.editable}
    for name, given in changed.items():
        bounds = request.editable.get(name, Bounds())
        problem = _number_problem(_kinds(form, properties.get(name)), bounds, given)
        if problem:
            errors.setdefault(name, problem)
    for name, problem in _schema_problems(form, changed, before=state.value, after=value):
        errors.setdefault(name, problem)
    return Edit(value=value, digest=digest, errors=_limited(errors))


def edited(request: ApprovalRequest, value: Any) -> list[str]:
    """Names of the fields that differ from the proposal, in order."""
    proposal = cast("dict[str, Any]", msgspec.json.decode(request.proposal))
    given = cast("dict[str, Any]", value)
    return sorted(
        name
        for name in proposal.keys() | given.keys()
        if name not in proposal
        or name not in given
        or codec.encode(proposal[name]) != codec.encode(given[name])
    )


# Numbers. The digest is of JSON text, so 550 where the type writes 550.0 would be another value
# than the one that the workflow reads and writes again: what is typed is written as the type does.


def _normal(kinds: frozenset[str], given: Any) -> Any:
    if given is None or isinstance(given, bool):
        return given
    if _is_decimal(kinds):
        number = _number(given)
        return given if number is None else str(number)
    match given:
        case int() if "number" in kinds and "integer" not in kinds and abs(given) < 2**53:
            return float(given)
        case float() if "integer" in kinds and "number" not in kinds and given.is_integer():
            return int(given)
        case _:
            return given


def _is_decimal(kinds: frozenset[str]) -> bool:
    """Text in JSON, a number for people. Pydantic's schema of it says number or string."""
    return "decimal" in kinds or kinds - {"null"} == frozenset({"number", "string"})


def _number(given: Any) -> Decimal | None:
    """The exact number, or None: NaN and infinity are none, nor is anything like "1_000"."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    text = given if isinstance(given, str) else repr(given)
    if len(text) > NUMBER_LIMIT or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)


def _number_problem(kinds: frozenset[str], bounds: Bounds, given: Any) -> str:
    """What is wrong with an edited number; empty where it need not be one."""
    bounded = bool(bounds.minimum or bounds.maximum)
    if not bounded and (not _is_decimal(kinds) or given is None):
        return ""
    number = _number(given)
    if number is None:
        return "must be a number, such as 12.50"
    for limit in filter(None, (bounds.minimum, bounds.maximum)):
        if _number(limit) is None:
            return f"cannot be changed: its limit {limit!r} is no number"
    if bounds.minimum and number < Decimal(bounds.minimum):
        return f"must be at least {bounds.minimum}"
    if bounds.maximum and number > Decimal(bounds.maximum):
        return f"must be at most {bounds.maximum}"
    return ""


# The schema.


def _schema_problems(
    form: dict[str, Any], changed: Mapping[str, Any], *, before: Any, after: Any
) -> Iterator[tuple[str, str]]:
    """What the schema says against `after`, by field.

    What it says against an untouched field of `before` as well is not the reviewer's doing: some
    types write what their own schema does not describe.
    """
    try:
        validator = jsonschema_rs.validator_for(
            form,
            validate_formats=True,  # a date that is none would fail the workflow that reads it
            offline=True,  # or a reference would be fetched, or read from a file
            pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )
        known = {_identity(error) for error in validator.iter_errors(before)}
        for error in validator.iter_errors(after):
            touched = bool(error.instance_path) and error.instance_path[0] in changed
            if touched or _identity(error) not in known:
                message = _message(error)
                for name in _names(error) or sorted(changed):
                    yield name, message
    except (ValueError, jsonschema_rs.ReferencingError) as error:  # the schema itself is none
        reason = str(error).partition("\n")[0]
        for name in changed:
            yield name, f"cannot be changed: its form cannot be read ({reason})"


def _identity(error: ValidationError) -> tuple[Any, ...]:
    return (*error.instance_path, error.kind.name, *error.schema_path)


def _names(error: ValidationError) -> list[str]:
    """The fields that it is about; none where it is about the whole value."""
    path = [str(step) for step in error.instance_path]
    match error.kind:
        case ValidationErrorKind.Required(property=name):
            return [".".join([*path, name])]
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            return [".".join([*path, name]) for name in names]
        case _:
            return [".".join(path)] if path else []


def _message(error: ValidationError) -> str:
    match error.kind:
        case ValidationErrorKind.Required():
            return "is required"
        case ValidationErrorKind.AdditionalProperties():
            return "is not in the form"
        case (
            ValidationErrorKind.AnyOf(context=context)
            | ValidationErrorKind.OneOfNotValid(context=context)
        ):
            told = dict.fromkeys(each.message for option in context for each in option)
            return "; or ".join(told) or error.message
        case _:
            return error.message


def _properties(form: dict[str, Any]) -> dict[str, Any]:
    return _dictionary(_followed(form, form).get("properties"))


def _followed(form: dict[str, Any], schema: Any) -> dict[str, Any]:
    """The schema behind its references into the same document."""
    for _ in range(_REFERENCES):
        found = _dictionary(schema)
        reference = found.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return found
        schema = form
        for step in filter(None, reference[1:].split("/")):
            schema = _dictionary(schema).get(step.replace("~1", "/").replace("~0", "~"))
    return {}


def _kinds(form: dict[str, Any], schema: Any, depth: int = _ALTERNATIVES) -> frozenset[str]:
    """The JSON types that a schema allows; "decimal" is a number written as text."""
    found = _followed(form, schema)
    types = found.get("type", [])
    named = {types} if isinstance(types, str) else {str(each) for each in _list(types)}
    if found.get("format") == "decimal":
        named = named - {"string"} | {"decimal"}
    if depth:
        for word in ("anyOf", "oneOf", "allOf"):
            for option in _list(found.get(word)):
                named |= _kinds(form, option, depth - 1)
    return frozenset(named)


def _dictionary(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _limited(errors: Errors) -> Errors:
    """What a refusal can carry."""
    return {
        name[:MESSAGE_LIMIT]: message[:MESSAGE_LIMIT]
        for name, message in list(errors.items())[:FIELDS_LIMIT]
    }
