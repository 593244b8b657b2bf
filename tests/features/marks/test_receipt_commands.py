"""`voxgate receipt verify`: clips of a real server, verified in a folder where there is no server at all."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec
import pytest

from proxy.features.marks.jws import SigningKey
from tests import server
from tests.commands import run as command
from tests.faults.clouds import ENVIRON, clouds
from tests.features.marks.receipted import ANSWERS, saved
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.tables import each_row

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]


class Verdict(NamedTuple):
    status: int
    lines: dict[str, tuple[bool, str]]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    with clouds() as providers:
        config = server.TONE + "[cache]\non = true\n" + providers.engine("cloud", "openai")
        with server.running(tmp_path_factory.mktemp("receipts"), config, environ=ENVIRON) as started:
            yield started


def ask(live: server.Server, path: str) -> bytes:
    with live.client() as client:
        answer = client.get(f"/v1/audio/receipts/{path}")
    assert answer.status_code == 200, answer.text
    return answer.content


def keep(live: server.Server, folder: Path, answer: httpx2.Response) -> bytes:
    """Saves the clip, its receipt and the server's keys, as a client would."""
    assert answer.status_code == 200, answer.text
    receipt = ask(live, answer.headers["x-request-id"])
    (folder / "clip").write_bytes(saved(answer))
    (folder / "receipt.json").write_bytes(receipt)
    (folder / "keys.json").write_bytes(ask(live, "keys"))
    return receipt


def verify(folder: Path, *more: str) -> Verdict:
    """With nothing but the files: no configuration, and no server."""
    alone = {"VOXGATE_CONFIG": "", "HOME": str(folder)}
    done = command("receipt", "verify", "clip", "receipt.json", *more, "--json", environ=alone, folder=folder)
    assert done.stderr == b""
    told = json.loads(done.stdout)
    assert told["is_verified"] == (done.returncode == 0)
    return Verdict(
        done.returncode, {line["line"]: (line["is_good"], line["found"]) for line in told["lines"]}
    )


@each_row("kind", ANSWERS)
def test_a_clip_is_verified_and_so_is_its_copy_from_the_cache(
    live: server.Server, tmp_path: Path, kind: str
) -> None:
    for cache in ("miss", "hit"):
        answer = live.speech(f"Verified, {kind}.", **ANSWERS[kind])
        assert answer.headers["x-voxgate-cache"] == cache
        keep(live, tmp_path, answer)
        verdict = verify(tmp_path, "--keys", "keys.json")
        assert (verdict.status, [*verdict.lines]) == (0, ["key", "signature", "claims", "file"])


def test_what_a_provider_encoded_is_verified(live: server.Server, tmp_path: Path) -> None:
    named = {"model": "cloud/gpt-4o-mini-tts", "voice": "cloud/alloy", "response_format": "mp3"}
    answer = live.speech("Passed through.", **named)
    receipt = json.loads(keep(live, tmp_path, answer))
    assert receipt["claims"]["bytes"] == len(answer.content)
    assert [speaker["model"] for speaker in receipt["claims"]["speakers"]] == ["cloud/gpt-4o-mini-tts"]
    assert verify(tmp_path).status == 0


def test_a_changed_clip_another_clip_and_changed_claims_are_told(live: server.Server, tmp_path: Path) -> None:
    receipt = keep(live, tmp_path, live.speech("Changed."))
    clip = (tmp_path / "clip").read_bytes()
    tampered = bytearray(clip)
    tampered[len(clip) // 2] ^= 1
    other = live.speech("Another one, and longer.").content
    for body in (bytes(tampered), clip + b"\0", other):
        (tmp_path / "clip").write_bytes(body)
        verdict = verify(tmp_path)
        assert verdict.status == 1
        said = f"another one: it has {len(body)} bytes, the receipt is for {len(clip)}"
        if len(body) == len(clip):
            said = f"it was changed: {len(clip)} bytes, but another SHA-256"
        assert verdict.lines["file"] == (False, said)
        assert [line for line, (is_good, _) in verdict.lines.items() if not is_good] == ["file"]
    (tmp_path / "clip").write_bytes(clip)
    sent = json.loads(receipt)
    shown = {**sent, "claims": {**sent["claims"], "credits": 7}}
    (tmp_path / "receipt.json").write_text(json.dumps(shown))
    assert verify(tmp_path).lines["claims"] == (False, "not as signed: credits")
    (tmp_path / "receipt.json").write_text(json.dumps(forged(sent, credits=7)))
    verdict = verify(tmp_path)
    assert (verdict.status, verdict.lines["signature"][0], verdict.lines["claims"][0]) == (1, False, True)


def forged(sent: dict[str, Any], **claims: object) -> dict[str, Any]:
    """The receipt with other claims, in its signed part too."""
    changed = {**sent["claims"], **claims}
    head, _, signature = sent["jws"].split(".")
    payload = urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    return {**sent, "claims": changed, "jws": f"{head}.{payload}.{signature}"}


def test_without_the_servers_keys_it_says_whose_key_it_is(live: server.Server, tmp_path: Path) -> None:
    receipt = json.loads(keep(live, tmp_path, live.speech("Whose?")))
    is_good, found = verify(tmp_path).lines["key"]
    assert is_good
    assert found.startswith(f"the receipt's own, {receipt['jwk']['kid']}")
    (tmp_path / "none.json").write_text('{"keys": []}')
    verdict = verify(tmp_path, "--keys", "none.json")
    assert (verdict.status, verdict.lines["key"]) == (1, (False, f"unknown: {receipt['jwk']['kid']}"))
    # The signed text alone is a receipt too, for whoever has the keys.
    (tmp_path / "receipt.json").write_text(receipt["jws"] + "\n")
    assert verify(tmp_path, "--keys", "keys.json").status == 0


def test_the_source_of_a_conversion_is_compared(live: server.Server, tmp_path: Path) -> None:
    source = live.speech("Say it again.", response_format="wav").content
    form = {"model": "tone", "voice": "alloy", "consent": "true", "response_format": "wav"}
    with live.client() as client:
        answer = client.post("/v1/audio/conversions", data=form, files={"file": source})
    keep(live, tmp_path, answer)
    (tmp_path / "me.wav").write_bytes(source)
    verdict = verify(tmp_path, "--source", "me.wav")
    assert (verdict.status, [*verdict.lines][-2:]) == (0, ["kind", "source"])
    assert sha256(source).hexdigest() in verdict.lines["kind"][1]
    (tmp_path / "other.wav").write_bytes(source + b"x")
    verdict = verify(tmp_path, "--source", "other.wav")
    assert verdict.status == 1
    assert verdict.lines["source"] == (False, "another one: its SHA-256 differs")
    keep(live, tmp_path, live.speech("No conversion."))
    verdict = verify(tmp_path, "--source", "me.wav")
    assert verdict.lines["source"] == (False, "the receipt names none: it is of speech")


def test_a_new_key_signs_and_receipts_by_the_old_one_stay_good(live: server.Server, tmp_path: Path) -> None:
    answer = live.speech("Before and after.")
    old = json.loads(keep(live, tmp_path, answer))
    said = live.cli("keys", "rotate-receipt").stdout
    assert "the new one first" in said
    assert "voxgate reload" in said
    live.cli("reload")
    (tmp_path / "keys.json").write_bytes(ask(live, "keys"))
    assert verify(tmp_path, "--keys", "keys.json").status == 0
    new = json.loads(keep(live, tmp_path, answer))
    assert new["jwk"]["kid"] != old["jwk"]["kid"]
    assert new["claims"] == old["claims"]
    assert verify(tmp_path, "--keys", "keys.json").status == 0
    kids = [key["kid"] for key in json.loads((tmp_path / "keys.json").read_text())["keys"]]
    assert kids[:2] == [new["jwk"]["kid"], old["jwk"]["kid"]]


def signed(payload: bytes, type_: str = "voxgate-receipt+jws") -> str:
    return SigningKey(bytes(32)).sign(payload, type_)


def by_hand(folder: Path, claims: str, type_: str = "voxgate-receipt+jws", **more: Any) -> Verdict:
    """The verdict on a receipt that is signed by its own key, with what a forger shows beside it."""
    sound = b"sound"
    truth = {"request": "req_1", "sha256": sha256(sound).hexdigest(), "bytes": len(sound), "credits": 1.0}
    jws = signed(json.dumps(truth).encode(), type_)
    (folder / "clip").write_bytes(sound)
    jwk = msgspec.json.encode(SigningKey(bytes(32)).jwk).decode()
    rest = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    (folder / "receipt.json").write_text(f'{{"jws": "{jws}", "jwk": {jwk}{rest}{claims}}}')
    return verify(folder)


def test_claims_that_only_look_like_the_signed_ones_are_told(tmp_path: Path) -> None:
    digest = sha256(b"sound").hexdigest()
    same = f'"request": "req_1", "sha256": "{digest}", "bytes": 5'
    assert by_hand(tmp_path, f', "claims": {{{same}, "credits": 1.0}}', id="req_1").status == 0
    told = by_hand(tmp_path, f', "claims": {{{same}, "credits": true}}')
    assert told.lines["claims"] == (False, "not as signed: credits")
    told = by_hand(tmp_path, f', "claims": {{{same}, "credits": 1.0, "a\\u001b[2K": 1}}', id="req_2")
    assert told.lines["claims"] == (False, "not as signed: id, a?[2K")
    assert told.status == 1


def test_what_the_same_key_signed_for_another_end_is_no_receipt(tmp_path: Path) -> None:
    told = by_hand(tmp_path, "", "JWT")
    assert (told.status, told.lines["signature"]) == (1, (False, "of something else than a receipt"))


@pytest.mark.parametrize(
    ("receipt", "keys", "says"),
    [
        ("not a receipt", None, "this is no JWS"),
        ('{"jwk": {}}', None, "this is no receipt"),
        ("\udcff", None, "neither a receipt nor a set of keys"),
        ("a.b.c", "[]", "this is no JWS"),
        ('{"jws": "a.b.c", "jws": "d.e.f"}', None, "a name stands twice in it"),
        ("[" * 100_000, None, "this is no JWS"),
        ('{"jws": "a.b.c", "claims": ' + '{"a":' * 100_000, None, "it is nested too deeply"),
        (signed(b'{"request": "r", "sha256": "", "bytes": "3\\u001b[2K"}'), None, "`$.bytes`"),
        (signed(b"[" * 100_000), None, "it is nested too deeply"),
        (signed(b'{"request": "r", "sha256": "", "bytes": 3, "bytes": 4}'), None, "a name stands twice"),
        (None, None, "No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    run: Run, folder: Path, receipt: str | None, keys: str | None, says: str
) -> None:
    (folder / "clip").write_bytes(b"sound")
    if receipt is not None:
        (folder / "receipt.json").write_text(receipt, errors="surrogateescape")
    if keys is not None:
        (folder / "keys.json").write_text(keys)
    more = () if keys is None else ("--keys", str(folder / "keys.json"))
    ran = run("receipt", "verify", str(folder / "clip"), str(folder / "receipt.json"), *more)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err


def test_keys_that_the_configuration_names_are_rotated_there(run: Run, folder: Path) -> None:
    config = (folder / "config.toml").read_text()
    (folder / "ring").write_text("A" * 43 + "=")
    (folder / "config.toml").write_text(config + '[marking]\nreceipt_keys = "file:ring"\n')
    assert "marking.receipt_keys" in refused(run("keys", "rotate-receipt"))
    assert not (folder / "data" / "receipt-keys").exists()
    assert "has 2 keys now" in run("keys", "rotate-mark").out
    assert ((folder / "data" / "mark-keys").stat().st_mode & 0o777) == 0o600


def test_a_program_of_its_own_verifies(live: server.Server, tmp_path: Path) -> None:
    keep(live, tmp_path, live.speech("By a program."))
    words = [str(server.VOXGATE), "receipt", "verify", "clip", "receipt.json"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_to_verify_loads_nothing_of_the_server() -> None:
    program = (
        "import sys; import proxy.cli.main; import proxy.features.marks.receipt_check; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'aiohttp', 'aiosqlite', 'asyncpg', 'av', 'grpc', 'numpy', 'starlette', 'uvicorn'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
