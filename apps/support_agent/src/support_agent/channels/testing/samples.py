"""What the contract sends: a question, hostile texts, strange characters."""

from dataclasses import replace
from typing import Any

from support_agent.channels.port import ApprovalCard, CardField


def approval_card(editable: int = 2, **fields: Any) -> ApprovalCard:
    """An open question with so many fields that may be changed, and one that may not."""
    names = [f"field_{number}" for number in range(1, editable + 1)]
    shown = CardField("order", "Order", "A-1201")
    changeable = [
        CardField(name, name.replace("_", " ").title(), f"{n}.50", f"{n}.50", editable=True)
        for n, name in enumerate(names, start=1)
    ]
    card = ApprovalCard(
        id="approval-1",
        version=3,
        digest="0f" * 32,
        title="Refund 19.80 EUR for order A-1201",
        status="Open",
        open=True,
        risk="medium",
        fields=(shown, *changeable),
        facts=(("Customer", "Amina Diallo"),),
        said=(("Amina Diallo", "I was charged twice."),),
        link="https://support.example.com/approvals/approval-1",
        allowed=("approve", "reject"),
    )
    return replace(card, **fields)


HOSTILE = (
    "<b>bold</b> <script>alert(1)</script> <img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) [here](data:text/html,x) <a href='javascript:alert(1)'>a</a>",
    "![a](http://example.com/a.png) ![b][c]\n\n[c]: http://example.com/b.png",
    "<at>Lena Fischer</at> &lt;b&gt; &#60;i&#62; <!-- x --> <![CDATA[<b>]]> <?php ?>",
    "```\n<iframe>\n```\n\n    <style>*{}</style>\n\n> <u>quoted</u>",
    "**<b>**x** [<i>](https://example.com/<b>) [a](https://example.com/ 'title')",
    "| a | b |\n|---|---|\n| <b> | x |",
)
"""Texts that must be read as they are written, marks and all, or without marks that do nothing."""

STRANGE = {
    "emoji": "Thank you \U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right to left": "\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd",
    "turned around": "gpj\u202eexe.\u202c",
    "invisible": "pay\u200bpal\u2060\ufeff\u00ad",
    "control": "a\x00b\x07c\x1b[31md\x7f",
    "half a pair": "half \ud83d of a pair",
    "lines": "one\r\ntwo\rthree\u2028four",
}
MUST_NOT_BE_RAW = frozenset("\u202e\u202c\u200b\u2060\ufeff\x00\x07\x1b\ud83d")
