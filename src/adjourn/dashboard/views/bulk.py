"""Deciding several at once: which of them can be, and what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from statistics import median
from typing import Literal

from adjourn.approvals.text import one_line, plain
from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.text import money
from adjourn.dashboard.views.rows import asks, chips, needs_hold
from adjourn.dashboard.views.words import STATUS, Chip, Names
from adjourn.model.approval import Risk

BULK_LIMIT = 100  # approvals in one form
OUTLIER_TIMES = 2  # so many times the median stands out

Do = Literal["approve", "reject"]
Why = Literal["", "gone", "changed", "barred", "risk", "other", "refused", "sign_in"]

REASONS: dict[str, str] = {
    "gone": "It is not there any more, or you may not see it.",
    "changed": "It has changed since you selected it.",
    "barred": "You may not decide it now.",
    "other": "It is of another kind or policy than the first one.",
    "sign_in": "It needs a sign-in made now: open it, and decide it by itself.",
    "refused": "It was refused when its turn came.",
}
"""Why one is left out, by the word that stands in an address."""


@dataclass(frozen=True, slots=True)
class Picked:
    """One approval of the selection, as it stood when it was selected."""

    id: str
    version: int
    digest: str = ""
    """Of its values, once they have been shown."""


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One line of the page that asks whether it is meant."""

    id: str
    item: str
    title: str
    asks: str
    amount: str
    outlier: str
    """Why it stands out."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """One that is not decided with the others, and why."""

    id: str
    title: str
    why: Why
    reason: str


@dataclass(frozen=True, slots=True)
class BulkView:
    """The whole selection."""

    kind: str
    policy: str
    rows: list[BulkRow]
    dropped: list[Dropped]
    total: str
    outliers: int


@dataclass(frozen=True, slots=True)
class Done:
    """One that was decided, as it stands by now."""

    href: str
    title: str
    chips: list[Chip]
    stands: bool


def picked(items: Sequence[str]) -> list[Picked]:
    """What the boxes say, each id once; what is no item is passed over."""
    found: dict[str, Picked] = {}
    for item in items:
        seen, at, id = item.partition("@")
        version, _, digest = seen.partition(".")
        if at and id and version.isascii() and version.isdigit() and len(version) < 10:
            found.setdefault(id, Picked(id, int(version), digest))
    return list(found.values())[:BULK_LIMIT]


def bulk_view(
    chosen: Sequence[tuple[Picked, ApprovalView | None]],
    do: Do,
    names: Names,
    hold_above: Risk,
) -> BulkView:
    """Those of one kind and policy that this person may decide as they stand; the others with the
    reason. The first one sets kind and policy."""
    kept: list[ApprovalView] = []
    dropped: list[Dropped] = []
    for pick, view in chosen:
        why = _why(pick, view, do, hold_above, kept[0] if kept else None)
        if view is None or why:
            dropped.append(left_out(pick.id, why, view))
        else:
            kept.append(view)
    amounts = [amount for view in kept if (amount := amount_of(view)) is not None]
    middle = median(amounts) if amounts else Decimal()
    rows = [_row(view, names, middle, len(kept)) for view in kept]
    first = kept[0].request if kept else None
    return BulkView(
        kind=plain(first.kind) if first else "",
        policy=plain(first.policy) if first else "",
        rows=rows,
        dropped=dropped,
        total=_total(kept),
        outliers=sum(bool(row.outlier) for row in rows),
    )


def left_out(id: str, why: Why, view: ApprovalView | None) -> Dropped:
    """In words; an approval that this person may not see tells nothing but its id."""
    if why == "risk" and view is not None:
        reason = f"{view.request.risk.capitalize()} risk is approved one by one."
    else:
        reason = REASONS.get(why, REASONS["refused"])
    title = "" if view is None else one_line(view.request.title)
    return Dropped(id, title or plain(id), why, reason)


def done_view(view: ApprovalView, do: Do, names: Names, now: datetime) -> Done:
    """How it stands now, which may be otherwise than when it was decided."""
    told = chips(view.row, names, now) or [STATUS[view.state.status]]
    title = one_line(view.request.title)
    return Done(f"/approvals/{view.state.id}", title, told, decided_by(names.me, do, view))


def decided_by(person: str, do: Do, view: ApprovalView) -> bool:
    """Whether it stands decided so by them, or with their vote."""
    state = view.state
    if state.status == ("approved" if do == "approve" else "rejected"):
        return person in state.decided_by
    return do == "approve" and any(vote.by == person for vote in state.votes)


def _why(
    pick: Picked, view: ApprovalView | None, do: Do, hold_above: Risk, first: ApprovalView | None
) -> Why:
    if view is None:
        return "gone"
    request = view.request
    if view.state.version != pick.version or pick.digest not in ("", view.state.digest):
        return "changed"
    if do not in view.allowed:
        return "barred"
    if do == "approve" and needs_hold(request.risk, hold_above):
        return "risk"
    if first and (first.request.kind, first.request.policy) != (request.kind, request.policy):
        return "other"
    return ""


def amount_of(view: ApprovalView) -> Decimal | None:
    """The amount that would be approved now, exactly: what is shown, compared and summed."""
    amount = view.value.get("amount", view.request.amount)
    if isinstance(amount, bool):
        return None
    try:
        number = Decimal(str(amount))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _row(view: ApprovalView, names: Names, middle: Decimal, of: int) -> BulkRow:
    amount, state = amount_of(view), view.state
    stands_out = amount is not None and of > 2 and amount > OUTLIER_TIMES * middle > 0
    outlier = f"{amount / middle:.1f} times the middle one" if stands_out and amount else ""
    return BulkRow(
        id=state.id,
        item=f"{state.version}.{state.digest}@{state.id}",
        title=one_line(view.request.title, 200),
        asks=asks(view.row, names),
        amount="" if amount is None else money(amount, view.request.currency),
        outlier=outlier,
    )


def _total(views: Sequence[ApprovalView]) -> str:
    """The sum by currency."""
    sums: dict[str, Decimal] = {}
    for view in views:
        amount, currency = amount_of(view), view.request.currency
        if amount is not None:
            sums[currency] = sums.get(currency, Decimal()) + amount
    return " and ".join(money(total, currency) for currency, total in sums.items())
