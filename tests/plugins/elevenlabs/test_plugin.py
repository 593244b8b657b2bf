"""The plugin in a server: its section of the config, a speech through everything, and a fake of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import msgspec
import pytest

from fakes.elevenlabs import KEY
from plugins.elevenlabs import plugin
from plugins.elevenlabs.plugin import ElevenLabsSettings
from proxy.config.sections import EngineSection
from proxy.engines.registry import EngineConfigError, load
from tests.server import running, stop
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "eleven"
[engines.elevenlabs]
api_key = "env:ELEVENLABS_API_KEY"
base_url = "{url}"
word_times = true
[models]
"eleven" = ["elevenlabs/eleven_multilingual_v2"]
[voices.ada]
elevenlabs = "fakeVoice01"
"""


@contextmanager
def fake_program() -> Iterator[str]:
    command = [sys.executable, "-m", "fakes.elevenlabs", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = re.search(rb"http://\S+", process.stdout.readline())
        assert found
        yield found[0].decode()
    finally:
        stop(process)


def test_a_server_speaks_with_it_and_never_tells_its_key(tmp_path: Path) -> None:
    with fake_program() as url:
        environ = {"ELEVENLABS_API_KEY": KEY}
        with running(tmp_path, CONFIG.format(url=url), environ=environ) as server:
            with server.client() as client:
                voices = client.get("/v1/audio/voices").json()
                answers = {
                    format_: client.post(
                        "/v1/audio/speech",
                        json={
                            "model": "eleven",
                            "voice": "ada",
                            "input": "Hello.",
                            "response_format": format_,
                        },
                    )
                    for format_ in ("mp3", "pcm", "json")
                }
            told = server.log.read_text() + server.cli("engines").stdout
        seen = httpx2.get(f"{url}/_fake/requests").json()["requests"]
    assert {answer.status_code for answer in answers.values()} == {200}
    assert "fakeVoice02" in str(voices)
    # 6 characters of the fake's hum, 60 ms each.
    assert decoded(answers["mp3"].content, "mp3").seconds == pytest.approx(0.36, abs=0.1)
    assert len(answers["pcm"].content) == pytest.approx(48_000 * 0.36, rel=0.01)
    assert [word["word"] for word in answers["json"].json()["words"]] == ["Hello."]
    spoken = [each["query"] for each in seen if "text-to-speech" in each["path"]]
    assert spoken[:2] == ["output_format=mp3_44100_128", "output_format=pcm_24000"]
    assert KEY not in told


@each_row(
    ("settings", "named"),
    [
        ({}, "api_key"),
        ({"api_key": "k", "base_url": "api.elevenlabs.io"}, "base_url"),
        ({"api_key": "k", "stability": 1.5}, "stability"),
        ({"api_key": "k", "mp3": "mp3_44100_320"}, "mp3"),
        ({"api_key": "k", "conversion_path": "voices"}, "conversion_path"),
        ({"api_key": "k", "text_normalization": "maybe"}, "text_normalization"),
        ({"api_key": "k", "voice": "x"}, "voice"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], named: str) -> None:
    section = EngineSection(plugin="elevenlabs", settings=settings)
    with pytest.raises(EngineConfigError, match=f"engines.eleven.{named}"):
        load().engine("eleven", section, "")


def test_settings_do_not_show_their_key() -> None:
    assert "hunter2" not in repr(ElevenLabsSettings(api_key="hunter2"))


def test_the_front_is_light() -> None:
    heavy = "{'av', 'starlette', 'uvicorn', 'numpy', 'aiohttp', 'elevenlabs'}"
    program = f"import sys, plugins.elevenlabs.plugin; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_readme_has_each_setting_with_its_default() -> None:
    readme = (Path(plugin.__file__).parent / "README.md").read_text()
    documented = set[str]()
    for line in readme.splitlines():
        if found := re.match(r"\| (`\w+`(?:, `\w+`)*) \|", line):
            documented |= set(re.findall(r"\w+", found[1]))
            for field in msgspec.structs.fields(ElevenLabsSettings):
                if field.name in found[1] and isinstance(field.default, str | bool):
                    assert f"`{str(field.default).lower()}`" in line, field.name
    assert documented == {field.name for field in msgspec.structs.fields(ElevenLabsSettings)}
