"""The languages that recognisers find, with their codes and their English names."""

from __future__ import annotations

_LANGUAGES = """
af:afr:afrikaans am:amh:amharic ar:ara:arabic as:asm:assamese az:aze:azerbaijani ba:bak:bashkir
be:bel:belarusian bg:bul:bulgarian bn:ben:bengali bo:bod:tibetan br:bre:breton bs:bos:bosnian ca:cat:catalan
cs:ces:czech cy:cym:welsh da:dan:danish de:deu:german el:ell:greek en:eng:english es:spa:spanish
et:est:estonian eu:eus:basque fa:fas:persian fi:fin:finnish fil:fil:filipino fo:fao:faroese fr:fra:french
ga:gle:irish gl:glg:galician gu:guj:gujarati ha:hau:hausa haw:haw:hawaiian he:heb:hebrew hi:hin:hindi
hr:hrv:croatian ht:hat:haitian_creole hu:hun:hungarian hy:hye:armenian id:ind:indonesian is:isl:icelandic
it:ita:italian ja:jpn:japanese jv:jav:javanese ka:kat:georgian kk:kaz:kazakh km:khm:khmer kn:kan:kannada
ko:kor:korean la:lat:latin lb:ltz:luxembourgish ln:lin:lingala lo:lao:lao lt:lit:lithuanian lv:lav:latvian
mg:mlg:malagasy mi:mri:maori mk:mkd:macedonian ml:mal:malayalam mn:mon:mongolian mr:mar:marathi ms:msa:malay
mt:mlt:maltese my:mya:myanmar ne:nep:nepali nl:nld:dutch nn:nno:nynorsk no:nor:norwegian oc:oci:occitan
pa:pan:punjabi pl:pol:polish ps:pus:pashto pt:por:portuguese ro:ron:romanian ru:rus:russian sa:san:sanskrit
sd:snd:sindhi si:sin:sinhala sk:slk:slovak sl:slv:slovenian sn:sna:shona so:som:somali sq:sqi:albanian
sr:srp:serbian su:sun:sundanese sv:swe:swedish sw:swa:swahili ta:tam:tamil te:tel:telugu tg:tgk:tajik
th:tha:thai tk:tuk:turkmen tl:tgl:tagalog tr:tur:turkish tt:tat:tatar uk:ukr:ukrainian ur:urd:urdu
uz:uzb:uzbek vi:vie:vietnamese yi:yid:yiddish yo:yor:yoruba yue:yue:cantonese zh:zho:chinese
"""
_ROWS = [row.replace("_", " ").split(":") for row in _LANGUAGES.split()]
_NAMES = {tag: name for tag, _, name in _ROWS}
# The other names are of Whisper and of Scribe.
_TAGS = {
    **{name: tag for tag, *names in _ROWS for name in names},
    **dict.fromkeys(("cmn", "mandarin"), "zh"),
    "jw": "jv",
    "burmese": "my",
    "castilian": "es",
    "nob": "no",
}

UNSPACED = frozenset({"zh", "ja", "yue", "th", "lo", "my", "km", "bo"})
"""The languages that are written without blanks between words."""


def base_tag(tag: str) -> str:
    """Return the language of a BCP 47 tag, without its region."""
    return tag.partition("-")[0].lower()


def language_tag(named: str) -> str:
    """Return the tag of a language that is named in English, or by a code of two or three letters. A code
    that is not known stays as it is; any other name gives an empty text."""
    name = named.strip().lower()
    base = base_tag(name)
    is_code = base.isascii() and base.isalpha() and 2 <= len(base) <= 3
    return _TAGS.get(name) or _TAGS.get(base) or (base if is_code else "")


def english_name(tag: str) -> str:
    """Return the English name of a language in small letters, as OpenAI has it. A tag that is not known stays
    as it is."""
    return _NAMES.get(language_tag(tag), tag)
