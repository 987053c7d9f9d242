"""Signed links: whatever was done to one, and whoever else follows it, nothing is decided; the good
one decides once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, TypeVar

import httpx
import pytest
from itsdangerous import URLSafeSerializer
from msgspec.structs import replace

from adjourn.access.links import KEYS, LONGEST_SECONDS, SPACE, Link, LinkRefusedError, Links
from adjourn.store.records import Records
from tests.dashboard.pages import parse
from tests.dashboard.site import Ask
from tests.safety.doors import KEY, NAME, Clock, DoorSite

T = TypeVar("T")

AT_ONCE = 20


def made(doors: DoorSite, approval: str, **other: Any) -> str:
    """A link for lena to approve this, as it stands."""
    words: dict[str, Any] = {"person": "lena", "version": 1, "action": "approve", **other}
    token, _ = doors.run(doors.links.make(approval=approval, **words))
    return token


def press(
    doors: DoorSite, token: str, by: str = "lena", /, do: str = "approve", **fields: str
) -> httpx.Response:
    """Send the page's form."""
    with doors.as_(by) as http:
        return http.post(f"/links/{token}", data={"do": do, **fields})


def look(doors: DoorSite, token: str, person: str = "lena", method: str = "GET") -> httpx.Response:
    with doors.as_(person) as http:
        return http.request(method, f"/links/{token}")


def stands(doors: DoorSite, approval: str) -> tuple[str, int, list[str]]:
    """Its status and version, and by which channels it was voted for."""
    ivo = doors.people.people["ivo"].actor("web")
    state = doors.run(doors.client.approvals.get(approval, by=ivo)).state
    return state.status, state.version, [vote.channel for vote in state.votes]


UNTOUCHED = ("open", 1, [])


def lines_of(answer: httpx.Response) -> str:
    return parse(answer.text).one("main").text


# What does not decide.


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("person", ["lena", ""])
def test_a_scanner_that_follows_it_decides_nothing(
    doors: DoorSite, method: str, person: str
) -> None:
    id = doors.ask()
    token = made(doors, id)

    for _ in range(3):
        look(doors, token, person, method)

    assert stands(doors, id) == UNTOUCHED
    assert press(doors, token).status_code == 303


def test_a_look_shows_what_it_would_do_and_a_form_that_asks_again(doors: DoorSite) -> None:
    answer = look(doors, made(doors, doors.ask(title="Refund 600 to Ada")))

    assert answer.status_code == 200 and answer.headers["referrer-policy"] == "same-origin"
    told = lines_of(answer)
    assert "Refund 600 to Ada" in told and "version 1" in told and "600.00" in told
    form = parse(answer.text).one("form", class_="decide")
    assert form["method"] == "post" and form.get("action") is None
    assert [each["value"] for each in form.all("button", name="do")] == ["approve"]


@pytest.mark.parametrize("person", ["omar", "grace", "sam", "nora", "ivo"])
def test_it_is_of_no_use_to_anybody_else_and_tells_them_nothing(
    doors: DoorSite, person: str
) -> None:
    id = doors.ask(title="A secret refund", case=f"for-lena-{person}")
    token = made(doors, id)

    for answer in (look(doors, token, person), press(doors, token, person)):
        assert answer.status_code == 403
        assert "made for somebody else" in answer.text
        assert "secret" not in answer.text and id not in lines_of(answer)
    assert stands(doors, id) == UNTOUCHED


@pytest.mark.parametrize("person", ["", "nobody", "gone"])
def test_it_signs_nobody_in(doors: DoorSite, person: str) -> None:
    id = doors.ask()
    token = made(doors, id, person=person or "lena")

    answer = look(doors, token, person)
    assert answer.status_code == 303 and f"/links/{token}" in answer.headers["location"]
    assert press(doors, token, person).status_code == 401
    assert stands(doors, id) == UNTOUCHED


def test_after_sign_out_it_does_nothing_and_after_sign_in_it_does(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)
    doors.people.signed_out.add("lena")

    assert press(doors, token).status_code == 401
    assert stands(doors, id) == UNTOUCHED

    doors.people.signed_out.clear()
    assert press(doors, token).status_code == 303


@pytest.mark.parametrize("minutes", [10, 11, 60, 60 * 24 * 365])
def test_it_ends(doors: DoorSite, minutes: int) -> None:
    id = doors.ask()
    token = made(doors, id)
    doors.clock.advance(minutes=minutes)

    for answer in (look(doors, token), press(doors, token)):
        assert answer.status_code == 410
        assert "This link has ended" in answer.text and f"/approvals/{id}" in answer.text
        assert not parse(answer.text).all("form", class_="decide")
    assert stands(doors, id) == UNTOUCHED


def test_it_lives_until_its_last_second(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id, seconds=90)
    doors.clock.advance(seconds=89)

    assert press(doors, token).status_code == 303 and stands(doors, id)[0] == "approved"


@pytest.mark.parametrize("seconds", [601, 86_400, 10**9])
def test_no_link_lives_longer_than_ten_minutes(doors: DoorSite, seconds: int) -> None:
    id = doors.ask()
    token = made(doors, id, seconds=seconds)
    doors.clock.advance(seconds=LONGEST_SECONDS)

    assert press(doors, token).status_code == 410 and stands(doors, id) == UNTOUCHED


@pytest.mark.parametrize("version", [0, 2, 7])
def test_another_version_than_the_one_that_stands_is_not_decided(
    doors: DoorSite, version: int
) -> None:
    id = doors.ask()
    token = made(doors, id, version=version)

    for answer in (look(doors, token), press(doors, token, version="1")):
        assert answer.status_code == 410 and "no longer good" in answer.text
    assert stands(doors, id) == UNTOUCHED


def test_what_has_changed_since_is_not_decided(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)
    with doors.as_("lena") as http:
        for do in ("claim", "unclaim"):
            version = stands(doors, id)[1]
            http.post(f"/approvals/{id}/act", data={"do": do, "version": str(version)})

    answer = press(doors, token)

    assert answer.status_code == 410 and stands(doors, id) == ("open", 3, [])


def test_a_link_that_was_used_shows_who_decided(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)
    assert press(doors, token).status_code == 303
    before = stands(doors, id)

    for answer in (press(doors, token), look(doors, token), press(doors, token, comment="x")):
        assert answer.status_code == 410
        assert "Approved by you" in answer.text and f"/approvals/{id}" in answer.text
    assert stands(doors, id) == before == ("approved", 2, ["link"])


def test_a_link_does_not_come_back_with_an_undo(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)
    press(doors, token)
    with doors.as_("lena") as http:
        http.post(f"/approvals/{id}/act", data={"do": "undo", "version": "2"})

    assert press(doors, token).status_code == 410 and stands(doors, id) == ("open", 3, [])


@pytest.mark.parametrize(("action", "other"), [("approve", "reject"), ("reject", "approve")])
@pytest.mark.parametrize("sent", ["other", "", "cancel", "claim"])
def test_a_link_for_one_action_does_no_other(
    doors: DoorSite, action: str, other: str, sent: str
) -> None:
    id = doors.ask()
    do = other if sent == "other" else sent

    answer = press(doors, made(doors, id, action=action), do=do, comment="Because.")

    assert answer.status_code == 400 and stands(doors, id) == UNTOUCHED


def test_of_two_links_the_second_comes_too_late(doors: DoorSite) -> None:
    id = doors.ask()
    yes, no = made(doors, id), made(doors, id, action="reject")
    assert press(doors, yes).status_code == 303

    assert press(doors, no, do="reject", comment="No.").status_code == 410
    assert stands(doors, id)[0] == "approved"


def test_a_link_for_who_may_not_decide_decides_nothing(doors: DoorSite) -> None:
    id = doors.ask()  # sam asks for it himself

    answer = press(doors, made(doors, id, person="sam"), "sam")

    assert answer.status_code == 410 and stands(doors, id) == UNTOUCHED


def test_a_link_to_what_its_person_may_not_see_says_that_there_is_nothing(doors: DoorSite) -> None:
    id = doors.ask(title="A secret refund")
    nothing = "case-none:1:1"

    seen = [look(doors, made(doors, each, person="nora"), "nora") for each in (id, nothing)]

    assert [each.status_code for each in seen] == [404, 404]
    assert lines_of(seen[0]) == lines_of(seen[1]) and "secret" not in seen[0].text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"field.amount": "1.00", "version": "9", "digest": ""}, "600.00"),
        ({"changes": '{"amount": "1"}', "person": "grace", "as": "grace"}, "600.00"),
    ],
)
def test_what_the_form_says_besides_changes_no_value(
    doors: DoorSite, fields: dict[str, str], words: str
) -> None:
    id = doors.ask()

    assert press(doors, made(doors, id), **fields).status_code == 303

    ivo = doors.people.people["ivo"].actor("web")
    view = doors.run(doors.client.approvals.get(id, by=ivo))
    assert view.state.value["amount"] == words and view.state.decided_by == ["lena"]


def test_another_value_than_the_one_shown_is_not_approved(doors: DoorSite) -> None:
    id = doors.ask()

    assert press(doors, made(doors, id), digest="0" * 64).status_code == 410
    assert stands(doors, id) == UNTOUCHED


def test_another_page_cannot_press_it(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        with doors.as_("lena", **header) as http:
            assert http.post(f"/links/{token}", data={"do": "approve"}).status_code == 403
    assert stands(doors, id) == UNTOUCHED


# What is no link.


@pytest.fixture(scope="module")
def intact(doors: DoorSite) -> str:
    return made(doors, doors.ask())


def refused(doors: DoorSite, token: str) -> str:
    with pytest.raises(LinkRefusedError) as caught:
        doors.run(doors.links.read(token))
    assert caught.value.link is None
    return caught.value.code


@pytest.mark.slow
def test_a_flipped_byte_at_any_position_is_a_forgery(doors: DoorSite, intact: str) -> None:
    for position, letter in enumerate(intact):
        for flipped in (chr(ord(letter) ^ 1), "A" if letter != "A" else "B"):
            broken = intact[:position] + flipped + intact[position + 1 :]
            assert refused(doors, broken) == "forged", f"at {position}: {flipped!r}"


def test_no_other_spelling_of_the_signature_counts(doors: DoorSite, intact: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    body, _, signature = intact.rpartition(".")
    bits = base64.urlsafe_b64decode(signature + "=")
    same = [
        f"{body}.{signature[:-1]}{letter}"
        for letter in alphabet
        if base64.urlsafe_b64decode(signature[:-1] + letter + "=") == bits
    ]
    assert len(same) == 4 and intact in same

    for other in [*same, f"{intact}=", f"{body}.{signature[:5]}!{signature[5:]}"]:
        if other != intact:
            assert refused(doors, other) == "forged"


@pytest.mark.parametrize("keep", [0, 1, 10, 40, -1, -2, -10, -43])
def test_a_part_of_one_is_none(doors: DoorSite, intact: str, keep: int) -> None:
    assert refused(doors, intact[:keep]) == "forged"


Spoilt = Callable[[str, bytes, list[Any]], str]


def signed_by(secret: bytes, words: list[Any], salt: bytes = b"adjourn.link.decide.1") -> str:
    keyed = {"key_derivation": "hmac", "digest_method": sha256}
    return str(URLSafeSerializer(secret, salt=salt, signer_kwargs=keyed).dumps(words))


def unsigned(words: list[Any]) -> str:
    text = json.dumps(words, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


SPOILT: dict[str, Spoilt] = {
    "another purpose": lambda t, key, words: signed_by(key, words, b"adjourn.session"),
    "the library's own purpose": lambda t, key, words: signed_by(key, words, b"itsdangerous"),
    "no purpose": lambda t, key, words: signed_by(key, words, b""),
    "another key": lambda t, key, words: signed_by(bytes(32), words),
    "an empty key": lambda t, key, words: signed_by(b"", words),
    "the key's own text": lambda t, key, words: signed_by(key.hex().encode(), words),
    "another digest": lambda t, key, words: str(
        URLSafeSerializer(key, salt=b"adjourn.link.decide.1").dumps(words)
    ),
    "no signature": lambda t, key, words: unsigned(words),
    "an empty signature": lambda t, key, words: unsigned(words) + ".",
    "another approval, with this signature": lambda t, key, words: (
        f"{unsigned(['lena', 'case-2:1:1', *words[2:]])}.{t.rpartition('.')[2]}"
    ),
    "another person, with this signature": lambda t, key, words: (
        f"{unsigned(['omar', *words[1:]])}.{t.rpartition('.')[2]}"
    ),
    "another action, with this signature": lambda t, key, words: (
        f"{unsigned([*words[:3], 'reject', words[4]])}.{t.rpartition('.')[2]}"
    ),
    "a later end, with this signature": lambda t, key, words: (
        f"{unsigned([*words[:4], words[4] + 1])}.{t.rpartition('.')[2]}"
    ),
    "two of them": lambda t, key, words: f"{t}.{t}",
    "one with something before it": lambda t, key, words: f"x{t}",
    "one with something after it": lambda t, key, words: f"{t}x",
    "one in upper case": lambda t, key, words: t.upper(),
    "letters that are no ASCII": lambda t, key, words: t + "\u0430",
    "nothing": lambda t, key, words: "",
    "a dot": lambda t, key, words: ".",
    "the words of something else": lambda t, key, words: signed_by(key, [*words, "more"]),
    "too few words": lambda t, key, words: signed_by(key, words[:4]),
    "an action that there is not": lambda t, key, words: signed_by(
        key, [*words[:3], "cancel", words[4]]
    ),
    "words of other kinds": lambda t, key, words: signed_by(key, [1, 2, "3", "approve", None]),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_what_we_have_not_signed_as_a_link_is_none(
    doors: DoorSite, intact: str, spoil: Spoilt
) -> None:
    keys: list[Any] = doors.run(doors.records.get(SPACE, KEYS, list)) or []
    link = doors.run(doors.links.read(intact))
    ends = int(link.ends_at.timestamp()) * 1_000_000
    words = [link.person, link.approval, link.version, link.action, ends]
    secret = bytes.fromhex(keys[0]["secret"])
    assert signed_by(secret, words) == intact  # so what is spoilt is the only difference

    token = spoil(intact, secret, words)

    assert refused(doors, token) == "forged"
    if token.isascii() and token:
        assert press(doors, token).status_code == 404 and look(doors, token).status_code == 404


def test_a_link_that_ends_too_far_away_was_not_made_by_us(doors: DoorSite, intact: str) -> None:
    keys: list[Any] = doors.run(doors.records.get(SPACE, KEYS, list)) or []
    far = int(doors.clock.at.timestamp() + LONGEST_SECONDS + 1) * 1_000_000
    words = ["lena", doors.ask(), 1, "approve", far]

    token = signed_by(bytes.fromhex(keys[0]["secret"]), words)

    assert press(doors, token).status_code == 410


# What does.


@pytest.mark.slow
def test_twenty_presses_at_once_are_one_decision(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id)

    with ThreadPoolExecutor(AT_ONCE) as people:
        answers = list(people.map(lambda _: press(doors, token), range(AT_ONCE)))

    assert {each.status_code for each in answers} <= {303, 410}
    assert any(each.status_code == 303 for each in answers)
    assert stands(doors, id) == ("approved", 2, ["link"])
    told = [each.event for each in doors.run(doors.client.history(id))]
    taken = [each for each in told if type(each).__name__ == "UpdateAccepted"]
    assert len(taken) == 1


@pytest.mark.slow
def test_twenty_people_with_links_of_one_version_make_one_decision(doors: DoorSite) -> None:
    id = doors.ask(need=2)
    tokens = {who: made(doors, id, person=who) for who in ("lena", "omar", "grace")}

    with ThreadPoolExecutor(AT_ONCE) as people:
        each = [who for _ in range(7) for who in tokens][:AT_ONCE]
        list(people.map(lambda who: press(doors, tokens[who], who), each))

    status, version, channels = stands(doors, id)
    assert (status, version, channels) == ("open", 2, ["link"])  # the others look again


def test_a_rejection_asks_for_its_reason_on_the_page(doors: DoorSite) -> None:
    id = doors.ask()
    token = made(doors, id, action="reject")
    assert [each["value"] for each in parse(look(doors, token).text).all("button", name="do")] == [
        "reject"
    ]

    for words in ({}, {"comment": "  "}, {"comment": "x" * 4_001}):
        answer = press(doors, token, do="reject", **words)
        assert answer.status_code == 422 and parse(answer.text).all("p", class_="error")
        assert stands(doors, id) == UNTOUCHED

    assert press(doors, token, do="reject", comment="Not owed.").status_code == 303
    assert stands(doors, id)[0] == "rejected"


def test_what_is_of_high_risk_asks_for_as_much_as_its_own_page(doors: DoorSite) -> None:
    id = doors.ask(risk="high")
    token = made(doors, id)
    for words in ({}, {"comment": "Checked."}, {"confirm": "yes"}):
        assert press(doors, token, **words).status_code == 422
        assert stands(doors, id) == UNTOUCHED

    assert press(doors, token, comment="Checked.", confirm="yes").status_code == 303
    assert stands(doors, id)[0] == "approved"


def test_the_answer_leads_to_the_approval_and_says_what_was_done(doors: DoorSite) -> None:
    id = doors.ask()
    answer = press(doors, made(doors, id), comment="Fine.")

    with doors.as_("lena") as http:
        page = http.get(answer.headers["location"])
    assert answer.headers["location"].startswith(f"/approvals/{id}?")
    assert page.status_code == 200 and "Approved by you" in page.text


# Asking for one.


def ask_for(doors: DoorSite, approval: str, by: str = "lena", /, **form: Any) -> httpx.Response:
    with doors.as_(by) as http:
        return http.post(f"/api/v1/approvals/{approval}/links", json=form)


def by_key(doors: DoorSite, approval: str, **form: Any) -> httpx.Response:
    headers = {"Host": NAME, "Authorization": f"Bearer {KEY}"}
    with httpx.Client(
        base_url=doors.address, trust_env=False, verify=False, headers=headers
    ) as http:
        return http.post(f"/api/v1/approvals/{approval}/links", json=form)


@pytest.fixture
def scoped(doors: DoorSite) -> Iterator[Callable[[list[str]], None]]:
    """What the key may, for one test."""
    before = doors.people.keys[KEY]

    def scope(scopes: list[str]) -> None:
        doors.people.keys[KEY] = replace(before, scopes=scopes, roles=[])

    yield scope
    doors.people.keys[KEY] = before


def test_a_person_asks_for_a_link_and_uses_it(doors: DoorSite) -> None:
    id = doors.ask()
    answer = ask_for(doors, id, action="approve", seconds=60)
    told = answer.json()

    assert answer.status_code == 201 and told["version"] == 1
    assert told["url"].startswith(f"https://{NAME}/links/")
    assert press(doors, told["url"].rpartition("/")[2]).status_code == 303


@pytest.mark.parametrize(
    ("person", "form", "status"),
    [
        ("", {"action": "approve"}, 401),
        ("gone", {"action": "approve"}, 401),
        ("lena", {"action": "approve", "person": "omar"}, 403),
        ("grace", {"action": "approve", "person": "lena"}, 403),
        ("sam", {"action": "approve"}, 403),
        ("ivo", {"action": "approve"}, 403),
        ("nora", {"action": "approve"}, 404),
        ("lena", {"action": "cancel"}, 422),
        ("lena", {}, 422),
        ("lena", {"action": "approve", "seconds": 601}, 422),
        ("lena", {"action": "approve", "seconds": 0}, 422),
        ("lena", {"action": "approve", "seconds": -5}, 422),
        ("lena", {"action": "approve", "version": 3}, 422),
    ],
)
def test_nobody_asks_for_what_they_could_not_do(
    doors: DoorSite, person: str, form: dict[str, Any], status: int
) -> None:
    answer = ask_for(doors, doors.ask(), person, **form)

    assert answer.status_code == status and "/links/" not in answer.text


def test_a_key_with_the_scope_asks_in_a_persons_name(
    doors: DoorSite, scoped: Callable[[list[str]], None]
) -> None:
    scoped(["links:make"])
    id = doors.ask()
    token = by_key(doors, id, action="approve", person="lena").json()["url"].rpartition("/")[2]

    assert press(doors, token, "omar").status_code == 403
    assert press(doors, token).status_code == 303


@pytest.mark.parametrize("person", ["", "nobody", "gone", "sam", "ivo", "nora", "key:reports"])
def test_a_key_is_told_nothing_of_who_there_is_and_who_may(
    doors: DoorSite, scoped: Callable[[list[str]], None], person: str
) -> None:
    scoped(["links:make"])
    id = doors.ask()

    answer = by_key(doors, id, action="approve", person=person)
    nothing = by_key(doors, "case-none:1:1", action="approve", person="lena")

    assert answer.status_code == nothing.status_code == 404
    told = [
        {name: value for name, value in each.json().items() if name not in ("id", "instance")}
        for each in (answer, nothing)
    ]
    assert str(told[0]).replace(id, "case-none:1:1") == str(told[1])


@pytest.mark.parametrize("tenant", ["acme", "beta"])
def test_of_another_tenants_approval_a_key_makes_a_person_no_link(
    doors: DoorSite, scoped: Callable[[list[str]], None], tenant: str
) -> None:
    """Not even a key that sees all tenants, for a person whom it would be addressed to."""
    scoped(["links:make"])
    keys, people = doors.people.keys, doors.people.people
    keys[KEY] = replace(keys[KEY], tenant="*")
    lena = people["lena"]
    case = f"acme-{tenant}"
    doors.run(doors.client.start("refund", Ask(), id=case, tags={"tenant": "acme"}))
    id = doors.run(doors._appears(case))
    people["lena"] = replace(lena, tenant=tenant)
    try:
        answer = by_key(doors, id, action="approve", person="lena")
    finally:
        people["lena"] = lena

    assert answer.status_code == (201 if tenant == "acme" else 404)
    assert ("/links/" in answer.json().get("url", "")) is (tenant == "acme")


@pytest.mark.parametrize(
    "scopes", [[], ["approvals:read"], ["approvals:act"], ["instances:start"], ["links"]]
)
def test_a_key_without_the_scope_makes_none(
    doors: DoorSite, scoped: Callable[[list[str]], None], scopes: list[str]
) -> None:
    scoped(scopes)

    assert by_key(doors, doors.ask(), action="approve", person="lena").status_code == 403


def test_of_what_is_decided_there_is_no_link(doors: DoorSite) -> None:
    id = doors.ask()
    press(doors, made(doors, id))

    assert ask_for(doors, id, "omar", action="approve").status_code == 409


# Its keys.


def keyed(work: Callable[[Links, Records, Clock], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        clock = Clock()
        records = Records(":memory:", clock.now)
        try:
            return await work(Links(records, clock.now), records, clock)
        finally:
            records.close()

    return asyncio.run(run())


def test_a_key_that_was_rotated_away_verifies_until_its_last_link_has_ended() -> None:
    async def work(links: Links, records: Records, clock: Clock) -> None:
        before, link = await links.make("lena", "a:1:1", 1, "approve")
        clock.advance(seconds=1)
        await links.rotate()
        after, _ = await links.make("lena", "a:1:1", 1, "approve")
        assert await links.read(before) == link and before != after
        clock.advance(seconds=LONGEST_SECONDS - 2)
        assert (await links.read(before)).person == "lena"
        clock.advance(seconds=2)
        with pytest.raises(LinkRefusedError) as caught:
            await links.read(before)
        assert caught.value.code == "forged"  # its key is not there any more
        await links.rotate()
        assert len(await records.get(SPACE, KEYS, list) or []) == 2

    keyed(work)


def test_after_two_rotations_at_once_a_stolen_key_makes_no_link_of_tomorrow() -> None:
    async def work(links: Links, records: Records, clock: Clock) -> None:
        await links.make("lena", "a:1:1", 1, "approve")
        stolen = bytes.fromhex((await records.get(SPACE, KEYS, list) or [])[0]["secret"])
        await links.rotate()
        clock.advance(seconds=LONGEST_SECONDS)
        ends = int(clock.at.timestamp() + 60) * 1_000_000
        with pytest.raises(LinkRefusedError):
            await links.read(signed_by(stolen, ["lena", "a:1:1", 1, "approve", ends]))

    keyed(work)


@pytest.mark.slow
def test_the_first_key_is_made_once_by_whoever_comes_first() -> None:
    async def work(links: Links, records: Records, clock: Clock) -> list[Link]:
        many = await asyncio.gather(
            *(links.make("lena", f"a:{n}:1", 1, "approve") for n in range(AT_ONCE))
        )
        assert len(await records.get(SPACE, KEYS, list) or []) == 1
        return [await links.read(token) for token, _ in many]

    assert len(keyed(work)) == AT_ONCE


@pytest.mark.slow
def test_a_link_says_nothing_that_it_does_not_need() -> None:
    async def work(links: Links, records: Records, clock: Clock) -> str:
        token, _ = await links.make("lena", "a:1:1", 3, "reject")
        return token

    body = keyed(work).partition(".")[0]
    words = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert words[:4] == ["lena", "a:1:1", 3, "reject"] and len(words) == 5
