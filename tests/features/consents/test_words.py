"""What a recording says of a consent: read, stumbled, denied, half, or of another operator."""

from proxy.features.consents.rules import LANGUAGES, phrase
from proxy.features.consents.words import ConsentWords, judge_consent
from speech_engine.text.comparing import Sounds, texts_to_sound
from tests.tables import each_row

OPERATOR = "Kestrel Labs"
SAID = {
    "kestrel": "kˈɛstɹəl",
    "kestrel labs": "kˈɛstɹəl lˈæbz",
    "labs": "lˈæbz",
    "castle": "kˈæsəl",
    "sony": "sˈoʊni",
    "not castle": "n kˈɛstɹəl",
    "consent to kestrel": "kənsˈɛnt tə kˈɛstɹəl",
    "can sent two castle": "kən sˈɛnt tə kˈæsəl",
    "can sent two sony": "kən sˈɛnt tə sˈoʊni",
}


def spoken(language: str) -> str:
    text = phrase(language, OPERATOR)
    assert text is not None
    return text


def judged(heard: str, language: str = "en", *, is_reliable: bool = True) -> ConsentWords:
    """The verdict with the sounds that it asks for, and no others."""

    def judge(sounds: Sounds) -> ConsentWords:
        return judge_consent(spoken(language), heard, language, OPERATOR, sounds, is_reliable=is_reliable)

    return judge({text: SAID.get(text, f"<{text}>") for text in texts_to_sound(judge)}.__getitem__)


ENGLISH = spoken("en")


@each_row(
    ("heard", "words"),
    [
        (ENGLISH, "match"),
        (ENGLISH.replace("I am", "I'm").replace(" a synthetic", " synthetic"), "match"),
        (ENGLISH.replace("I am", "I I am um"), "match"),
        (ENGLISH.replace("Kestrel", "Castle"), "match"),
        (ENGLISH.replace("owner", "honour").replace("Labs", "labs, yes"), "match"),
        (ENGLISH.replace("I am", "Well I I am um"), "unsure"),
        (ENGLISH.replace("I am", "I am not").replace("I consent", "I do not consent"), "differs"),
        (ENGLISH.replace("I consent", "I don't consent"), "differs"),
        (ENGLISH.replace("consent", "refuse"), "differs"),
        (ENGLISH.replace("consent to", "disagree with"), "differs"),
        (ENGLISH.replace("consent", "wave"), "unsure"),
        (ENGLISH.replace("Kestrel", "not Castle"), "differs"),
        (ENGLISH.replace("Kestrel Labs", "Sony"), "unsure"),
        (ENGLISH.replace("Kestrel", "Sony"), "unsure"),
        (ENGLISH.replace("Labs", "Sony"), "unsure"),
        (ENGLISH.replace("consent to Kestrel", "can sent two Castle"), "match"),
        (ENGLISH.replace("consent to Kestrel", "can sent two Sony"), "unsure"),
        (" ".join(ENGLISH.split()[:12]), "unsure"),
        (" ".join(ENGLISH.split()[:8]), "differs"),
        ("The train to the coast leaves at noon.", "differs"),
        ("", "differs"),
    ],
)
def test_a_consent_is_heard_by_its_words(heard: str, words: str) -> None:
    assert judged(heard).words == words


@each_row(
    ("language", "word", "instead"),
    [
        ("en", "consent", "never consent"),
        ("es", "doy", "no doy"),
        ("fr", "j'autorise", "je n'autorise"),
        ("fr", "j'autorise", "j'interdis à"),
        ("hi", "देता", "नहीं देता"),
        ("it", "acconsento", "non acconsento"),
        ("pt", "autorizo", "não autorizo"),
    ],
)
def test_a_denial_differs_in_any_language(language: str, word: str, instead: str) -> None:
    text = spoken(language)
    assert judged(text, language) == ("match", 1.0)
    assert word in text
    assert judged(text.replace(word, instead), language).words == "differs"


def test_elsewhere_only_the_whole_phrase_is_a_match() -> None:
    for language in LANGUAGES:
        text = spoken(language)
        assert judged(text, language).words == judged(text, language, is_reliable=False).words == "match"
        assert judged("", language, is_reliable=False).words == "unsure"
    less = " ".join(spoken("de").split()[1:])
    assert judged(less, "de").words == "unsure"
    assert judged(" ".join(ENGLISH.split()[1:]), is_reliable=False).words == "unsure"


def test_without_sounds_a_name_that_is_written_otherwise_is_unsure() -> None:
    heard = ENGLISH.replace("Kestrel", "Kestral")
    assert judge_consent(ENGLISH, heard, "en", OPERATOR, None).words == "unsure"
