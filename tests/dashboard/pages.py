"""A browser without scripts: pages as trees of elements, links to follow, forms to fill in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

INLINE = {"a", "b", "code", "i", "span", "svg", "path", "time"}
VOID = {"meta", "link", "input", "br", "path", "rect", "hr", "img"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[Element | str] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)

    @property
    def text(self) -> str:
        """All text in it as it is read, with single spaces."""
        return " ".join(self._read().split())

    def _read(self) -> str:
        told = "".join(part if isinstance(part, str) else part._read() for part in self.parts)
        return told if self.tag in INLINE else f" {told} "

    @property
    def raw(self) -> str:
        return "".join(part if isinstance(part, str) else part.raw for part in self.parts)

    def walk(self) -> Iterator[Element]:
        yield self
        for part in self.parts:
            if isinstance(part, Element):
                yield from part.walk()

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Elements with these attributes; `class_` means one of its classes."""
        return [each for each in self.walk() if _fits(each, tag, attributes)]

    def one(self, tag: str = "", **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of <{tag} {attributes}> in {self.text[:500]}"
        return found[0]


def _fits(element: Element, tag: str, attributes: dict[str, str]) -> bool:
    if tag and element.tag != tag:
        return False
    for name, value in attributes.items():
        if name == "class_":
            if value not in element.attributes.get("class", "").split():
                return False
        elif element.attributes.get(name.replace("_", "-")) != value:
            return False
    return True


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].parts.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].parts.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].parts.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == [self.root], f"never closed: {[each.tag for each in self._open[1:]]}"


def parse(html: str) -> Element:
    """The tree of a page or of a part of one; fails where tags do not close."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


class Page:
    """What a person sees at one address."""

    def __init__(self, browser: Browser, response: httpx.Response) -> None:
        self.browser = browser
        self.response = response
        self.status = response.status_code
        self.path = str(response.url.raw_path.decode())
        self.root = parse(response.text)

    @property
    def text(self) -> str:
        return self.root.one("body").text

    @property
    def main(self) -> str:
        return self.root.one("main").text

    @property
    def heading(self) -> str:
        return self.root.all("h1")[0].text

    def follow(self, words: str) -> Page:
        """Click the first link with these words."""
        link = next(each for each in self.root.all("a") if words in each.text)
        return self.browser.open(link["href"])

    def has_button(self, word: str) -> bool:
        """Whether something on the page sends this."""
        return any(_sends(each, word) for each in self.root.walk())

    def form(self, button: str) -> Form:
        """The form that has a button of this value: of the approval that is open, else any."""
        for place in [*self.root.all("article"), self.root]:
            for each in place.all("form"):
                if any(_sends(one, button) for one in each.walk()):
                    return Form(self, each, button)
        raise AssertionError(f"no form with a button {button!r} in {self.main[:800]}")


def _sends(control: Element, word: str) -> bool:
    button = control.tag == "button" and "disabled" not in control.attributes
    unseen = control.tag == "input" and control.get("type") == "hidden"
    return (button or unseen) and control.get("value") == word


class Form:
    """A form with the values that a browser would send."""

    def __init__(self, page: Page, element: Element, button: str) -> None:
        self.page, self.element, self._button = page, element, button
        self.fields: list[tuple[str, str]] = []
        self.names: set[str] = set()
        for control in self._controls():
            name = control.get("name")
            if not name or control.tag == "button":
                continue
            self.names.add(name)
            if control.get("type") == "checkbox" and "checked" not in control.attributes:
                continue
            self.fields.append((name, _value(control)))

    def _controls(self) -> list[Element]:
        own = [
            each
            for each in self.element.walk()
            if each.tag in ("input", "textarea", "select", "button") and not each.get("form")
        ]
        id = self.element.get("id")
        others = [
            each
            for each in self.page.root.walk()
            if each.tag in ("input", "textarea", "select") and id and each.get("form") == id
        ]
        return [*others, *own]

    def fill(self, **values: str) -> Self:
        """`field_amount` is the input `field.amount`."""
        for name, value in values.items():
            wanted = name.replace("field_", "field.") if name.startswith("field_") else name
            assert wanted in self.names, f"{wanted} is not among {sorted(self.names)}"
            self.fields = [(key, old) for key, old in self.fields if key != wanted]
            self.fields.append((wanted, value))
        return self

    def tick(self, name: str, *values: str) -> Self:
        """Check the boxes of this name with these values."""
        self.fields += [(name, value) for value in values]
        return self

    def send(self) -> Page:
        """Press the button, and go where that leads."""
        button = [each for each in self.element.all("button") if each.get("value") == self._button]
        pressed = [(each["name"], each["value"]) for each in button[:1]]
        fields: dict[str, list[str]] = {}
        for name, value in [*self.fields, *pressed]:
            fields.setdefault(name, []).append(value)
        http, action = self.page.browser.http, self.element.get("action") or self.page.path
        if self.element["method"] == "get":
            return self.page.browser.arrive(http.get(action, params=fields))
        return self.page.browser.arrive(http.post(action, data=fields))


def _value(control: Element) -> str:
    if control.tag == "textarea":
        # A browser drops the first newline, and sends line ends as CR LF.
        return control.raw.removeprefix("\n").replace("\n", "\r\n")
    if control.tag == "select":
        options = control.all("option")
        chosen = [each for each in options if "selected" in each.attributes] or options[:1]
        return chosen[0]["value"]
    return control.get("value") or ("on" if control.get("type") == "checkbox" else "")


class Browser:
    """One person at a browser whose scripts are turned off."""

    def __init__(self, address: str, person: str = "") -> None:
        self.http = httpx.Client(base_url=address, trust_env=False, timeout=20)
        if person:
            self.http.cookies.set("adjourn-person", person)

    def open(self, path: str) -> Page:
        return self.arrive(self.http.get(path))

    def part(self, path: str) -> httpx.Response:
        """As the script asks: a part of a page."""
        return self.http.get(path, headers={"HX-Request": "true"})

    def arrive(self, answer: httpx.Response) -> Page:
        for _ in range(5):
            if answer.status_code != 303:
                return Page(self, answer)
            target = urljoin(str(answer.url), answer.headers["location"])
            assert urlsplit(target).netloc == urlsplit(str(answer.url)).netloc
            answer = self.http.get(target)
        raise AssertionError("it redirects for ever")
