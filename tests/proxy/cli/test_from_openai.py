"""`voxgate from-openai`: the lines of sample projects, which then call voxgate and are called right."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.file_store import data_folder
from proxy.storage.schema import known_migrations
from tests.commands import run
from tests.server import Server
from tests.tables import each_row

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1:8000/v1"
PAIR = f'base_url="{URL}", api_key="YOUR_KEY"'
JS_PAIR = f'baseURL: "{URL}", apiKey: "YOUR_KEY"'
SAY = '.audio.speech.create(model="tts-1", voice="nova", input="x")'
JS_SAY = '.audio.speech.create({ model: "tts-1", voice: "nova", input: "x" });'


def migrated(folder: Path, *options: str) -> dict[str, Any]:
    done = run("from-openai", str(folder), "--json", *options, environ={})
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(found["changes"])
    return found


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def apply(changes: list[dict[str, Any]]) -> None:
    """Change the lines as they are shown."""
    for change in changes:
        file = Path(change["file"])
        lines = file.read_text().split("\n")
        assert lines[change["line"] - 1] == change["old"]
        lines[change["line"] - 1] = change["new"]
        file.write_text("\n".join(lines))


HEAR = '.audio.transcriptions.create(model="whisper-1", file=f)'

CASES = {
    "a client of its own": (
        "a.py",
        f"client = OpenAI()\nclient{SAY}\n",
        [(1, f"client = OpenAI({PAIR})")],
    ),
    "a key of the environment": (
        "a.py",
        f'client = OpenAI(api_key=os.environ["OPENAI_API_KEY"], timeout=3)\nclient{SAY}\n',
        [(1, f'client = OpenAI(base_url="{URL}", api_key=os.environ["VOXGATE_API_KEY"], timeout=3)')],
    ),
    "a key with a comma, and another key behind it": (
        "a.py",
        f'c = OpenAI(api_key=os.environ.get("OPENAI_API_KEY", "") or find("", "hunter2 or 3"))\nc{SAY}\n',
        [
            (
                1,
                f'c = OpenAI(base_url="{URL}", '
                'api_key=os.environ.get("VOXGATE_API_KEY", "") or find("", "YOUR_KEY"))',
            )
        ],
    ),
    "several lines": (
        "a.py",
        f'c = AsyncOpenAI(\n    base_url="https://api.openai.com/v1",\n    timeout=3,\n)\nawait c{SAY}\n',
        [(1, 'c = AsyncOpenAI(api_key="YOUR_KEY",'), (2, f'    base_url="{URL}",')],
    ),
    "a client that also chats": (
        "a.py",
        f"c = OpenAI()\nc.chat.completions.create()\nself.c{SAY}\n",
        [(3, f"self.c.with_options({PAIR}){SAY}")],
    ),
    "a client that comes from elsewhere": (
        "a.py",
        f"def say(client):\n    client{SAY}\n",
        [(2, f"    client.with_options({PAIR}){SAY}")],
    ),
    "the module": (
        "a.py",
        f"import openai\nopenai{SAY}\n",
        [(2, f"openai.OpenAI({PAIR}){SAY}")],
    ),
    "at once": ("a.py", f"OpenAI(){SAY}\n", [(1, f"OpenAI({PAIR}){SAY}")]),
    "JavaScript": (
        "a.mjs",
        f"const ai = new OpenAI({{ maxRetries: 2 }});\nawait ai{JS_SAY}\n",
        [(1, f"const ai = new OpenAI({{ {JS_PAIR}, maxRetries: 2 }});")],
    ),
    "JavaScript's short form": (
        "a.js",
        f"const ai = new OpenAI({{ apiKey }});\nai{JS_SAY}\n",
        [(1, f'const ai = new OpenAI({{ baseURL: "{URL}", apiKey: "YOUR_KEY" }});')],
    ),
    "TypeScript, settings from elsewhere": (
        "a.ts",
        f"private ai: OpenAI = new OpenAI(settings);\nthis.ai{JS_SAY}\n",
        [(1, f"private ai: OpenAI = new OpenAI({{ ...settings, {JS_PAIR} }});")],
    ),
    "JavaScript that also chats": (
        "a.ts",
        f"const ai = new OpenAI();\nai.responses.create();\nai{JS_SAY}\n",
        [(3, f"ai.withOptions({{ {JS_PAIR} }}){JS_SAY}")],
    ),
    "fetch": (
        "a.js",
        'fetch("https://api.openai.com/v1/audio/speech", { headers: `Bearer ${env.OPENAI_API_KEY}` });\n',
        [(1, f'fetch("{URL}/audio/speech", {{ headers: `Bearer ${{env.VOXGATE_API_KEY}}` }});')],
    ),
    "an address in two parts": (
        "a.py",
        'BASE = "https://api.openai.com/v1"\nrequests.post(f"{BASE}/audio/speech", headers=h)\n',
        [(1, f'BASE = "{URL}"')],
    ),
    "curl": (
        "a.sh",
        'curl https://api.openai.com/v1/audio/speech \\\n  -H "Authorization: Bearer $OPENAI_API_KEY"\n',
        [(1, f"curl {URL}/audio/speech \\"), (2, '  -H "Authorization: Bearer $VOXGATE_API_KEY"')],
    ),
    "a client that also transcribes": (
        "a.py",
        f"client = OpenAI()\nclient{SAY}\nclient{HEAR}\n",
        [(1, f"client = OpenAI({PAIR})")],
    ),
    "a translation in JavaScript": (
        "a.ts",
        "const ai = new OpenAI();\nai.audio.translations.create({ file, model: 'whisper-1' });\n",
        [(1, f"const ai = new OpenAI({{ {JS_PAIR} }});")],
    ),
    "curl that transcribes": (
        "a.sh",
        "curl https://api.openai.com/v1/audio/transcriptions -F model=whisper-1 -F file=@a.mp3\n",
        [(1, f"curl {URL}/audio/transcriptions -F model=whisper-1 -F file=@a.mp3")],
    ),
    "another endpoint beside it": (
        "a.sh",
        "curl https://api.openai.com/v1/chat/completions\n\ncurl https://api.openai.com/v1/audio/speech\n",
        [(3, f"curl {URL}/audio/speech")],
    ),
}


@each_row("name", CASES)
def test_lines_call_voxgate_and_then_none_is_left(name: str, tmp_path: Path) -> None:
    file, text, expected = CASES[name]
    write(tmp_path, {file: text})
    found = migrated(tmp_path)
    assert [(each["line"], each["new"]) for each in found["changes"]] == expected
    assert (tmp_path / file).read_text() == text, "nothing is changed"
    apply(found["changes"])
    ends = [each for each in found["notes"] if "2027-02-26" in each["note"]]
    assert len(ends) == ("trans" in name)
    again = migrated(tmp_path)
    assert again["changes"] == []
    assert not [each for each in again["notes"] if each in ends]


@each_row(
    "text",
    [
        f"client = OpenAI()\n# client{SAY}\n",
        f'client = OpenAI(base_url="http://elsewhere/v1")\nclient{SAY}\n',
        "client = OpenAI()\nclient.chat.completions.create()\n",
        f'client = OpenAI(base_url="http://elsewhere/v1")\nclient{HEAR}\n',
    ],
)
def test_what_is_no_call_of_openais_speech_stays(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": text})
    assert migrated(tmp_path)["changes"] == []


def test_a_client_of_another_file_is_found_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"clients.py": "speaker = OpenAI()\nchatter = OpenAI()\n", "app/a.py": f"speaker{SAY}\n"})
    [change] = migrated(tmp_path)["changes"]
    assert (Path(change["file"]).name, change["line"]) == ("clients.py", 1)


def test_a_workflow_of_n8n_shows_its_address_and_its_credential(tmp_path: Path) -> None:
    say = {
        "name": "Say",
        "type": "n8n-nodes-base.httpRequest",
        "parameters": {"url": "https://api.openai.com/v1/audio/speech"},
    }
    speak = {
        "name": "Generate",
        "type": "@n8n/n8n-nodes-langchain.openAi",
        "parameters": {"resource": "audio", "voice": "nova"},
    }
    chat = {**speak, "name": "Chat", "parameters": {"resource": "text"}}
    hear = {**speak, "name": "Hear", "parameters": {"resource": "audio", "operation": "transcribe"}}
    write(tmp_path, {"flow.json": json.dumps({"nodes": [say, speak, chat, hear]}, indent=1)})
    found = migrated(tmp_path)
    [change], [note, *of_hearing] = found["changes"], found["notes"]
    assert [f"Base URL {URL}" in each["note"] for each in of_hearing] == [True, False]
    assert "2027-02-26" in of_hearing[1]["note"]
    assert f'"url": "{URL}/audio/speech"' in change["new"]
    assert (tmp_path / "flow.json").read_text().split("\n")[note["line"] - 1].strip() == '"name": "Generate",'
    assert f"Base URL {URL}" in note["note"]


def test_what_voxgate_lacks_as_installed_is_told(tmp_path: Path) -> None:
    call = 'c.audio.speech.create(model="tts-9", voice="ana", input="x", instructions="Kindly.")\n'
    write(tmp_path, {"a.py": f"c = OpenAI()\n{call}"})
    notes = " ".join(each["note"] for each in migrated(tmp_path)["notes"])
    assert all(what in notes for what in ("no model tts-9", "no voice ana", "instructions"))


def test_no_key_is_shown(tmp_path: Path) -> None:
    secrets = ("sk-proj-0123456789", "0123456789abcdef", "token.of.somebody")
    text = f'a = OpenAI(api_key="{secrets[0]}")\nb = OpenAI(api_key="{secrets[1]}")\na{SAY}\nb{SAY}\n'
    shell = f'curl -H "Authorization: Bearer {secrets[2]}" https://api.openai.com/v1/audio/speech\n'
    write(tmp_path, {"a.py": text, "a.sh": shell})
    shown = run("from-openai", str(tmp_path), environ={})
    assert shown.returncode == 1
    assert not [each for each in secrets if each in shown.stdout.decode()]
    assert "Places to change: 3." in shown.stdout.decode()


def test_only_plain_files_of_the_project_are_read_and_not_without_end(tmp_path: Path) -> None:
    text = f"OpenAI(){SAY}\n"
    hidden = ("node_modules/x/a.py", ".venv/a.py", "venv/a.py", ".git/a.py")
    write(tmp_path, {**dict.fromkeys(hidden, text), "zero.py": f"\0{text}", "big.py": text + "x" * 1_000_000})
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    write(outside, {"a.py": text})
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "link.py").symlink_to(outside / "a.py")
    (tmp_path / "round").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.py")
    found = migrated(tmp_path)
    assert found["changes"] == []
    assert [each.rpartition(":")[0] for each in found["left_out"]] == [str(tmp_path / "big.py")]


@each_row(
    "text", ["OpenAI(", "\n", '"""', ".audio.speech", "(", "a.", "https://api.openai.com/v1 ", "sk-12345678 "]
)
def test_a_hostile_file_comes_to_an_end(text: str, tmp_path: Path) -> None:
    whole = f"import openai\nopenai{SAY} # /audio/speech\n" + text * (900_000 // len(text))
    write(tmp_path, {"a.py": whole, "a.sh": whole, "a.json": f'{{"nodes": "{text}'})
    assert run("from-openai", str(tmp_path), environ={}).returncode == 1


@each_row("arguments", [("/nowhere",), (".", "--url", 'http://x"; y')])
def test_a_failure_has_a_status_of_its_own(arguments: tuple[str, ...]) -> None:
    done = run("from-openai", *arguments, environ={})
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_program_that_was_changed_as_shown_speaks(plain_server: Server, tmp_path: Path) -> None:
    text = (
        "import os\nfrom openai import OpenAI\n"
        'client = OpenAI(api_key=os.environ["OPENAI_API_KEY"])\n'
        'answer = client.audio.speech.create(model="tts-1", voice="alloy", input="Hi")\n'
        "print(len(answer.content))\n"
    )
    write(tmp_path, {"a.py": text})
    [change] = migrated(tmp_path, "--url", f"{plain_server.url}/v1")["changes"]
    (tmp_path / "a.py").write_text(text.replace(change["old"], change["new"]))
    environ = {**os.environ, "VOXGATE_API_KEY": plain_server.key}
    done = subprocess.run(
        [sys.executable, "a.py"], cwd=tmp_path, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


def test_a_name_without_an_end_is_read_in_linear_time(tmp_path: Path) -> None:
    write(tmp_path, {"a.js": "x.audio.speech;" + "a$" * 400_000})
    assert [each["line"] for each in migrated(tmp_path)["changes"]] == [1]


def test_the_upgrade_brings_the_database_up_to_date_which_a_server_may_not(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[storage]\nmigrate = false\n")
    at = ("--config", str(config))
    (tmp_path / "data").mkdir(0o700)
    (tmp_path / "data" / "voxgate.db").touch(0o600)
    refused = run("accounts", "list", *at, environ={})
    assert refused.returncode == 1
    assert b"run voxgate database upgrade" in refused.stderr
    with data_folder.lock_data_folder(tmp_path / "data"):
        assert b"another voxgate already runs" in run("database", "upgrade", *at, environ={}).stderr
    done = run("database", "upgrade", *at, environ={})
    assert (done.returncode, done.stdout.decode()) == (
        0,
        f"The database has schema {len(known_migrations())}.\n",
    )
    assert run("accounts", "list", *at, environ={}).returncode == 0


def test_the_former_name_of_both_works_and_names_them(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    done = run("migrate", "--config", str(config), environ={})
    assert (done.returncode, done.stdout.decode()) == (
        0,
        f"The database has schema {len(known_migrations())}.\n",
    )
    write(tmp_path, {"a.py": f"OpenAI(){SAY}\n"})
    shown = run("migrate", str(tmp_path), environ={})
    assert (shown.returncode, b"Places to change: 1." in shown.stdout) == (1, True)
    for command in ("voxgate database upgrade", "voxgate from-openai PATH"):
        assert command in done.stderr.decode()
        assert command in shown.stderr.decode()
    assert b"migrate" not in run("--help", environ={}).stdout
