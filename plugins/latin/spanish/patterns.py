"""Patterns of Spanish that no table can hold: dates, centuries, telephone numbers."""

from __future__ import annotations

import re

from plugins.latin.amounts import INNER_STOP, LEFT
from plugins.latin.language import Patterns, Roman, in_order
from plugins.latin.rules.ordinals import after, as_cardinal, as_century, as_feminine_ordinal, before
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind

MONTHS = in_order("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
_MONTH_NAMES = {name[:length]: number for number, name in enumerate(MONTHS, 1) for length in (3, len(name))}
_MONTH_NAMES |= {"setiembre": 9, "sept": 9}
_MONTH = rf"(?P<month>(?i:{'|'.join(sorted(_MONTH_NAMES, key=len, reverse=True))}))"
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})(?:\.?[º°])? (?:de )?{_MONTH}(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?:del? )?(?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)


PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"\b(?:el|del|al|día) $", re.IGNORECASE),
    ordinals={
        "º": "alone",
        "ª": "feminine",
        ".er": "masculine",
        "er": "masculine",
    },
    romans=(
        Roman(before("Guerra Mundial"), as_feminine_ordinal),
        Roman(after("siglo", "s."), as_century),
        Roman(
            after("capítulo", "cap.", "volumen", "tomo", "acto", "parte", "artículo", "vol.", "art."),
            as_cardinal,
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])\([0-9]{2,4}\) ?[0-9]{3,4}[ -][0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[6-9][0-9]{2} [0-9]{3} [0-9]{3}(?![\w-])"),
        behind("tel", "teléfono", "tfno", "fono", "celular", "cel", "móvil", "llame al", "whatsapp", "fax"),
    ),
)
