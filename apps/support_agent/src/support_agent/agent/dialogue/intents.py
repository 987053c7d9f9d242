"""What a message is about. A table of cues, read from the top: the first that fits, wins.

A cue is some groups of words; it fits a message that has a word of each group, in any order.
"""

from typing import Literal

from support_agent.agent.dialogue.words import case_id_in, order_number_in, words_of

Intent = Literal[
    "capabilities",
    "human",
    "approval_claim",
    "double_charge",
    "broken",
    "case_status",
    "policy",
    "refund",
    "order_status",
    "thanks",
    "goodbye",
    "greeting",
    "small_talk",
    "foreign",
]
Cue = tuple[frozenset[str], ...]


def cue(*groups: str) -> Cue:
    return tuple(frozenset(group.split()) for group in groups)


REFUND_WORDS = frozenset(
    "refund refunds refunded reimburse reimbursed reimbursement return returning cancel".split()
)
RULES = "policy policies rule rules terms conditions warranty guarantee"
ASKING = "how what which do does can may is are when who why if whats hows"
TOPICS = (
    "refund refunds return returns returning exchange shipping ship delivery deliver cost costs "
    "fee fees gift voucher card invoice receipt pay payment payments address account password "
    "privacy data cancel change international abroad days long points store opening hours "
    "packaging care repair spare parts size material discount code newsletter"
)

CUES: tuple[tuple[Intent, tuple[Cue, ...]], ...] = (
    (
        "capabilities",
        (
            cue("what how", "can could do", "you", "do help"),
            cue("who what", "are", "you", "who what bot robot ai model"),
            cue("are", "you", "bot robot ai human machine computer person"),
        ),
    ),
    (
        "human",
        (
            cue(
                "human person agent supervisor manager someone somebody representative employee "
                "operator advisor people staff",
                "speak talk chat call contact connect transfer reach escalate pass real",
            ),
            cue("human person", "want need get give please a"),
            cue("human escalate operator"),
            cue("complain complaint"),
        ),
    ),
    (
        "approval_claim",
        (
            cue(
                "supervisor manager boss director admin administrator system colleague team",
                "approved approve authorised authorized allowed agreed confirmed granted said",
            ),
            cue("already", "approved authorised authorized"),
        ),
    ),
    (
        "double_charge",
        (
            cue(
                "twice double doubled duplicate duplicated",
                "charge charged charges billed bill billing paid pay payment payments debit "
                "debited deducted money card took taken withdrawn",
            ),
            cue("two 2", "charges payments debits bookings transactions withdrawals"),
            cue("two 2", "times", "charge charged paid pay billed debited took taken"),
            cue("overcharged"),
        ),
    ),
    (
        "broken",
        (
            cue(
                "broken broke cracked crack damaged defective defect faulty chipped shattered "
                "smashed scratched torn leaks leaking leaked dented bent ripped stained shards "
                "splinters malfunction"
            ),
            cue("doesnt dont not stopped isnt wont never", "work works working"),
            cue("in", "pieces", "arrived came is was"),
            cue("wrong", "item product size colour color thing article one"),
            cue("missing", "item part parts piece pieces lid handle"),
        ),
    ),
    (
        "case_status",
        (
            cue("case cases claim ticket", "status update news progress how what where any open"),
            cue("case cases claim ticket", "decided decision happened happening going my done"),
            cue("status update news heard progress", "refund request claim"),
            cue("where when", "refund money"),
            cue("my", "refund", "arrive arrived coming come status yet received"),
            cue("why", "less reduced rejected declined denied refused partial lower"),
        ),
    ),
    ("policy", (cue(RULES),)),
    (
        "refund",
        (
            cue("refund refunds refunded reimburse reimbursed reimbursement"),
            cue("money", "back"),
            cue("return returning", "my it this them these want would like need id"),
            cue("send", "back", "it this them want would like"),
            cue("cancel", "order my it"),
        ),
    ),
    (
        "order_status",
        (
            cue(
                "order orders package parcel delivery shipment purchase",
                "where status track tracking arrive arrived late delivered shipped sent delayed "
                "coming here lost",
            ),
            cue("look lookup check show find see list details about", "order orders purchase"),
            cue("what which", "ordered bought order orders", "i my did have"),
            cue("never not hasnt havent didnt", "arrived arrive come received delivered"),
            cue("my last latest", "order orders purchase"),
        ),
    ),
    ("thanks", (cue("thanks thank thx cheers ty"),)),
    ("goodbye", (cue("bye goodbye farewell"), cue("good", "night"), cue("see", "you", "later"))),
    (
        "small_talk",
        (
            cue("how", "are", "you"),
            cue("weather joke football"),
            cue("your", "name favourite favorite"),
            cue("are", "you", "there real"),
            cue("nice great awesome good", "job work day bot"),
        ),
    ),
    (
        "greeting",
        (cue("hello hi hey hiya greetings howdy"), cue("good", "morning afternoon evening day")),
    ),
    ("capabilities", (cue("help commands menu options"),)),
)

AFFIRMING = frozenset("yes yeah yep yup sure ok okay please confirm confirmed absolutely".split())
AFFIRMING_PHRASES = ("go ahead", "do it", "do that", "sounds good", "open it", "thats right")
DENYING = frozenset("no nope nah dont stop never".split())
DENYING_PHRASES = ("not now", "never mind", "forget it", "leave it", "do not open", "rather not")

# Frequent little words of other languages that no English sentence of a customer has.
FOREIGN = frozenset(
    "ich und nicht das ist mein meine bestellung je ne pas est bonjour merci commande vous mon "
    "quiero mi pedido hola gracias el por favor voglio il mio ordine ciao grazie quero meu "
    "obrigado ik mijn bestelling niet een het jag inte min".split()
)
MOST_FOREIGN_LETTERS = 0.3


def intent_of(text: str) -> Intent | None:
    """What the message is about, or None when nothing in the table fits."""
    words = frozenset(words_of(text))
    if is_foreign(text):
        return "foreign"
    if case_id_in(text) and not order_number_in(text):
        return "case_status"
    for intent, cues in CUES:
        if intent == "refund" and asks_in_general(text):
            return "policy"
        if any(all(words & group for group in cue) for cue in cues):
            return intent
    return "policy" if asks_in_general(text) else None


def asks_in_general(text: str) -> bool:
    """A question about how things are done, not about an order or a request of one's own."""
    spoken = words_of(text)
    words = frozenset(spoken)
    about_mine = words & {"my", "this", "it", "mine"} or words >= {"a", "get", "i"}
    if about_mine or order_number_in(text) or not words & frozenset(TOPICS.split()):
        return False
    return "?" in text or (bool(spoken) and spoken[0] in ASKING.split())


def asks_for_money_back(text: str) -> bool:
    words = frozenset(words_of(text))
    return bool(words & REFUND_WORDS) or words >= {"money", "back"}


def affirms(text: str) -> bool:
    """Whether this is a yes. Who says no anywhere, does not say yes."""
    if denies(text):
        return False
    spoken = words_of(text)
    return (bool(spoken) and spoken[0] in AFFIRMING) or _has_phrase(spoken, AFFIRMING_PHRASES)


def denies(text: str) -> bool:
    spoken = words_of(text)
    return (bool(spoken) and spoken[0] in DENYING) or _has_phrase(spoken, DENYING_PHRASES)


def is_foreign(text: str) -> bool:
    """Whether this is hardly English: another alphabet, or the little words of another language."""
    letters = [character for character in text if character.isalpha()]
    beyond_latin = sum(1 for letter in letters if ord(letter) > 0x24F)
    if letters and beyond_latin / len(letters) > MOST_FOREIGN_LETTERS:
        return True
    return sum(1 for word in words_of(text) if word in FOREIGN) >= 2


def _has_phrase(spoken: tuple[str, ...], phrases: tuple[str, ...]) -> bool:
    said = f" {' '.join(spoken)} "
    return any(f" {phrase} " in said for phrase in phrases)
