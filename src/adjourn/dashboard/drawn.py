"""For whom a page was drawn: what is sent from it counts only while that person still acts.

The form says for whom it was drawn and is only compared; who acts is known from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adjourn.approvals.text import plain
from adjourn.dashboard.body import Form
from adjourn.dashboard.desk import Visit
from adjourn.errors import AdjournError

TEXTS = ("comment", "reason", "text", "question")
"""The inputs of our forms that hold a person's own sentences."""


@dataclass(frozen=True, slots=True)
class Again:
    """The way to the same page as who now acts; `of` is the approval whose drafts go along."""

    href: str
    label: str
    person: str
    of: str = ""


class OtherPersonError(AdjournError):
    """This form was drawn for somebody else than who acts now. Nothing was done."""

    def __init__(self, drawn_for: str, acts: str, kept: list[str], again: Again) -> None:
        self.heading = f"You now act as {acts}"
        self.kept = kept
        self.again = again
        super().__init__(f"This page was opened as {drawn_for}. Nothing changed.")


def check_drawn_for(visit: Visit, form: Form, again: str, of: str = "") -> None:
    """Raises: OtherPersonError, which leads to the address `again`."""
    drawn_for = form.words("as")
    if not drawn_for or drawn_for == visit.actor.id:
        return
    acts = visit.names(visit.actor.id)
    raise OtherPersonError(
        visit.names(drawn_for),
        acts,
        kept_texts(form),
        Again(again, f"Look again as {acts}", visit.actor.id, of),
    )


def kept_texts(typed: Mapping[str, str]) -> list[str]:
    """What somebody wrote, to be shown where it was not done."""
    texts = [typed.get(name, "").replace("\r\n", "\n").strip() for name in TEXTS]
    return [plain(text) for text in texts if text]
