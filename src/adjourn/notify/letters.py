"""What mails say: a title, who asks, until when, and a link. No proposal, no evidence, no reason.

The title may hold whatever a customer or a model wrote. It is one line, what hides itself is shown,
and it stands in headers and in HTML as text only.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import quote

from adjourn.approvals.text import one_line
from adjourn.client.approvals import ApprovalView
from adjourn.model.inbox import InboxRow
from adjourn.notify.port import Note
from adjourn.notify.settings import MailSettings

TITLE_LIMIT = 140  # characters
DIGEST_LIMIT = 50  # approvals that a digest lists
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=200)
_SPECIAL = re.compile(r"[\"\\<>@,;:()\[\]]")

_SUBJECTS = {
    "new": "Decision needed",
    "reminder": "Still waiting for a decision",
    "escalation": "Escalated to you",
    "question": "A question for you",
    "answer": "Your question was answered",
}
_LEADS = {
    "new": "This waits for your decision:",
    "reminder": "This still waits for your decision:",
    "escalation": "Nobody has decided this in time, and now you may:",
    "question": "Somebody asks you for information before this is decided:",
    "answer": "The question that you asked about this was answered:",
    "approved": "This was approved:",
    "rejected": "This was rejected:",
    "expired": "Nobody decided this in time, and nothing was done:",
    "cancelled": "This was cancelled before anybody decided:",
    "superseded": "This was approved, but the facts changed before it took effect, and it did not:",
}
CLOSING = "Nothing is decided by this mail or by opening the link: the page shows it, and asks you."


@dataclass(frozen=True, slots=True)
class Office:
    """Who sends, and where the links lead."""

    settings: MailSettings
    public_url: str

    def link(self, approval: str) -> str:
        return link_to(self.public_url, approval)


def link_to(public_url: str, approval: str) -> str:
    """Where people look at it."""
    return f"{public_url.rstrip('/')}/approvals/{quote(approval, safe='')}"


def about_one(
    office: Office, note: Note, view: ApprovalView, to: str, requester: str
) -> EmailMessage:
    """The mail of one notification. `requester` is a name."""
    title = one_line(view.request.title, TITLE_LIMIT)
    word = view.state.status if note.kind == "decided" else note.kind
    subject = _SUBJECTS.get(word, word.capitalize())
    facts = {"Asked for by": one_line(requester, 80)} if requester else {}
    if view.state.due_at is not None and note.kind != "decided":
        facts["Due"] = _moment(view.state.due_at)
    link = office.link(view.state.id)
    lines = [f"{name}: {value}" for name, value in facts.items()]
    text = [_LEADS[word], "", f"    {title}", "", *lines, "", link, "", CLOSING]
    parts = [_p(_LEADS[word]), f"<h1>{html.escape(title)}</h1>", *map(_p, lines)]
    parts += [_p_link(link, "Look at it"), _p(CLOSING)]
    return _mail(office, note, to, f"{subject}: {title}", text, parts, thread=view.state.id)


def about_many(
    office: Office, note: Note, rows: Sequence[InboxRow], more: bool, to: str
) -> EmailMessage:
    """The digest of what waits for somebody; `more` says that there is more than these."""
    count = f"More than {len(rows)}" if more else str(len(rows))
    one = len(rows) == 1 and not more
    lead = "One question waits" if one else f"{count} questions wait"
    subject = "One decision waits for you" if one else f"{count} decisions wait for you"
    lead += " for your decision:"
    text, items = [lead, ""], list[str]()
    for row in rows:
        title = one_line(row.title, TITLE_LIMIT)
        due = "" if row.due_at is None else f" (due {_moment(row.due_at)})"
        link = office.link(row.id)
        text += [f"  * {title}{due}", f"    {link}", ""]
        items.append(
            f'<li><a href="{html.escape(link)}">{html.escape(title)}</a>{html.escape(due)}</li>'
        )
    inbox = office.public_url.rstrip("/") + "/"
    text += [f"All of them: {inbox}", "", CLOSING]
    parts = [_p(lead), f"<ul>{''.join(items)}</ul>", _p_link(inbox, "All of them"), _p(CLOSING)]
    return _mail(office, note, to, subject, text, parts)


def about_nothing(office: Office, note: Note, to: str) -> EmailMessage:
    """A mail that tries the settings."""
    lead = "Adjourn can send you mail: this is a test, and nothing waits for you because of it."
    url = office.public_url.rstrip("/") + "/"
    parts = [_p(lead), _p_link(url, url)]
    return _mail(office, note, to, "Test of Adjourn's notifications", [lead, "", url], parts)


def _mail(
    office: Office,
    note: Note,
    to: str,
    subject: str,
    text: Sequence[str],
    parts: Sequence[str],
    *,
    thread: str = "",
) -> EmailMessage:
    """The same bytes whenever it is made of the same."""
    settings = office.settings
    domain, key = settings.domain, note.id.replace(":", ".")
    mail = EmailMessage(_POLICY)
    mail["Subject"] = _for_header(subject)
    mail["From"] = Address(_name(settings.sender_name), addr_spec=settings.sender)
    mail["To"] = Address(addr_spec=to)
    mail["Date"] = format_datetime(note.at)
    mail["Message-ID"] = f"<{key}@{domain}>"
    if thread:
        mail["References"] = f"<approval.{_key(thread)}@{domain}>"
    mail["List-Id"] = f"Approvals <approvals.{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content("\n".join(text) + "\n")
    mail.add_alternative(_page(subject, parts), subtype="html")
    mail.set_boundary(f"={key}=")
    return mail


def _page(title: str, parts: Sequence[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n"
        "</html>\n"
    )


def _p(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _p_link(link: str, words: str) -> str:
    return f'<p><a href="{html.escape(link)}">{html.escape(words)}</a></p>'


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _name(text: str) -> str:
    """A display name, without what has a meaning in addresses."""
    return _for_header(_SPECIAL.sub(" ", one_line(text, 60)).strip())


def _for_header(text: str) -> str:
    """One line that no library takes for an encoded word: the email package of Python decodes
    `=?utf-8?q?=0D=0ABcc:...?=` where a header is set, and older ones write the line feed that comes
    of it as it is."""
    return text.replace("=?", "= ?")


def _key(approval: str) -> str:
    """An instance id has nothing that a Message-ID could not have, but for the colon."""
    return approval.replace(":", ".")
