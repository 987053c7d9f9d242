"""docs/privacy.md says what the program does: its rules, its numbers, its examples."""

from __future__ import annotations

import base64
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from adjourn.cli.settings import Settings
from adjourn.model.events import Arrived, Asked
from adjourn.model.privacy import (
    DEFAULT_RULES,
    HIDDEN,
    SHORTEST_PART,
    SHORTEST_SECRET,
    Privacy,
    Redactor,
)
from adjourn.store.sealing import HIDDEN as ENCRYPTED
from adjourn.store.sealing import parse_keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "privacy.md").read_text("utf-8")
PLAIN = " ".join(PAGE.split())


def test_its_settings_are_read() -> None:
    given = [
        msgspec.convert(tomllib.loads(text), Settings).privacy
        for text in re.findall(r"^ *```toml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    ]

    assert given == [
        Privacy(redact=["iban", "card.*", "*_code"]),
        Privacy(encryption_keys_env="ADJOURN_KEYS"),
    ]


def test_its_keys_are_keys() -> None:
    text = re.findall(r'ADJOURN_KEYS="(.*?)"\n', PAGE)
    made = base64.b64encode(bytes(32)).decode()  # as `openssl rand -base64 32` writes one

    first = text[0].replace("$(openssl rand -base64 32)", made)
    second = text[1].replace("$(openssl rand -base64 32)", made).replace("$ADJOURN_KEYS", first)

    assert list(parse_keys(second)) == ["k2", "k1"]


@pytest.mark.parametrize("rule", DEFAULT_RULES)
def test_what_is_always_hidden_is_named(rule: str) -> None:
    words = {
        "passwd": "password", "pwd": "password", "apikey": "API key", "api_key": "API key",
        "access_key": "private or access key", "private_key": "private or access key",
        "credential": "credentials", "": "token",
    }  # fmt: skip
    name = rule.strip("*_")

    assert words.get(name, name) in PLAIN
    assert Redactor().hides(name)


def test_its_numbers_are_the_programs() -> None:
    assert f"parts of {SHORTEST_PART} characters and more" in PLAIN
    assert f"fewer than {SHORTEST_SECRET} characters" in PLAIN
    assert f"as `{HIDDEN}`" in PLAIN


def test_what_is_encrypted_is_named_and_nothing_that_an_event_holds_is_forgotten() -> None:
    for word in ("inputs", "results", "data of events and updates", "details", "reasons",
                 "failures", "custom statuses"):  # fmt: skip
        assert word in PLAIN
    in_clear = {
        "at", "name", "version", "parent", "trace_context", "sequence", "attempt", "retry_at",
        "settled_by", "approval", "hosted", "fire_at", "instance_id", "event_id", "carried",
        "update_id", "by", "refusal", "unheard", "tags",
    }  # fmt: skip
    fields = {name for kind in (Asked | Arrived).__args__ for name in kind.__struct_fields__}

    assert fields - in_clear == set(ENCRYPTED)


def test_it_says_plainly_that_nothing_is_purged_yet() -> None:
    assert "There is no `purge` yet." in PAGE


def test_whoever_is_pointed_to_it_finds_it() -> None:
    for file in ("src/adjourn/client/app.py", "docs/settings.md", "pyproject.toml"):
        assert "privacy.md" in (ROOT / file).read_text("utf-8")
