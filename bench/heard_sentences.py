"""Sentences of daily life by kind, in five languages: plain, or with names, numbers, times, dates, money or
abbreviations in them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache

from bench.sentences import sentences

KINDS = ("plain", "names", "numbers", "times", "dates", "money", "abbreviations")
_ENGLISH = """the children are playing in the garden; the cook prepares a soup of fish;
the train arrives very late; my brother plays the guitar; nobody answers the telephone;
the dog sleeps under the table;
the teacher corrects the exams; there are many people in the square; the baker opens very early;
the storks return to the tower; we want to travel to the coast; the water of the river is cold;
someone knocks at the door; the young people learn to dance; the doctor reads an old book;
the rain beats against the windows; we sell cheese and fresh eggs; the fox crosses the forest;
my grandfather tells old stories; the war is far away"""
_OPENINGS = "This morning, According to my neighbour, As it seems, When it rains, On Sundays, Since yesterday"

_FRAMES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "en": {
        "names": (
            "Yesterday {name} met {name} near the station.",
            "I think that {name} lives in {place} now.",
        ),
        "numbers": (
            "The library has {n} books on three floors.",
            "About {p}% of the people said no to the plan.",
        ),
        "times": (
            "The train leaves at {t} and arrives before noon.",
            "We will meet at {t} in front of the church.",
        ),
        "dates": ("The shop opens again on {d}, as they told us.", "She was born on {d} in a small village."),
        "money": ("The tickets cost {m} for the whole family.", "He paid {m} for the old car last week."),
        "abbreviations": (
            "Dr. {name} waits for you on the second floor.",
            "It weighs {p} kg, e.g. with the box and the books.",
        ),
    },
    "es": {
        "names": ("Ayer {name} vio a {name} cerca de la estación.", "Creo que {name} vive ahora en {place}."),
        "numbers": (
            "La biblioteca tiene {n} libros en tres plantas.",
            "El {p} % de la gente dijo que no al plan.",
        ),
        "times": (
            "El tren sale a las {t} y llega antes del mediodía.",
            "Nos vemos a las {t} delante de la iglesia.",
        ),
        "dates": (
            "La tienda abre otra vez el {d}, según dijeron.",
            "Ella nació el {d} en un pueblo pequeño.",
        ),
        "money": (
            "Las entradas cuestan {m} para toda la familia.",
            "Pagó {m} por el coche viejo la semana pasada.",
        ),
        "abbreviations": (
            "El Dr. {name} le espera en la segunda planta.",
            "Pesa {p} kg con la caja y los libros.",
        ),
    },
    "fr": {
        "names": (
            "Hier {name} a rencontré {name} près de la gare.",
            "Je crois que {name} habite maintenant à {place}.",
        ),
        "numbers": (
            "La bibliothèque a {n} livres sur trois étages.",
            "Environ {p} % des gens ont dit non au projet.",
        ),
        "times": ("Le train part à {t} et arrive avant midi.", "Nous nous verrons à {t} devant l'église."),
        "dates": (
            "Le magasin rouvre le {d}, à ce qu'on nous dit.",
            "Elle est née le {d} dans un petit village.",
        ),
        "money": ("Les billets coûtent {m} pour toute la famille.", "Il a payé {m} pour la vieille voiture."),
        "abbreviations": (
            "Le Dr {name} vous attend au deuxième étage.",
            "Il pèse {p} kg avec la boîte et les livres.",
        ),
    },
    "it": {
        "names": (
            "Ieri {name} ha visto {name} vicino alla stazione.",
            "Credo che {name} viva adesso a {place}.",
        ),
        "numbers": (
            "La biblioteca ha {n} libri su tre piani.",
            "Circa il {p}% della gente ha detto no al piano.",
        ),
        "times": (
            "Il treno parte alle {t} e arriva prima di mezzogiorno.",
            "Ci vediamo alle {t} davanti alla chiesa.",
        ),
        "dates": ("Il negozio riapre il {d}, come ci hanno detto.", "Lei è nata il {d} in un piccolo paese."),
        "money": ("I biglietti costano {m} per tutta la famiglia.", "Ha pagato {m} per la vecchia macchina."),
        "abbreviations": (
            "Il dott. {name} la aspetta al secondo piano.",
            "Pesa {p} kg con la scatola e i libri.",
        ),
    },
    "pt-BR": {
        "names": ("Ontem {name} viu {name} perto da estação.", "Acho que {name} mora agora em {place}."),
        "numbers": (
            "A biblioteca tem {n} livros em três andares.",
            "Cerca de {p}% das pessoas disseram não ao plano.",
        ),
        "times": ("O trem sai às {t} e chega antes do almoço.", "Vamos nos ver às {t} em frente da igreja."),
        "dates": (
            "A loja abre de novo no dia {d}, como disseram.",
            "Ela nasceu no dia {d} em uma vila pequena.",
        ),
        "money": (
            "Os bilhetes custam {m} para toda a família.",
            "Ele pagou {m} pelo carro velho na semana passada.",
        ),
        "abbreviations": (
            "O Dr. {name} espera o senhor no segundo andar.",
            "Pesa {p} kg com a caixa e os livros.",
        ),
    },
}
FRAMED = tuple(_FRAMES)
_NAMES: Mapping[str, Sequence[str]] = {
    "en": ("Margaret", "Oliver", "Siobhan", "Priya", "Mr. Henderson", "Joshua"),
    "es": ("Carmen", "Joaquín", "Begoña", "Rafael", "Ximena", "Íñigo"),
    "fr": ("Camille", "Guillaume", "Anaïs", "Thierry", "Solène", "Jérôme"),
    "it": ("Chiara", "Giuseppe", "Ginevra", "Matteo", "Giulia", "Salvatore"),
    "pt-BR": ("João", "Beatriz", "Guilherme", "Luciana", "Conceição", "Thiago"),
}
_PLACES = ("Zaragoza", "Toulouse", "Palermo", "Curitiba", "Edinburgh")
_MONTHS: Mapping[str, Sequence[str]] = {
    "en": ("January", "March", "May", "August", "October"),
    "es": ("enero", "marzo", "mayo", "agosto", "octubre"),
    "fr": ("janvier", "mars", "mai", "août", "octobre"),
    "it": ("gennaio", "marzo", "maggio", "agosto", "ottobre"),
    "pt-BR": ("janeiro", "março", "maio", "agosto", "outubro"),
}


def sentence(language: str, kind: str, chance: random.Random) -> str:
    if kind == "plain":
        return chance.choice(_plain(language))
    frame = chance.choice(_FRAMES[language][kind])
    while "{name}" in frame:
        frame = frame.replace("{name}", chance.choice(_NAMES[language]), 1)
    hour, minute = chance.randint(1, 12), chance.choice((5, 10, 15, 30, 40, 45, 50))
    day, year, month = chance.randint(2, 28), chance.randint(1950, 2030), chance.choice(_MONTHS[language])
    whole, cents = chance.randint(2, 400), chance.choice((0, 50, 99, 25))
    of = {"es": " de ", "pt-BR": " de "}.get(language, " ")
    money = {"en": f"${whole}.{cents:02}", "pt-BR": f"R$ {whole},{cents:02}"}.get(
        language, f"{whole},{cents:02} €"
    )
    values = {
        "place": chance.choice(_PLACES),
        "n": str(chance.randint(3, 9999)),
        "p": str(chance.randint(2, 99)),
        "t": f"{hour} h {minute:02}" if language == "fr" else f"{hour}:{minute:02}",
        "d": f"{month} {day}, {year}" if language == "en" else f"{day}{of}{month}{of}{year}",
        "m": money,
    }
    return frame.format(**values)


@cache
def words(language: str) -> tuple[str, ...]:
    """Return plain words of a language, of four letters or more."""
    found = {word.strip(".,").lower() for text in _plain(language) for word in text.split()}
    return tuple(sorted(word for word in found if word.isalpha() and len(word) > 3))


@cache
def _plain(language: str) -> tuple[str, ...]:
    if language != "en":
        return tuple(sentences(language))
    clauses = [" ".join(each.split()) for each in _ENGLISH.split(";")]
    return tuple(f"{opening.strip()}, {clause}." for opening in _OPENINGS.split(",") for clause in clauses)
