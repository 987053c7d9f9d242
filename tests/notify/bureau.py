"""A firm with a door to open, whose people are told by mail, and a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adjourn import Adjourn, Approved, Context, NonRetryableError, group, rechecking
from adjourn.approvals.people import LocalPeople, Person
from adjourn.model.actor import Actor
from adjourn.notify.install import Surroundings, install_notifications
from adjourn.notify.settings import MailSettings, WebhookSettings
from adjourn.notify.telling import DELIVER
from adjourn.store.protocol import Query
from adjourn.store.records import Records
from adjourn.testing import Sandbox
from tests.notify.post import Post

PUBLIC_URL = "https://adjourn.example.com"
PEOPLE = [
    Person(
        id="lena",
        name="Lena Fischer",
        groups=["doors"],
        roles=["approver"],
        email="lena@example.com",
    ),
    Person(
        id="omar",
        name="Omar Haddad",
        groups=["doors"],
        roles=["approver"],
        email="omar@example.com",
    ),
    Person(
        id="grace",
        name="Grace Okafor",
        groups=["leads"],
        roles=["approver", "lead"],
        email="grace@example.com",
    ),
    Person(
        id="sam", name="Sam Ortiz", groups=["doors"], roles=["approver"], email="sam@example.com"
    ),
]
LENA, OMAR, GRACE, SAM = (person.actor("web") for person in PEOPLE)


@dataclass(frozen=True)
class Deed:
    what: str


@dataclass(frozen=True)
class Asked:
    """What is asked of people."""

    title: str = "Open the door"
    need: int = 1
    to: str = "doors"
    requester: str = "sam"
    undo: str = "10s"


@dataclass
class Settings:
    """Of notifications; as a settings file would say it."""

    mail: MailSettings | None = None
    webhooks: list[WebhookSettings] = field(default_factory=list)
    public_url: str = PUBLIC_URL


def make_app() -> Adjourn:
    app = Adjourn()

    @app.activity
    def fact() -> int:
        raise NonRetryableError("nobody knows")

    @app.orchestrator
    async def ask_and_fail(ctx: Context, title: str) -> None:
        """Its facts cannot be looked up, so nobody can decide it."""
        await ctx.approval(
            Deed("open"), title=title, to=group("doors"), expires="7d", recheck=rechecking(fact)
        )

    @app.orchestrator
    async def ask(ctx: Context, asked: Asked) -> str:
        decision = await ctx.approval(
            Deed("secret: the key is under the mat"),
            title=asked.title,
            to=group(asked.to),
            requester=asked.requester,
            on_behalf_of="Ada Customer",
            need=asked.need,
            due="8h",
            remind=["4h", "12h"],
            escalate={"1d": group("leads")},
            expires="7d",
            undo=asked.undo,
        )
        return "opened" if isinstance(decision, Approved) else "shut"

    return app


def mail_to(post: Post, **words: Any) -> MailSettings:
    return MailSettings(
        host="127.0.0.1", port=post.port, tls="none", sender="adjourn@example.com", **words
    )


@contextmanager
def a_bureau(
    settings: Settings,
    where: str = ":memory:",
    *,
    people: Sequence[Person] = tuple(PEOPLE),
    environment: dict[str, str] | None = None,
    start: datetime | None = None,
    records: Records | None = None,
    directory: LocalPeople | None = None,
    **around: Any,
) -> Iterator[Sandbox]:
    app = make_app()
    box = Sandbox(app, where) if start is None else Sandbox(app, where, start=start)
    made = records or Records(":memory:", box.clock.now)
    surroundings = Surroundings(
        now=box.clock.now, environment=environment or {}, records=made, **around
    )
    install_notifications(app, box.client, settings, directory or LocalPeople(people), surroundings)
    try:
        with box:
            yield box
    finally:
        if records is None:
            made.close()


def notes(box: Sandbox) -> list[dict[str, Any]]:
    """What each instance that delivers a note says of itself, oldest first."""
    import msgspec

    page = box.list(Query(names=[DELIVER], limit=1_000))
    return [msgspec.json.decode(each.custom_status or b"null") for each in page.instances]


def states(box: Sandbox) -> dict[tuple[str, str], str]:
    """By recipient and kind."""
    return {(note["to"], note["kind"]): note["state"] for note in notes(box)}


__all__ = ["Actor"]
