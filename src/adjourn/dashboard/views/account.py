"""What the account page shows of a person."""

from __future__ import annotations

from dataclasses import dataclass

from adjourn.access.gate import Gate
from adjourn.access.oidc import NEVER
from adjourn.access.sessions import Session
from adjourn.approvals.text import plain
from adjourn.dashboard.desk import Visit
from adjourn.dashboard.text import listed, recipient
from adjourn.dashboard.times import When, ago, until
from adjourn.dashboard.views.words import Chip, Face
from adjourn.model.actor import EVERY_TENANT, Role, absent_ones

ROLES: dict[Role, tuple[str, str]] = {
    "viewer": ("Viewer", "reads what is addressed to them, and comments"),
    "approver": ("Approver", "decides what is addressed to them or to their groups"),
    "lead": ("Lead", "decides, reassigns, and looks after running instances"),
    "auditor": ("Auditor", "reads everything and exports it, and decides nothing"),
    "admin": ("Administrator", "looks after everything here"),
}
_BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


@dataclass(frozen=True, slots=True)
class RoleView:
    name: str
    means: str


@dataclass(frozen=True, slots=True)
class SessionView:
    """One place where they are signed in."""

    handle: str
    browser: str
    address: str
    here: Chip | None
    began: When
    seen: When


@dataclass(frozen=True, slots=True)
class AwayView:
    """Who decides for them now."""

    delegate: str
    until: When


@dataclass(frozen=True, slots=True)
class AccountView:
    """The whole page."""

    me: Face
    email: str
    way_in: str
    """How they came in, as a sentence."""
    proved: When | None
    """When they last proved who they are, where that is known."""
    roles: list[RoleView]
    groups: list[str]
    reach: str
    """What of everything here is theirs to see."""
    sessions: list[SessionView]
    stands_in_for: list[str]
    away: AwayView | None
    delegates: list[Face]
    """Who may decide for them; nobody, where they decide nothing themselves."""


async def account_view(visit: Visit, gate: Gate, here: Session | None) -> AccountView:
    """`here`: the session that they look at this page with; None where they came without one."""
    actor, names = visit.actor, visit.names
    person = gate.find(actor.id)
    found = await gate.sessions.of(actor.id)
    absences = await gate.directory.absences()
    away = next((each for each in absences if each.person == actor.id), None)
    at = None if here is None or here.signed_in_at <= NEVER else here.signed_in_at
    return AccountView(
        me=names.face(actor.id),
        email="" if person is None else plain(person.email),
        way_in=_way_in(gate, here),
        proved=None if at is None else ago(at, visit.now),
        roles=[RoleView(*ROLES[role]) for role in dict.fromkeys(actor.roles)],
        groups=[plain(group) for group in actor.groups],
        reach=_reach(visit),
        sessions=[_session(visit, each, here) for each in found],
        stands_in_for=[names(each.id) for each in absent_ones(actor)],
        away=None if away is None else AwayView(names(away.delegate), until(away.until, visit.now)),
        delegates=delegates(visit, gate),
    )


def delegates(visit: Visit, gate: Gate) -> list[Face]:
    """Whom they may name: colleagues who decide things too. Who has no role sees nobody here."""
    me = visit.actor
    if not me.roles:
        return []
    return [
        visit.names.face(each.id)
        for each in gate.everybody()
        if each.id != me.id and each.tenant == me.tenant and each.roles
    ]


def _way_in(gate: Gate, here: Session | None) -> str:
    if here is None:
        return "Your company's proxy has signed you in."
    if gate.oidc is not None and here.how == "oidc":
        return f"You signed in with {plain(gate.oidc.provider.name)}."
    return "You signed in."


def _reach(visit: Visit) -> str:
    if not visit.actor.roles:
        return "What is addressed to you, and what you asked for"
    tenant, queues = visit.actor.tenant, visit.actor.queues
    told = f"What belongs to the tenant {plain(tenant)}"
    if tenant in ("", EVERY_TENANT):
        told = "What belongs to any tenant" if tenant else "What your roles show you"
    if queues is None:
        return told
    words = listed([recipient(word, visit.names) for word in queues]) or "nobody"
    return f"{told}, as far as it is addressed to {words}"


def _session(visit: Visit, each: Session, here: Session | None) -> SessionView:
    mine = here is not None and each.handle == here.handle
    return SessionView(
        handle=each.handle,
        browser=browser_name(each.browser),
        address=plain(each.address),
        here=Chip("This browser", "info") if mine else None,
        began=ago(each.began_at, visit.now),
        seen=ago(each.seen_at, visit.now),
    )


def browser_name(said: str) -> str:
    """`Firefox on Linux`, from what a browser says of itself; it may say anything."""
    browser = next((name for word, name in _BROWSERS.items() if word in said), "A browser")
    system = next((name for word, name in _SYSTEMS.items() if word in said), "")
    return f"{browser} on {system}" if system else browser
