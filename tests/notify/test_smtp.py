"""Handing a mail over: encrypted or not at all, and what each answer means."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adjourn.notify.settings import MailSettings
from adjourn.notify.smtp import Cord, Handed, hand_over
from tests.notify.certificates import Authority, authority
from tests.notify.post import Post, a_post, a_rude_post, closed_port

MAIL = b"Subject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
TO = "lena@example.com"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def post() -> Iterator[Post]:
    with a_post() as made:
        yield made


def hand(port: int, password: str = "", host: str = "127.0.0.1", **words: Any) -> Handed:
    given: dict[str, Any] = {"tls": "none", "timeout_seconds": 5, **words}
    settings = MailSettings(host=host, port=port, sender="adjourn@example.com", **given)
    return hand_over(settings, password, TO, MAIL, Cord())


def test_what_is_taken_is_told_as_taken(post: Post) -> None:
    assert hand(post.port) == Handed(True, True, "250 OK")
    assert post.taken[0].raw.endswith(b"Hello\r\n")


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("550 no such user", True),
        ("553 not allowed", True),
        ("501 what?", True),
        ("530 sign in first", False),
        ("450 later", False),
        ("451 graylisted", False),
        ("452 full", False),
        ("421 going down", False),
    ],
)
def test_a_refusal_of_the_address_is_final_where_it_says_so(
    post: Post, answer: str, final: bool
) -> None:
    post.to_address = lambda _: answer
    assert hand(post.port) == Handed(False, final, answer)
    assert post.seen == []


@pytest.mark.parametrize(
    ("answer", "final"), [("554 spam", True), ("552 too big", True), ("451 try again", False)]
)
def test_a_refusal_of_the_mail_is_final_where_it_says_so(
    post: Post, answer: str, final: bool
) -> None:
    post.to_mail = lambda _: answer
    assert hand(post.port) == Handed(False, final, answer)


def test_nobody_there_is_trouble() -> None:
    handed = hand(closed_port())
    assert not handed.taken and not handed.final and "refused" in handed.answer.lower()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"220 hello\r\n"],
        [b"554 no service for you\r\n"],
        [b"421 too busy\r\n"],
        [b"garbage\r\n"],
        [b"220 hello\r\n", b"250 hello\r\n"],
        [b"220 hello\r\n", b"250 hello\r\n", b"250 go on\r\n"],
        [b"220 hello\r\n", b"250 hello\r\n", b"550 not you\r\n", b"250 reset\r\n"],
        [b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n"],
        [b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"],
        [b"220 " + b"x" * 20_000 + b"\r\n"],
    ],
)
def test_a_conversation_that_breaks_off_is_tried_again(lines: list[bytes]) -> None:
    with a_rude_post(*lines) as (port, _):
        handed = hand(port)
    assert (handed.taken, handed.final) == (False, False)
    assert len(handed.answer) <= 250


def test_a_farewell_that_goes_wrong_changes_nothing() -> None:
    talk = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    more = [b""] * 4 + [b"250 taken\r\n"]  # four lines of the mail and its end are heard first
    with a_rude_post(*talk, *more) as (port, heard):
        assert hand(port).taken
    assert heard[-1] == b"quit\r\n"


def test_who_stalls_is_cut_off() -> None:
    """From another thread, as the notifier does when a conversation takes too long."""
    with a_rude_post(b"220 hello\r\n", b"") as (port, heard):  # then it answers nothing more
        cord, said = Cord(), list[Handed]()
        settings = MailSettings(
            host="127.0.0.1", port=port, tls="none", sender="a@example.com", timeout_seconds=60
        )
        talking = threading.Thread(
            target=lambda: said.append(hand_over(settings, "", TO, MAIL, cord))
        )
        talking.start()
        assert heard.one.wait(20)
        cord.cut()
        talking.join(20)
        assert not talking.is_alive()
    assert said and not said[0].taken


# Encryption.


def test_starttls_with_the_right_certificate(signer: Authority) -> None:
    with a_post(tls=signer.serving("localhost")) as post:
        assert hand(post.port, host="localhost", tls="starttls", ca_file=signer.file).taken


@pytest.mark.parametrize(
    ("name", "trusted"), [("other.test", True), ("localhost", False)], ids=["name", "authority"]
)
def test_starttls_with_the_wrong_certificate(signer: Authority, name: str, trusted: bool) -> None:
    with a_post(tls=signer.serving(name)) as post:
        words = {"ca_file": signer.file} if trusted else {}
        handed = hand(post.port, host="localhost", tls="starttls", **words)
    assert not handed.taken and "certificate" in handed.answer
    assert post.seen == []


def test_a_server_that_hides_starttls_gets_nothing(post: Post) -> None:
    """Whoever sits in between could take the offer out: then nothing is said in the open."""
    handed = hand(post.port, host="localhost", tls="starttls", user="ann", password_env="X")
    assert not handed.taken and not handed.final and "STARTTLS" in handed.answer
    assert post.seen == []


def test_what_came_before_the_encryption_is_forgotten(signer: Authority) -> None:
    """An answer that somebody in between has put before the handshake is no answer after it."""
    lines = [b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"]
    with a_rude_post(*lines) as (port, _):
        handed = hand(port, host="localhost", tls="starttls", ca_file=signer.file)
    assert not handed.taken


def test_tls_from_the_first_byte(signer: Authority) -> None:
    context = signer.serving("localhost")
    with a_post(implicit=context) as post:
        assert hand(post.port, host="localhost", tls="tls", ca_file=signer.file).taken
        assert "certificate" in hand(post.port, host="localhost", tls="tls").answer
    assert len(post.seen) == 1


@pytest.mark.parametrize("host", ["post.example.com", "10.0.0.1", "127.0.0.2", "localhost.evil"])
def test_without_encryption_to_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        MailSettings(host=host, tls="none", sender="a@example.com")


def test_a_login_is_made_and_a_wrong_one_is_trouble(signer: Authority) -> None:
    with a_post(tls=signer.serving("localhost"), login=("ann", "right")) as post:
        words = {"host": "localhost", "tls": "starttls", "ca_file": signer.file}
        words |= {"user": "ann", "password_env": "X"}
        wrong = hand(post.port, "wrong", **words)
        assert not wrong.taken and not wrong.final and wrong.answer.startswith("535")
        assert "wrong" not in wrong.answer
        assert hand(post.port, "right", **words).taken
