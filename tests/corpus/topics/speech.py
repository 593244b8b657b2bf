"""Speech that is heard: every format in every kind of answer, and what each field does."""

from tests.corpus.steps import Step, Topic, account, get, speak

_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm", "g711_ulaw", "g711_alaw")
_STREAMED = {"x-stainless-raw-response": "stream"}
_LONG = "This sentence is said again and again until a minute is over. " * 18

_formats = (
    *account("formats", "metered", max_characters=4096, allowance=1000),
    *(
        speak(f"audio as {name}", "Hello, world.", response_format=name, step={"key": "formats"})
        for name in _FORMATS
    ),
    speak("audio by default", "Hello, world.", response_format=None),
    *(
        speak(f"JSON with {name}", "Hello, world.", response_format="json", audio_format=name)
        for name in _FORMATS
    ),
    speak("JSON by default", "Hello, world. And you?", response_format="json", step={"key": "formats"}),
    *(
        speak(
            f"events with {name}",
            "Hello, world.",
            model="gpt-4o-mini-tts",
            response_format=name,
            stream_format="sse",
            step={"key": "formats"},
        )
        for name in _FORMATS
    ),
    speak("tts-1 has no events", "Hello, world.", stream_format="sse"),
    speak("tts-1-hd has no events", "Hello, world.", model="tts-1-hd", stream_format="sse"),
    speak("events of a pinned model", "Hello, world.", model="tone/standard", stream_format="sse"),
    speak("audio as asked for", "Hello, world.", model="gpt-4o-mini-tts", stream_format="audio"),
    speak("JSON is no stream", "Hello.", model="tone", response_format="json", stream_format="sse"),
    speak("WAV as a stream", "Hello, world.", response_format="wav", step={"headers": _STREAMED}),
    speak("a long WAV", _LONG, response_format="wav", step={"key": "formats"}),
    speak("WAV at another rate", "Hello.", model="spare/standard", response_format="wav"),
    speak("WAV at 8 kHz", "Hello.", response_format="wav", sample_rate=8_000, step={"key": "formats"}),
    speak("MP3 of many bits", "Hello.", sample_rate=44_100, bitrate=192, step={"key": "formats"}),
    speak("Opus at a rate it has not", "Hello.", response_format="opus", sample_rate=44_100),
    speak("more bits than MP3 has at 24 kHz", "Hello.", bitrate=320),
    speak("espeak as WAV", "Hello, world.", model="small", response_format="wav"),
    speak("espeak with times", "Hello, world.", model="small", response_format="json"),
)

_fields = (
    *account("fields", "metered", max_characters=4096, allowance=1000),
    speak("two sentences", "One is here. Two is there.", step={"key": "fields"}),
    speak("a voice of another name", "Hello.", voice="nova", model="tone"),
    speak("a voice as an object", "Hello.", voice={"id": "alloy"}),
    speak("a voice of the engine", "Hello.", voice="tone/low", model="tone/standard"),
    speak("a unique name of an engine's voice", "Hello.", voice="ben", model="spare"),
    speak("a capital letter", "Hello.", voice="Anna", model="spare"),
    speak("an alias", "Hello.", model="with-spare", step={"key": "fields"}),
    speak("a pinned model", "Hello.", model="spare/standard", step={"key": "fields"}),
    speak("an engine alone", "Hello.", model="spare"),
    speak("a model's own id is on several engines", "Hello.", model="standard"),
    speak("faster", "Hello.", speed=2),
    speak("slower", "Hello.", speed=0.5, response_format="json"),
    speak("fastest", "Hello.", speed=4.0),
    speak("slowest", "Hi.", speed=0.25),
    speak("faster by stretching", "Hello, world.", model="small", speed=3.5, response_format="wav"),
    speak("a language", "Bonjour.", language="fr"),
    speak("a language with a region", "Bom dia.", language="pt-BR"),
    speak("a language in another case", "Bom dia.", language="PT-br"),
    speak("a pitch of nothing", "Hello.", pitch=0),
    speak("espeak's pitch", "Hello, world.", model="small", pitch=4, response_format="wav"),
    speak("a seed", "Hello.", seed=7),
    speak("instructions", "Hello.", instructions="Be kind."),
    speak("unknown fields", "Hello.", colour="red", user="ada"),
    speak("fields that are null", "Hello.", speed=None, step={"headers": {"accept": "audio/wav"}}),
    Step(
        "nulls as they are sent",
        "POST",
        "/v1/audio/speech",
        raw='{"model":"tts-1","voice":"alloy","input":"Hello.","speed":null,"language":null,"seed":null,'
        '"response_format":null,"cache":null}',
    ),
    Step(
        "without a content type",
        "POST",
        "/v1/audio/speech",
        raw='{"model":"tts-1","voice":"alloy","input":"Hello.","response_format":"pcm"}',
    ),
    Step(
        "as a form says, but JSON",
        "POST",
        "/v1/audio/speech",
        headers={"content-type": "application/x-www-form-urlencoded"},
        raw='{"model":"tts-1","voice":"alloy","input":"Hello.","response_format":"pcm"}',
    ),
    Step(
        "with a slash at the end",
        "POST",
        "/v1/audio/speech/",
        body={"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"},
    ),
    speak("numbers are read out", "It costs $5, on 3 May."),
    speak("blanks around", "  Hello.  \n\n World. "),
    speak("other scripts", "你好。 สวัสดี 👋", model="tone"),
    speak("silence", "Hello.", voice="silent"),
    speak("an administrator's", "Hello.", step={"key": "admin"}),
    speak("an administrator's failure", "Hello.", voice="no-text", step={"key": "admin"}),
    get("what was left of it", "/v1/usage?limit=3", "fields"),
)

_languages = (
    speak("a route by language", "Bom dia a todos.", language="pt", voice="alloy"),
    speak("a route by what is detected", "Bom dia a todos, hoje vamos falar sobre a cidade.", voice="alloy"),
    speak("a route by the voice", "Bom dia.", voice="onyx"),
    speak("a pin knows no route", "Bom dia a todos.", language="pt", model="tone/standard"),
    speak("a route whose first is absent", "Bonjour à tous.", language="fr"),
    speak(
        "sentences in their languages",
        "Good morning to you all, my friends. Bom dia a todos, hoje vamos falar da cidade. Let us begin.",
        language="auto",
        response_format="json",
    ),
    speak(
        "sentences in their languages, told to an administrator",
        "Good morning to you all, my friends. Bom dia a todos, hoje vamos falar sobre a cidade.",
        language="auto",
        step={"key": "admin"},
    ),
    speak("auto with one language", "Good morning to you all.", language="auto"),
    speak("auto is not a tag elsewhere", "Hello.", language="AUTO"),
    speak("espeak does not speak it", "Hello.", model="small", language="tlh"),
    speak("a region of nobody", "Hello.", model="small", language="en-XX"),
)

TOPICS = (
    Topic("speech_formats", "house", _formats),
    Topic("speech_fields", "house", _fields),
    Topic("speech_languages", "house", _languages),
)
