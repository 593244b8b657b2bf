"""What the front-ends `plain` and `latin` take for a text: `python -m bench.latin`.

Both in turns in one run; the figures are medians, in ms of CPU, so that a busy machine matters less.
`words` is prose without numbers; `figures` has a date, an amount, a measure, a percentage and a time in
every sentence.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from datetime import UTC, datetime

from plugins.latin.front_end import LatinFrontEnd
from plugins.plain.plugin import PlainFrontEnd
from speech_engine import FrontEnd

LENGTHS = (60, 1000, 4096)
ROUNDS = 30

TEXTS = {
    ("en", "words"): "The boats came home late, and nobody on the pier had waited for them that night. ",
    ("en", "figures"): "On 3 May 2024 Dr. Hill paid $1,250.50 for 12 km of rope, 20% off, at 9:30 a.m. ",
    (
        "fr",
        "words",
    ): "Les bateaux rentraient tard, et personne sur le quai ne les avait attendus cette nuit-là. ",
    (
        "fr",
        "figures",
    ): "Le 03/05/2024 le Dr Roy a payé 1 250,50 € pour 12 km de corde, 20 % de moins, à 9h30. ",
    ("it", "words"): "Le barche tornavano tardi, e nessuno sul molo le aveva aspettate quella notte. ",
    (
        "it",
        "figures",
    ): "Il 03/05/2024 il dott. Neri pagò 1.250,50 € per 12 km di corda, il 20% in meno, alle 9.30. ",
    ("pt", "words"): "Os barcos voltaram tarde, e ninguém no cais tinha esperado por eles naquela noite. ",
    (
        "pt",
        "figures",
    ): "Em 03/05/2024 o Dr. Lima pagou R$ 1.250,50 por 12 km de corda, 20% a menos, às 9h30. ",
    ("es", "words"): "Los barcos volvieron tarde, y nadie en el muelle los había esperado aquella noche. ",
    (
        "es",
        "figures",
    ): "El 03/05/2024 el Dr. Gil pagó 1.250,50 € por 12 km de cuerda, un 20 % menos, a las 9:30. ",
}


def main() -> None:
    front_ends: dict[str, FrontEnd] = {"plain": PlainFrontEnd(), "latin": LatinFrontEnd()}
    began = time.thread_time()
    LatinFrontEnd().warm()
    print(f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"warm: {(time.thread_time() - began) * 1000:.0f} ms\n")
    print(f"{'text':12} {'characters':>10} {'plain ms':>10} {'latin ms':>10}")
    for (language, kind), sentence in TEXTS.items():
        for length in LENGTHS:
            text = (sentence * (length // len(sentence) + 1))[:length]
            taken = {name: took_ms(front_end, text, language) for name, front_end in front_ends.items()}
            print(f"{language} {kind:9} {length:10} {taken['plain']:10.3f} {taken['latin']:10.3f}")


def took_ms(front_end: FrontEnd, text: str, language: str) -> float:
    found = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        front_end.prepare(text, language, {})
        found.append(time.thread_time() - began)
    return statistics.median(found) * 1000


if __name__ == "__main__":
    main()
