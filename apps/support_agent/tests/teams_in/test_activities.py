"""What the activities of Teams mean: who, where, and what was said."""

from typing import Any

import pytest

from apps.support_agent.tests.teams_in.connector import (
    BOT,
    CLIENT_ID,
    PERSON,
    SERVICE,
    TENANT,
    activity,
    in_group,
    mention,
    message,
)
from apps.support_agent.tests.teams_in.place import secured
from support_agent.channels.port import Address, IncomingMessage
from support_agent.channels.teams.activities import (
    ATTACHMENT,
    LONGEST_TEXT,
    Ignored,
    Removed,
    read,
)

SETTINGS = secured("")
OTHER_TENANT = "12121212-3434-5656-7878-909090909090"
THREAD = "19:channel@thread.tacv2;messageid=1481567603816"
LENA = {"type": "mention", "mentioned": {"id": "29:lena", "name": "Lena"}, "text": "<at>Lena</at>"}


def told(held: dict[str, Any]) -> IncomingMessage:
    meaning = read(held, SETTINGS)
    assert isinstance(meaning, IncomingMessage), meaning
    return meaning


def ignored(held: dict[str, Any]) -> str:
    meaning = read(held, SETTINGS)
    assert isinstance(meaning, Ignored), meaning
    return meaning.why


def said(text: str, *entities: dict[str, Any]) -> str:
    return told(message(text, entities=list(entities), conversation=in_group())).text


# Where.


def test_a_personal_chat_is_read_by_nobody_else() -> None:
    assert told(message()).personal


def test_a_group_chat_is_read_by_others() -> None:
    incoming = told(message("<at>Support</at> hi", entities=[mention()], conversation=in_group()))

    assert (incoming.text, incoming.personal) == ("hi", False)
    assert incoming.address.data["kind"] == "groupChat"
    assert incoming.conversation == "19:group@thread.v2"


def test_a_thread_of_a_channel_keeps_its_whole_id() -> None:
    incoming = told(
        message(
            "<at>Support</at> hi", entities=[mention()], conversation=in_group("channel", THREAD)
        )
    )

    assert incoming.conversation == THREAD
    assert incoming.address == Address(
        "teams",
        {
            "conversation": THREAD,
            "service_url": SERVICE,
            "tenant": TENANT,
            "bot": BOT,
            "kind": "channel",
            "user": "29:1user",
        },
    )


def test_a_conversation_that_does_not_say_what_it_is_may_have_others_in_it() -> None:
    for kind in (None, "meeting", 7, "PERSONAL"):
        place = {"id": "a:1", "conversationType": kind, "tenantId": TENANT}
        assert not told(message("hi", entities=[mention()], conversation=place)).personal


# Who.


def test_a_sender_is_a_person_of_a_directory() -> None:
    sender = told(message()).sender

    assert (sender.account, sender.name) == (f"{TENANT}/{PERSON}", "Amina Diallo")


def test_ids_of_the_directory_are_compared_in_one_form() -> None:
    held = message(
        **{"from": {"id": "29:1user", "aadObjectId": PERSON.upper()}},
        conversation={"id": "a:1", "conversationType": "personal", "tenantId": TENANT.upper()},
    )

    assert told(held).sender.account == f"{TENANT}/{PERSON}"


@pytest.mark.parametrize(
    "sender",
    [
        None,
        "29:1user",
        {},
        {"id": "29:1user", "name": "Amina Diallo"},
        {"id": "29:1user", "aadObjectId": ""},
        {"id": "29:1user", "aadObjectId": "lena"},
        {"id": "29:1user", "aadObjectId": f"{PERSON}/x"},
        {"id": "29:1user", "aadObjectId": f"{{{PERSON}}}"},
        {"id": "29:1user", "aadObjectId": [PERSON]},
        {"id": BOT, "aadObjectId": PERSON},
    ],
)
def test_a_sender_whom_the_directory_does_not_know_is_not_heard(sender: object) -> None:
    assert "directory" in ignored(message(**{"from": sender}))


def test_a_person_without_one_certain_directory_is_not_heard() -> None:
    place = {"id": "a:1", "conversationType": "personal"}
    elsewhere = {"tenant": {"id": OTHER_TENANT}}

    assert "directory" in ignored(message(conversation=place, channelData=None))
    assert "directory" in ignored(message(conversation={**place, "tenantId": "x"}))
    assert "directory" in ignored(message(channelData=elsewhere))
    assert told(message(conversation=place)).sender.account == f"{TENANT}/{PERSON}"


def test_a_name_is_one_short_line_for_show() -> None:
    name = "Amina\r\n\x1b[31mDiallo\ud800" + "x" * 200
    sender = told(message(**{"from": {"id": "29:1", "name": name, "aadObjectId": PERSON}})).sender

    assert sender.name == ("Amina [31mDiallo" + "x" * 200)[:100]


# What was said.


@pytest.mark.parametrize(
    ("text", "entities", "read_as"),
    [
        ("<at>Support</at> hello", [mention()], "hello"),
        ("<at>Support</at>&nbsp;hello", [mention()], "hello"),
        ("<at>Support</at>\xa0hello\n", [mention()], "hello"),
        ("hello <at>Support</at>", [mention()], "hello"),
        ("please <at>Support</at> look  twice", [mention()], "please look  twice"),
        ("<at>Support</at> and <at>Support</at>", [mention()], "and"),
        ("<AT>support</AT> hello", [mention()], "hello"),
        ('<at id="0">Support</at> hello', [mention()], "hello"),
        ("<at>Help &amp; Co</at> hi", [mention("Help & Co")], "hi"),
        ("<at>Help & Co</at> hi", [mention("Help &amp; Co")], "hi"),
        ("<at>A &lt;b&gt;</at> hi", [mention("A <b>")], "hi"),
        ("<at>A <b></at> hi", [mention("A <b>")], "hi"),
        ("<at>Support</at> hi", [mention(text="")], "hi"),
        ("<at>Nick</at> hi", [mention(text="<at>Nick</at>")], "hi"),
        ("<at>Support</at> ask <at>Lena</at>", [mention(), LENA], "ask Lena"),
        ("<at>Lena</at> <at>Support</at> hi", [LENA, mention()], "Lena hi"),
        ("a < b <at>Support</at> c > d", [mention()], "a < b c > d"),
        ("<at>Support</at>", [mention()], ""),
        ("<at>Support</at> hi", [mention(id=CLIENT_ID), mention()], "hi"),
        ("hello e", [mention(text="e")], "hello e"),
    ],
)
def test_the_mention_of_ourselves_is_no_part_of_what_was_said(
    text: str, entities: list[dict[str, Any]], read_as: str
) -> None:
    assert said(text, *entities) == read_as


def test_what_is_said_to_others_is_not_ours_to_answer() -> None:
    for entities in ([], [LENA], None, "x", [None, 7, {"type": "mention"}]):
        held = message("<at>Lena</at> hi", entities=entities, conversation=in_group())
        assert ignored(held) == "a message to others"


def test_a_mention_that_only_looks_like_one_of_us_is_none() -> None:
    held = message("<at>Support</at> hi", entities=[mention(id="29:x")], conversation=in_group())

    assert ignored(held) == "a message to others"


def test_what_records_and_terminals_choke_on_is_left_out() -> None:
    text = "a\x00b\r\nc\rd\te\x1b[0m\ud83d"

    assert told(message(text)).text == "ab\nc\nd\te[0m"


def test_a_long_text_is_cut_where_nobody_reads_on() -> None:
    assert told(message("x" * 100_000)).text == "x" * LONGEST_TEXT


def test_a_file_alone_is_said_to_be_one() -> None:
    picture = {"contentType": "image/png", "contentUrl": "https://evil.example/x.png"}
    written = {"contentType": "text/html", "content": "<p>hi</p>"}

    assert told(message(None, attachments=[picture, written])).text == ATTACHMENT
    assert told(message("hi", attachments=[picture])).text == "hi"
    assert told(message("", attachments=[written])).text == ""


def test_inputs_without_a_text_are_no_message() -> None:
    assert "card" in ignored(message(None, value={"action": "approve"}))


# Coming and going.


def test_the_bot_was_added() -> None:
    others = [{"id": "29:1user"}, {"id": BOT}]
    for held in (
        activity("conversationUpdate", membersAdded=others),
        activity("installationUpdate", action="add"),
    ):
        incoming = told(held)
        assert (incoming.text, incoming.personal) == ("", True)
        assert incoming.sender.account == f"{TENANT}/{PERSON}"


def test_the_bot_was_removed() -> None:
    nobody = {"from": None}
    for held in (
        activity("conversationUpdate", membersRemoved=[{"id": BOT}], **nobody),
        activity("installationUpdate", action="remove"),
    ):
        meaning = read(held, SETTINGS)
        assert isinstance(meaning, Removed)
        assert meaning.address.data["conversation"] == "a:1chat"


@pytest.mark.parametrize(
    "held",
    [
        activity("conversationUpdate", membersAdded=[{"id": "29:1user"}]),
        activity("conversationUpdate", membersRemoved=[{"id": "29:1user"}]),
        activity("conversationUpdate", membersAdded=[None, 7, {"id": [BOT]}]),
        activity("conversationUpdate", topicName="x"),
        activity("installationUpdate", action="add-upgrade"),
        activity("installationUpdate", action="remove-upgrade"),
    ],
)
def test_whoever_else_comes_and_goes_changes_nothing(held: dict[str, Any]) -> None:
    assert ignored(held)
