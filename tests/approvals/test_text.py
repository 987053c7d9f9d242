"""Text of strangers, made safe to look at."""

import pytest

from adjourn.approvals.text import capital, label_of, one_line, plain


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Refund 600", "Refund 600"),
        ("<b>&amp;", "<b>&amp;"),
        ("a\u202egnp.exe", "a⟨U+202E⟩gnp.exe"),
        ("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"),
        ("pay\u200bpal", "pay⟨U+200B⟩pal"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\ufeffx", "⟨U+FEFF⟩x"),
        ("soft\u00adhyphen", "soft⟨U+00AD⟩hyphen"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("a\x00b\x1b[31m", "a⟨U+0000⟩b⟨U+001B⟩[31m"),
        ("\u3164name", "⟨U+3164⟩name"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("x\U000e0100", "x⟨U+E0100⟩"),
        ("a\ufe0f", "a⟨U+FE0F⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Zoë 日本 Ωμέγα", "Zoë 日本 Ωμέγα"),
    ],
)
def test_what_hides_or_turns_is_shown_as_its_number(given: str, shown: str) -> None:
    assert plain(given) == shown


@pytest.mark.parametrize(
    "given",
    [
        "👩\u200d💻",
        "❤\ufe0f\u200d🔥",
        "1\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "क्\u200dष",
    ],
)
def test_joiners_stay_where_a_script_or_an_emoji_needs_them(given: str) -> None:
    assert plain(given) == given


def test_a_line_is_one_line_and_ends_in_time() -> None:
    assert one_line("a\n\n b   c") == "a b c"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


def test_labels_in_words() -> None:
    assert label_of("order_number") == "Order number" and label_of("_") == "(no name)"
    assert capital("") == ""
