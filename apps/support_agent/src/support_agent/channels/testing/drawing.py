"""What a reader's client draws of a message, and that nothing in it acts."""

from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

HARMLESS = frozenset("a b br code dd div dl dt em h3 hr li ol p span strong ul".split())
"""Elements that a channel may draw of a message."""
HARMLESS_ATTRIBUTES = frozenset("class dir href rel start target".split())


class _Drawn(HTMLParser):
    """The words of HTML, and everything in it that text may not become."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.harmful: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in HARMLESS:
            self.harmful.append(f"<{tag}>")
        for name, value in attrs:
            address = urlsplit(value or "").scheme.lower() if name == "href" else "https"
            if name not in HARMLESS_ATTRIBUTES or address not in ("http", "https"):
                self.harmful.append(f"{name}={value!r}")
        if tag in ("p", "br", "li", "div", "dt", "dd"):
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.harmful.append("<!-- -->")

    def handle_decl(self, decl: str) -> None:
        self.harmful.append("<!>")

    def handle_pi(self, data: str) -> None:
        self.harmful.append("<?>")

    def unknown_decl(self, data: str) -> None:
        self.harmful.append("<![")


def words_of(html: str) -> str:
    """What is read, each run of blanks as one."""
    return " ".join("".join(_Drawn(html).words).split())


def check_harmless(html: str, text: str) -> None:
    """Nothing of it acts, and the tags that somebody wrote are read as they were written."""
    drawn = _Drawn(html)
    assert not drawn.harmful, f"{drawn.harmful} in {html}"
    words = "".join(drawn.words)
    for tag in ("<b>bold</b>", "<script>", "onerror=alert(1)", "<at>", "&lt;b&gt;", "<iframe>"):
        assert tag not in text or tag in words, f"{tag} is not read in {html}"


def as_html(text: str) -> str:
    """Plain text as HTML, for a stage whose client draws none."""
    return escape(text).replace("\n", "<br>")
