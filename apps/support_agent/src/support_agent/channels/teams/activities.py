"""What the Bot Connector tells, as values of the port.

Everything in an activity is input: the connector is known, but what it carries was written by
clients. So every id has one narrow form (printable ASCII, bounded: safe in logs and records), every
text is bounded and without control characters, and what is not understood is left out.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from support_agent.channels.port import Address, IncomingDecision, IncomingMessage, Sender
from support_agent.channels.teams.cards import typed_of
from support_agent.channels.teams.settings import TeamsSettings, is_guid

CHANNEL = "teams"
"""Our name for the channel."""
CONNECTOR_CHANNEL = "msteams"
"""The connector's name for it. Its other channels, such as the Web Chat that every bot has, carry
whatever sender their clients claim to be, with tokens as valid as these."""

LONGEST_ID = 512
LONGEST_NAME = 100
LONGEST_TEXT = 8_000  # characters: more than the assistant reads, so that it is the one to say so
LONGEST_VALUE = 8_000  # characters of one field of a card
ENTITIES_LIMIT = 100
VERSION_LIMIT = 2**31
ATTACHMENT = "(an attachment)"
"""In the place of a message that is nothing but a picture or a file: we do not open them."""

ID = re.compile(rf"[!-~]{{1,{LONGEST_ID}}}")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9/._-]{0,63}")
DIGITS = re.compile(r"[0-9]{1,10}")
# A mention, in Teams' own form; the name in it may be HTML-escaped.
MENTION = re.compile(r"<at(?: [^<>]{0,200})?>([^<>]{0,500})</at>", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TAGS = re.compile(r"</?at[^<>]{0,200}>", re.IGNORECASE)
GAP = "\x00"
"""Stands where a mention was; what was written holds none, for it is cleaned before."""
PLAYGROUND_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")

Kind = Literal["personal", "groupChat", "channel"]


class Broken(Exception):
    """The activity lacks something that its type needs. The text names the field, never what is
    in it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every activity must say before anything else of it is looked at."""

    type: str
    service_url: str
    channel: str
    id: str
    """Empty where there is none, or none that a log may hold."""
    activity: Mapping[str, Any]
    """All of it."""


@dataclass(frozen=True, slots=True)
class Removed:
    """The bot was taken out of this place."""

    address: Address


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody used a card whom the directory does not know: an anonymous guest, another bot."""


@dataclass(frozen=True, slots=True)
class UnknownInvoke:
    """A request for something that we do not do, and that waits for an answer."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for us. `why` is for the log."""

    why: str


Activity = Mapping[str, Any]
Read = IncomingMessage | IncomingDecision | Removed | Stranger | UnknownInvoke | Ignored


def envelope_of(body: object) -> Envelope:
    """Raises: Broken."""
    if not isinstance(body, dict):
        raise Broken("an object")
    activity = cast("dict[str, Any]", body)
    return Envelope(
        type=_matching(WORD, activity, "type"),
        service_url=_matching(ID, activity, "serviceUrl"),
        channel=_matching(WORD, activity, "channelId"),
        id=_maybe(ID, activity.get("id")),
        activity=activity,
    )


def read(activity: Activity, settings: TeamsSettings) -> Read:
    """What it means for the port. Raises: Broken, for an activity of a type that we know."""
    if activity.get("channelId") != CONNECTOR_CHANNEL:
        raise Broken("channelId")
    match activity.get("type"):
        case "message":
            return _message(activity, settings)
        case "conversationUpdate":
            return _members(activity, settings)
        case "installationUpdate":
            return _installation(activity, settings)
        case "invoke":
            return _invoke(activity, settings)
        case _:
            return Ignored("a type that is nothing to us")


# The four types that we know.


def _message(activity: Activity, settings: TeamsSettings) -> Read:
    id = _matching(ID, activity, "id")
    address = _address(activity)
    sender = _sender(activity, settings)
    text = activity.get("text")
    if text is not None and not isinstance(text, str):
        raise Broken("text")
    said, mentioned = _said(text or "", activity, settings)
    personal = address.data["kind"] == "personal"
    if sender is None:
        return Ignored("a sender whom the directory does not know")
    if not said and activity.get("value") is not None:
        return Ignored("a card of the kind that sends messages, which we do not send")
    # With the permission to read a whole team, the connector brings what was said to others too.
    # The Playground brings only what is for the bot, and does not always say so.
    if not (personal or mentioned or settings.local):
        return Ignored("a message to others")
    if not said and _has_files(activity):
        said = ATTACHMENT
    return _incoming(id, sender, address, said)


def _members(activity: Activity, settings: TeamsSettings) -> Read:
    address = _address(activity)
    us = address.data["bot"]
    if us in _ids(activity, "membersRemoved"):
        return Removed(address)
    if us in _ids(activity, "membersAdded"):
        return _joined(activity, settings)
    return Ignored("members, but not us")


def _installation(activity: Activity, settings: TeamsSettings) -> Read:
    match _matching(WORD, activity, "action"):
        case "add":
            return _joined(activity, settings)
        case "remove":
            return Removed(_address(activity))
        case _:  # "remove-upgrade" too: the bot is in this place before and after it
            return Ignored("an installation that stays")


def _invoke(activity: Activity, settings: TeamsSettings) -> Read:
    if _matching(WORD, activity, "name") != "adaptiveCard/action":
        return UnknownInvoke()
    id = _matching(ID, activity, "id")
    sender = _sender(activity, settings)
    if sender is None:
        return Stranger()
    action = _part(_part(activity, "value"), "action")
    data = _part(action, "data")
    return IncomingDecision(
        id=id,
        sender=sender,
        action=_action(data.get("action", action.get("verb"))),
        approval=_matching(ID, data, "approval"),
        version=_version(data.get("version")),
        digest=_matching(ID, data, "digest") if data.get("digest") else "",
        typed=_typed(data),
        comment=_value(data.get("comment") or "", "comment"),
    )


def _joined(activity: Activity, settings: TeamsSettings) -> Read:
    id, address = _matching(ID, activity, "id"), _address(activity)
    sender = _sender(activity, settings)
    if sender is None:
        return Ignored("added by somebody whom the directory does not know")
    return _incoming(id, sender, address, "")


def _incoming(id: str, sender: Sender, address: Address, text: str) -> IncomingMessage:
    return IncomingMessage(
        id=id,
        sender=sender,
        address=address,
        conversation=address.data["conversation"],
        text=text,
        personal=address.data["kind"] == "personal",
    )


# Who, and where.


def _sender(activity: Activity, settings: TeamsSettings) -> Sender | None:
    """Who wrote or clicked, if the directory knows them: by their object id and its tenant, which
    the connector puts there. The other id, and the name, are whatever a client calls itself."""
    sender, tenant = _part(activity, "from"), _tenant(activity)
    person = sender.get("aadObjectId")
    if sender.get("id") == _part(activity, "recipient").get("id"):
        return None  # ourselves
    if settings.local:
        # The Playground's people have ids of another form, and not always an object id.
        person = _maybe(PLAYGROUND_ID, person or sender.get("id"))
        tenant = _maybe(PLAYGROUND_ID, tenant or "local")
    else:
        person = person if isinstance(person, str) and is_guid(person) else ""
        tenant = tenant if is_guid(tenant) else ""
    if not (person and tenant):
        return None
    name = sender.get("name")
    shown = _clean(name).replace("\n", " ").strip()[:LONGEST_NAME] if isinstance(name, str) else ""
    return Sender(f"{tenant}/{person}".lower(), shown)


def _tenant(activity: Activity) -> str:
    """The one directory that the activity names; empty when it names none, or two."""
    tenant = _part(_part(activity, "channelData"), "tenant")
    named = (_part(activity, "conversation").get("tenantId"), tenant.get("id"))
    ids = {id.lower() for id in named if isinstance(id, str) and id}
    return ids.pop() if len(ids) == 1 else ""


def _address(activity: Activity) -> Address:
    """Raises: Broken. The conversation's id stays whole: with `;messageid=`, it is a thread."""
    return Address(
        CHANNEL,
        {
            "conversation": _matching(ID, activity, "conversation", "id"),
            "service_url": _matching(ID, activity, "serviceUrl"),
            "tenant": _maybe(PLAYGROUND_ID, _tenant(activity)),
            "bot": _matching(ID, activity, "recipient", "id"),
            "kind": _kind(activity),
            "user": _maybe(ID, _part(activity, "from").get("id")),
        },
    )


def _kind(activity: Activity) -> Kind:
    """What is no personal conversation for certain may have others in it."""
    match _part(activity, "conversation").get("conversationType"):
        case "personal":
            return "personal"
        case "channel":
            return "channel"
        case _:
            return "groupChat"


# What was written.


def _said(text: str, activity: Activity, settings: TeamsSettings) -> tuple[str, bool]:
    """The text without the mention of ourselves, and whether there was one. Mentions of others
    become their names."""
    text = _clean(text).replace("&nbsp;", " ").replace("\xa0", " ")
    written = _mentions_of_us(activity, settings)
    names = {_label(each) for each in written}
    names.add(_label(_part(activity, "recipient").get("name")))
    for each in written:
        # A name that holds a < stands in the text as it is, where MENTION does not find it.
        if TAGS.match(each) and each.lower().endswith("</at>"):
            text = text.replace(each, GAP)
    text = MENTION.sub(lambda at: GAP if _label(at[1]) in names else at[1], text)
    text = re.sub(f" ?{GAP} ?", " ", text)
    return text.strip()[:LONGEST_TEXT], bool(written)


def _mentions_of_us(activity: Activity, settings: TeamsSettings) -> list[str]:
    """How each mention of the bot is written: in the text, and by its name."""
    us = (_part(activity, "recipient").get("id"), f"28:{settings.client_id}")
    written: list[str] = []
    for entity in _parts(activity, "entities")[:ENTITIES_LIMIT]:
        whom = _part(entity, "mentioned")
        if entity.get("type") == "mention" and whom.get("id") and whom.get("id") in us:
            found = (entity.get("text"), whom.get("name"))
            written += [_clean(each) for each in found if isinstance(each, str)] or [""]
    return written


def _label(written: object) -> str:
    """A name as it is compared: without its tags, its escapes and its spacing."""
    if not isinstance(written, str):
        return ""
    return " ".join(html.unescape(TAGS.sub("", written)).split()).casefold()


def _has_files(activity: Activity) -> bool:
    """Whether something is attached besides the text itself, which Teams attaches as HTML."""
    return any(each.get("contentType") != "text/html" for each in _parts(activity, "attachments"))


def _clean(text: str) -> str:
    """Without control characters and halves of characters, which records and terminals choke on;
    lines end in one way."""
    return CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


# What a card sent.


def _action(word: Any) -> Literal["approve", "reject", "refresh"]:
    if word == "approve" or word == "reject" or word == "refresh":
        return word
    raise Broken("action")


def _version(given: object) -> int:
    number = int(given) if isinstance(given, str) and DIGITS.fullmatch(given) else given
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < VERSION_LIMIT:
        raise Broken("version")
    return number


def _typed(data: Activity) -> dict[str, str]:
    """The fields of the card, as text. Too long a one is refused, not cut: a cut amount is another
    amount."""
    try:
        typed = typed_of(data)
    except ValueError:
        raise Broken("data") from None
    if not all(name.isprintable() and len(name) <= LONGEST_ID for name in typed):
        raise Broken("data")
    return {name: _value(value, "data") for name, value in typed.items()}


def _value(given: object, field: str) -> str:
    if not isinstance(given, str) or len(given) > LONGEST_VALUE:
        raise Broken(field)
    return _clean(given)


# Parts of an activity.


def _matching(form: re.Pattern[str], held: Activity, *path: str) -> str:
    """The text at this place. Raises: Broken, when there is none of this form."""
    found: object = held
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not form.fullmatch(found):
        raise Broken(".".join(path))
    return found


def _maybe(form: re.Pattern[str], found: object) -> str:
    """It, where it is text of this form; else nothing."""
    return found if isinstance(found, str) and form.fullmatch(found) else ""


def _part(held: Activity, name: str) -> dict[str, Any]:
    """The object of this name; an empty one, where there is none."""
    found = held.get(name)
    return found if isinstance(found, dict) else {}


def _parts(held: Activity, name: str) -> list[dict[str, Any]]:
    """The objects in the list of this name; none, where there is no list."""
    found = held.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _ids(activity: Activity, name: str) -> set[str]:
    """Of the members that are listed there. Raises: Broken, when it is no list."""
    if not isinstance(activity.get(name), list | None):
        raise Broken(name)
    ids = [each.get("id") for each in _parts(activity, name)]
    return {id for id in ids if isinstance(id, str)}
