"""The check of a receipt against a file, without a server: line by line, what holds and what does not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.provenance.jws import BadJws, Jwk, SignedText, is_signed_by, parse_jws, read_jwk

_MOST_BYTES = 1024 * 1024
_ABSENT = object()


class UnreadableReceipt(ValueError):
    """The receipt or the keys cannot be read at all. The message says why."""


class CheckLine(NamedTuple):
    """One line of a check."""

    line: str
    is_good: bool
    found: str


class SentReceipt(msgspec.Struct, frozen=True):
    """A receipt as a server answers it, or a bare JWS with its claims unrepeated."""

    jws: str
    jwk: Any = None
    claims: dict[str, Any] | None = None


class _KeySet(msgspec.Struct, frozen=True):
    """A JWK set, in which others may have keys of other kinds."""

    keys: list[Any]


def check_receipt(file: Path, receipt: Path, keys: Path | None) -> list[CheckLine]:
    """Check a file against its receipt, by the keys in a JWK set or by the receipt's own key.

    Raises OSError and UnreadableReceipt.
    """
    sent = _read_receipt(receipt)
    try:
        signed = parse_jws(sent.jws)
        claims: Any = msgspec.json.decode(signed.payload)
    except (BadJws, msgspec.DecodeError) as error:
        raise UnreadableReceipt(f"{receipt}: {error}") from None
    if not isinstance(claims, dict) or not {"sha256", "bytes"} <= claims.keys():
        raise UnreadableReceipt(f"{receipt}: this is no receipt of a clip")
    by_key = _check_key(signed, sent.jwk, keys)
    return [*by_key, _check_claims(claims, sent.claims), _check_file(claims, file)]


def _check_key(signed: SignedText, own: Any, keys: Path | None) -> list[CheckLine]:
    try:
        if keys is None:
            if own is None:
                raise UnreadableReceipt("the receipt has no key of its own; name the server's with --keys")
            key = read_jwk(own)
            line = CheckLine("key", True, f"the receipt's own, {key.kid}: compare it with the server's")
        else:
            known = next((each for each in _read_keys(keys) if each.kid == signed.kid), None)
            if known is None:
                return [CheckLine("key", False, f"unknown: {signed.kid[:64] or 'without an id'}")]
            key, line = known, CheckLine("key", True, f"known: {known.kid}")
    except BadJws as error:
        return [CheckLine("key", False, str(error))]
    if is_signed_by(signed, key):
        return [line, CheckLine("signature", True, "good")]
    return [line, CheckLine("signature", False, "wrong: the receipt was changed, or another key signed it")]


def _check_claims(signed: dict[str, Any], shown: dict[str, Any] | None) -> CheckLine:
    """Compare the claims that a person reads with those that are signed."""
    if shown is None or shown == signed:
        return CheckLine("claims", True, "as signed")
    names = [*signed, *(name for name in shown if name not in signed)]
    wrong = [name for name in names if signed.get(name, _ABSENT) != shown.get(name, _ABSENT)]
    return CheckLine("claims", False, f"not as signed: {', '.join(wrong)}")


def _check_file(claims: dict[str, Any], file: Path) -> CheckLine:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    size = file.stat().st_size
    if digest == claims["sha256"]:
        return CheckLine("file", True, f"the one of the receipt, {size} bytes")
    return CheckLine("file", False, f"another one: it has {size} bytes, the receipt is for {claims['bytes']}")


def _read_receipt(file: Path) -> SentReceipt:
    text = _read_text(file)
    if not text.lstrip().startswith("{"):
        return SentReceipt(text)
    try:
        return msgspec.json.decode(text, type=SentReceipt)
    except msgspec.DecodeError as error:
        raise UnreadableReceipt(f"{file}: this is no receipt: {error}") from None


def _read_keys(file: Path) -> list[Jwk]:
    """Return the keys of a set that can sign receipts. Keys of other kinds may be beside them."""
    try:
        values = msgspec.json.decode(_read_text(file), type=_KeySet).keys
    except msgspec.DecodeError as error:
        raise UnreadableReceipt(f"{file}: this is no JWK set: {error}") from None
    found: list[Jwk] = []
    for value in values:
        try:
            found.append(read_jwk(value))
        except BadJws:
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
    raise UnreadableReceipt(f"{file}: this is neither a receipt nor a set of keys")
