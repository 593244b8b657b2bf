"""The rules of consents: the phrase that the owner of a voice reads aloud, and the judgement of two speakers.

The phrase is in the owner's language and names the operator of the server: a consent to another operator does
not count. Fifteen phrases have OpenAI's wording, so that one recording is valid at both services. OpenAI has
no Thai phrase.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from policies.sample_quality import Rating
from speech_engine.comparer import SpeakerScale

_PHRASES = {
    "de": "Ich bin der Eigentümer dieser Stimme und bin damit einverstanden, dass {operator} diese "
    "Stimme zur Erstellung eines synthetischen Stimmmodells verwendet.",
    "en": "I am the owner of this voice and I consent to {operator} using this voice to create a "
    "synthetic voice model.",
    "es": "Soy el propietario de esta voz y doy mi consentimiento para que {operator} la utilice para "
    "crear un modelo de voz sintética.",
    "fr": "Je suis le propriétaire de cette voix et j'autorise {operator} à utiliser cette voix pour "
    "créer un modèle de voix synthétique.",
    "hi": "मैं इस आवाज़ का मालिक हूँ और मैं {operator} को इस आवाज़ से एक कृत्रिम आवाज़ का मॉडल बनाने की सहमति देता हूँ।",
    "id": "Saya pemilik suara ini dan saya menyetujui {operator} menggunakan suara ini untuk membuat "
    "model suara sintetis.",
    "it": "Sono il proprietario di questa voce e acconsento che {operator} la utilizzi per creare un "
    "modello di voce sintetica.",
    "ja": "私はこの声の所有者であり、{operator}がこの声を使用して合成音声モデルを作成することに同意します。",
    "ko": "나는 이 목소리의 소유자이며, {operator}"
    "에서 이 목소리를 사용하여 합성 음성 모델을 만드는 데 동의합니다.",
    "nl": "Ik ben de eigenaar van deze stem en ik geef {operator} toestemming om met deze stem een "
    "synthetisch stemmodel te maken.",
    "pl": "Jestem właścicielem tego głosu i wyrażam zgodę, aby {operator} wykorzystał ten głos do "
    "stworzenia syntetycznego modelu głosu.",
    "pt": "Eu sou o proprietário desta voz e autorizo {operator} a usá-la para criar um modelo de voz "
    "sintética.",
    "ru": "Я являюсь владельцем этого голоса и согласен с тем, что {operator} использует этот голос "
    "для создания модели синтетического голоса.",
    "th": "ฉันเป็นเจ้าของเสียงนี้ และฉันยินยอมให้ {operator} ใช้เสียงนี้เพื่อสร้างแบบจำลองเสียงสังเคราะห์",
    "uk": "Я є власником цього голосу і погоджуюся, щоб {operator} використовував цей голос для "
    "створення моделі синтетичного голосу.",
    "vi": "Tôi là chủ sở hữu giọng nói này và tôi đồng ý để {operator} sử dụng giọng nói này để tạo mô "
    "hình giọng nói tổng hợp.",
    "zh": "我是此声音的拥有者，我同意{operator}使用此声音创建合成语音模型。",
}

LANGUAGES = tuple(sorted(_PHRASES))


def phrase(language: str, operator: str) -> str | None:
    """Return the phrase for a language tag, or None. All regions of a language have the same phrase."""
    known = _PHRASES.get(language.partition("-")[0].lower())
    return None if known is None else known.format(operator=operator)


def has_phrase(language: str) -> bool:
    return phrase(language, "") is not None


SpeakerAnswer = Literal["same", "other", "unsure"]


def judge_speakers(score: float, scale: SpeakerScale, ratings: Iterable[Rating]) -> SpeakerAnswer:
    """Judge the score of two recordings. If one has a low quality, the answer is "unsure": noise can make one
    speaker sound like two."""
    if "low" in ratings:
        return "unsure"
    if score >= scale.same:
        return "same"
    return "other" if score < scale.other else "unsure"
