"""Text of customers and models is text: in no field and on no page does it become anything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboard.pages import Browser, Element, parse
from tests.dashboard.site import Site

pytestmark = pytest.mark.slow

At = Callable[[str], Browser]

MARKER = "zqx"
HTML = [
    f"<script>{MARKER}()</script>",
    f"<img src=x onerror={MARKER}()>",
    f"<svg/onload={MARKER}()>",
    f'"><b {MARKER}>',
    f"' autofocus onfocus={MARKER}() x='",
    f"</textarea><iframe srcdoc={MARKER}>",
    f"</title><style>{MARKER}</style>",
    f'<a href="javascript:{MARKER}()">click</a>',
    f"[link](javascript:{MARKER}()) **bold** {MARKER}",
    f"{{{{ {MARKER} }}}} {{% {MARKER} %}} ${{{MARKER}}}",
    f"<!-- {MARKER} --> <hx-partial hx-target=body>{MARKER}</hx-partial>",
    f"<template hx type=partial>{MARKER}</template> <i hx-get=/ hx-trigger=load>{MARKER}</i>",
    f"&lt;{MARKER}&gt; &#x3c;{MARKER}",
    f"=cmd|'/c calc'!A1 {MARKER}",
]
TOGETHER = 3  # texts in one visit
HIDDEN = [
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "a\u200bb",
    "\ufeffx",
    "x\U000e0041",
    "\u2028",
    "\u00ad",
]

PAGES = [
    "/?text=H&open={id}",
    "/?view=recent&text=H",
    "/approvals/{id}?tab=conversation",
    "/approvals/{id}?tab=evidence",
    "/approvals/{id}?tab=why",
    "/approvals/{id}?tab=similar",
    "/approvals/{id}?tab=audit",
    "/approvals/{id}/panel",
    "/approvals/{id}/tab?tab=audit",
    "/approvals/{id}/notice",
    "/rows/{id}",
    "/instances/{case}",
    "/instances?prefix={case}",
]

FOREIGN_TAGS = {"style", "iframe", "img", "object", "template", "hx-partial", "base"}


def elements(page: str) -> list[Element]:
    return list(parse(page).walk())


def markup(page: str) -> set[tuple[str, str]]:
    """Every element with the names of its attributes: what text must not add to."""
    return {(each.tag, name) for each in elements(page) for name in [*each.attributes, ""]}


@pytest.fixture(scope="module")
def harmless(site: Site) -> dict[str, set[tuple[str, str]]]:
    """The markup of each page when all text is harmless."""
    pages_of(site, "H another", case="another")
    return pages_of(site, "H harmless", case="harmless")


def pages_of(site: Site, text: str, case: str) -> dict[str, set[tuple[str, str]]]:
    return {pattern: markup(html) for pattern, html in visit(site, text, case).items()}


def visit(site: Site, text: str, case: str) -> dict[str, str]:
    """Put the text wherever somebody else may write, and look at every page."""
    id = site.ask(
        case=case, title=f"H {text}"[:290], note=text, policy=text[:100], on_behalf_of=text,
        said=text, author=text, fact=text, passage=text,
    )  # fmt: skip
    lena = site.visitor("lena")
    lena.open(f"/approvals/{id}").form("comment").fill(text=text).send()
    lena.open(f"/approvals/{id}").form("ask").fill(question=text).send()
    lena.open(f"/approvals/{id}").form("approve").fill(comment=text).send()
    found = {}
    for pattern in PAGES:
        answer = lena.http.get(pattern.format(id=id, case=case))
        assert answer.status_code == 200, pattern
        found[pattern] = answer.text
    return found


@pytest.mark.parametrize("number", range(0, len(HTML), TOGETHER))
def test_markup_of_strangers_stays_text_on_every_page(
    site: Site, harmless: dict[str, set[tuple[str, str]]], number: int
) -> None:
    text = " ".join(HTML[number : number + TOGETHER])

    for pattern, html in visit(site, text, f"html-{number}").items():
        added = markup(html) - harmless[pattern]
        assert not added, f"{pattern}: {added}"
        for each in elements(html):
            assert each.tag not in FOREIGN_TAGS, pattern
            for name, value in each.attributes.items():
                assert MARKER not in name and not name.startswith("on"), pattern
                assert not value.strip().lower().startswith("javascript:"), pattern
            assert each.tag != "script" or each.raw == "", pattern


def test_what_hides_or_turns_is_seen_on_every_page(site: Site) -> None:
    text = "a".join(HIDDEN)

    for pattern, html in visit(site, f"a{text}z", "hidden").items():
        for each in elements(html):
            editable = each.tag in ("textarea", "input") and (each.get("name") or "").startswith(
                "field."
            )
            if not editable:  # what is typed comes back as it was
                own = "".join(part for part in each.parts if isinstance(part, str))
                told = [own, *(value for name, value in each.attributes.items()
                               if name != "data-before")]  # fmt: skip
                for hidden in set(text) - set("evilax b"):
                    assert all(hidden not in one for one in told), f"{pattern}: {each.tag}"


def test_marks_are_written_where_the_text_is_read(site: Site) -> None:
    pages = visit(site, "pay \u202etenalp\u202c", "marked")

    assert "⟨U+202E⟩" in parse(pages["/approvals/{id}?tab=conversation"]).text
    assert "⟨U+202E⟩" in parse(pages["/approvals/{id}?tab=evidence"]).text
    assert "⟨U+202E⟩" in parse(pages["/?view=recent&text=H"]).text
    assert "⟨U+202E⟩" in parse(pages["/rows/{id}"]).text


def test_what_a_model_wrote_says_so(site: Site, at: At) -> None:
    page = at("lena").open(f"/approvals/{site.ask()}?tab=evidence")

    (exhibit,) = page.root.all(class_="by-model")
    assert "I propose to refund it in full." in exhibit.text
    assert "Written by a model" in exhibit.text


def test_an_export_holds_no_formula(site: Site, at: At) -> None:
    id = site.ask()
    lena = at("lena")
    lena.open(f"/approvals/{id}").form("comment").fill(text="=HYPERLINK(1)").send()

    assert '"\'=HYPERLINK(1)"' in lena.http.get(f"/approvals/{id}/audit.csv").text


@pytest.mark.parametrize(
    "path",
    [
        "/?text={bad}",
        "/?kind={bad}&policy={bad}&requester={bad}&case={bad}&group={bad}",
        "/?open={bad}",
        "/?done={bad}&said={bad}",
        "/?tab={bad}&page={bad}",
        "/approvals/{bad}",
        "/instances?prefix={bad}&status={bad}&page={bad}",
        "/instances/{bad}",
        "/people?back={bad}",
        "/static/{bad}",
        "/{bad}",
    ],
)
def test_an_address_is_text_too(at: At, path: str) -> None:
    bad = "%22%3E%3Cscript%3Ezqx()%3C%2Fscript%3E%E2%80%AE"
    answer = at("lena").http.get(path.format(bad=bad))

    assert answer.status_code in (200, 404)
    if answer.text and "html" in answer.headers["content-type"]:
        for each in elements(answer.text):
            assert not (each.tag == "script" and each.raw)
            assert MARKER not in "".join(each.attributes)
