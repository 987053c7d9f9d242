"""Deciding several at once: which of them can be, and what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from adjourn.client.approvals import ApprovalView
from adjourn.dashboard.text import money, one_line, plain
from adjourn.dashboard.views.panel import value_of
from adjourn.dashboard.views.rows import asks, needs_hold
from adjourn.dashboard.views.words import Names
from adjourn.model.approval import Risk

BULK_LIMIT = 100  # approvals in one form
OUTLIER_TIMES = 2  # so many times the median stands out


@dataclass(frozen=True, slots=True)
class Picked:
    """One approval of the selection, as it stood when it was selected."""

    id: str
    version: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One line of the page that asks whether it is meant."""

    id: str
    item: str
    digest: str
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


def picked(items: Sequence[str]) -> list[Picked]:
    """What the boxes say, each id once; what is no item is passed over."""
    found: dict[str, Picked] = {}
    for item in items:
        version, at, id = item.partition("@")
        if at and id and version.isascii() and version.isdigit() and len(version) < 10:
            found.setdefault(id, Picked(id, int(version)))
    return list(found.values())[:BULK_LIMIT]


def bulk_view(
    chosen: Sequence[tuple[Picked, ApprovalView | None]],
    do: str,
    names: Names,
    hold_above: Risk,
) -> BulkView:
    """Those of one kind and policy that this person may decide as they stand; the others with the
    reason. The first one sets kind and policy."""
    kept: list[tuple[Picked, ApprovalView]] = []
    dropped: list[Dropped] = []
    for pick, view in chosen:
        reason = _reason(pick, view, do, hold_above, kept[0][1] if kept else None)
        if view is None or reason:
            title = "" if view is None else one_line(view.request.title)
            dropped.append(Dropped(pick.id, title or pick.id, reason))
        else:
            kept.append((pick, view))
    amounts = [view.request.amount for _, view in kept if view.request.amount is not None]
    middle = median(amounts) if amounts else 0.0
    rows = [_row(pick, view, names, middle, len(kept)) for pick, view in kept]
    first = kept[0][1].request if kept else None
    return BulkView(
        kind=plain(first.kind) if first else "",
        policy=plain(first.policy) if first else "",
        rows=rows,
        dropped=dropped,
        total=_total([view for _, view in kept]),
        outliers=sum(bool(row.outlier) for row in rows),
    )


def _reason(
    pick: Picked, view: ApprovalView | None, do: str, hold_above: Risk, first: ApprovalView | None
) -> str:
    if view is None:
        return "It is not there any more, or you may not see it."
    request = view.request
    if view.state.version != pick.version:
        return "It has changed since you selected it."
    if do not in view.allowed:
        return "You may not decide it now."
    if do == "approve" and needs_hold(request.risk, hold_above):
        return f"{request.risk.capitalize()} risk is approved one by one."
    if first and (first.request.kind, first.request.policy) != (request.kind, request.policy):
        return "It is of another kind or policy than the first one."
    return ""


def _row(pick: Picked, view: ApprovalView, names: Names, middle: float, of: int) -> BulkRow:
    amount = view.request.amount
    exact = value_of(view).get("amount", amount)
    stands_out = amount is not None and of > 2 and amount > OUTLIER_TIMES * middle > 0
    outlier = f"{amount / middle:.1f} times the middle one" if stands_out and amount else ""
    return BulkRow(
        id=pick.id,
        item=f"{pick.version}@{pick.id}",
        digest=view.state.digest,
        title=one_line(view.request.title, 200),
        asks=asks(view.row, names),
        amount="" if amount is None else money(exact, view.request.currency),
        outlier=outlier,
    )


def _total(views: Sequence[ApprovalView]) -> str:
    """The sum by currency; amounts here are for the eye, each decision carries its exact one."""
    sums: dict[str, float] = {}
    for view in views:
        if view.request.amount is not None:
            currency = view.request.currency
            sums[currency] = sums.get(currency, 0.0) + view.request.amount
    return " and ".join(money(f"{total:.2f}", currency) for currency, total in sums.items())
