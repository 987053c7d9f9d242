"""docs/settings.md lists what the program reads: every word, and what it is without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from adjourn.access.directory import people_in
from adjourn.approvals.people import Person
from adjourn.cli.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
TOP = "At the top"
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)

Words = dict[str, dict[str, str]]
"""What each word is without it, by the heading of its table."""


def table_in(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct that this type holds, if any, and whether there may be many."""
    if get_origin(kind) in (Union, UnionType, list):
        inner = [table_in(each) for each in get_args(kind)]
        found = next((pair for pair in inner if pair[0] is not None), (None, False))
        return found[0], found[1] or get_origin(kind) is list
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return (kind if is_struct else None), False


def tables(struct: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    words: dict[str, str] = {}
    below: list[tuple[str, dict[str, str]]] = []
    for field in msgspec.structs.fields(struct):
        inner, many = table_in(field.type)
        name = f"{path}.{field.encode_name}".removeprefix(".")
        if inner is None:
            words[field.encode_name] = without(field)
        else:
            heading = f"[[{name}]]" if many else f"[{name}]"
            (_, own), *others = tables(inner, name)
            below += [(heading, own), *others]
    yield TOP, words
    yield from below


def without(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    made = field.default_factory is not msgspec.NODEFAULT
    value = field.default_factory() if made else field.default
    return "not set" if value is None else f"`{json.dumps(value)}`"


def page() -> Words:
    _, *sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    found: Words = {}
    for section in sections:
        heading, _, text = section.partition("\n")
        found[heading] = {name: default for name, default, _ in ROW.findall(text)}
    return found


def test_every_word_is_listed_with_what_it_is_without_it() -> None:
    read, written = dict(tables(Settings)), page()

    assert written == read, (
        "docs/settings.md and adjourn.cli.settings.Settings differ. Each table of settings has a "
        "heading ('## [name]', '## [[name]]' where there may be many) and a row for each word: "
        "'| `word` | `default` | what it says |', with 'needed' or 'not set' (None) for default."
    )


def test_the_example_can_be_read(tmp_path: Path) -> None:
    from adjourn.cli.settings import read_settings

    example = re.search(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert example is not None
    (tmp_path / "adjourn.toml").write_text(example.group(1))

    settings = read_settings(str(tmp_path / "adjourn.toml"))

    assert settings.oidc is not None and settings.session.idle_minutes == 30


def test_the_people_file_is_as_it_is_read() -> None:
    access = (PAGE.parent / "access.md").read_text("utf-8")
    part = access.partition("## The people file")[2].partition("\n## ")[0]

    (example,) = re.findall(r"```json\n(.*?)```", part, re.DOTALL)
    (lena,) = people_in(example.encode(), "people.json")
    first = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    words = [word for cell in first for word in re.findall(r"`(\w+)`", cell)]

    assert lena.roles == ["approver"]
    assert sorted(words) == sorted(Person.__struct_fields__)


def test_each_links_heading_is_there() -> None:
    access = (PAGE.parent / "access.md").read_text("utf-8")
    headings = {
        line.removeprefix("## ").lower().replace(" ", "-")
        for line in access.splitlines()
        if line.startswith("## ")
    }

    linked = re.findall(r"\(access\.md#([\w-]+)\)", PAGE.read_text("utf-8"))

    assert linked and set(linked) <= headings
