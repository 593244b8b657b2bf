"""The languages of the embedded voice, with the quality and the voice file of each.

The library takes any file name for a voice, so only identifiers from this table ever reach it.
"""

from __future__ import annotations

from speech_engine import Language, UnsupportedLanguage

_GOOD = {
    "en": "gmw/en-US",
    "en-US": "gmw/en-US",
    "en-GB": "gmw/en",
    "pt": "roa/pt",
    "pt-BR": "roa/pt-BR",
    "es": "roa/es",
    "es-419": "roa/es-419",
    "fr": "roa/fr",
    "fr-BE": "roa/fr-BE",
    "fr-CH": "roa/fr-CH",
    "de": "gmw/de",
    "it": "roa/it",
    "nl": "gmw/nl",
    "pl": "zlw/pl",
    "cs": "zlw/cs",
    "sk": "zlw/sk",
    "hu": "urj/hu",
    "fi": "urj/fi",
    "ro": "roa/ro",
    "el": "grk/el",
    "tr": "trk/tr",
}

_FAIR = {
    "en-029": "gmw/en-029",
    "ca": "roa/ca",
    "sv": "gmq/sv",
    "nb": "gmq/nb",
    "no": "gmq/nb",
    "da": "gmq/da",
    "is": "gmq/is",
    "af": "gmw/af",
    "ru": "zle/ru",
    "uk": "zle/uk",
    "bg": "zls/bg",
    "hr": "zls/hr",
    "bs": "zls/bs",
    "sr": "zls/sr",
    "sl": "zls/sl",
    "mk": "zls/mk",
    "sq": "ine/sq",
    "et": "urj/et",
    "lv": "bat/lv",
    "lt": "bat/lt",
    "cy": "cel/cy",
    "eu": "eu",
    "eo": "art/eo",
    "id": "poz/id",
    "ms": "poz/ms",
    "sw": "bnt/sw",
    "vi": "aav/vi",
    "hi": "inc/hi",
    "bn": "inc/bn",
    "ta": "dra/ta",
    "te": "dra/te",
    "ka": "ccs/ka",
    "hy": "ine/hy",
}

# These are listed so that they can be refused by name. The library does not segment their words,
# spells their characters or guesses their vowels.
_POOR = {
    "th": "Thai",
    "ja": "Japanese",
    "zh": "Chinese",
    "cmn": "Mandarin Chinese",
    "yue": "Cantonese",
    "ko": "Korean",
    "ar": "Arabic",
    "he": "Hebrew",
    "fa": "Persian",
    "ur": "Urdu",
    "my": "Burmese",
}

# The accents of these countries are nearer to another entry than to the entry without a country.
_BRITISH = ("en-AU", "en-IE", "en-IN", "en-NZ", "en-ZA")
_CARIBBEAN = ("en-BB", "en-BS", "en-JM", "en-TT")
_LATIN_AMERICAN = (
    *("es-AR", "es-BO", "es-CL", "es-CO", "es-CR", "es-CU", "es-DO", "es-EC", "es-GT", "es-HN", "es-MX"),
    *("es-NI", "es-PA", "es-PE", "es-PR", "es-PY", "es-SV", "es-US", "es-UY", "es-VE"),
)
_NEAREST = {
    **dict.fromkeys(_BRITISH, "en-GB"),
    **dict.fromkeys(_CARIBBEAN, "en-029"),
    **dict.fromkeys(_LATIN_AMERICAN, "es-419"),
}

_SPOKEN = {tag.casefold(): identifier for tag, identifier in (_GOOD | _FAIR).items()}
_ACCENTS = {tag.casefold(): nearest.casefold() for tag, nearest in _NEAREST.items()}


def languages() -> tuple[Language, ...]:
    """Return the languages that the model advertises.

    The poor languages are listed so that a refusal can name them.
    """
    return (
        *(Language(tag) for tag in _GOOD),
        *(Language(tag, "fair") for tag in _FAIR),
        *(Language(tag, "poor") for tag in _POOR),
    )


def identifier_for(language: str) -> str:
    """Return the voice file for a tag: for the tag itself, its nearest accent, or its base language.

    Raise UnsupportedLanguage if the language is unknown here, or too badly spoken to be understood.
    """
    tag = language.casefold().replace("_", "-")
    base = tag.partition("-")[0]
    if (identifier := _SPOKEN.get(_ACCENTS.get(tag, tag)) or _SPOKEN.get(base)) is not None:
        return identifier
    if (name := _POOR.get(base)) is not None:
        raise UnsupportedLanguage(f"espeak does not speak {name} ({language}) well enough to be understood")
    raise UnsupportedLanguage(f"espeak does not speak the language {language!r}")
