"""`voxgate say` beside a real server: what it plays, saves and refuses."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from plugins.tone.decode import decode
from tests import server
from tests.commands import run
from tests.features.jobs.conversions.rig import flac, said
from tests.server import VOXGATE, Server
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow

TEXT = "Hello there."


@pytest.fixture
def beside(plain_server: Server) -> Server:
    return plain_server


def say(
    beside: Server, folder: Path, *arguments: str, text: str = "", **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Ask with only the players in `folder/players`, and `folder/temporary` for what is saved."""
    return run(
        "say", *arguments, environ=_environ(beside, folder, **more), typed=text.encode(), folder=folder
    )


def _environ(beside: Server, folder: Path, **more: str) -> dict[str, str]:
    for name in ("players", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "VOXGATE_CONFIG": str(beside.config),
        "PATH": str(folder / "players"),
        "TMPDIR": str(folder / "temporary"),
        **more,
    }


def player(folder: Path, name: str, status: int = 0) -> Path:
    """A player that keeps what it was given, and ends with a status."""
    heard = folder / f"{name}.heard"
    (folder / "players").mkdir(exist_ok=True)
    program = folder / "players" / name
    program.write_text(f'#!/bin/sh\nfor file; do :; done\n/bin/cp "$file" {heard}\nexit {status}\n')
    program.chmod(0o755)
    return heard


def test_the_answer_is_played_and_nothing_is_left(beside: Server, tmp_path: Path) -> None:
    heard = player(tmp_path, "paplay")
    done = say(beside, tmp_path, TEXT)
    assert done.stdout.decode() == "tone/standard as alloy in en, played with paplay\n", done.stderr
    assert decoded(heard.read_bytes(), "wav").seconds > 0.1
    assert not list((tmp_path / "temporary").iterdir())


def test_a_player_that_fails_or_cannot_play_the_format_is_passed_over(beside: Server, tmp_path: Path) -> None:
    failed, unable, heard = (
        player(tmp_path, "mpv", status=2),
        player(tmp_path, "aplay"),
        player(tmp_path, "ffplay", status=1),
    )
    done = say(beside, tmp_path, TEXT, "--format", "mp3")
    assert (failed.exists(), unable.exists(), heard.exists()) == (True, False, True)
    (file,) = (tmp_path / "temporary").iterdir()
    assert decoded(file.read_bytes(), "mp3").seconds > 0.1
    first, second = done.stdout.decode().splitlines()
    assert first.startswith("No player that works here plays mp3 (pw-play, paplay,")
    assert second == f"tone/standard as alloy in en, saved as {file}"


@pytest.mark.parametrize(("name", "format_"), [("b.ogg", "opus"), ("c", "wav")])
def test_a_file_has_the_format_of_its_name(beside: Server, tmp_path: Path, name: str, format_: str) -> None:
    heard = player(tmp_path, "paplay")
    done = say(
        beside,
        tmp_path,
        "-",
        "--out",
        name,
        "--model",
        "espeak/standard",
        "--voice",
        "espeak/f3",
        "--json",
        text=TEXT,
    )
    told = json.loads(done.stdout)
    assert (told["file"], told["format"], told["player"]) == (name, format_, None)
    data = (tmp_path / name).read_bytes()
    assert len(data) == told["bytes"]
    assert decoded(data, format_).seconds > 0.1
    assert not heard.exists()


def test_a_minus_is_stdout(beside: Server, tmp_path: Path) -> None:
    done = say(
        beside, tmp_path, TEXT, "--out", "-", "--format", "flac", "--language", "de", "--model", "tone"
    )
    assert decoded(done.stdout, "flac").seconds > 0.1
    refused = say(beside, tmp_path, TEXT, "--out", "-", "--json")
    assert (refused.returncode, refused.stdout) == (1, b"")


@each_row(
    ("arguments", "message"),
    [
        (("--format", "json"), "--format json: "),
        (("--voice", "nobody"), "nobody"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_a_refusal_is_one_line_and_replaces_no_file(
    beside: Server, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    kept = tmp_path / "kept.wav"
    kept.write_text("mine")
    done = say(beside, tmp_path, TEXT, "--out", "kept.wav", *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    assert message in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", ".wav/take.2"])
def test_a_file_whose_name_ends_in_no_format_is_not_touched(
    beside: Server, tmp_path: Path, name: str
) -> None:
    kept = tmp_path / name
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    done = say(beside, tmp_path, TEXT, "--out", name)
    assert done.returncode == 1
    assert f"{name}: {kept.suffix} is no format (mp3, opus, aac, flac, wav, pcm, ogg)" in done.stderr.decode()
    assert kept.read_text() == "mine"


def test_a_disk_that_is_full_leaves_what_was_there(beside: Server, tmp_path: Path) -> None:
    kept = tmp_path / "kept.wav"
    kept.write_bytes(b"mine" * 100)
    # A file may have a block of 512 bytes, and Python is told so in place of a signal.
    command = [
        "/bin/sh",
        "-c",
        'ulimit -f 1; exec "$@"',
        "sh",
        str(VOXGATE),
        "say",
        TEXT,
        "--out",
        "kept.wav",
    ]
    environ = {**os.environ, **_environ(beside, tmp_path)}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (1, "kept.wav: File too large\n")
    assert kept.read_bytes() == b"mine" * 100
    assert {each.name for each in tmp_path.iterdir()} == {"kept.wav", "players", "temporary"}


def test_a_folder_that_is_not_there_is_named_by_the_file(beside: Server, tmp_path: Path) -> None:
    done = say(beside, tmp_path, TEXT, "--out", "none/a.wav")
    assert (done.returncode, done.stderr.decode()) == (1, "none/a.wav: No such file or directory\n")


def test_a_file_that_was_there_is_replaced_behind_its_link_and_told(beside: Server, tmp_path: Path) -> None:
    kept, link = tmp_path / "kept.bin", tmp_path / "link.bin"
    kept.write_text("mine")
    kept.chmod(0o640)
    link.symlink_to(kept)
    done = say(beside, tmp_path, TEXT, "--out", "link.bin", "--format", "wav")
    told = "tone/standard as alloy in en, saved as link.bin, in place of what was there\n"
    assert done.stdout.decode() == told, done.stderr
    assert link.is_symlink()
    assert decoded(kept.read_bytes(), "wav").seconds > 0.1
    assert kept.stat().st_mode & 0o777 == 0o640


def test_a_pipe_stays_a_pipe(beside: Server, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        done = say(beside, tmp_path, TEXT, "--out", "pipe.wav")
        if done.returncode or not pipe.is_fifo():
            reader.kill()
        heard = reader.communicate(timeout=10)[0]
    assert done.returncode == 0, done.stderr
    assert pipe.is_fifo()
    assert decoded(heard, "wav").seconds > 0.1


def test_a_key_on_the_command_line_is_no_option(beside: Server, tmp_path: Path) -> None:
    assert say(beside, tmp_path, TEXT, "--key", beside.key).returncode == 2
    wrong = say(beside, tmp_path, TEXT, VOXGATE_KEY="sk-vg-wrong")
    told = "Put a key into VOXGATE_KEY; voxgate keys create makes one.\n"
    assert wrong.stderr.decode().endswith(told)


def test_a_key_of_the_environment_counts(beside: Server, tmp_path: Path) -> None:
    elsewhere = {"VOXGATE_SERVER__DATA": "none", "VOXGATE_SERVER__PORT": beside.url.rpartition(":")[2]}
    known = say(beside, tmp_path, TEXT, "--out", "a.mp3", VOXGATE_KEY=beside.key, **elsewhere)
    assert known.stdout.decode() == "tone/standard as alloy in en, saved as a.mp3\n", known.stderr


def test_without_a_key_or_a_server_it_says_what_to_run(beside: Server, tmp_path: Path) -> None:
    port = beside.url.rpartition(":")[2]
    keyless = say(beside, tmp_path, TEXT, VOXGATE_SERVER__DATA=str(tmp_path), VOXGATE_SERVER__PORT=port)
    assert "voxgate keys create makes one" in keyless.stderr.decode()
    port = str(server.free_port())
    lonely = say(beside, tmp_path, TEXT, VOXGATE_SERVER__DATA=str(tmp_path), VOXGATE_SERVER__PORT=port)
    assert f"no server of the folder {tmp_path} answers on" in lonely.stderr.decode()
    assert lonely.stderr.decode().endswith("; start one: make serve, or voxgate serve\n")
    assert lonely.returncode == 1


def test_another_server_on_the_port_is_told_apart(beside: Server, tmp_path: Path) -> None:
    metrics = beside.metrics.removesuffix("/metrics").rpartition(":")[2]
    done = say(beside, tmp_path, TEXT, VOXGATE_SERVER__DATA=str(tmp_path), VOXGATE_SERVER__PORT=metrics)
    assert "is no voxgate" in done.stderr.decode()


def test_a_recording_is_converted_and_saved(beside: Server, tmp_path: Path) -> None:
    assert say(beside, tmp_path, TEXT, "--out", str(tmp_path / "said.wav")).returncode == 0
    done = run(
        *("convert", str(tmp_path / "said.wav"), "--model", "tone/standard", "--voice", "alloy"),
        *("--consent", "true", "--out", str(tmp_path / "again.wav")),
        *("--index-rate", "0.5", "--protect", "0.25", "--f0-method", "pm"),
        environ=_environ(beside, tmp_path),
        folder=tmp_path,
    )
    assert done.stdout.decode() == f"tone/standard as alloy, saved as {tmp_path / 'again.wav'}\n", done.stderr
    assert decode(*decoded((tmp_path / "again.wav").read_bytes(), "wav")) == (TEXT,)


@each_row(
    ("arguments", "why"),
    [
        (("gone.wav", "--consent", "true"), "gone.wav: No such file"),
        (("large.wav", "--consent", "true"), "large.wav: a recording has at most 10 MiB: send it as mp3,"),
        (("said.wav",), "Missing required parameter: 'consent'"),
        (("said.wav", "--consent", "true", "--pitch", "2"), "tone/standard cannot change the pitch"),
        (("said.wav", "--consent", "true", "--index-rate", "2"), "'index_rate': it must be a number from 0"),
        (("said.wav", "--consent", "true", "--protect", "0.6"), "'protect': it must be a number from 0"),
        (
            ("said.wav", "--consent", "true", "--rms-mix-rate", "2"),
            "'rms_mix_rate': it must be a number from",
        ),
        (("said.wav", "--consent", "true", "--f0-method", "ear"), "'f0_method': it must be pm or rmvpe"),
    ],
)
def test_a_conversion_that_cannot_be_says_why(
    beside: Server, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    say(beside, tmp_path, TEXT, "--out", str(tmp_path / "said.wav"))
    (tmp_path / "large.wav").write_bytes(bytes(10 * 2**20 + 1))
    done = run(
        *("convert", *arguments, "--model", "tone/standard", "--voice", "alloy", "--out", "-"),
        environ=_environ(beside, tmp_path),
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert why in done.stderr.decode()


@pytest.mark.parametrize("long", [True, False])
def test_a_long_recording_is_a_job_that_the_command_waits_for(
    beside: Server, tmp_path: Path, long: bool
) -> None:
    words = ["The beginning.", "The end."]
    (tmp_path / "long.flac").write_bytes(flac(said(words, pause_s=330.0 if long else 1.0)))
    done = run(
        *("convert", "long.flac", "--model", "tone/standard", "--voice", "alloy"),
        *("--consent", "true", "--out", "again.wav"),
        environ=_environ(beside, tmp_path),
        folder=tmp_path,
    )
    assert done.stdout.decode() == "tone/standard as alloy, saved as again.wav\n", done.stderr
    assert decode(*decoded((tmp_path / "again.wav").read_bytes(), "wav")) == tuple(words)
    assert ("It is long: the job job_" in done.stderr.decode()) == long
    assert ("0 of 2 steps" in done.stderr.decode()) == long


def test_what_a_job_refuses_too_is_told(beside: Server, tmp_path: Path) -> None:
    (tmp_path / "long.flac").write_bytes(flac(bytes(330 * 48_000)))
    done = run(
        *("convert", "long.flac", "--model", "tone/standard", "--voice", "alloy", "--consent", "true"),
        *("--out", "again.wav"),
        environ=_environ(beside, tmp_path),
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert "it is silent" in done.stderr.decode()
    assert not (tmp_path / "again.wav").exists()


def test_a_job_says_what_it_waits_for(beside: Server, tmp_path: Path) -> None:
    (tmp_path / "long.flac").write_bytes(flac(said(["The beginning.", "The end."], pause_s=330.0)))
    key = beside.mint_key("poor", plan="poor").secret
    asking = subprocess.Popen(
        [
            *(VOXGATE, "convert", "long.flac", "--model", "tone/standard", "--voice", "alloy"),
            *("--consent", "true", "--out", "again.wav"),
        ],
        env={**os.environ, **_environ(beside, tmp_path, VOXGATE_KEY=key)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    with asking, beside.client(key) as client:
        assert asking.stderr
        while (line := asking.stderr.readline()) and b"waits for" not in line:
            pass
        assert line == b"0 of 2 steps, waits for credits\n"
        (job,) = client.get("/v1/jobs").json()["data"]
        client.post(f"/v1/jobs/{job['id']}/cancel")
        assert b" is canceled" in asking.stderr.read()
    assert asking.returncode == 1


def transcribe(beside: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run(
        "transcribe", "--model", "inside/ears", *arguments, environ=_environ(beside, folder), folder=folder
    )


def test_recordings_are_written_down(beside: Server, tmp_path: Path) -> None:
    for name, text in (("a", TEXT), ("b", "Another one.")):
        done = say(beside, tmp_path, text, "--model", "tone/standard", "--out", f"{name}.wav")
        assert done.returncode == 0, done.stderr
    one = transcribe(beside, tmp_path, "a.wav")
    assert one.stdout.decode() == f"{TEXT}\n", one.stderr
    saved = transcribe(beside, tmp_path, "a.wav", "--out", "a.srt")
    assert saved.stdout.decode() == "a.wav: saved as a.srt, by inside/ears\n"
    assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:00,")
    (tmp_path / "texts").mkdir()
    both = transcribe(
        beside, tmp_path, "a.wav", "none.wav", "b.wav", "--translate", "--out", "texts", "--json"
    )
    assert (both.returncode, both.stderr) == (1, b"none.wav: No such file or directory\n")
    assert [row["file"] for row in json.loads(both.stdout)["data"]] == ["texts/a.txt", "texts/b.txt"]
    assert (tmp_path / "texts" / "b.txt").read_text().strip()


def test_more_than_half_an_hour_is_written_down_by_a_job(beside: Server, tmp_path: Path) -> None:
    (tmp_path / "long.flac").write_bytes(flac(said(["The beginning.", "The end."], pause_s=1801.0)))
    done = transcribe(beside, tmp_path, "long.flac", "--translate", "--out", "long.vtt", "--json")
    (row,) = json.loads(done.stdout)["data"]
    assert f"It is long: the job {row['job']} writes it down.\n" in done.stderr.decode()
    assert (tmp_path / "long.vtt").read_text().startswith("WEBVTT\n\n00:00:00.")
    with beside.client() as client:
        texts = [
            client.get(f"/v1/jobs/{row['job']}/content", params={"format": each}).text
            for each in ("vtt", "text")
        ]
    assert texts[0] == (tmp_path / "long.vtt").read_text()
    assert texts[1] == "THE BEGINNING. THE END.\n"


@each_row(
    ("arguments", "why"),
    [
        (("a.wav",), "a.wav: No such file"),
        (("large.wav",), "large.wav: a recording has at most 25 MiB"),
        (("text.mp3",), "Invalid file format"),
        (("text.mp3", "large.wav", "--out", "b.txt"), "b.txt: it is no folder, and 2 transcripts need one"),
        (("text.mp3", "text.wav", "--out", "."), "two recordings have the same name"),
        (("text.mp3", "--model", "alloy"), "The model 'alloy' does not exist"),
        (("text.mp3", "--model", "tone/standard"), "speaks texts, at /v1/audio/speech"),
    ],
)
def test_what_cannot_be_written_down_says_why(
    beside: Server, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    (tmp_path / "large.wav").write_bytes(bytes(25 * 2**20 + 1))
    (tmp_path / "text.mp3").write_text("This is no recording.")
    done = transcribe(beside, tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    assert why in done.stderr.decode()


def test_models_that_hear_are_shown_and_speak_nothing(beside: Server) -> None:
    with beside.client() as client:
        models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
        ears = {"hears": True, "translates": True, "speaks": False}
        assert models["inside/ears"].items() >= ears.items()
        assert not models["tts-1"].keys() & ears.keys()
        asked = {"model": "inside/ears", "voice": "alloy", "input": TEXT}
        refused = client.post("/v1/audio/speech", json=asked)
        assert refused.status_code == 400
        assert "at /v1/audio/transcriptions" in refused.json()["error"]["message"]


def test_with_heard_a_sound_comes_with_what_was_heard(beside: Server, tmp_path: Path) -> None:
    done = say(beside, tmp_path, TEXT, "--heard", "--out", "a.ogg")
    first, second = done.stdout.decode().splitlines()
    assert first == "tone/standard as alloy in en, saved as a.ogg"
    assert second == "1.1 s heard"
    assert decoded((tmp_path / "a.ogg").read_bytes(), "opus").seconds > 0.1


@each_row(
    ("arguments", "languages"),
    [(("voices", "heard", "alloy"), ["en"]), (("engines", "prove", "tone"), ["en", "es", "fr", "it", "pt"])],
)
def test_twenty_sentences_show_how_a_voice_or_an_engine_is_heard(
    beside: Server, arguments: tuple[str, ...], languages: list[str]
) -> None:
    environ = {"VOXGATE_CONFIG": str(beside.config)}
    answer = json.loads(run(*arguments, "--json", environ=environ).stdout)
    assert {row["language"] for row in answer["data"]} == set(languages)
    for row in answer["data"]:
        is_checked = row["language"] == "en"  # what the ears know well
        assert (row["sentences"], row["unchecked"]) == (20, 0 if is_checked else 20)
        assert row["wrong_per_thousand"] == (0.0 if is_checked else None)
        assert row["first_sound_ms"] > 0
    if "engine" in answer:
        assert (answer["engine"], answer["not_proved"]) == ("tone", [])
    else:
        assert b"alloy" in run(*arguments, environ=environ).stdout
