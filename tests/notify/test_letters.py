"""What others wrote into a title stays text: in headers, in a mail's two parts, on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from adjourn.approvals.people import Person
from adjourn.notify.settings import is_mailbox
from adjourn.testing import Sandbox
from tests.notify.bureau import GRACE, PEOPLE, Asked, Settings, a_bureau, mail_to, notes
from tests.notify.post import Post, Received, a_post

HOSTILE = [
    # Headers.
    "Refund\r\nBcc: evil@evil.test",
    "Refund\nBcc: evil@evil.test",
    "Refund\rBcc: evil@evil.test",
    "Refund\r\n\r\n<html>another body",
    "Refund\r\n.\r\nMAIL FROM:<evil@evil.test>",
    "Refund\n.\nRCPT TO:<evil@evil.test>",
    "Refund\u2028Bcc: evil@evil.test",
    "Refund\u2029Bcc: evil@evil.test",
    "Refund\u0085Bcc: evil@evil.test",
    "Refund\x0bBcc: evil@evil.test",
    "Refund\x0cBcc: evil@evil.test",
    "Refund\x1cBcc: evil@evil.test",
    "Refund\x00Bcc: evil@evil.test",
    "Refund\r\n\tBcc: evil@evil.test",
    "=?utf-8?q?Refund=0D=0ABcc:_evil@evil.test?=",
    "=?utf-8?b?UmVmdW5kDQpCY2M6IGV2aWxAZXZpbC50ZXN0?=",
    "Refund =?utf-8?q?=0D=0A?= Bcc: evil@evil.test",
    "=?utf-8?q?" + "=41" * 60 + "?=",
    "x" * 90 + "\r\nBcc: evil@evil.test",
    "\u00e9" * 60 + "\r\nBcc: evil@evil.test",
    "Content-Type: text/html\r\n\r\n<script>",
    "--=note.boundary=\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
    # HTML.
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='https://evil.test'>Open it</a>",
    '"><a href="javascript:alert(1)">x</a>',
    "</h1></body><form action=https://evil.test>",
    "<style>*{display:none}</style>",
    "<!-- ",
    "--><b>",
    "&lt;b&gt;&#60;b&#62;",
    "<meta http-equiv=refresh content=0;url=https://evil.test>",
    "<svg/onload=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    # What hides itself, or turns its neighbours.
    "Refund \u202e006 ot",
    "Refund \u2066600\u2069",
    "Refund\u200b 600",
    "Refund \u200f600",
    "Re\u00adfund",
    "Refund \U000e0041\U000e0042",
    "Refund \ufeff600",
    # Formulas, for those who save lists of mails.
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1)",
]


@pytest.fixture
def post() -> Iterator[Post]:
    with a_post() as made:
        yield made


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.said += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


def tags_of(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    return tags


@pytest.fixture(scope="module")
def open_house() -> Iterator[tuple[Post, Sandbox, Received]]:
    """Where everything is told at once, and one ordinary mail to compare with."""
    with a_post() as post, a_bureau(Settings(mail_to(post, digest_over=999))) as box:
        box.start("ask", Asked(to="leads"), id="ordinary")
        yield post, box, post.taken[0]


@pytest.mark.slow
@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_text(open_house: tuple[Post, Sandbox, Received], title: str) -> None:
    post, box, ordinary = open_house
    before = len(post.taken)
    box.start("ask", Asked(title=title, to="leads"), id=f"D-{HOSTILE.index(title)}")
    (given,) = post.taken[before:]
    check(given, ordinary)
    assert not given.subject.startswith(("=", "+", "-", "@"))


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_titles_in_a_digest_are_text(post: Post, half: int) -> None:
    titles = HOSTILE[half::2]
    plain = ["Open the door" for _ in titles]
    with a_bureau(Settings(mail_to(post, digest_over=0))) as box:
        for chosen in (titles, plain):
            for number, title in enumerate(chosen):
                box.start("ask", Asked(title=title, to="leads"), id=f"D-{len(post.taken)}-{number}")
            box.advance(hours=1)
            for asked in box.inbox():
                asked.reject(by=GRACE, reason="No.")
    given, ordinary = post.to("grace@example.com")
    check(given, ordinary)


def check(given: Received, ordinary: Received) -> None:
    """It is a mail like the ordinary one."""
    assert given.to == "grace@example.com", "nobody else gets it"
    assert given.sender == "adjourn@example.com"
    assert given.mail.keys() == ordinary.mail.keys(), "no header came along"
    assert len(given.mail.defects) == 0
    assert [part.get_content_type() for part in given.mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert b"\n" not in given.raw.replace(b"\r\n", b""), "no bare line feed"
    assert b"\r" not in given.raw.replace(b"\r\n", b""), "no bare carriage return"
    for shown in (given.subject, given.text, given.html):
        assert not any(one in shown for one in "\u202e\u2066\u200b\u200f\ufeff\u00ad\U000e0041")
    made, usual = tags_of(given.html), tags_of(ordinary.html)
    assert made.found == usual.found
    assert all(link.startswith("https://adjourn.example.com/") for link in made.links)


NAMES = [
    "Sam\r\nBcc: evil@evil.test",
    "Sam\nDue: never",
    "Sam <evil@evil.test>",
    "<b>Sam",
    "Sam\u202emas",
    "</p><form action=https://evil.test>",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text(post: Post, name: str) -> None:
    """Of whoever asks: it is in the directory, and may come from a sign-in."""
    for chosen in ("Sam Ortiz", name):
        people = [*PEOPLE[:3], Person(id="sam", name=chosen)]
        with a_bureau(Settings(mail_to(post)), people=people) as box:
            box.start("ask", Asked(to="leads"), id="D-1")
    ordinary, given = post.taken
    check(given, ordinary)
    assert len(given.text.splitlines()) == len(ordinary.text.splitlines())


ADDRESSES = [
    "grace@example.com\r\nRCPT TO:<evil@evil.test>",
    "grace@example.com\r\nDATA",
    "grace@example.com\nBcc: evil@evil.test",
    "grace@example.com, evil@evil.test",
    "grace@example.com;evil@evil.test",
    "grace@example.com>,<evil@evil.test",
    "Grace <evil@evil.test>",
    "<evil@evil.test>",
    "grace@example.com ",
    "grace@example.com ORCPT=rfc822;evil@evil.test",
    "@relay.test:evil@evil.test",
    "evil%evil.test@",
    "grace",
    "grace@",
    "@example.com",
    "grace@@example.com",
    '"evil@evil.test"@example.com',
    "grace(comment)@example.com",
    "gr\u00e4ce@example.com",
    "grace@ex\u00e4mple.com",
    "grace@example.com\x00",
    "grace@[127.0.0.1]",
    "grace@example.com!evil.test",
    "x" * 65 + "@example.com",
    "grace..o@example.com",
    ".grace@example.com",
    "grace.@example.com",
    "grace@example..com",
    "grace@.example.com",
    "grace@example.com.",
    "grace@-example.com",
]


@pytest.mark.slow
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_says_more_is_not_written_to(
    post: Post, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    strange = Person(id="grace", name="Grace", groups=["leads"], roles=["approver"], email=address)
    with a_bureau(Settings(mail_to(post)), people=[strange]) as box:
        box.start("ask", Asked(to="leads"), id="D-1")
        assert [note["state"] for note in notes(box)] == ["given_up"]
    assert post.seen == []
    assert not is_mailbox(address)


@pytest.mark.parametrize(
    "address", ["a@b.example", "first.last+tag@sub.example.com", "o'hara@example.com", "a_b-c@x.y"]
)
def test_a_plain_address_is_one(address: str) -> None:
    assert is_mailbox(address)


def test_the_same_mail_is_the_same_bytes(post: Post) -> None:
    post.to_mail = lambda _: "451 not now"
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(to="leads"), id="D-1")
        post.to_mail = lambda _: "250 OK"
        box.advance(minutes=5)
        first = post.taken[0].raw
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(to="leads"), id="D-1")
        assert post.taken[-1].raw == first


def test_mails_about_one_approval_hang_together(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        box.advance(hours=5)
    references = {each.mail["References"] for each in post.taken}
    assert len(post.taken) == 4 and len(references) == 1
    assert len({each.mail["Message-ID"] for each in post.taken}) == 4
    assert all(each.mail["Message-ID"].endswith("@example.com>") for each in post.taken)
