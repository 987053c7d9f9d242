"""What `ctx.approval` is asked with, and the request that it makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Any, Required, TypedDict, cast, get_args

import msgspec

from adjourn.authoring.functions import Activity
from adjourn.errors import InvalidApprovalError, InvalidPayloadError
from adjourn.model import codec
from adjourn.model.actor import Role
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
    is_recipient,
)

Span = timedelta | str
"""A timedelta, or a number and a unit: "30s", "10m", "4h", "7d"."""

Recipients = str | Iterable[str]
Escalations = Mapping[Span, Recipients]
"""After which span who may decide as well."""

AutoRule = Callable[[Any], "AutoDecision | None"]
"""A pure function of the proposal: it returns the decision `auto(...)`, or None to ask people."""

RECIPIENTS_LIMIT = 32
TITLE_LIMIT = 300  # characters
WORD_LIMIT = 200
REMIND_AFTER = timedelta(days=1)
ESCALATE_AFTER = timedelta(days=2)
UNDO = timedelta(seconds=10)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


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


class Terms(TypedDict, total=False):
    """What `ctx.approval` takes beside the proposal. Spans are counted from the opening."""

    title: Required[str]
    """The effect in one sentence."""
    to: Required[Recipients]
    """Who may decide: people's ids, `group("finance")`, `role("lead")`."""
    expires: Required[Span | None]
    """Stated, for silence is no answer; None waits for ever."""
    evidence: Sequence[Evidence]
    editable: Iterable[str] | Mapping[str, Bounds]
    """The fields that a reviewer may change, with bounds where there are any. What they write is
    measured by the JSON Schema of the proposal's type and by the bounds, and by nothing else: a
    validator in Python that refuses it fails the workflow after the decision."""
    requester: str
    """Who asks; never an approver of it."""
    on_behalf_of: str
    not_by: Recipients
    need: int
    """How many different people must approve the very same value; 1 unless said otherwise."""
    auto: AutoRule | None
    """Asked first; what it returns decides at once."""
    policy: str
    """Why a person is asked."""
    risk: Risk
    due: Span | None
    remind: Span | Sequence[Span] | None
    """After a day, unless said otherwise."""
    escalate: Escalations | None
    """After two days whoever holds the role lead may decide, unless said otherwise."""
    undo: Span
    """How long a decision can be taken back: "10s", unless said otherwise."""
    recheck: RecheckBy | None
    """`rechecking(activity, ...)`: it must say the same at the opening and at the effect."""
    reversible: bool
    fresh_sign_in: Span | None
    """Whoever approves it has signed in within this span, and is asked to sign in again where that
    is longer ago. It guards what a stolen or a left-open screen should not approve; a channel that
    cannot tell when somebody signed in (Teams) cannot approve it at all."""
    currency: str
    case: str


def request_of(
    proposal: Any, terms: Terms, watchers: Mapping[str, str] | None = None
) -> msgspec.Raw:
    """The `ApprovalRequest` that they make, as JSON; its keys keep their order, for people read it.

    Raises: InvalidApprovalError, SerializationError, PayloadTooLargeError.
    """
    missing = [f"{name}=" for name in ("title", "to", "expires") if name not in terms]
    if missing:
        raise InvalidApprovalError(
            f"{' and '.join(missing)} must be said: what happens, who may decide, and when it ends "
            "without an answer (expires=None waits for ever)."
        )
    value, form = _form_of(proposal)
    title, need = terms["title"], terms.get("need", 1)
    addressed = _recipients("to", terms["to"])
    if not addressed:
        raise InvalidApprovalError('to= is empty: name people, group("...") or role("...").')
    if not 1 <= need <= RECIPIENTS_LIMIT:
        raise InvalidApprovalError(f"need={need}: between one and {RECIPIENTS_LIMIT} approve.")
    codec.check_text("The title", title, TITLE_LIMIT)
    for name in ("requester", "on_behalf_of", "policy", "currency", "case"):
        codec.check_text(f"{name}=", terms.get(name, ""), WORD_LIMIT)
    if not title.strip():
        raise InvalidApprovalError("title= is empty: say the effect in one sentence.")
    expiry = _seconds("expires", terms["expires"])
    auto, recheck = terms.get("auto"), terms.get("recheck")
    request = ApprovalRequest(
        kind=type(proposal).__name__,
        title=title,
        proposal=codec.encode(proposal, "The proposal"),
        form=codec.encode(form, "The proposal's schema", as_given=True),
        to=addressed,
        evidence=[_checked(each) for each in terms.get("evidence", ())],
        editable=_editable(terms.get("editable", ()), value.keys() | _fields_of(form)),
        requester=terms.get("requester", ""),
        on_behalf_of=terms.get("on_behalf_of", ""),
        not_by=_recipients("not_by", terms.get("not_by", ())),
        need=need,
        auto=None if auto is None else auto(proposal),
        policy=terms.get("policy", ""),
        risk=terms.get("risk", "low"),
        amount=_amount(value),
        currency=terms.get("currency", ""),
        case=terms.get("case", ""),
        due=_seconds("due", terms.get("due")),
        remind=_reminders(terms.get("remind", REMIND_AFTER), expiry),
        escalate=_escalations(terms.get("escalate"), expiry),
        expires=expiry,
        undo=_seconds("undo", terms.get("undo", UNDO), zero=True) or 0.0,
        recheck=None
        if recheck is None
        else Recheck(activity=recheck.activity, input=recheck.input),
        reversible=terms.get("reversible", True),
        fresh_sign_in=_seconds("fresh_sign_in", terms.get("fresh_sign_in")),
        watchers=dict(watchers or {}),
    )
    if expiry is None and not request.remind and not request.escalate:
        raise InvalidApprovalError(
            "Nobody would notice if nobody decided: set remind=, escalate= or expires=."
        )
    text = codec.encode(request, "The approval's request", as_given=True)
    try:  # what the caller's type checker would have told
        codec.decode(text, ApprovalRequest)
    except InvalidPayloadError as error:
        raise InvalidApprovalError(f"It cannot be asked: {error}") from error
    return text


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


def _fields_of(form: Mapping[str, Any]) -> set[str]:
    """The names in it; a value may leave those at their defaults out."""
    name = str(form.get("$ref", "")).removeprefix("#/$defs/")
    return set(form.get("$defs", {}).get(name, form).get("properties", {}))


def _editable(editable: Iterable[str] | Mapping[str, Bounds], known: Set[str]) -> dict[str, Bounds]:
    fields = (
        dict(cast("Mapping[str, Bounds]", editable))
        if isinstance(editable, Mapping)
        else dict.fromkeys([editable] if isinstance(editable, str) else editable, Bounds())
    )
    for name in fields:
        if name not in known:
            raise InvalidApprovalError(
                f"editable names {name!r}, and the proposal has {', '.join(sorted(known))}."
            )
    return fields


def _recipients(what: str, given: Recipients) -> list[str]:
    found = [given] if isinstance(given, str) else list(given)
    for each in found:
        if not is_recipient(each):
            raise InvalidApprovalError(
                f'{what}={each!r}: a recipient is a person\'s id, group("...") or role("..."), '
                f"which is one of {', '.join(get_args(Role))}."
            )
    if len(found) > RECIPIENTS_LIMIT:
        raise InvalidApprovalError(f"{what} names {len(found)}; {RECIPIENTS_LIMIT} at most.")
    return list(dict.fromkeys(found))


def _seconds(what: str, span: Span | None, *, zero: bool = False) -> float | None:
    if span is None:
        return None
    if isinstance(span, timedelta):
        seconds = span.total_seconds()
    else:
        found = _SPAN.fullmatch(str(span))  # a number is said to be none, where code is untyped
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
    found = sorted(_seconds("remind", span) or 0.0 for span in spans)
    return [span for span in found if expiry is None or span < expiry]


def _escalations(escalate: Escalations | None, expiry: float | None) -> list[Escalation]:
    steps: Escalations = {ESCALATE_AFTER: role("lead")} if escalate is None else escalate
    found = [
        Escalation(after=_seconds("escalate", span) or 0.0, to=_recipients("escalate", to))
        for span, to in steps.items()
    ]
    found.sort(key=lambda step: step.after)
    if sum(len(step.to) for step in found) > RECIPIENTS_LIMIT:
        raise InvalidApprovalError(f"escalate names more than {RECIPIENTS_LIMIT} in all.")
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
