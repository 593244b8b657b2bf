"""Where sentences end: not inside dialogue that goes on, and between the sentences of a long speech."""

from speech_engine.text.dialogue import dialogue_ends, may_be_dialogue
from speech_engine.text.sentences import sentence_ends
from tests.tables import each_row

WHOLE = {
    "en": (
        '"Where were you?" she asked.',
        "“Out!” he said.",
        "'Stop!' cried the man.",
        '"Well..." he began.',
        '"No!" —he shouted— "never!"',
        'She said "why?" and left.',
        '"Where were you?" I asked.',
        '"Where were you?" Anna asked.',
        "“Where were you?” Mrs. Hill asked, and sat down.",
        "'Out!' Anna Maria Lopes shouted.",
    ),
    "es": (
        "—¿Dónde estabas? —preguntó ella.",
        "—¡Vete! —gritó Juan—.",
        "—¿Sí? – dijo él.",
        "«¿Quién es?», preguntó.",
        "“¿Quién es?”, Ana dijo.",
    ),
    "fr": ("— Où étais-tu ? demanda-t-elle.", "« Où étais-tu ? » demanda-t-elle.", "– Tu viens? dit-il."),
    "it": ("«Dove eri?» chiese lei.", "– Dove eri? – chiese lei.", "«Non so…» disse."),
    "pt-BR": ("— Onde você estava? — perguntou ela.", "- Onde? - perguntou.", "— Não sei... — disse ele."),
    "hi": ("“तुम कहाँ थे?” उसने पूछा।", "- क्या? - उसने पूछा।"),
    "de": ("»Halt!« rief er.", "„Wo warst du?“, fragte sie."),
}
CUT = [
    ("en", '"Go!"| John left.'),
    ("en", "What? |He thought."),
    ("en", '"Where?" |Mr. Hall went home.'),
    ("pt-BR", "“Onde?” |Anna asked."),
    ("en", "“I know. |You lie!” he said. |“Go.”"),
    ("en", '"It is late. |Mr. Hall went home. |You know it." |He left.'),
    ("en", "'I know. |Go,' he said."),
    ("en", "What do you need?\n|- milk\n|- eggs"),
    ("es", "—¡Vete! —gritó Juan—. |No vuelvas."),
    ("fr", "— Où étais-tu ? |— Dehors."),
    ("fr", "« Je sais. |Tu mens ! |Tu le sais. » |Il partit."),
    ("hi", "“मैं जानता हूँ। |जाओ!” उसने कहा।"),
    ("zh", "“你去哪里？”|他问。|“家。”"),
    ("sv", "”Var är han?” frågade hon."),
    ("en", "’Where?’ she asked. |Yes."),
    ("en", "Wait... - he said. |Yes."),
]


@each_row(("language", "text"), [(tag, text) for tag, texts in WHOLE.items() for text in texts])
def test_what_is_said_is_one_sentence_with_the_words_that_tell_who_says_it(language: str, text: str) -> None:
    assert may_be_dialogue(text)
    assert dialogue_ends(text, language) == [len(text)]


@each_row(("language", "marked"), CUT)
def test_a_sentence_ends_where_another_begins(language: str, marked: str) -> None:
    parts = [part.strip() for part in marked.split("|")]
    text = marked.replace("|", "")
    ends = (dialogue_ends if may_be_dialogue(text) else sentence_ends)(text, language)
    assert ends == dialogue_ends(text, language)
    assert [text[begin:end].strip() for begin, end in zip((0, *ends), ends, strict=False)] == parts
