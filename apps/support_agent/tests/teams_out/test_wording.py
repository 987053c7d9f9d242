"""What customers, people and models wrote, as Markdown that is only ever words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.support_agent.tests.teams_out.stage import MARKDOWN
from support_agent.channels.port import Text
from support_agent.channels.teams.wording import LONGEST_TEXT, markdown_of, settled
from support_agent.channels.testing.drawing import check_harmless, words_of

# The marks that mean something to Markdown or HTML, and words between them.
MARKS = st.text(alphabet="ab12 *_[]()#-+=.!\\<>&;`~|:/\n\t\r", max_size=40)
PIECES = st.lists(
    st.sampled_from(
        ["**", "*", "[", "](", ")", "https://e.com/a_b", "http://x", "javascript:x", "<b>", "- ",
         "1. ", "# ", "![", "\n", "\n\n", " ", "word", "`", "```", "&lt;", "<at>", "|", "> ", "---"]
    ),
    max_size=14,
).map("".join)  # fmt: skip
TEXTS = st.one_of(MARKS, PIECES, st.text(max_size=40))


def drawn(text: str, **more: str) -> str:
    return MARKDOWN.render(markdown_of(Text(text, **more)))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.\nTwo.", "<p>One.</p> <p>Two.</p>"),
        ("- a\n- b", "<ul> <li>a</li> <li>b</li> </ul>"),
        ("* a\n+ b\n\nAfter.", "<ul> <li>a</li> <li>b</li> </ul> <p>After.</p>"),
        ("1) a\n2) b", "<ol> <li>a</li> <li>b</li> </ol>"),
        ("- a\n  - b", "<ul> <li>a <ul> <li>b</li> </ul> </li> </ul>"),
        ("It is **bold**.", "<p>It is <strong>bold</strong>.</p>"),
        ("# Title", "<p><strong>Title</strong></p>"),
        (
            "See [help](https://e.com/a_b*c).",
            '<p>See <a href="https://e.com/a_b*c">help</a>.</p>',
        ),
        (
            "See https://e.com/x_y_z.",
            '<p>See <a href="https://e.com/x_y_z">https://e.com/x_y_z</a>.</p>',
        ),
        (
            "[www.bank.com](https://evil.com/)",
            '<p>www.bank.com (<a href="https://evil.com/">https://evil.com/</a>)</p>',
        ),
        ("2 * 3 * 4 and a_b_c", "<p>2 * 3 * 4 and a_b_c</p>"),
        ("#1 is -5, 1.5 + 2", "<p>#1 is -5, 1.5 + 2</p>"),
        ("1984.", "<p>1984.</p>"),
        ("    indented", "<p>indented</p>"),
        ("AT&T &amp; &copy;", "<p>AT&amp;T &amp;amp; &amp;copy;</p>"),
    ],
)
def test_simple_markdown_is_kept_and_all_else_is_words(text: str, html: str) -> None:
    assert " ".join(drawn(text).split()) == html


@pytest.mark.parametrize(
    "text",
    [
        "[a](javascript:alert(1))",
        "[a](  https://e.com)",
        "[a](//e.com)",
        "[a](ftp://e.com)",
        "[a](https://user:pass@e.com/)",
        "[a](https://)",
        "<https://e.com>",
        "[a][b]\n\n[b]: javascript:x",
        "![a](https://e.com/a.png)",
        "<img src='https://e.com/a.png'>",
    ],
)
def test_no_other_address_becomes_a_link_and_nothing_a_picture(text: str) -> None:
    html = drawn(text)
    assert "<img" not in html
    assert set(re.findall(r'href="([^"]*)"', html)) <= {"https://e.com", "https://e.com/a.png"}


@pytest.mark.parametrize(
    "line",
    ["<script x", "<pre", "<style x", "<!-- x", "<?x", "<!A", "<![CDATA[x", "</div", "<table\n\nx",
     "<p>", "a<br>b", "<b", "&lt;b&gt;", "<https://e.com", "<!-->", "<a href='https://e.com'>"],
)  # fmt: skip
def test_a_line_of_html_is_read_as_it_was_typed(line: str) -> None:
    html = drawn(line)
    check_harmless(html, "")
    assert "".join(words_of(html).split()) == "".join(line.split())


@given(TEXTS)
def test_no_text_is_anything_but_words(text: str) -> None:
    check_harmless(drawn(text), "")


@given(TEXTS)
def test_no_name_is_anything_but_words(name: str) -> None:
    check_harmless(drawn("Hello.", author="person", name=name), "")


@given(st.text(alphabet="ab12 *_#-.!\\<>&;`~|", max_size=30))
def test_every_letter_and_digit_is_read(text: str) -> None:
    def letters(words: str) -> str:
        return "".join(re.findall(r"[ab12]", words))

    # A list's own number is drawn by the reader's client, and counted by it.
    text = re.sub(r"^\s*\d+[.)]", "", text, flags=re.MULTILINE)
    assert letters(words_of(drawn(text))) == letters(text)


@pytest.mark.parametrize("text", ["1111.* ", "1. *11 ", "- [a ", "-* "])
def test_what_may_become_an_item_waits_until_more_is_known(text: str) -> None:
    assert markdown_of(Text(text)).startswith(settled(text))


@pytest.mark.slow
@given(TEXTS, st.data())
def test_a_growing_answer_only_ever_gets_longer(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    second = data.draw(st.integers(first, len(text)))
    assert settled(text[:second]).startswith(settled(text[:first]))
    assert markdown_of(Text(text)).startswith(settled(text[:first]))


def test_words_are_shown_as_they_come_and_marks_once_they_are_closed() -> None:
    text = "The **whole refund** of [the order](https://e.com/1) is done. "
    shown = [settled(text[:length]) for length in range(len(text) + 1)]
    assert list(dict.fromkeys(shown)) == [
        "",
        "The",
        "The **whole refund**",
        "The **whole refund** of",
        "The **whole refund** of [the order](https://e.com/1)",
        "The **whole refund** of [the order](https://e.com/1) is",
        "The **whole refund** of [the order](https://e.com/1) is done.",
    ]


def test_a_person_is_named_and_the_agent_is_not() -> None:
    assert markdown_of(Text("Hello.", author="person", name="Lena")) == "**Lena**\n\nHello."
    assert markdown_of(Text("Hello.", author="agent", name="Agent")) == "Hello."
    assert markdown_of(Text("Hello.", author="person", name="  ")) == "Hello."


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["a", "<", "\U0001f600", "a\n", "*", "\u202e"])
def test_what_is_too_long_is_cut_and_says_by_how_much(letter: str) -> None:
    text = letter * 40_000
    cut = markdown_of(Text(text, author="person", name="Lena"))
    assert len(cut.encode("utf-16-le")) // 2 <= LONGEST_TEXT
    said = re.search(r"Cut here: (\d+) more characters", cut)
    assert said is not None
    assert 0 < int(said[1]) < len(text)


def test_what_just_fits_is_not_cut() -> None:
    text = "a" * LONGEST_TEXT
    assert markdown_of(Text(text)) == text
    assert "Cut here: " in markdown_of(Text(f"{text}a"))
