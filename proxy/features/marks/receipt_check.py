"""The check of a receipt against a file, without a server, with one line for each result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.errors import CommandRefused
from proxy.features.marks.jws import RECEIPT_TYPE, Jwk, SignedText, is_signed_by, parse_jws, read_jwk

_MOST_BYTES = 1024 * 1024
_NO_CLAIM = b"none"


class CheckLine(NamedTuple):
    line: str
    is_good: bool
    found: str


class ReceiptFields(msgspec.Struct, frozen=True):
    """A receipt as a server answers it, or a bare JWS with its claims unrepeated."""

    jws: str
    jwk: Any = None
    id: str | None = None
    claims: dict[str, Any] | None = None


class _ClipClaims(msgspec.Struct, frozen=True):
    request: str
    sha256: str
    bytes: int
    kind: str = "speech"
    source_sha256: str | None = None


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[Any]


def check_receipt(
    file: Path, receipt: Path, keys: Path | None, source: Path | None = None
) -> list[CheckLine]:
    """Check a file and its source against its receipt, by the keys in a JWK set or by the receipt's own key.

    Raises OSError, and CommandRefused if the receipt or the keys cannot be read at all.
    """
    receipt_fields = _read_receipt(receipt)
    try:
        signed = parse_jws(receipt_fields.jws)
        claims = _decode_unrepeated(signed.payload)
        clip = msgspec.convert(claims, _ClipClaims)
    except ValueError as error:
        raise CommandRefused(f"{receipt}: this is no receipt of a clip: {error}") from None
    by_key = _check_key(signed, receipt_fields.jwk, keys)
    return [
        *by_key,
        _check_claims(claims, receipt_fields),
        _check_file(clip, file),
        *_check_source(clip, source),
    ]


def _check_key(signed: SignedText, own_jwk: Any, keys: Path | None) -> list[CheckLine]:
    if keys is None:
        if own_jwk is None:
            raise CommandRefused("the receipt has no key of its own; name the server's with --keys")
        try:
            key = read_jwk(own_jwk)
        except ValueError as error:
            return [CheckLine("key", False, str(error))]
        line = CheckLine("key", True, f"the receipt's own, {key.kid}: compare it with the server's")
    else:
        known = next((each for each in _read_keys(keys) if each.kid == signed.kid), None)
        if known is None:
            named = _printable(signed.kid[:64]) or "without an id"
            return [CheckLine("key", False, f"unknown: {named}")]
        key, line = known, CheckLine("key", True, f"known: {known.kid}")
    if signed.type != RECEIPT_TYPE:
        return [line, CheckLine("signature", False, "of something else than a receipt")]
    if is_signed_by(signed, key):
        return [line, CheckLine("signature", True, "good")]
    return [line, CheckLine("signature", False, "wrong: the receipt was changed, or another key signed it")]


def _check_claims(signed: dict[str, Any], receipt_fields: ReceiptFields) -> CheckLine:
    """Compare the readable claims with the signed ones. `true` is not 1 here, and 1 is not 1.0."""
    shown = signed if receipt_fields.claims is None else receipt_fields.claims
    names = [*signed, *(name for name in shown if name not in signed)]
    wrong = [name for name in names if _encoded_claim(signed, name) != _encoded_claim(shown, name)]
    if receipt_fields.id is not None and receipt_fields.id != signed["request"]:
        wrong.insert(0, "id")
    if not wrong:
        return CheckLine("claims", True, "as signed")
    return CheckLine("claims", False, f"not as signed: {_printable(', '.join(wrong))}")


def _encoded_claim(claims: dict[str, Any], name: str) -> bytes:
    return msgspec.json.encode(claims[name], order="deterministic") if name in claims else _NO_CLAIM


def _check_source(claims: _ClipClaims, source: Path | None) -> Iterator[CheckLine]:
    """Name the source of the clip. A given source file is compared."""
    kind, digest = _printable(claims.kind[:64]), claims.source_sha256
    if digest is None:
        if claims.kind != "speech":
            yield CheckLine("kind", True, kind)
        if source is not None:
            yield CheckLine("source", False, f"the receipt names none: it is of {kind or 'nothing'}")
        return
    named = _printable(digest[:64])
    yield CheckLine("kind", True, f"{kind} of the recording with the SHA-256 {named}")
    if source is not None:
        is_same = _digest_of(source) == digest
        found = "the recording of the receipt" if is_same else "another one: its SHA-256 differs"
        yield CheckLine("source", is_same, found)


def _digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _check_file(claims: _ClipClaims, file: Path) -> CheckLine:
    digest = _digest_of(file)
    size = file.stat().st_size
    if digest == claims.sha256:
        return CheckLine("file", True, f"the one of the receipt, {size} bytes")
    if size == claims.bytes:
        return CheckLine("file", False, f"it was changed: {size} bytes, but another SHA-256")
    return CheckLine("file", False, f"another one: it has {size} bytes, the receipt is for {claims.bytes}")


def _printable(text: str) -> str:
    """Replace letters that could steer a terminal: a stranger may have written the text."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _decode_unrepeated(text: str | bytes) -> Any:
    """Decode JSON whose objects have no repeated names: readers would differ in which one counts.

    Raises ValueError.
    """

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in members]
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice in it")
        return dict(members)

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read_receipt(file: Path) -> ReceiptFields:
    text = _read_text(file)
    if not text.lstrip().startswith("{"):
        return ReceiptFields(text)
    try:
        return msgspec.convert(_decode_unrepeated(text), ReceiptFields)
    except ValueError as error:
        raise CommandRefused(f"{file}: this is no receipt: {error}") from None


def _read_keys(file: Path) -> list[Jwk]:
    """Return the keys of a set that can sign receipts, without keys of other kinds."""
    try:
        values = msgspec.json.decode(_read_text(file), type=_KeySet).keys
    except msgspec.DecodeError as error:
        raise CommandRefused(f"{file}: this is no JWK set: {error}") from None
    found: list[Jwk] = []
    for value in values:
        try:
            found.append(read_jwk(value))
        except ValueError:
            continue
    return found


def _read_text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(_MOST_BYTES + 1)
    try:
        if len(data) <= _MOST_BYTES:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise CommandRefused(f"{file}: this is neither a receipt nor a set of keys")
