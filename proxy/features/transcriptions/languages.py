"""The languages of recognisers, with their English names, as OpenAI's `verbose_json` has them."""

from __future__ import annotations

_TABLE = """
af afrikaans am amharic ar arabic as assamese az azerbaijani ba bashkir be belarusian bg bulgarian bn bengali
bo tibetan br breton bs bosnian ca catalan cs czech cy welsh da danish de german el greek en english
es spanish et estonian eu basque fa persian fi finnish fo faroese fr french gl galician gu gujarati ha hausa
haw hawaiian he hebrew hi hindi hr croatian ht haitian_creole hu hungarian hy armenian id indonesian
is icelandic it italian
ja japanese jw javanese ka georgian kk kazakh km khmer kn kannada ko korean la latin lb luxembourgish
ln lingala lo lao lt lithuanian lv latvian mg malagasy mi maori mk macedonian ml malayalam mn mongolian
mr marathi ms malay mt maltese my myanmar ne nepali nl dutch nn nynorsk no norwegian oc occitan pa punjabi
pl polish ps pashto pt portuguese ro romanian ru russian sa sanskrit sd sindhi si sinhala sk slovak
sl slovenian sn shona so somali sq albanian sr serbian su sundanese sv swedish sw swahili ta tamil te telugu
tg tajik th thai tk turkmen tl tagalog tr turkish tt tatar uk ukrainian ur urdu uz uzbek vi vietnamese
yi yiddish yo yoruba yue cantonese zh chinese
"""
_WITHOUT_BLANKS = frozenset(("ja", "zh", "yue", "th", "lo", "km", "my", "bo"))
_WORDS = _TABLE.split()
_ENGLISH = {code: name.replace("_", " ") for code, name in zip(_WORDS[::2], _WORDS[1::2], strict=True)}


def english_name(tag: str) -> str:
    """Return the English name of a language, in small letters; its tag, if it has none here."""
    return _ENGLISH.get(tag.partition("-")[0].lower(), tag)


def has_blanks(tag: str) -> bool:
    """Tell whether a language is written with blanks between its words."""
    return tag.partition("-")[0].lower() not in _WITHOUT_BLANKS
