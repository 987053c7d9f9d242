"""Coming in from the shop: looking spends nothing, one click spends a ticket once."""

import threading

import pytest

from apps.support_agent.tests.door.house import SECRET, SHOP_URL, House, cookies_of
from apps.support_agent.tests.web.place import AMINA, FORM, JONAS, Page
from support_agent.shop.customer_sessions import IDLE, LONGEST, SESSIONS_AT_ONCE, digest_of
from support_agent.shop.database import reading
from support_agent.shop.records import Customer, CustomerSession, SpentTicket
from support_agent.web import cookies
from support_agent.web.forms import new_id

CLICKS = 6


@pytest.mark.slow
def test_the_button_says_as_whom_and_begins_a_session(house: House) -> None:
    ticket = house.ticket(house.email(AMINA))
    visitor = house.browser()

    page = visitor.open(f"/chat/enter?ticket={ticket}")
    [button] = page.root.one("main").all("button")
    [field] = page.root.one("main").all("input")
    answer = visitor.send("/chat/enter", part=False, ticket=field["value"])

    assert button.text == "Go on as Amina Diallo" and house.email(AMINA) in page.main
    assert answer.status_code == 303 and answer.headers["location"] == "/chat/"
    inside = house.browser(session=cookies_of(answer)[cookies.SESSION])
    assert "Hello Amina Diallo" in inside.open("/chat/new").main


@pytest.mark.slow
def test_looking_changes_nothing_and_spends_nothing(house: House) -> None:
    ticket = house.ticket(house.email(AMINA))
    before = house.quiet()

    for method in ("GET", "HEAD", "OPTIONS", "GET"):
        answer = house.browser().http.request(method, f"/chat/enter?ticket={ticket}")
        assert "set-cookie" not in answer.headers

    assert house.dump() == before
    assert house.browser().send("/chat/enter", part=False, ticket=ticket).status_code == 303


@pytest.mark.slow
def test_no_cookie_of_ours_is_for_scripts_or_other_sites(house: House) -> None:
    answer = house.browser().send(
        "/chat/enter", part=False, ticket=house.ticket(house.email(AMINA))
    )

    [line] = answer.headers.get_list("set-cookie")
    name, *flags = [part.strip() for part in line.lower().split(";")]
    assert name.startswith("__host-support-customer=")
    assert {"secure", "httponly", "path=/", "samesite=lax"} < set(flags)
    assert not any(flag.startswith("domain") for flag in flags)
    assert answer.headers["cache-control"] == "no-store"


def test_neither_the_ticket_nor_the_session_stands_in_the_records(house: House) -> None:
    ticket = house.ticket(house.email(AMINA), jti="an-id-that-is-easily-found")
    answer = house.browser().send("/chat/enter", part=False, ticket=ticket)
    session = cookies_of(answer)[cookies.SESSION]

    kept = "\n".join(house.dump())

    assert digest_of(session) in kept and digest_of("an-id-that-is-easily-found") in kept
    assert session not in kept and "easily-found" not in kept and ticket not in kept
    assert len(session) >= 43


def test_the_address_with_a_ticket_goes_nowhere(house: House) -> None:
    """`strict-origin` keeps it from our own logs too, and still says the form's origin."""
    ticket = house.ticket(house.email(AMINA))
    visitor = house.browser()
    for answer in (
        visitor.http.get(f"/chat/enter?ticket={ticket}"),
        visitor.http.get("/chat/enter?ticket=x.y.z"),
        visitor.send("/chat/enter", part=False, ticket="x.y.z"),
        visitor.send("/chat/enter", part=False, ticket=ticket),
    ):
        assert answer.headers.get_list("referrer-policy") == ["strict-origin"]
        assert ticket not in answer.headers.get("location", "")
        page = Page(answer)
        linked = [each.get("href") or "" for each in page.root.all("a")]
        linked += [each.get("href") or "" for each in page.root.all("link")]
        assert not any("ticket" in each for each in linked)


def test_a_ticket_counts_once(house: House) -> None:
    ticket = house.ticket(house.email(AMINA))
    visitor = house.browser()
    first = visitor.send("/chat/enter", part=False, ticket=ticket)

    again = visitor.send("/chat/enter", part=False, ticket=ticket)
    page = visitor.open(f"/chat/enter?ticket={ticket}")

    assert first.status_code == 303
    assert again.status_code == 403 and "set-cookie" not in again.headers
    assert "used already" in again.text and "used already" in page.main and page.status == 403
    assert page.root.one("main").all("form") == []


def test_a_ticket_that_was_signed_anew_with_its_id_is_the_same(house: House) -> None:
    """Whatever else it says: the shop never gives an id twice."""
    id = new_id()
    first = house.ticket(house.email(AMINA), jti=id)
    second = house.ticket(house.email(JONAS), jti=id, exp=int(house.clock().timestamp()) + 240)

    codes = [
        house.browser().send("/chat/enter", part=False, ticket=each).status_code
        for each in (first, second)
    ]

    assert codes == [303, 403]


@pytest.mark.slow
def test_a_spent_ticket_stays_spent_when_others_are_swept(house: House) -> None:
    ticket = house.ticket(house.email(AMINA), exp=int(house.clock().timestamp()) + 290)
    assert house.browser().send("/chat/enter", part=False, ticket=ticket).status_code == 303
    house.clock.advance(seconds=285)
    house.enter(house.email(JONAS))  # sweeps

    again = house.browser().send("/chat/enter", part=False, ticket=ticket)

    assert again.status_code == 403
    house.clock.advance(hours=2)
    house.enter(house.email(JONAS))
    with reading(house.records) as session:
        assert session.query(SpentTicket).count() == 1


@pytest.mark.slow
def test_two_clicks_at_once_spend_it_once(house: House) -> None:
    email = house.newcomer("Impatient")
    ticket = house.ticket(email)
    visitors = [house.browser() for _ in range(CLICKS)]
    start = threading.Barrier(CLICKS)
    codes: list[int] = []

    def click(number: int) -> None:
        start.wait()
        codes.append(visitors[number].send("/chat/enter", part=False, ticket=ticket).status_code)

    clicks = [threading.Thread(target=click, args=(each,)) for each in range(CLICKS)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()

    assert sorted(codes) == [303, *[403] * (CLICKS - 1)]
    assert sessions_of(house, email) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://shop.example.com"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_origin_signs_nobody_in(house: House, headers: dict[str, str]) -> None:
    """Not even the shop's own: or whoever has a page could make a customer somebody else."""
    ticket = house.ticket(house.email(AMINA))
    visitor = house.browser()

    refused = visitor.http.post("/chat/enter", data={"ticket": ticket}, headers=headers)

    assert refused.status_code == 403 and "set-cookie" not in refused.headers
    assert visitor.send("/chat/enter", part=False, ticket=ticket).status_code == 303


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
def test_what_is_no_form_signs_nobody_in(house: House, kind: str) -> None:
    ticket = house.ticket(house.email(AMINA))

    answer = house.browser().http.post(
        "/chat/enter", content=f"ticket={ticket}", headers={"content-type": kind}
    )

    assert answer.status_code == 415 and "set-cookie" not in answer.headers


def test_a_huge_form_is_not_read_to_its_end(house: House) -> None:
    answer = house.browser().send("/chat/enter", part=False, ticket="x" * 100_000)

    assert answer.status_code == 413


@pytest.mark.parametrize("email", ["nobody@example.org", "AMINA@EXAMPLE.COM.EVIL.EXAMPLE"])
def test_whom_the_records_do_not_know_stays_outside(house: House, email: str) -> None:
    answer = house.browser().send("/chat/enter", part=False, ticket=house.ticket(email))

    assert answer.status_code == 403 and "no orders under your address" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_ticket_of_a_customer_who_is_removed_lets_nobody_in(house: House) -> None:
    email = house.newcomer("Short Lived")
    ticket = house.ticket(email)
    house.remove(email)

    assert house.browser().send("/chat/enter", part=False, ticket=ticket).status_code == 403


@pytest.mark.slow
def test_who_comes_in_gets_a_new_session_and_the_old_one_ends(house: House) -> None:
    """Nobody can fix beforehand what somebody will be signed in by."""
    amina = house.enter(house.email(AMINA))
    for held in ("chosen-by-somebody-else", amina):
        answer = house.browser(session=held).send(
            "/chat/enter", part=False, ticket=house.ticket(house.email(JONAS))
        )
        new = cookies_of(answer)[cookies.SESSION]
        assert new != held
        assert nobody(house, held)
        assert "Jonas Weber" in house.browser(session=new).open("/chat/new").text


@pytest.mark.slow
def test_signing_out_ends_it_here_and_everywhere_it_was_copied(house: House) -> None:
    session = house.enter(house.email(AMINA))
    other = house.enter(house.email(AMINA))
    amina = house.browser(session=session)

    page = amina.open("/chat/new")
    form = next(each for each in page.root.all("form") if each["action"] == "/chat/sign-out")
    answer = amina.http.post(form["action"], content="", headers=FORM, follow_redirects=False)

    assert answer.status_code == 303 and answer.headers["location"] == "/chat/enter"
    assert cookies_of(answer)[cookies.SESSION].strip('"') == ""
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert nobody(house, session) and not nobody(house, other)


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}])
def test_nobody_else_signs_a_customer_out(house: House, headers: dict[str, str]) -> None:
    session = house.enter(house.email(AMINA))

    answer = house.browser(session=session).http.post("/chat/sign-out", headers={**FORM, **headers})

    assert answer.status_code == 403 and not nobody(house, session)


@pytest.mark.parametrize(
    "held",
    [
        "",
        "x",
        "a" * 43,
        "\u00e9",
        "a" * 7_000,
        "' OR 1=1 --",
        "%00",
        digest_of("x"),
    ],
)
def test_what_is_no_session_is_nobody(house: House, held: str) -> None:
    cookie = f"{cookies.SESSION}={held}".encode()

    answer = house.browser().http.get(
        "/chat/new", headers={b"cookie": cookie}, follow_redirects=False
    )

    assert answer.status_code == 303 and answer.headers["location"] == "/chat/enter"


def test_the_digest_that_is_kept_is_no_session(house: House) -> None:
    session = house.enter(house.email(AMINA))

    assert nobody(house, digest_of(session))


def test_the_choice_of_the_local_mode_does_not_exist(house: House) -> None:
    amina = str(house.customer_id(AMINA))
    visitor = house.browser(**{"support-customer": amina, "adjourn-person": "lena"})

    chosen = visitor.send("/chat/sign-in", part=False, customer=amina)
    home = visitor.open("/chat/")
    staff = visitor.http.get("/talks/", follow_redirects=False)

    assert chosen.status_code == 404 and "set-cookie" not in chosen.headers
    assert home.path == "/chat/enter" and "Who are you" not in home.text
    assert AMINA not in home.text and home.root.all("select") == []
    assert staff.headers["location"] == "/sign-in?back=/talks/"
    assert "No sign-in" not in home.text


def test_the_choice_does_not_exist_on_the_page_of_a_link_either(house: House) -> None:
    page = house.browser().open("/chat/link/" + "a" * 24)

    assert page.path == "/chat/enter" and page.root.all("select") == []
    assert JONAS not in page.text


@pytest.mark.slow
def test_idle_for_too_long_is_signed_out(house: House) -> None:
    session = house.enter(house.email(AMINA))
    house.clock.advance(seconds=IDLE.total_seconds() - 1)
    assert not nobody(house, session)  # and that was a use
    house.clock.advance(seconds=IDLE.total_seconds() - 1)
    assert not nobody(house, session)
    house.clock.advance(seconds=IDLE.total_seconds())
    assert nobody(house, session)


@pytest.mark.slow
def test_a_page_that_lies_open_is_no_use_of_it(house: House) -> None:
    """It asks for news by itself, and would else keep a session alive that nobody uses."""
    session = house.enter(house.email(AMINA))
    talk_id = house.begin_silent(AMINA)
    amina = house.browser(session=session)
    path, part = f"/chat/talks/{talk_id}/news", {"x-part": "yes"}
    codes: list[int] = []
    for _ in range(3):
        house.clock.advance(seconds=IDLE.total_seconds() / 3)
        codes.append(amina.http.get(path, headers=part, follow_redirects=False).status_code)

    assert codes == [200, 200, 401]


@pytest.mark.slow
def test_used_without_a_pause_it_ends_all_the_same(house: House) -> None:
    session = house.enter(house.email(AMINA))
    steps = int(LONGEST / IDLE * 2)
    for _ in range(steps - 1):
        house.clock.advance(seconds=IDLE.total_seconds() / 2)
        assert not nobody(house, session)
    house.clock.advance(seconds=IDLE.total_seconds() / 2)
    assert nobody(house, session)


@pytest.mark.slow
def test_a_use_is_written_down_at_most_once_a_minute(house: House) -> None:
    """The one thing that a GET writes."""
    session = house.enter(house.email(AMINA))
    amina = house.browser(session=session)
    before = house.quiet()
    for _ in range(3):
        house.clock.advance(seconds=19)
        assert amina.open("/chat/new").status == 200
    assert house.dump() == before

    house.clock.advance(seconds=3)
    for _ in range(3):
        assert amina.open("/chat/new").status == 200

    changed = set(house.dump()) - set(before)
    assert len(changed) == 1 and all("customer_sessions" in line for line in changed)


@pytest.mark.slow
def test_a_customer_who_is_removed_is_out_at_once(house: House) -> None:
    email = house.newcomer("Gone Soon")
    session = house.enter(email)
    assert not nobody(house, session)

    house.remove(email)

    assert nobody(house, session)
    sent = house.browser(session=session).send(
        f"/chat/talks/{new_id()}/messages", text="Hello", message_id=new_id()
    )
    assert sent.status_code == 401


@pytest.mark.slow
def test_a_customer_has_so_many_sessions_and_the_oldest_goes(house: House) -> None:
    email = house.newcomer("Many Tabs")
    ids: list[str] = []
    for _ in range(SESSIONS_AT_ONCE + 1):
        house.clock.advance(seconds=1)
        ids.append(house.enter(email))

    assert nobody(house, ids[0]) and not any(nobody(house, each) for each in ids[1:])
    assert sessions_of(house, email) == SESSIONS_AT_ONCE


@pytest.mark.slow
@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "//evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa/../../talks",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa?next=//evil.example",
        "@evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        ".evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "/talks",
        "/link/short",
        "/link/" + "a" * 81,
    ],
)
def test_the_way_in_leads_to_a_link_and_nowhere_else(house: House, wanted: str) -> None:
    answer = house.browser(next=wanted).send(
        "/chat/enter", part=False, ticket=house.ticket(house.email(AMINA)), next=wanted
    )

    assert answer.status_code == 303 and answer.headers["location"] == "/chat/"


def test_who_wanted_to_link_an_account_comes_back_to_it(house: House) -> None:
    path = "/link/" + "b" * 24
    asked = house.browser().http.get(f"/chat{path}", follow_redirects=False)
    kept = cookies_of(asked)[cookies.NEXT]

    answer = house.browser(next=kept.strip('"')).send(
        "/chat/enter", part=False, ticket=house.ticket(house.email(AMINA))
    )

    assert asked.headers["location"] == "/chat/enter"
    assert answer.headers["location"] == f"/chat{path}"
    assert "max-age=0" in answer.headers.get_list("set-cookie")[-1].lower()


def test_from_one_address_so_many_refusals_are_answered(house: House) -> None:
    house.door.refusals = type(house.door.refusals)(5)
    visitor = house.browser()

    codes = [visitor.send("/chat/enter", part=False, ticket="x").status_code for _ in range(8)]
    codes += [visitor.http.get("/chat/enter?ticket=x").status_code]
    good = visitor.send("/chat/enter", part=False, ticket=house.ticket(house.email(AMINA)))

    assert codes == [403] * 5 + [429] * 4
    assert good.status_code == 303, "nobody shuts the door for the others behind one proxy"


def test_behind_a_proxy_one_customer_uses_up_nobody_elses_tries(house: House) -> None:
    """The proxy is one of the settings; from anybody else the header says nothing."""
    house.door.refusals = type(house.door.refusals)(5)
    visitor = house.browser()

    def tried(address: str) -> int:
        visitor.http.headers["x-forwarded-for"] = address
        return visitor.http.get("/chat/enter?ticket=x").status_code

    assert [tried("192.0.2.1") for _ in range(6)] == [403] * 5 + [429]
    assert tried("192.0.2.2") == 403
    assert tried("192.0.2.7, 192.0.2.1") == 429


def test_a_refusal_is_logged_without_the_ticket(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = house.ticket(house.email(AMINA), secret="x" * 32)

    house.browser().send("/chat/enter", part=False, ticket=ticket)
    house.browser().send("/chat/enter", part=False, ticket="\r\nforged\x1b[31m line.x.y")

    assert "no secret of ours has signed it" in caplog.text
    assert ticket not in caplog.text and SECRET not in caplog.text
    assert house.email(AMINA) not in caplog.text
    assert "forged" not in caplog.text and "\x1b" not in caplog.text


@pytest.mark.parametrize(
    "given", ['"><script>alert(1)</script>', "{{ 7 * 7 }}", "javascript:alert(1)", "\u202ex.y.z"]
)
def test_what_is_no_ticket_is_shown_nowhere(house: House, given: str) -> None:
    visitor = house.browser()
    for answer in (
        visitor.http.get("/chat/enter", params={"ticket": given}),
        visitor.send("/chat/enter", part=False, ticket=given),
    ):
        assert answer.status_code == 403
        assert given not in answer.text and "49" not in Page(answer).main
        assert Page(answer).root.one("main").all("script") == []


@pytest.mark.slow
def test_a_name_is_shown_as_what_it_is(house: House) -> None:
    email = house.newcomer("<b>Amina</b>\u202e<script>alert(1)</script>")

    page = house.browser().open(f"/chat/enter?ticket={house.ticket(email)}")

    assert "<b>Amina</b>\u27e8U+202E\u27e9<script>alert(1)</script>" in page.main
    assert "\u202e" not in page.answer.text and page.root.one("main").all("script") == []


@pytest.mark.slow
def test_who_has_no_ticket_is_told_where_to_get_one(house: House) -> None:
    page = house.browser().open("/chat/enter")

    assert page.status == 200 and "Sign in on the shop's own website" in page.main
    assert [each["href"] for each in page.root.one("main").all("a")] == [SHOP_URL]


def nobody(house: House, session: str) -> bool:
    answer = house.browser(session=session).http.get("/chat/new", follow_redirects=False)
    assert answer.status_code in (200, 303), answer.status_code
    return answer.status_code == 303 and answer.headers["location"] == "/chat/enter"


def sessions_of(house: House, email: str) -> int:
    with reading(house.records) as session:
        [row] = session.query(Customer).where(Customer.email == email)
        return session.query(CustomerSession).where(CustomerSession.customer_id == row.id).count()
