"""What a voice says in a sample, by language: two sentences, and the longer text of the front.

A voice without one of these languages has no sample.

The project wrote these texts. No native speaker has read any of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.language import base_tag

_SAMPLES: Mapping[str, str] = {
    "ar": "مرحبا، هكذا يبدو صوتي. يسعدني أن أقرأ لك كتابا أو خبرا أو رسالة قصيرة.",
    "de": "Hallo, so klingt meine Stimme. Gern lese ich Ihnen eine Geschichte oder einen Brief vor.",
    "en": "Hello, this is how my voice sounds. I will gladly read you a story, the news or a short letter.",
    "es": "Hola, así suena mi voz. Con gusto te leo un cuento, las noticias del día o una carta breve.",
    "fr": "Bonjour, voici comment sonne ma voix. Je vous lis volontiers un conte, un article ou une lettre.",
    "ha": "Sannu, haka muryata take. Zan iya karanta maka labari, littafi ko gajeriyar wasika.",
    "hi": "नमस्ते, मेरी आवाज़ ऐसी है। मुझे आपके लिए कहानी, समाचार या छोटा पत्र पढ़ना अच्छा लगता है।",
    "id": "Halo, beginilah suara saya. Saya senang membacakan cerita, berita, atau surat pendek untuk Anda.",
    "it": "Ciao, questa è la mia voce. Ti leggo volentieri una storia, le notizie o una breve lettera.",
    "ja": "こんにちは、これが私の声です。物語やニュース、短い手紙などを、喜んでお読みします。",
    "ko": "안녕하세요, 제 목소리는 이렇습니다. 이야기나 뉴스, 짧은 편지를 기꺼이 읽어 드리겠습니다.",
    "nl": "Hallo, zo klinkt mijn stem. Ik lees u graag een verhaal, het nieuws of een korte brief voor.",
    "pl": "Cześć, tak brzmi mój głos. Chętnie przeczytam ci opowiadanie, wiadomości albo krótki list.",
    "pt": "Olá, é assim que soa a minha voz. Leio com prazer uma história, as notícias ou uma carta curta.",
    "ru": "Здравствуйте, так звучит мой голос. Охотно прочитаю вам рассказ, новости или короткое письмо.",
    "sw": "Habari, hivi ndivyo sauti yangu inavyosikika. Nitafurahi kukusomea hadithi, habari au barua fupi.",
    "th": "สวัสดี นี่คือเสียงของฉัน ฉันยินดีอ่านนิทาน ข่าว หรือจดหมายสั้น ๆ ให้คุณฟัง",
    "tr": "Merhaba, sesim böyle. Size bir hikâye, haberleri ya da kısa bir mektubu seve seve okurum.",
    "uk": "Вітаю, так звучить мій голос. Я залюбки прочитаю вам оповідання, новини або короткий лист.",
    "vi": "Xin chào, đây là giọng nói của tôi. Tôi rất vui được đọc truyện, tin tức hay một lá thư ngắn.",
    "zh": "你好，这就是我的声音。我很乐意为你读一个故事、一条新闻或一封短信。",
}
"""Two sentences of at most 110 characters: the pitch of one sentence differs too much from text to text."""
_FRONT: Mapping[str, str] = {
    "en": "Some texts are read, and some are heard. Give me a chapter, a lesson or the words of your app, "
    "and a moment later you can listen to them. This is how I sound when I take my time.",
    "es": "Hay textos que se leen y textos que se escuchan. Dame un capítulo, una lección o las palabras de "
    "tu aplicación, y en un momento podrás oírlos. Así sueno cuando leo con calma.",
    "pt": "Há textos que se leem e textos que se escutam. Me dê um capítulo, uma aula ou as palavras do seu "
    "aplicativo, e em um instante você poderá ouvi-los. É assim que eu soo quando leio com calma.",
    "th": "บางข้อความมีไว้อ่าน บางข้อความมีไว้ฟัง ส่งบทหนึ่งของหนังสือ บทเรียน หรือคำพูดในแอปของคุณมา "
    "แล้วอีกครู่เดียวคุณก็จะได้ฟัง นี่คือเสียงของฉันเมื่อฉันอ่านอย่างไม่รีบร้อน",
}
"""The longer texts of the front, in its languages. The Portuguese one is Brazilian."""
FRONT_LANGUAGES = ("en", "es", "pt-BR", "th")


def sample_text(tag: str) -> str:
    """Return the two sentences of a language, or "" if there are none."""
    return _SAMPLES.get(base_tag(tag), "")


def front_text(tag: str) -> str:
    """Return the longer text of a language of the front, or ""."""
    return _FRONT.get(base_tag(tag), "")
