"""Articles as blocks of text."""

from support_agent.web.articles import Block, blocks_of

ARTICLE = """\
# Charged twice

A *real* double charge, see [our rules](https://evil.example/).
It goes on here.

## What to do

- Write to **us**
  at once
- <b>Wait</b>
"""


def test_headings_paragraphs_and_lists_are_told_apart_and_marks_are_left_out() -> None:
    assert blocks_of(ARTICLE) == [
        Block("text", ("A real double charge, see our rules. It goes on here.",)),
        Block("heading", ("What to do",)),
        Block("list", ("Write to us at once", "<b>Wait</b>")),
    ]


def test_an_article_without_a_title_loses_nothing() -> None:
    assert blocks_of("Only words, 2 * 3 = 6, a_b_c.") == [
        Block("text", ("Only words, 2 * 3 = 6, a_b_c.",))
    ]
    assert blocks_of("  \n ") == []
