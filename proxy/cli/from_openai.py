"""`voxgate from-openai PATH`: a project's lines that call OpenAI's audio, and how they would call voxgate.

Files are read as text, and nothing is changed or run. A call is found by its form, and its client by the
name that the call uses. A client that also chats keeps its address: only its audio is sent elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from proxy.commands.command import Command, CommandResult
from proxy.commands.tables import Line, Part

_MOST_ENTRIES, _MOST_BYTES_IN_ALL, _MOST_FILE_BYTES = 200_000, 200_000_000, 1_000_000
_MOST_CALL_CHARACTERS, _MOST_FOUND_IN_FILE, _NEAR_LINES, _LONGEST_SHOWN = 5_000, 100, 12, 300
_KIND_BY_ENDING = {".py": "python", ".pyw": "python", ".json": "n8n"}
_KIND_BY_ENDING |= dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"), "javascript")
_KIND_BY_ENDING |= dict.fromkeys((".sh", ".bash", ".zsh"), "shell")
_SKIPPED_FOLDERS = {"node_modules", "site-packages", "venv", "vendor", "__pycache__"}

_AUDIO = r"audio/(speech|transcriptions|translations)\b"
_AUDIO_CALL = re.compile(r"\??\.\s*audio\s*\??\.\s*(speech|transcriptions|translations)\b")
_BEFORE_CALL = re.compile(r"([\w$]+|\))\s*\Z")
_CREATE = re.compile(r"(?:\s*\.\s*\w+){1,4}\s*\(")
_CLIENT = re.compile(r"(?<!class )\b(?:Async)?OpenAI\s*\(")
_ASSIGNED_NAME = re.compile(r"([\w$]+)\s*(?::[^=\n]{0,80})?=\s*(?:await\s+)?(?:new\s+)?(?:\w+\.)?\Z")
_OTHER_USE = re.compile(
    r"(?<![\w$])([\w$]{1,100})\s*\??\.\s*(?:beta|chat|responses|embeddings|images|files|batches)\b"
)
_OPTIONS = re.compile(r"\.with_?[Oo]ptions\s*\(")
_URL = re.compile(rf"https://api\.openai\.com((?:/v1)?(?:/{_AUDIO})?/?)(?![\w/.-])")
_OTHER_URL = re.compile(rf"https://api\.openai\.com/v1/(?!{_AUDIO})\w")
_TOKEN = re.compile(
    r"(?s:\"{3}.*?\"{3}|'{3}.*?'{3})|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|[()\[\]{},]"
)
_KEY = re.compile(r"OPENAI_API_KEY|\bsk-[\w-]{8,}|(?<=Bearer )[\w.-]{8,}")
_SECRET = re.compile(r"(\bsk-|(?:api_key|apiKey)\s*[=:]\s*[\"']|Bearer )[\w.-]{6,}")
_FIELD = re.compile(r"[\"']?\b(model|voice|instructions)\\?[\"']?\s*[=:]\s*\\?[\"']([^\"'\\\n]{1,80})")
_RETIREMENT_NOTE = (
    "OpenAI ends whisper-1, its gpt-4o models that transcribe, and translations on 2027-02-26; here these "
    "names stay, with a model that hears: voxgate models pull whisper-base"
)
_ADDRESS = re.compile(r"https?://[\w.:\[\]/-]+")
Url = Annotated[str, typer.Option(help="voxgate's address, with /v1.")]
Edit = tuple[int, int, str]
"""Where the old text starts and ends, and the new text."""


class _Client(NamedTuple):
    """An OpenAI client that a file makes: its name, and where the brackets of its arguments open and end."""

    name: str
    opening: int
    end: int


class _Source:
    def __init__(self, path: Path, kind: str, text: str) -> None:
        self.path, self.kind, self.text = path, kind, text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.edits, self.notes = list[Edit](), list[dict[str, Any]]()
        is_code = kind in ("python", "javascript")
        self.clients = [*self._clients()] if is_code else []
        calls = islice(_AUDIO_CALL.finditer(text), _MOST_FOUND_IN_FILE) if is_code else ()
        self.calls = [match for match in calls if not self.is_comment(match.start())]
        self.other_uses = {match[1] for match in _OTHER_USE.finditer(text)} if is_code else set()

    def note(self, line: int, text: str) -> None:
        found = {"file": _without_secrets(str(self.path)), "line": line + 1, "note": _without_secrets(text)}
        self.notes += [] if found in self.notes or len(self.notes) >= _MOST_FOUND_IN_FILE else [found]

    def line_of(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def span_of_lines(self, first: int, last: int) -> tuple[int, int]:
        """Return where these lines start and end, without the last line break."""
        starts = [*self.starts, len(self.text) + 1]
        return starts[max(first, 0)], starts[min(last + 1, len(starts) - 1)] - 1

    def is_comment(self, offset: int) -> bool:
        start, end = self.span_of_lines(self.line_of(offset), self.line_of(offset))
        return self.text[start:end].lstrip().startswith(("#", "//", "*"))

    def _clients(self) -> Iterator[_Client]:
        for match in islice(_CLIENT.finditer(self.text), _MOST_FOUND_IN_FILE):
            end = _end_of_brackets(self.text, match.end() - 1)
            if end and not self.is_comment(match.start()):
                named = _ASSIGNED_NAME.search(self.text[max(0, match.start() - 200) : match.start()])
                yield _Client(named[1] if named else "", match.end() - 1, end)


def _end_of_brackets(text: str, opening: int) -> int:
    """Return the end of the brackets that open here, or 0."""
    depth = 0
    for match in _TOKEN.finditer(text, opening, opening + _MOST_CALL_CHARACTERS):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if not depth:
            return match.end()
    return 0


def _value_span(text: str, start: int, end: int, name: str) -> tuple[int, int] | None:
    """Return where the value of an argument is, empty for JavaScript's `{ apiKey }`."""
    found = re.compile(rf"\b{name}\b(?:\s*[=:]\s*|(?=\s*[,}}]))").search(text, start, end)
    if found is None:
        return None
    depth, start = 0, found.end()
    for match in _TOKEN.finditer(text, start, end):
        if not depth and match[0] in ",)]}":
            return start, start + len(text[start : match.start()].rstrip())
        depth += (match[0] in "([{") - (match[0] in ")]}")
    return None


class _Migration:
    def __init__(self, url: str, sources: Sequence[_Source]) -> None:
        self._url, self._sources = url, sources

    def find_changes(self) -> None:
        for source in self._sources:
            for call in source.calls:
                before = sum(len(each.edits) for each in self._sources)
                self._move_call(source, call)
                is_moved = before < sum(len(each.edits) for each in self._sources)
                if call[1] != "speech" and is_moved:
                    source.note(source.line_of(call.start()), _RETIREMENT_NOTE)
            if re.search(_AUDIO, source.text) and (source.kind != "n8n" or '"nodes"' in source.text):
                self._move_urls(source)
            if source.kind == "n8n":
                self._note_nodes(source)

    def _arguments(self, kind: str, key: str = '"YOUR_KEY"') -> tuple[str, str]:
        if kind == "python":
            return f'base_url="{self._url}"', f"api_key={key}"
        return f'baseURL: "{self._url}"', f"apiKey: {key}"

    def _move_call(self, source: _Source, call: re.Match[str]) -> None:
        text, offset, pair = source.text, call.start(), ", ".join(self._arguments(source.kind))
        if create := _CREATE.match(text, call.end()):
            self._note_unknown_fields(
                source, call.end(), _end_of_brackets(text, create.end() - 1) or create.end()
            )
        before = _BEFORE_CALL.search(text[max(0, offset - 100) : offset])
        name, name_end = (before[1], offset - len(before[0]) + len(before[1])) if before else ("?", offset)
        found = [(source, each) for each in source.clients if each.name == name or each.end == name_end]
        peers = [each for each in self._sources if each.kind == source.kind]
        found = found or [(peer, client) for peer in peers for client in peer.clients if client.name == name]
        options = _OPTIONS.finditer(text, max(0, name_end - _MOST_CALL_CHARACTERS), name_end)
        if any(_end_of_brackets(text, each.end() - 1) == name_end for each in options):
            return  # it was moved
        if found and not any(name in each.other_uses for each in (source, *(owner for owner, _ in found))):
            for owner, client in found:
                self._move_client(owner, client)
            return
        new = f".with_options({pair})" if source.kind == "python" else f".withOptions({{ {pair} }})"
        if name == "openai" and source.kind == "python" and re.search(r"^import openai\b", text, re.M):
            new = f".OpenAI({pair})"
        source.edits.append((offset, offset, new))

    def _move_client(self, source: _Source, client: _Client) -> None:
        text, kind = source.text, source.kind
        names = ("base_url", "api_key") if kind == "python" else ("baseURL", "apiKey")
        base, key = (_value_span(text, client.opening, client.end, name) for name in names)
        old_url, old_key = (text[slice(*each)] if each else "" for each in (base, key))
        if old_url[:1] in ('"', "'", "`") and "api.openai.com" not in old_url:
            return  # it is another server's, or voxgate's already
        new_key = _new_key(old_key)
        for span, new in ((base, f'"{self._url}"'), (key, new_key)):
            if span:
                source.edits.append((*span, new if span[0] < span[1] else f": {new}"))
        pair = zip(self._arguments(kind, new_key), (base, key), strict=True)
        if missing := ", ".join(part for part, span in pair if span is None):
            offset = client.opening + 1
            source.edits.append(_insertion(kind, text[offset : client.end - 1], offset, missing))

    def _move_urls(self, source: _Source) -> None:
        text, url_lines = source.text, set[int]()
        root = self._url.removesuffix("/v1")

        def is_ours(offset: int) -> bool:
            in_client = any(client.opening < offset < client.end for client in source.clients)
            return not in_client and not source.is_comment(offset)

        for match in islice(_URL.finditer(text), _MOST_FOUND_IN_FILE):
            if is_ours(match.start()):
                source.edits.append((*match.span(), root + match[1]))
                url_lines.add(source.line_of(match.start()))
        matches = [*islice(re.finditer(f"/{_AUDIO}", text), _MOST_FOUND_IN_FILE)]
        paths = [match.start() for match in matches]
        url_lines |= {source.line_of(offset) for offset in paths} if url_lines else set()
        for match in matches if url_lines else ():
            if match[1] != "speech" and not source.is_comment(match.start()):
                source.note(source.line_of(match.start()), _RETIREMENT_NOTE)
        is_audio_alone = not source.clients and not _OTHER_URL.search(text)
        for match in _KEY.finditer(text) if url_lines else ():
            line = source.line_of(match.start())
            is_near = any(abs(line - each) <= _NEAR_LINES for each in url_lines)
            if (is_near or is_audio_alone) and is_ours(match.start()):
                new = "VOXGATE_API_KEY" if match[0] == "OPENAI_API_KEY" else "YOUR_KEY"
                source.edits.append((*match.span(), new))
        for offset in paths:
            line = source.line_of(offset)
            self._note_unknown_fields(source, *source.span_of_lines(line - _NEAR_LINES, line + _NEAR_LINES))
            if not url_lines and not source.is_comment(offset) and root not in text:
                source.note(line, f"its address is made elsewhere: let it be {self._url}")

    def _note_unknown_fields(self, source: _Source, start: int, end: int) -> None:
        from proxy.config import config_toml, defaults

        models = {*config_toml.built_in_models(), *defaults.hearing_candidates({})}
        known = {"model": models, "voice": config_toml.built_in_voices()}
        for match in _FIELD.finditer(source.text, start, end):
            name, value = match.groups()
            note = f"voxgate has no {name} {value} as installed: give one in [{name}s] of config.toml"
            if name == "instructions":
                note = "instructions: no voice as installed follows them; x-voxgate-ignored says so"
            if name == "instructions" or value not in known[name]:
                source.note(source.line_of(match.start()), note)

    def _note_nodes(self, source: _Source) -> None:
        note = f"the credential of this node, in n8n: Base URL {self._url}, API Key YOUR_KEY"
        try:
            for node in json.loads(source.text)["nodes"]:
                parameters = node["parameters"]
                resource, operation = parameters.get("resource"), parameters.get("operation", "generate")
                is_audio = resource == "audio" and operation in ("generate", "transcribe", "translate")
                if node["type"].endswith(".openAi") and is_audio:
                    offset = max(source.text.find(json.dumps(node["name"], ensure_ascii=False)), 0)
                    for each in (note,) if operation == "generate" else (note, _RETIREMENT_NOTE):
                        source.note(source.line_of(offset), each)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return  # it is no workflow


def _new_key(old: str) -> str:
    """Return a key's expression with voxgate's variable. Other texts in it become a placeholder."""
    if "OPENAI_API_KEY" not in old:
        return '"YOUR_KEY"'

    def part(match: re.Match[str]) -> str:
        is_text = match[0][0] in "\"'`" and len(match[0]) > 2 and "OPENAI_API_KEY" not in match[0]
        return '"YOUR_KEY"' if is_text else match[0]

    return _without_secrets(_TOKEN.sub(part, old).replace("OPENAI_API_KEY", "VOXGATE_API_KEY"))


def _insertion(kind: str, inside: str, offset: int, missing: str) -> Edit:
    """Return the edit that adds arguments to those inside the brackets."""
    if kind == "python":
        separator = ", " if inside[:1] != "\n" else ","
        return offset, offset, missing + separator if inside.strip() else missing
    if inside.lstrip().startswith("{"):
        brace = offset + inside.index("{") + 1
        return brace, brace, f" {missing},"
    rest = f"...{inside.strip()}, " if inside.strip() else ""
    return offset, offset + len(inside), f"{{ {rest}{missing} }}"


def _changes(source: _Source) -> Iterator[dict[str, Any]]:
    """Yield the lines with edits, as they are and as they would be. Secrets are not shown."""
    edits = sorted(set(source.edits))
    spans = [(source.line_of(start), source.line_of(end)) for start, end, _ in edits]
    cuts = [0, *(at for at, (one, two) in enumerate(pairwise(spans), 1) if two[0] > one[1]), len(edits)]
    for first, last in pairwise(cuts) if edits else ():
        start, end = source.span_of_lines(spans[first][0], spans[last - 1][1])
        if end - start > _LONGEST_SHOWN:  # a workflow on one line
            start, end = max(start, edits[first][0] - 80), min(end, edits[last - 1][1] + 80)
        new, offset = "", start
        for begins, ends, text in edits[first:last]:
            new, offset = new + _without_secrets(source.text[offset:begins]) + text, ends
        old, new = _without_secrets(source.text[start:end]), new + _without_secrets(source.text[offset:end])
        yield {
            "file": _without_secrets(str(source.path)),
            "line": spans[first][0] + 1,
            "old": old,
            "new": new,
        }


def _without_secrets(text: str) -> str:
    return "".join(each for each in _SECRET.sub(r"\1…", text) if each.isprintable() or each in "\n\t")


def _read_sources(root: Path) -> tuple[list[_Source], list[str]]:
    """Read the files below a folder that may have calls. Return them, and a line for each one left out."""
    sources, left_out, entries, size = list[_Source](), list[str](), 0, 0
    top = os.walk(root, onerror=lambda error: left_out.append(f"{error.filename}: {error.strerror}"))
    for folder, folders, names in top if root.is_dir() else ((root.parent, list[str](), [root.name]),):
        folders[:] = sorted(each for each in folders if each[0] != "." and each not in _SKIPPED_FOLDERS)
        entries += len(names)
        for path in (Path(folder, name) for name in sorted(names)):
            kind = _KIND_BY_ENDING.get(path.suffix.lower())
            data = _plain_bytes(path) if kind else b""
            size += len(data)
            if len(data) > _MOST_FILE_BYTES:
                left_out.append(f"{path}: larger than {_MOST_FILE_BYTES // 1_000_000} MB")
            elif kind and b"\0" not in data and (b"OpenAI" in data or b"audio" in data):
                sources.append(_Source(path, kind, data.decode(errors="replace").replace("\r", "")))
        if entries > _MOST_ENTRIES or size > _MOST_BYTES_IN_ALL:
            left_out.append(f"all that comes after {folder}: name a smaller folder")
            break
    return sources, left_out


def _plain_bytes(path: Path) -> bytes:
    """Return the bytes of a plain file, and one more than the most, or none. No link is followed."""
    with suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("rb") as file:
                return file.read(_MOST_FILE_BYTES + 1)
    return b""


def from_openai(
    path: Annotated[
        Path, typer.Argument(exists=True, show_default=False, help="A project's folder, or one file.")
    ],
    url: Url = "http://127.0.0.1:8000/v1",
) -> CommandResult:
    """Show how a project would change from OpenAI to voxgate.

    Nothing is changed. The status is 1 if there are such lines, and 2 for a failure.
    """
    if not _ADDRESS.fullmatch(url):
        raise typer.BadParameter(f"--url is no address: {url}")
    sources, left_out = _read_sources(path)
    _Migration(url.rstrip("/"), sources).find_changes()
    changes = [each for source in sources for each in _changes(source)]
    notes = [note for source in sources for note in source.notes]
    answer = {"changes": changes, "notes": notes, "left_out": [_without_secrets(each) for each in left_out]}
    return CommandResult(answer, status=1 if changes else 0)


def show_changes(answer: dict[str, Any]) -> list[Part]:
    shown = list[Part]()
    for change in answer["changes"]:
        shown.append(Line(f"{change['file']}:{change['line']}", "bold"))
        for mark, style, text in (("-", "red", change["old"]), ("+", "green", change["new"])):
            shown += [Line(f"{mark} {line}", style) for line in text.split("\n")]
    shown += [Line(f"{each['file']}:{each['line']}: {each['note']}", "yellow") for each in answer["notes"]]
    shown += [Line(f"not read: {each}", "yellow") for each in answer["left_out"]]
    count = len(answer["changes"])
    last = f"Places to change: {count}. Nothing was changed. YOUR_KEY and VOXGATE_API_KEY: a key of voxgate."
    return [*shown, Line(last if count else "No line calls OpenAI's audio at its own address.")]


FROM_OPENAI = Command("from-openai", from_openai, show_changes, without_config=True)
