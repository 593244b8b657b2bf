"""Patterns of Portuguese that no table can hold: dates, streets, telephone numbers."""

from __future__ import annotations

import re

from plugins.latin.amounts import INNER_STOP, LEFT
from plugins.latin.language import Patterns, Roman, in_order
from plugins.latin.portuguese.numbers import ordinal
from plugins.latin.rules.ordinals import after, as_cardinal, as_century, as_feminine_ordinal, before
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from speech_engine.text.draft import Draft

MONTHS = in_order("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro")
_MONTH_NAMES = {name[:length]: number for number, name in enumerate(MONTHS, 1) for length in (3, len(name))}
_MONTH = rf"(?P<month>(?i:{'|'.join(MONTHS)}|{'|'.join(name[:3] for name in MONTHS)}\b))"
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})(?:\.?[º°]|o)? (?:de )?{_MONTH}(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?:de )?(?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)
# An `R.` is a street only if the text around it is an address: na R. Augusta; R. Augusta, 100.
_STREET = re.compile(
    r"(?=R\. [A-ZÀ-Þ])(?<!\w)"
    r"(?:(?<=\b[nd]a )|(?<=\b[AÀaà] )|(?<![\w.] )(?=R\. [^,.\n]{2,40}, n?[.º]? ?[0-9]))R\."
)


# Ordinals that are typed without the sign: 3a feira, 1o e 2o lugares. A noun has to follow, because
# an `item 3a` is no third.
_NO_NOUN = "a|o|as|os|de|d[ao]s?|n[ao]s?|em|para|por|com|que|é|ou|se|ao|à"
_TYPED = re.compile(
    rf"{LEFT}(?P<number>[1-9][0-9]?)(?P<gender>[ao])(?P<plural>s?)"
    rf"(?= (?:(?:e|ou|a|à) [1-9][0-9]?(?P=gender)s? )?(?!(?:{_NO_NOUN}|e)\b)[a-zà-ÿ]{{2}})"
)


def _typed_ordinals(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str:
        said = ordinal(int(match["number"]), "feminine" if match["gender"] == "a" else "masculine")
        return " ".join(f"{word}{match['plural']}" for word in said.split())

    draft.rewrite(_TYPED, spoken)


PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"\bdia $", re.IGNORECASE),
    ordinals={"º": "alone", "ª": "feminine"},
    romans=(
        Roman(before("Guerra Mundial"), as_feminine_ordinal),
        Roman(after("século", "séc."), as_century),
        Roman(
            after("capítulo", "cap.", "volume", "vol.", "tomo", "ato", "parte", "artigo", "art."), as_cardinal
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])\(?0?[0-9]{2}\)? ?(?:9 ?)?[0-9]{4}-[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])\(?0?[0-9]{2}\)? 9 ?[0-9]{4} [0-9]{4}(?![\w-])"),
        # Telephone numbers of a house. If these were years, they would begin with a 1 or with 20.
        re.compile(r"(?<![\w.,-])(?:2[1-9]|[3-5][0-9])[0-9]{2}-[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])9[0-9]{4}-[0-9]{4}(?![\w-])"),
        # Telephone numbers of Portugal. If the digits end in zeros, or count something, they are a
        # large number instead.
        re.compile(
            r"(?<![\w.,-])(?:2[1-9]|9[1236])[0-9] [0-9]{3} (?!000)[0-9]{3}"
            r"(?![\w-]| ?[€$%]|[.,][0-9]| [a-z]+s\b)"
        ),
        re.compile(r"(?<![\w.,-])0800[ -]?[0-9]{3}[ -]?[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{5}-[0-9]{3}(?![\w-])"),
        behind("tel", "telefone", "fone", "celular", "cel", "ligue", "whatsapp", "zap", "fax"),
    ),
    own=(lambda draft: draft.rewrite(_STREET, lambda match: "rua"), _typed_ordinals),
)
