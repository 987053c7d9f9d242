"""The form of a proposal, drawn from its JSON Schema, and what came back from it.

A page and a card draw the same fields, and read what was typed in them the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast

from adjourn.approvals.text import capital, label_of, plain
from adjourn.model.approval import Bounds

Widget = Literal["text", "long", "number", "choice", "json"]

LONG_TEXT = 20  # characters; a longer text gets a box that grows with it

_NUMERAL = re.compile(
    r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII
)

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProposalField:
    """One field of a proposal as a reviewer sees it: what was proposed, and what it would be.

    All texts are safe to look at, but for `value`, `before` and the values of `choices`: those are
    what an input holds and gives back.
    """

    name: str
    label: str
    proposed: str
    """For reading."""
    shown: str
    """The value as it stands, for reading."""
    value: str
    """What its input holds."""
    before: str
    """The same before anybody typed."""
    widget: Widget
    editable: bool
    changed: bool
    """Whether earlier approvals have changed it."""
    help: str
    bounds: str
    choices: list[tuple[str, str]]
    """Values and labels of a choice."""
    error: str = ""


def fields_of(
    form: Schema,
    proposal: Mapping[str, Any],
    value: Mapping[str, Any],
    editable: Mapping[str, Bounds],
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[ProposalField]:
    """Every field, in the order of the type as far as it is known. `typed` and `errors` are what a
    person sent and what was wrong with it, by field."""
    properties = _properties(form)
    return [
        _field(
            name,
            _resolved(form, properties.get(name, {})),
            proposal,
            value,
            editable.get(name),
            (typed or {}).get(name),
            _error(errors or {}, name),
        )
        for name in _ordered(form, proposal)
    ]


def _field(
    name: str,
    schema: Schema,
    proposal: Mapping[str, Any],
    value: Mapping[str, Any],
    bounds: Bounds | None,
    typed: str | None,
    error: str,
) -> ProposalField:
    now = value.get(name, proposal[name])
    choices = _choices(schema)
    return ProposalField(
        name=name,
        label=plain(schema.get("title") or label_of(name)),
        proposed=shown(proposal[name]),
        shown=shown(now),
        value=raw_text(now) if typed is None else typed,
        before=raw_text(now),
        widget=_widget(schema, now, bool(choices)),
        editable=bounds is not None,
        changed=now != proposal[name],
        help=plain(schema.get("description") or ""),
        bounds="" if bounds is None else _bounds(bounds),
        choices=choices,
        error=plain(error),
    )


def _error(errors: Mapping[str, str], name: str) -> str:
    """What is wrong with a field or with a part of it: "items.0.name" is told at "items"."""
    parts = [
        text if key == name else f"{key[len(name) + 1 :]} {text}"
        for key, text in errors.items()
        if key == name or key.startswith(f"{name}.")
    ]
    return capital("; ".join(parts))


def shown(value: Any) -> str:
    """A value for reading."""
    match value:
        case None:
            return "\u2014"
        case "":
            return "(empty)"
        case bool():
            return "Yes" if value else "No"
        case dict() | list():
            return plain(json.dumps(value, indent=2, ensure_ascii=False))
        case _:
            return plain(value)


def raw_text(value: Any) -> str:
    """A value as it stands in an input: exactly what comes back when nobody touches it."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return json.dumps(value, ensure_ascii=False)


def changes_of(
    form: Schema,
    value: Mapping[str, Any],
    editable: Mapping[str, Bounds],
    typed: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields that differ from `value`, as JSON, and what cannot be read, by field."""
    properties = _properties(form)
    changes: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name in editable:
        text = typed.get(name)
        if text is None or name not in value:
            continue
        # Browsers send line ends as CR LF, whatever the value had.
        text = text.replace("\r\n", "\n")
        if text == raw_text(value[name]).replace("\r\n", "\n"):
            continue
        schema = _resolved(form, properties.get(name, {}))
        try:
            new = _read(schema, text, value[name])
        except ValueError as error:
            errors[name] = str(error)
        else:
            if not _same(schema, new, value[name]):
                changes[name] = new
    return changes, errors


def _same(schema: Schema, new: Any, before: Any) -> bool:
    """Whether nothing changed but the way to write it: 600 and 600.00 are one amount."""
    if isinstance(new, bool) or isinstance(before, bool):
        return new is before
    if _is_decimal(schema) and isinstance(new, str) and isinstance(before, str):
        return Decimal(new) == Decimal(before)
    return new == before


def _read(schema: Schema, text: str, before: Any) -> Any:
    """Raises: ValueError that says what is expected."""
    kinds = _kinds(schema)
    stripped = text.strip()
    if not stripped and ("null" in kinds or before is None) and "string" not in kinds:
        return None
    if "enum" in schema:
        return _chosen(schema["enum"], text)
    if "boolean" in kinds:
        if stripped.lower() not in ("true", "false"):
            raise ValueError("must be yes or no")
        return stripped.lower() == "true"
    if "integer" in kinds and "number" not in kinds:
        return _whole(stripped)
    if _is_decimal(schema):
        _decimal(stripped)
        return _ungrouped(stripped)
    if "number" in kinds or "integer" in kinds:
        return _decimal(stripped)
    if "object" in kinds or "array" in kinds:
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("must be JSON") from None
    return text


def _is_decimal(schema: Schema) -> bool:
    """Text in JSON, a number for people. Pydantic's schema of it says number or string."""
    return schema.get("format") == "decimal" or _kinds(schema) - {"null"} == {"number", "string"}


def _chosen(values: Any, text: str) -> Any:
    for value in cast("list[Any]", values):
        if raw_text(value) == text:
            return value
    raise ValueError("must be one of the values offered")


def _whole(text: str) -> int:
    try:
        return int(_ungrouped(text))
    except ValueError:
        raise ValueError("must be a whole number") from None


def _ungrouped(text: str) -> str:
    """Without the commas that group thousands. Any other comma stays and is no number: whoever
    types 19,80 means no 1980. Nor are digits grouped by anything else."""
    if not _NUMERAL.fullmatch(text):
        return ""
    return text.replace(",", "")


def _decimal(text: str) -> int | float:
    digits = _ungrouped(text)
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise ValueError("must be a number, such as 12.50") from None
    if not number.is_finite() or number.adjusted() > 15:
        raise ValueError("must be a number, such as 12.50")
    return int(digits) if digits.lstrip("+-").isdigit() else float(digits)


# The parts of JSON Schema that msgspec and pydantic write.


def _ordered(form: Schema, proposal: Mapping[str, Any]) -> list[str]:
    """Canonical JSON sorts the properties; the list of those that are required keeps the order in
    which the type has them, and those with a default come after them."""
    required: Any = _resolved(form, form).get("required", [])
    first = cast("list[str]", required) if isinstance(required, list) else []
    known = dict.fromkeys([*first, *_properties(form), *proposal])
    return [name for name in known if name in proposal]


def _properties(form: Schema) -> Mapping[str, Any]:
    found = _resolved(form, form).get("properties", {})
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _resolved(form: Schema, schema: Any) -> Schema:
    """`schema` with its reference into the form's definitions followed, and a choice between
    something and null taken for that something."""
    for _ in range(8):  # a chain of references; a circle would go on for ever
        if not isinstance(schema, dict):
            return {}
        told = cast("dict[str, Any]", schema)
        reference = told.get("$ref")
        if isinstance(reference, str):
            found = _definition(form, reference)
            schema = {**found, **{key: told[key] for key in told if key != "$ref"}}
            continue
        options = _options(told)
        solid = [each for each in options if each.get("type") != "null"]
        if len(solid) != 1:
            return told
        rest = {key: told[key] for key in told if key not in ("anyOf", "oneOf")}
        schema = {**solid[0], **rest, "nullable": len(solid) < len(options)}
    return {}


def _definition(form: Schema, reference: str) -> dict[str, Any]:
    name = reference.rpartition("/")[2]
    for home in ("$defs", "definitions"):
        found: Any = form.get(home, {})
        if isinstance(found, dict) and isinstance(cast("Any", found).get(name), dict):
            return cast("dict[str, Any]", found[name])
    return {}


def _options(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: Any = schema.get("anyOf", schema.get("oneOf", []))
    given = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", each) for each in given if isinstance(each, dict)]


def _kinds(schema: Schema) -> set[str]:
    kind: Any = schema.get("type", [])
    kinds = {kind} if isinstance(kind, str) else set(cast("list[str]", kind))
    for option in _options(schema):
        kinds |= _kinds(option)
    return kinds | {"null"} if schema.get("nullable") else kinds


def _choices(schema: Schema) -> list[tuple[str, str]]:
    if "boolean" in _kinds(schema):
        return [("true", "Yes"), ("false", "No")]
    values: Any = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if not isinstance(values, list):
        return []
    return [(raw_text(value), shown(value)) for value in cast("list[Any]", values)]


def _widget(schema: Schema, value: Any, choices: bool) -> Widget:
    kinds = _kinds(schema)
    if choices:
        return "choice"
    if kinds & {"object", "array"} or isinstance(value, dict | list):
        return "json"
    if kinds & {"integer", "number"} or _is_decimal(schema):
        return "number"
    long = isinstance(value, str) and (len(value) > LONG_TEXT or "\n" in value)
    return "long" if long else "text"


def _bounds(bounds: Bounds) -> str:
    if bounds.minimum and bounds.maximum:
        return f"{plain(bounds.minimum)} to {plain(bounds.maximum)}"
    if bounds.minimum:
        return f"{plain(bounds.minimum)} or more"
    return f"{plain(bounds.maximum)} or less" if bounds.maximum else ""
