"""Words that describe a voice in English, Portuguese, Spanish and Thai, and their meanings for the search."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from speech_engine.text.words import WordFinder

# A word may have two meanings: `grandmother` means female and old.
_GENDER = {
    "female": "female woman lady women feminine mulher feminina feminino senhora mujer femenina femenino "
    "señora ผู้หญิง หญิง สตรี",
    "male": "male man men gentleman masculine homem masculina masculino senhor hombre señor ผู้ชาย ชาย บุรุษ",
    "female young": "girl garota menina moça chica niña muchacha หญิงสาว เด็กผู้หญิง เด็กหญิง สาว",
    "male young": "boy guy garoto menino moço rapaz chico niño muchacho ชายหนุ่ม เด็กผู้ชาย เด็กชาย หนุ่ม",
    "female old": "grandmother grandma granny avó vovó abuela abuelita คุณยาย หญิงชรา",
    "male old": "grandfather grandpa avô vovô abuelo abuelito คุณตา ชายชรา",
}
_AGE = {
    "young": "young younger youthful teenage teenager child kid jovem jovial adolescente criança infantil "
    "joven juvenil niños เด็ก วัยรุ่น อายุน้อย",
    "middle-aged": "middle-aged middle-age adult mature meia-idade adulto adulta maduro madura mediana-edad "
    "ผู้ใหญ่ วัยกลางคน",
    "old": "old older elderly aged senior idoso idosa velho velha anciano anciana viejo vieja mayor แก่ ชรา "
    "สูงอายุ สูงวัย ผู้สูงอายุ คนแก่",
}
_LANGUAGE = {
    "ar": "arabic árabe อาหรับ",
    "de": "german alemão alemã alemán alemana เยอรมัน",
    "en": "english inglês inglesa inglés อังกฤษ",
    "en-GB": "british britânico britânica británico británica บริติช",
    "en-NG": "nigerian nigeriano nigeriana ไนจีเรีย",
    "en-US": "american americano americana estadounidense อเมริกัน",
    "es": "spanish espanhol espanhola español สเปน",
    "es-AR": "argentinian argentine argentino argentina อาร์เจนตินา",
    "es-MX": "mexican mexicano mexicana เม็กซิกัน",
    "fr": "french francês francesa francés ฝรั่งเศส",
    "ha": "hausa hauçá เฮาซา",
    "hi": "hindi híndi ฮินดี",
    "id": "indonesian indonésio indonésia indonesio indonesia อินโดนีเซีย",
    "ig": "igbo อิกโบ",
    "it": "italian italiano italiana อิตาลี",
    "ja": "japanese japonês japonesa japonés ญี่ปุ่น",
    "ko": "korean coreano coreana เกาหลี",
    "nl": "dutch holandês holandesa holandés neerlandés ดัตช์",
    "pl": "polish polonês polonesa polaco polaca โปแลนด์",
    "pt": "portuguese português portuguesa portugués โปรตุเกส",
    "pt-BR": "brazilian brasileiro brasileira brasileño brasileña บราซิล",
    "pt-PT": "lusitano lusitana lusophone",
    "ru": "russian russo russa ruso rusa รัสเซีย",
    "sw": "swahili suaíli suajili สวาฮีลี",
    "th": "thai tailandês tailandesa tailandés ไทย",
    "tr": "turkish turco turca ตุรกี",
    "vi": "vietnamese vietnamita เวียดนาม",
    "yo": "yoruba iorubá โยรูบา",
    "zh": "chinese mandarin chinês chinesa mandarim chino china mandarín จีน",
}
_QUALITY = {
    "bright": "bright brilhante luminosa luminoso brillante สดใส",
    "calm": "calm relaxed relaxing soothing peaceful calma calmo tranquila tranquilo serena sereno relajada "
    "relajado สงบ ใจเย็น ผ่อนคลาย",
    "cheerful": "cheerful happy joyful playful alegre feliz animada animado divertida divertido ร่าเริง "
    "สนุกสนาน",
    "clear": "clear crisp articulate clara claro nítida nítido ชัดเจน ชัด",
    "conversational": "conversational casual chatty conversa coloquial informal conversacional สนทนา "
    "เป็นกันเอง",
    "dark": "dark escura escuro sombria sombrio oscura oscuro",
    "deep": "deep deepest bass baritone profunda profundo ทุ้ม",
    "energetic": "energetic lively excited dynamic enérgica enérgico energética energético vivaz dinámica "
    "dinámico กระตือรือร้น มีพลัง",
    "friendly": "friendly kind gentle-hearted amigável simpática simpático amable amistosa amistoso เป็นมิตร "
    "ใจดี",
    "high": "high high-pitched aguda agudo fina แหลม สูง",
    "low": "low lowest low-pitched grave baixa baixo baja bajo ต่ำ",
    "measured": "measured steady pausada pausado",
    "middle": "middle medium média médio",
    "news": "news newsreader anchor notícias jornalística jornalístico noticias periodística ข่าว ผู้ประกาศ",
    "professional": "professional formal corporate business profissional corporativa profesional มืออาชีพ "
    "ทางการ",
    "quick": "quick fast rápida rápido เร็ว",
    "raspy": "raspy hoarse husky gravelly rough rouca rouco ronca ronco áspera áspero แหบ",
    "serious": "serious authoritative confident séria sério autoritária seria serio autoritaria segura "
    "จริงจัง น่าเชื่อถือ",
    "slow": "slow lenta lento ช้า",
    "soft": "soft gentle tender whispery suave delicada delicado terna tierna นุ่ม นุ่มนวล อ่อนโยน เบา",
    "storytelling": "storytelling storyteller narrator narration narrative audiobook narradora narrador "
    "narração narración audiolivro audiolibro เล่าเรื่อง ผู้บรรยาย บรรยาย หนังสือเสียง",
    "warm": "warm warmhearted cozy quente calorosa caloroso acolhedora acolhedor cálida cálido acogedora "
    "acogedor อบอุ่น",
}
# These words are frequent in descriptions, and have no meaning for the search.
_FILLER = (
    "language idioma lengua língua speaking speaks fala habla more mais más quite bem "
    "a an and the with of for in who that is very voice voices speaker accent like sound sounding uma um e o "
    "com de do da para em que voz vozes muito una y el la con los las muy acento sotaque falante เสียง ภาษา ที่ "
    "และ มี คน"
)


def search_form(text: str) -> str:
    """Return lower case without accents on Latin letters. Hyphens and underscores become blanks."""
    parts = unicodedata.normalize("NFD", text.lower().replace("-", " ").replace("_", " "))
    plain_letters = [character for character in parts if not "\u0300" <= character <= "\u036f"]
    return " ".join(unicodedata.normalize("NFC", "".join(plain_letters)).split())


def _meanings_of(kind: str, table: Mapping[str, str]) -> dict[str, str]:
    """Return the meaning of each word in a table, such as `quality:warm`. A meaning's own words are added."""
    return {
        search_form(word): " ".join(f"{kind}:{meaning}" for meaning in meanings.split())
        for meanings, words in table.items()
        for word in (*words.split(), *meanings.split())
    }


def _meanings_of_people() -> dict[str, str]:
    """Return the meaning of each word for people: a gender, and for some words an age."""
    return {
        search_form(word): " ".join(
            f"gender:{meaning}" if meaning in ("female", "male") else f"age:{meaning}"
            for meaning in meanings.split()
        )
        for meanings, words in _GENDER.items()
        for word in words.split()
    }


_LANGUAGE_TAGS = {search_form(word): tag for tag, words in _LANGUAGE.items() for word in words.split()}


def language_named(word: str) -> str:
    """Return the tag of a language by its name, such as French or francês, or "" for another word."""
    return _LANGUAGE_TAGS.get(search_form(word), "")


VOCABULARY = WordFinder(
    {
        **dict.fromkeys(map(search_form, _FILLER.split()), ""),
        **_meanings_of("quality", _QUALITY),
        **_meanings_of("age", _AGE),
        **{word: f"language:{tag}" for word, tag in _LANGUAGE_TAGS.items()},
        **_meanings_of_people(),
    }
)
"""The meanings of a word or phrase, as `kind:meaning` with blanks between. Filler words have no meaning."""
