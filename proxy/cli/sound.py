"""Commands as clients of a running server: they ask for sound, and save or play it.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple, NoReturn

import typer

from proxy.commands.tables import Line, Part, PrintForm, print_answer
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    import httpx2

    from proxy.config.sections import Server

FormatName = Annotated[
    str | None, typer.Option("--format", help="A format; else that of FILE's name, else wav.")
]
OutFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Save it there and play nothing; - is stdout.")
]
JOBS = "/v1/jobs"
_CONNECT_S, _SILENCE_S, _POLL_S = 5.0, 120.0, 1.0
_PLAYED_AS = "wav"
"""What every player plays, and the server sends with true sizes."""
_FORMATS = {
    **{name: name for name in ("mp3", "opus", "aac", "flac", "wav", "pcm")},
    "ogg": "opus",
}
"""The format of a file by the end of its name."""


class Player(NamedTuple):
    """A program that plays a file and ends. Without `formats` it plays all."""

    command: tuple[str, ...]
    formats: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.command[0]


PLAYERS = (
    Player(("pw-play",), ("wav", "flac")),
    Player(("paplay",), ("wav", "flac")),
    Player(("afplay",), ("wav", "mp3", "aac", "flac")),
    Player(("aplay", "-q"), ("wav",)),
    Player(("ffplay", "-nodisp", "-autoexit", "-loglevel", "error")),
    Player(("mpv", "--no-video", "--really-quiet")),
    Player(("play", "-q"), ("wav",)),
)
"""The first players use the sound device of the desktop's settings."""


class SoundRequest(NamedTuple):
    """A request for sound. `body` has httpx2's arguments for the body, such as `json`. `out` is the value of
    --out: a file's name, "-" for stdout, or None."""

    path: str
    body: dict[str, Any]
    format: str
    out: str | None

    def __repr__(self) -> str:
        return f"<SoundRequest {self.path} as {self.format}>"


class ServerClient(NamedTuple):
    """A client of the running server, on the same machine. `key_header` is empty without a key."""

    client: httpx2.Client
    base: str
    key_header: dict[str, str]

    def __repr__(self) -> str:
        return f"<ServerClient at {self.base}>"

    def fetch(self, to: BinaryIO, method: str, path: str, **body: Any) -> tuple[httpx2.Headers, int]:
        """Write an answer as it comes, and return its headers and size. Raise CommandRefused: it has a
        code unless another program answers at that address."""
        with self.client.stream(method, path, headers=self.key_header, **body) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer, self.base)
            return answer.headers, sum(to.write(part) for part in answer.iter_bytes())

    def spoken_events(self, path: str, **body: Any) -> Iterator[dict[str, Any]]:
        """Yield the events of an answer as they come. Raise CommandRefused."""
        with self.client.stream("POST", path, headers=self.key_header, **body) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer, self.base)
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    def run_job(
        self, sound_request: SoundRequest, message: str, progress: Callable[[dict[str, Any]], str]
    ) -> dict[str, Any]:
        """Make a job, print `message` with its id, and then its progress. Return the job once it is done.

        The job goes on if the command ends first. Raise CommandRefused.
        """
        job = self.json("POST", sound_request.path, **sound_request.body)
        typer.echo(message.format(job["id"]), err=True)
        return self.follow_job(job["id"], progress)

    def follow_job(self, id_: str, progress: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        """Tell the progress of a job, and return it once it is done. Raise CommandRefused."""
        job, last_line = self.json("GET", f"{JOBS}/{id_}"), ""
        while job["ended"] is None:
            if (reply_line := progress(job)) != last_line:
                typer.echo(reply_line, err=True)
                last_line = reply_line
            time.sleep(_POLL_S)
            job = self.json("GET", f"{JOBS}/{id_}")
        if job["status"] != "done":
            raise CommandRefused(
                f"the job {job['id']} is {job['status']}: {job['error'] or 'it has no result'}"
            )
        return job

    def json(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Return the JSON of an answer. Raise CommandRefused."""
        answer = io.BytesIO()
        self.fetch(answer, method, path, **body)
        found: dict[str, Any] = json.loads(answer.getvalue())
        return found


Write = Callable[[ServerClient, SoundRequest, BinaryIO], dict[str, Any]]
"""Asks for sound, writes it as it comes, and returns facts about it, such as the engine."""


def write_streamed(server_client: ServerClient, sound_request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    """Write an answer as it comes. Raise CommandRefused."""
    head, size = server_client.fetch(to, "POST", sound_request.path, **sound_request.body)
    facts = {name: head.get(f"x-voxgate-{name}") for name in ("engine", "voice", "language")}
    return {**facts, "substitute": head.get("x-voxgate-substitute"), "bytes": size}


def fetch_sound(
    server: Server, sound_request: SoundRequest, form: PrintForm, write: Write = write_streamed
) -> None:
    """Ask the running server. Play its answer or save it to `sound_request.out`. Raise CommandRefused."""
    out = sound_request.out
    if out == "-":
        write_answer(server, sound_request, sys.stdout.buffer, write)
        sys.stdout.flush()
        return
    sound = io.BytesIO()
    is_replacing = out is not None and Path(out).is_file()
    facts = write_answer(server, sound_request, sound, write)
    file = save_sound(sound.getvalue(), sound_request.format, out)
    player = _play_file(file, sound_request.format) if out is None else None
    if player is not None:
        file.unlink()
    answer = {
        **facts,
        "format": sound_request.format,
        "file": None if player else str(file),
        "player": player,
        "replaced": is_replacing,
    }
    print_answer(answer, form, _show_not_played if out is None and player is None else _show_sound)


def read_recording(recording: Path, most_bytes: int, too_large: str) -> bytes:
    """Return a recording that a request can bring. Raise CommandRefused."""
    try:
        with recording.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise CommandRefused(f"{recording}: {error.strerror}") from None
    if len(data) > most_bytes:
        raise CommandRefused(f"{recording}: {too_large}")
    return data


def read_long_recording(recording: Path) -> bytes:
    """Return a recording that is heard. Raise CommandRefused."""
    most_bytes = 25 * 1024 * 1024
    return read_recording(recording, most_bytes, "a recording has at most 25 MiB: send it as mp3 or opus")


def check_out(out: str | None, form: PrintForm) -> None:
    if out == "-" and form is not None:
        raise CommandRefused("--out - and --json or --wide: stdout has room for only one of them")


def format_of(format_: str | None, out: str | None) -> str:
    """Return the format to ask for: the one that was named, or that of the file's name, or what is played."""
    if format_ == "json":
        raise CommandRefused(f"--format json: that is no sound; name one of {', '.join(_FORMATS)}")
    ending = Path(out or "").suffix
    known = _FORMATS.get(ending[1:].lower(), None if ending else _PLAYED_AS)
    if format_ is None and known is None:
        raise CommandRefused(f"{out}: {ending} is no format ({', '.join(_FORMATS)}); name one by --format")
    return format_ or known or _PLAYED_AS


def _dev_key(data: Path) -> str:
    """Return the key of `make serve`, or "" if there is none for this user."""
    try:
        return (data / "dev-key").read_text().strip()
    except OSError:
        return ""


def save_sound(sound: bytes, format_: str, out: str | None) -> Path:
    """Save the sound, in a new file if none was named. It is whole: what failed replaces nothing."""
    try:
        if out is None:
            with tempfile.NamedTemporaryFile(prefix="voxgate-", suffix=f".{format_}", delete=False) as opened:
                opened.write(sound)
            return Path(opened.name)
        _replace(Path(out), sound)
        return Path(out)
    except OSError as error:
        raise CommandRefused(f"{out or tempfile.gettempdir()}: {error.strerror}") from None


def save_streamed(server_client: ServerClient, path: str, out: Path) -> int:
    """Save an answer as it comes, and return its size. Raise CommandRefused; then nothing is replaced."""
    temporary = out.resolve().with_name(f".voxgate-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            _, size = server_client.fetch(file, "GET", path)
        temporary.rename(out.resolve())
    except OSError as error:
        raise CommandRefused(f"{out}: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return size


def _replace(out: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raise OSError."""
    target = out.resolve()
    if target.exists() and not target.is_file():
        # A device or a pipe takes the sound, and stays what it is.
        target.write_bytes(data)
        return
    temporary = target.with_name(f".voxgate-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def steps_text(job: dict[str, Any]) -> str:
    waits = f", waits for {job['waits_for']}" if job["waits_for"] else ""
    return f"{job['steps_done']} of {job['steps']} steps{waits}"


def write_answer(
    server: Server,
    sound_request: SoundRequest,
    to: BinaryIO,
    write: Write,
    silence_s: float = _SILENCE_S,
) -> dict[str, Any]:
    """Write the sound of the running server, and return the facts about it. Raise CommandRefused."""
    import httpx2

    base = _address(server)
    timeout = httpx2.Timeout(silence_s, connect=_CONNECT_S)
    # A proxy of the environment is for other machines.
    with httpx2.Client(base_url=base, timeout=timeout, trust_env=False) as client:
        # The key is no option: every user of the machine can read the options of a command.
        key = os.environ.get("VOXGATE_KEY", "") or _dev_key(Path(server.data))
        key_header = {"authorization": f"Bearer {key}"} if key else {}
        try:
            return write(ServerClient(client, base, key_header), sound_request, to)
        except httpx2.ConnectError:
            raise CommandRefused(
                f"no server of the folder {server.data} answers on {base}; "
                "start one: make serve, or voxgate serve"
            ) from None
        except (httpx2.TransportError, httpx2.InvalidURL, UnicodeError) as error:
            raise CommandRefused(f"{base}: asking failed ({type(error).__name__})") from None


def _address(server: Server) -> str:
    """Return where the data folder's server listens, else where the configuration lets it listen."""
    from proxy.file_store import data_folder
    from proxy.processes.admin_client import DataFolder, ask_once

    host, port = server.host, server.port
    if data_folder.is_held(Path(server.data)):
        with suppress(CommandRefused):  # the socket of another user's server may refuse this user
            found = ask_once(DataFolder(server.data, _refuse_without_server), "GET", "server")
            host, port = found["host"], found["port"]
    host_to_call = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host_to_call}]' if ':' in host_to_call else host_to_call}:{port}"


def _refuse_without_server() -> NoReturn:
    raise CommandRefused("the server has ended")


def _refusal(answer: httpx2.Response, base: str) -> CommandRefused:
    try:
        error = answer.json()["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        return CommandRefused(f"{base} is no voxgate: it answered {answer.status_code}; see server.port")
    if answer.status_code == 401:
        message = f"{message} Put a key into VOXGATE_KEY; voxgate keys create makes one."
    if code == "voice_not_found":
        message = f"{message} voxgate voices list lists them."
    return CommandRefused(message, code)


def _play_file(file: Path, format_: str) -> str | None:
    """Play a file with the first player that can, and return its name, or None if there is none."""
    for player in PLAYERS:
        program = shutil.which(player.name)
        if program is None or (player.formats and format_ not in player.formats):
            continue
        # A player without a sound card or a desktop fails. Another one may work.
        command = [program, *player.command[1:], str(file)]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return player.name
    return None


def _show_sound(answer: dict[str, Any]) -> list[Part]:
    instead = ", in place of what was there" if answer["replaced"] else ""
    where = f"saved as {answer['file']}{instead}" if answer["file"] else f"played with {answer['player']}"
    return [Line(f"{_speaker_text(answer)}, {where}"), *check_lines(answer.get("check"))]


def _show_not_played(answer: dict[str, Any]) -> list[Part]:
    names = ", ".join(player.name for player in PLAYERS)
    return [
        Line(f"No player that works here plays {answer['format']} ({names}).", "yellow"),
        Line(f"{_speaker_text(answer)}, saved as {answer['file']}"),
        *check_lines(answer.get("check")),
    ]


def _speaker_text(answer: dict[str, Any]) -> str:
    instead = f" (by {answer['substitute']})" if answer["substitute"] else ""
    # What was converted has no language.
    spoken = "" if answer["language"] == "und" else f" in {answer['language']}"
    return f"{answer['engine']} as {answer['voice']}{instead}{spoken}"


def check_lines(check: dict[str, Any] | None) -> Iterator[Line]:
    """Show the report of a check, if there is one."""
    if check is None:
        return
    facts = [f"{check['checked_s']:.1f} s heard"]
    if check["unchecked_s"]:
        facts.append(f"{check['unchecked_s']:.1f} s not heard ({check.get('why', 'late')})")
    if check["again"]:
        facts.append(f"{check['again']} said again")
    if check["free_s"]:
        facts.append(f"{check['free_s']:.1f} s free")
    yield Line(", ".join(facts))
    for result, style in (("wrong", "red"), ("unsure", "yellow")):
        for word in check.get(result, ()):
            place = f"{word['start']} to {word['end']}"
            yield Line(f"{result}, {place}: heard {word['heard']!r}, not {word['wanted']!r}", style)
