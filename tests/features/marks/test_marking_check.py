"""`voxgate check` on marks: whose speech is marked, whose is left to its provider, and keys that are none."""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from proxy.config.finding import NO_RESULTS, Finding, ProbeResults
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.marks.marking_check import check_marking
from speech_engine import ModelInfo
from tests.tables import each_row

KEY = b64encode(bytes(32)).decode()
ENGINES = """
[engines.espeak]
[engines.tone]
[engines.cloud]
plugin = "openai"
api_key = "key"
base_url = "https://api.example.org"
"""
SPEECH = ModelInfo(id="standard", languages=(), sample_rate_hz=24_000)
TONES = ModelInfo(id="standard", languages=(), sample_rate_hz=24_000, is_speech=False)


def findings(
    folder: Path, text: str, results: ProbeResults = NO_RESULTS, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    file = folder / "config.toml"
    file.write_text(text)
    return [*check_marking(load_config(file, environ or {}), registry.load(), results)]


def test_it_says_whose_speech_is_marked_and_whose_is_left(tmp_path: Path) -> None:
    marked, left = findings(tmp_path, ENGINES, ProbeResults({"tone": (TONES,), "espeak": (SPEECH,)}))
    assert (marked.verdict, marked.name, marked.found) == ("ok", "spread", "speech of espeak is marked")
    assert (left.verdict, left.found) == (
        "note",
        "speech of cloud is left as it comes: its provider may mark it, or not",
    )
    assert "loses a provider's own manifest" in left.do


def test_what_does_not_run_is_not_known_to_be_speech(tmp_path: Path) -> None:
    unknown, _left = findings(tmp_path, ENGINES)
    assert (unknown.verdict, unknown.name) == ("ok", "unknown")
    assert (
        unknown.found == "sound of espeak, tone is marked if it is speech, which an engine tells when it runs"
    )
    marked, unknown, _left = findings(tmp_path, ENGINES, ProbeResults({"espeak": (SPEECH,)}))
    assert marked.found == "speech of espeak is marked"
    assert unknown.found.startswith("sound of tone is marked if")
    nobody, _left = findings(tmp_path, ENGINES, ProbeResults({"tone": (TONES,), "espeak": (TONES,)}))
    assert nobody.found == "speech of no engine here is marked"


def test_the_operators_word_counts(tmp_path: Path) -> None:
    text = ENGINES.replace("[engines.espeak]", "[engines.espeak]\nmarking = false").replace(
        '"key"', '"key"\nmarking = true'
    )
    (only,) = findings(tmp_path, text, ProbeResults({"tone": (TONES,)}))
    assert only.found == "speech of cloud is marked"


@each_row(
    ("text", "environ", "verdict", "found"),
    [
        (
            '[marking]\nmark = "none such"',
            {},
            "wrong",
            "none such is not installed, so nothing that must be marked is spoken",
        ),
        ('[marking]\nmark = ""\n[marks.spread]', {}, "note", 'mark = "": no sound has an inaudible mark'),
        ('[marking]\nmark = ""\n[marks.spread]', {}, "note", "[marks.spread] has no effect"),
        ('[marking]\nkeys = "env:K"', {"K": f"{KEY} {KEY}"}, "ok", "0 older"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, environ: dict[str, str], verdict: str, found: str
) -> None:
    assert any(
        each.verdict == verdict and found in each.found for each in findings(tmp_path, text, environ=environ)
    )


def test_a_file_of_keys_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "data" / "mark-keys"
    file.parent.mkdir()

    def verdicts() -> list[tuple[str, str]]:
        return [(each.verdict, each.found) for each in findings(tmp_path, "") if each.name == str(file)]

    assert verdicts() == []
    file.write_text("spoilt")
    ((verdict, found),) = verdicts()
    assert (verdict, "mark-keys must hold keys" in found) == ("wrong", True)
    file.write_text(KEY)
    ((verdict, found),) = verdicts()
    assert (verdict, found.endswith("0 older")) == ("ok", True)
    file.unlink()
    file.mkdir()
    assert verdicts() == [("wrong", f"{file} cannot be read: Is a directory")]
    file.rmdir()
    # Root may read everything, so a loop of links stands for what the user may not read.
    file.symlink_to(file)
    ((verdict, found),) = verdicts()
    assert (verdict, "cannot be read" in found) == ("wrong", True)


def test_beside_servers_of_0_1_0_their_file_of_keys_is_judged_too(tmp_path: Path) -> None:
    file = tmp_path / "data" / "receipt-keys"
    file.parent.mkdir()
    file.write_text("spoilt")
    shared = '[storage]\nurl = "postgresql://127.0.0.1:1/voxgate"\n'
    of_file = {
        text: [each for each in findings(tmp_path, text) if each.name == str(file)] for text in ("", shared)
    }
    assert [each.verdict for each in of_file[shared]] == ["wrong"]
    assert of_file[""] == []
