"""What the endpoints of recordings are asked by the test of /openapi.json, in this order."""

from tests import speech_clips
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.http.described import Exchange

_CONSENT = {"name": "Ana", "language": "pt-BR", "statement": "Ana agreed on paper."}
_SENT = {"emotion": "sad", "ref_text": "Oh no."}
_TEXT = {"ref_text": "Oh yes."}
_WRONG = {"emotion": "furious"}
_RECORDING = speech_clips.wav()
_LONG, _SHORT = "/v1/audio/voices", "/v1/voices"
_MODELS = "/v1/audio/voice_models"
_MODEL = {"voice": "{voice}", "format": "tone"}
_OF_VOICE = "/admin/voices/{voice}/samples"

EXCHANGES = (
    Exchange("create_voice_consent", "POST", "/v1/audio/voice_consents", _CONSENT),
    Exchange(
        "create_voice",
        "POST",
        _LONG,
        {"name": "Ana of recordings", "consent": "{consent}"},
        file=_RECORDING,
        file_field="audio_sample",
    ),
    Exchange("add_voice_sample", "POST", f"{_LONG}/{{voice}}/samples", _SENT, 201, _RECORDING),
    Exchange("add_voice_sample_by_short_path", "POST", f"{_SHORT}/x/samples", _WRONG, 400, b""),
    Exchange("add_voice_sample", "POST", f"{_LONG}/{{voice}}/samples?cut=true", {}, 403, _RECORDING),
    Exchange("add_saved_voice_sample", "POST", f"{_OF_VOICE}?cut=true", {}, 400, _RECORDING),
    Exchange("list_voice_samples", "GET", f"{_LONG}/{{voice}}/samples"),
    Exchange("list_voice_samples_by_short_path", "GET", f"{_SHORT}/nobody/samples", status=404),
    Exchange("list_voice_prompts", "GET", "/v1/audio/voice_prompts?language=es"),
    Exchange("list_voice_prompts", "GET", "/v1/audio/voice_prompts?language=xx", status=400),
    Exchange("list_voice_prompts_for_all", "GET", "/admin/voice_prompts"),
    Exchange(
        "judge_recording", "POST", "/v1/audio/voice_quality", {}, file=_RECORDING, file_field="audio_sample"
    ),
    Exchange("judge_recording", "POST", "/v1/audio/voice_quality", {}, 400, b"", file_field="audio_sample"),
    Exchange("judge_recording_for_operator", "POST", "/admin/voice_quality", {}, 400, b"no audio"),
    Exchange("get_voice", "GET", f"{_LONG}/{{voice}}"),
    Exchange("update_voice_sample", "POST", f"{_LONG}/{{voice}}/samples/{{sample}}", _TEXT),
    Exchange("update_voice_sample_by_short_path", "POST", f"{_SHORT}/{{voice}}/samples/x", _TEXT, 404),
    Exchange("delete_voice_sample", "DELETE", f"{_LONG}/{{voice}}/samples/{{sample}}"),
    Exchange("delete_voice_sample_by_short_path", "DELETE", f"{_SHORT}/{{voice}}/samples/x", status=404),
    Exchange("add_saved_voice_sample", "POST", _OF_VOICE, _SENT, 201, _RECORDING),
    Exchange("list_saved_voice_samples", "GET", _OF_VOICE),
    Exchange("update_saved_voice_sample", "POST", f"{_OF_VOICE}/{{sample}}", _TEXT),
    Exchange("delete_saved_voice_sample", "DELETE", f"{_OF_VOICE}/{{sample}}"),
    Exchange("delete_saved_voice_sample", "DELETE", f"{_OF_VOICE}/{{sample}}", status=404),
    Exchange("bring_voice_model", "POST", _MODELS, {"voice": "{voice}"}, file=tone_voice()),
    Exchange("bring_voice_model", "POST", _MODELS, {"voice": "{voice}"}, 400, file=b"{}"),
    Exchange("get_voice", "GET", f"{_LONG}/{{voice}}"),
    Exchange("export_voice_model", "GET", f"{_LONG}/{{voice}}/model"),
    Exchange("export_voice_model_by_short_path", "GET", f"{_SHORT}/{{voice}}/model?form=no", status=400),
    Exchange("bring_saved_voice_model", "POST", "/admin/voice_models", _MODEL, 201, tone_voice()),
    Exchange("export_saved_voice_model", "GET", "/admin/voices/{voice}/model"),
)
