"""Text of strangers in every place that shows text, looked at by a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.desk import LEDGER, Desk
from tests.browser.serving import ServerProcess

TEXTS = [
    # Markup that runs.
    "<script>zqx()</script>",
    "<SCRIPT SRC=//192.0.2.1/x.js></SCRIPT>",
    "</script><script>zqx()</script>",
    "<scr<script>ipt>zqx()</scr</script>ipt>",
    "<img src=x onerror=zqx()>",
    "<img src=http://192.0.2.1/a.png>",
    "<svg onload=zqx()>",
    "<svg><script>zqx()</script></svg>",
    "<svg><animate onbegin=zqx() attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style></math><img src onerror=zqx()>",
    "<iframe src=javascript:zqx()></iframe>",
    "<iframe srcdoc='<script>zqx()</script>'>",
    "<object data=http://192.0.2.1/a.swf></object>",
    "<embed src=data:text/html,<script>zqx()</script>>",
    "<base href=http://192.0.2.1/>",
    "<meta http-equiv=refresh content=0;url=http://192.0.2.1/>",
    "<link rel=stylesheet href=http://192.0.2.1/a.css>",
    "<style>body{display:none}</style>",
    "<video><source onerror=zqx()></video>",
    "<details open ontoggle=zqx()>x</details>",
    "<body onload=zqx()>",
    "<marquee onstart=zqx()>x</marquee>",
    "<input autofocus onfocus=zqx()>",
    "<form action=http://192.0.2.1/><button>Approve</button></form>",
    "<dialog open>Approved by lena</dialog>",
    "<template><script>zqx()</script></template>",
    "<noscript><p title='</noscript><img src onerror=zqx()>'>",
    # Out of an attribute, a text box, a title, a comment.
    '"><b zqx>bold</b>',
    '" onmouseover="zqx()" x="',
    "' autofocus onfocus=zqx() x='",
    '" style="position:fixed;inset:0" x="',
    "</textarea><script>zqx()</script>",
    "</title><script>zqx()</script>",
    "--><script>zqx()</script><!--",
    "]]><script>zqx()</script>",
    # Addresses.
    "javascript:zqx()",
    "JaVaScRiPt&#58;zqx()",
    "data:text/html,<script>zqx()</script>",
    '<a href="javascript:zqx()">click</a>',
    "//192.0.2.1/../approvals",
    # Markdown, which nothing here reads.
    "![a](http://192.0.2.1/a.png)",
    "[approve](javascript:zqx())",
    "[approve]: data:text/html,x",
    "**Approved** `zqx` | a | b |",
    # Templates and what htmx reads.
    "{{ 7 * 7 }} {% include 'x' %} {# x #}",
    "${zqx()} #{zqx()} <%= zqx() %>",
    "<hx-partial hx-target='body'>gone</hx-partial>",
    "<i hx-get='/' hx-trigger='load' hx-target='body'>x</i>",
    "&lt;script&gt;zqx()&lt;/script&gt; &#x3c;b&#x3e;",
    # What hides or turns its neighbours.
    "pay \u202e005 RUE\u202c now",
    "\u2066left\u2069 \u2067right\u2069 \u061c",
    "ze\u200bro \u200cwi\u200ddth \ufeff \u2060",
    "tag\U000e0041\U000e0042 soft\u00adhyphen",
    "line\u2028paragraph\u2029end \u0085 \x1b[31m",
    # Formulas.
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3+cmd|' /c calc'!A0",
    "@SUM(1+1)*cmd|' /c calc'!A0",
    '\t=HYPERLINK("http://192.0.2.1")',
    "\uff1d1+1",
    # Much of it.
    "W" * 1500,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f4 e" + "\u0301" * 60,
]
HARMLESS = "Harmless, and longer than one line of a field."
SHORT = 190  # of 200, the most that a policy or a name may have
HIDING = "\u202a-\u202e\u2060-\u2069\u200b\u200e\u200f\u061c\ufeff\u00ad\u2028\u2029\u0085\x1b"
FORMULA = re.compile(r"^[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
TABS = ("conversation", "evidence", "why", "similar", "audit")

# Of each element its name with the names of its attributes; and whatever may act or reach out.
LOOK = r"""
(hiding) => {
  const hidden = new RegExp(`[${hiding}]`);
  const shapes = new Set(), faults = [];
  const local = /^(\/(?!\/)|#|$)/;
  for (const each of document.querySelectorAll("*")) {
    const tag = each.localName;
    shapes.add(tag);
    for (const { name, value } of each.attributes) {
      shapes.add(`${tag} ${name}`);
      if (name.startsWith("on") || name === "srcdoc") faults.push(`${tag} ${name}=${value}`);
      if (name === "style" && value) faults.push(`${tag} style=${value}`);
      if (/^(href|src|action|formaction|hx-(get|post|push-url))$/.test(name) && !local.test(value))
        faults.push(`${tag} ${name}=${value}`);
      if (hidden.test(value) && !/^(data-before|value)$/.test(name))
        faults.push(`${tag} ${name} hides something`);
    }
    if (tag === "script" && each.textContent) faults.push(`script ${each.textContent}`);
    if (tag === "textarea") continue;
    for (const node of each.childNodes)
      if (node.nodeType === Node.TEXT_NODE && hidden.test(node.data))
        faults.push(`${tag} hides something in ${JSON.stringify(node.data.slice(0, 80))}`);
      else if (node.nodeType === Node.COMMENT_NODE) faults.push(`comment ${node.data}`);
  }
  return { shapes: [...shapes], faults };
}
"""
FOREIGN = {
    "iframe", "frame", "img", "image", "object", "embed", "base", "style", "video", "audio",
    "template", "math", "foreignobject", "animate", "marquee", "noscript", "hx-partial", "portal",
}  # fmt: skip


class Looker:
    """Looks at pages and collects what their templates cannot have made."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.shapes: set[str] = set()
        self.faults: list[str] = []

    def look(self) -> None:
        expect(self.page.locator("main")).to_be_visible()
        seen: dict[str, Any] = self.page.evaluate(LOOK, HIDING)
        self.shapes.update(seen["shapes"])
        self.faults += [f"{self.page.url}: {fault}" for fault in seen["faults"]]

    def open(self, *paths: str) -> None:
        for path in paths:
            self.page.goto(path)
            self.look()


def ask(desk: Desk, id: str, text: str, texts: list[str]) -> None:
    """An approval with `text` in each place for one, and all `texts` in the places for many."""
    desk.ask(
        id,
        title=f"T {text}"[:SHORT],
        order=text,
        note=text,
        policy=text[:SHORT],
        requester=text[:SHORT],
        on_behalf_of=text[:SHORT],
        author=text,
        heading=text,
        passage="\n".join(texts),
        said=texts,
        facts={each: each for each in texts},
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """For each text an approval, one with all of them in it, and one that is harmless."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LEDGER, str(folder / "ledger"))
        with ServerProcess("tests.browser.desk:app", folder / "desk.db") as server:
            found = Desk(server, folder / "ledger")
            seed(found)
            yield found


def seed(desk: Desk) -> None:
    ask(desk, "harmless", HARMLESS, [HARMLESS])
    ask(desk, "mild", f"Mild, {HARMLESS}", [HARMLESS])
    desk.act("mild", "omar", "reject", reason="Mild")
    for id, texts in (("harmless", [HARMLESS]), ("all", TEXTS)):
        if id == "all":
            ask(desk, "all", TEXTS[0], TEXTS)
        for text in texts:
            desk.act(id, "omar", "comment", text=text)
        desk.act(id, "omar", "ask", question="\n".join(texts), to="lena")
        desk.act(id, "lena", "answer", text="\n".join(texts))
        desk.act(id, "omar", "reassign", to=["group:support"], comment="\n".join(texts))
    for number, text in enumerate(TEXTS):
        ask(desk, f"text-{number}", text, [text])
        if number % 3 == 0:
            desk.act(f"text-{number}", "omar", "reject", reason=text)
        elif number % 3 == 1:
            desk.act(f"text-{number}", "omar", "ask", question=text, to="lena")


def pages_of(id: str) -> list[str]:
    tabs = [f"/approvals/{id}?tab={tab}" for tab in TABS]
    return [*tabs, f"/?open={id}", f"/?open={id}&tab=audit", f"/instances/case-{id}"]


def test_there_are_sixty_texts_and_no_two_are_the_same() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 60


def test_all_texts_on_all_pages_make_no_element_of_their_own(desk: Desk, visitor: Visit) -> None:
    lena = visitor(desk.address, "lena")
    harmless, hostile = Looker(lena.page), Looker(lena.page)
    harmless.open(
        *pages_of("harmless"),
        *pages_of("mild"),
        "/?text=Mild",
        "/?view=recent&text=Mild",
        "/instances",
    )

    hostile.open(*pages_of("all"), "/?view=recent", "/?view=all", "/?view=waiting", "/instances")

    assert hostile.faults == []
    assert hostile.shapes - harmless.shapes == set()
    assert not (hostile.shapes | harmless.shapes) & FOREIGN


def test_each_text_alone_stays_text(desk: Desk, visitor: Visit) -> None:
    lena = visitor(desk.address, "lena", viewport={"width": 360, "height": 800})
    harmless, hostile = Looker(lena.page), Looker(lena.page)
    harmless.open(*pages_of("harmless"), *pages_of("mild"))

    hostile.open(*(f"/approvals/text-{number}" for number in range(len(TEXTS))))

    assert hostile.faults == []
    assert hostile.shapes - harmless.shapes == set()


def test_what_the_script_puts_into_a_page_stays_text(desk: Desk, visitor: Visit) -> None:
    """Panels and tabs that are swapped in, rows that change, and the bar that tells of it."""
    lena = visitor(desk.address, "lena")
    page, hostile = lena.page, Looker(lena.page)
    page.goto("/?view=all")
    for number in range(1, len(TEXTS), 9):
        page.locator(f'.row[data-id="text-{number}"] .row-link').click()
        expect(page.locator(f'[data-approval="text-{number}"]')).to_be_visible()
        for tab in TABS:
            page.locator(f'.tabs a[data-tab="{tab}"]').click()
            expect(page.locator(f'section[data-tab="{tab}"]')).to_be_visible()
            hostile.look()

    page.goto("/?open=all")
    page.get_by_label("Comment · the requester").fill("A draft")
    desk.act("all", "omar", "ask", question="\n".join(TEXTS)[:4000], to="sam")
    expect(page.locator("#changed")).to_contain_text("Omar Haddad")
    hostile.look()

    assert hostile.faults == []
    assert not hostile.shapes & FOREIGN


@pytest.mark.parametrize("path", ["/?text={}", "/?kind={}&policy={}", "/people?back={}"])
def test_an_address_of_strangers_is_text(desk: Desk, visitor: Visit, path: str) -> None:
    lena = visitor(desk.address, "lena")
    looker = Looker(lena.page)

    for text in TEXTS[::6]:
        word = quote(text[:180], safe="")
        looker.open(path.format(word, word))

    assert looker.faults == []
    assert not looker.shapes & FOREIGN


LONG = "W" * 1500
PLACES: list[dict[str, Any]] = [
    {"title": LONG[:SHORT]},
    {"order": LONG},
    {"policy": LONG[:SHORT]},
    {"requester": LONG[:SHORT]},
    {"on_behalf_of": LONG[:SHORT]},
    {"author": LONG},
    {"said": [LONG]},
    {"passage": LONG},
    {"facts": {"Paid": LONG}},
    {"facts": {LONG: "64.50 EUR"}},
    {"heading": LONG},
    {"note": LONG},
]


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_word_makes_no_page_wider(desk: Desk, visitor: Visit, width: int) -> None:
    page = visitor(desk.address, "lena", viewport={"width": width, "height": 800}).page
    wide: list[str] = []

    for number, place in enumerate(PLACES):
        id = desk.ask(f"long-{number}-{width}", **place)
        for tab in ("conversation", "evidence"):
            page.goto(f"/approvals/{id}?tab={tab}")
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(f"{[*place]} at {tab}")

    assert wide == []


@pytest.mark.slow
def test_exports_hold_no_formula(desk: Desk) -> None:
    for id in ("all", "text-54"):
        answer = desk.get(f"/approvals/{id}/audit.csv", "ivo")
        rows = list(csv.reader(io.StringIO(answer.text, newline="")))

        assert answer.headers["content-disposition"].startswith("attachment")
        assert len({len(row) for row in rows}) == 1
        assert [cell for row in rows for cell in row if FORMULA.match(cell)] == []
    told = {entry["detail"] for entry in json.loads(
        desk.get("/approvals/all/audit.json", "ivo").content)["entries"]}  # fmt: skip
    assert {"=cmd|'/c calc'!A1", "+1+1"} <= told  # JSON keeps them as they were
