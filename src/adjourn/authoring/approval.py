"""What `ctx.approval` is asked with, and the request that it makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.errors import InvalidApprovalError
from adjourn.model import codec
from adjourn.model.approval import (
    ApprovalRequest,
    AutoDecision,
    Bounds,
    Conversation,
    Document,
    Escalation,
    Evidence,
    Facts,
    Recheck,
    Risk,
)

Span = timedelta | str
"""A timedelta, or a number and a unit: "30s", "10m", "4h", "7d"."""

Recipients = str | Iterable[str]
Escalations = Mapping[Span, Recipients]
"""After which span who may decide as well."""

AutoRule = Callable[[Any], "AutoDecision | None"]
"""A pure function of the proposal: it returns the decision `auto(...)`, or None to ask people."""

RECIPIENTS_LIMIT = 32
ESCALATE_AFTER = timedelta(days=2)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_RECIPIENT = re.compile(r"(?:(?:group|role):)?[\w.@+-]{1,100}")


def group(name: str) -> str:
    """Everybody in this group."""
    return f"group:{name}"


def role(name: str) -> str:
    """Everybody with this role."""
    return f"role:{name}"


def auto(policy: str, version: str = "", reason: str = "") -> AutoDecision:
    """Approve without asking anybody; the policy's name and version are recorded."""
    return AutoDecision(policy=policy, version=version, reason=reason)


class RecheckBy(msgspec.Struct, frozen=True):
    """Made by `rechecking`."""

    activity: str
    input: msgspec.Raw


def rechecking(activity: Activity[..., Any], /, *args: Any, **kwargs: Any) -> RecheckBy:
    """Ask this activity at the opening and again at the effect: the facts must be the same."""
    return RecheckBy(activity.name, activity.encode_arguments(args, kwargs))


def request_of(
    proposal: Any,
    *,
    title: str,
    to: Recipients,
    expires: Span | None,
    evidence: Sequence[Evidence],
    editable: Iterable[str] | Mapping[str, Bounds],
    requester: str,
    on_behalf_of: str,
    not_by: Recipients,
    need: int,
    auto: AutoRule | None,
    policy: str,
    risk: Risk,
    due: Span | None,
    remind: Span | Sequence[Span] | None,
    escalate: Escalations | None,
    undo: Span,
    recheck: RecheckBy | None,
    reversible: bool,
    currency: str,
    case: str,
) -> ApprovalRequest:
    """The request that these arguments make. Raises: InvalidApprovalError, SerializationError."""
    value, form = _form_of(proposal)
    fields = _editable(editable, value)
    addressed = _recipients("to", to)
    if not addressed:
        raise InvalidApprovalError('to= is empty: name people, group("...") or role("...").')
    if need < 1:
        raise InvalidApprovalError(f"need={need}: at least one person must approve.")
    codec.check_text("The title", title, 300)
    if not title.strip():
        raise InvalidApprovalError("title= is empty: say the effect in one sentence.")
    expiry = None if expires is None else _seconds("expires", expires)
    return ApprovalRequest(
        kind=type(proposal).__name__,
        title=title,
        proposal=codec.encode(proposal, "The proposal"),
        form=codec.encode(form, "The proposal's schema"),
        to=addressed,
        evidence=[_checked(each) for each in evidence],
        editable=fields,
        requester=requester,
        on_behalf_of=on_behalf_of,
        not_by=_recipients("not_by", not_by),
        need=need,
        auto=None if auto is None else auto(proposal),
        policy=policy,
        risk=risk,
        amount=_amount(value),
        currency=currency,
        case=case,
        due=None if due is None else _seconds("due", due),
        remind=_reminders(remind, expiry),
        escalate=_escalations(escalate, expiry),
        expires=expiry,
        undo=_seconds("undo", undo, zero=True),
        recheck=None
        if recheck is None
        else Recheck(activity=recheck.activity, input=recheck.input),
        reversible=reversible,
    )


def _form_of(proposal: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The proposal as a JSON object, and the JSON Schema of its type."""
    kind = cast("type[Any]", type(proposal))
    pydantic_schema = getattr(kind, "model_json_schema", None)
    try:
        form = pydantic_schema() if pydantic_schema else msgspec.json.schema(kind)
    except (TypeError, RuntimeError) as error:
        raise InvalidApprovalError(f"{kind.__name__} gives no form: {error}") from error
    value = msgspec.json.decode(codec.encode(proposal, "The proposal"))
    if not isinstance(value, dict) or isinstance(proposal, dict):
        raise InvalidApprovalError(
            f"A proposal is a dataclass, msgspec or pydantic value, for its type draws the form; "
            f"{kind.__name__} is not."
        )
    return cast("dict[str, Any]", value), cast("dict[str, Any]", form)


def _editable(
    editable: Iterable[str] | Mapping[str, Bounds], value: Mapping[str, Any]
) -> dict[str, Bounds]:
    fields = (
        dict(cast("Mapping[str, Bounds]", editable))
        if isinstance(editable, Mapping)
        else dict.fromkeys([editable] if isinstance(editable, str) else editable, Bounds())
    )
    for name in fields:
        if name not in value:
            raise InvalidApprovalError(
                f"editable names {name!r}, and the proposal has {', '.join(sorted(value))}."
            )
    return fields


def _recipients(what: str, given: Recipients) -> list[str]:
    found = [given] if isinstance(given, str) else list(given)
    for each in found:
        if not _RECIPIENT.fullmatch(each):
            raise InvalidApprovalError(
                f'{what}={each!r}: a recipient is a person\'s id, group("...") or role("...").'
            )
    if len(found) > RECIPIENTS_LIMIT:
        raise InvalidApprovalError(f"{what} names {len(found)}; {RECIPIENTS_LIMIT} at most.")
    return list(dict.fromkeys(found))


def _seconds(what: str, span: Span, *, zero: bool = False) -> float:
    if isinstance(span, timedelta):
        seconds = span.total_seconds()
    else:
        found = _SPAN.fullmatch(span)
        if found is None:
            raise InvalidApprovalError(f'{what}={span!r}: a span is like "30s", "4h" or "7d".')
        seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds < 0 or (seconds == 0 and not zero):
        raise InvalidApprovalError(f"{what}={span!r} must be positive.")
    return seconds


def _reminders(remind: Span | Sequence[Span] | None, expiry: float | None) -> list[float]:
    if remind is None:
        return []
    spans = [remind] if isinstance(remind, str | timedelta) else list(remind)
    found = sorted(_seconds("remind", span) for span in spans)
    return [span for span in found if expiry is None or span < expiry]


def _escalations(escalate: Escalations | None, expiry: float | None) -> list[Escalation]:
    steps: Escalations = {ESCALATE_AFTER: role("lead")} if escalate is None else escalate
    found = [
        Escalation(after=_seconds("escalate", span), to=_recipients("escalate", to))
        for span, to in steps.items()
    ]
    found.sort(key=lambda step: step.after)
    return [step for step in found if expiry is None or step.after < expiry]


def _amount(value: Mapping[str, Any]) -> float | None:
    """For filters and order. A Decimal is text in JSON."""
    given = value.get("amount")
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        return float(given)
    except ValueError:
        return None


def _checked(evidence: Evidence) -> Evidence:
    if not isinstance(evidence, Conversation | Facts | Document):  # pyright: ignore[reportUnnecessaryIsInstance]  # users pass what they like
        raise InvalidApprovalError(
            f"evidence is Conversation, Facts or Document, not {type(evidence).__name__}."
        )
    return evidence
