"""Signatures are those of RFC 8037, and whatever is not exactly that is refused."""

import json
import shutil
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import msgspec
import pytest

from proxy.features.marks.jws import Jwk, SigningKey, is_signed_by, parse_jws, read_jwk
from tests.tables import each_row

# RFC 8037, appendix A.
_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
_JWS = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def plain(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def written(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def key() -> SigningKey:
    return SigningKey(plain(_SEED))


def test_a_key_is_the_one_of_the_rfc() -> None:
    assert key().jwk == Jwk(x=_X, kid=_THUMBPRINT)
    assert _SEED not in repr(key())


def test_a_signature_of_the_rfc_is_good_and_a_changed_one_is_not() -> None:
    signed = parse_jws(_JWS)
    assert signed.payload == b"Example of Ed25519 signing"
    assert is_signed_by(signed, key().jwk)
    head, _, signature = _JWS.split(".")
    assert not is_signed_by(
        parse_jws(f"{head}.{written(b'Example of Ed25519 Signing')}.{signature}"), key().jwk
    )
    assert not is_signed_by(signed, SigningKey(bytes(32)).jwk)


def test_what_is_signed_here_is_read_here() -> None:
    signed = parse_jws(key().sign(b"{}", "some+jws"))
    assert (signed.kid, signed.payload) == (_THUMBPRINT, b"{}")
    assert is_signed_by(signed, key().jwk)


def test_openssl_verifies_it(tmp_path: Path) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("this machine has no openssl")
    jws = key().sign(b'{"a": 1}', "some+jws")
    signed, _, signature = jws.rpartition(".")
    # SubjectPublicKeyInfo of Ed25519 (RFC 8410) is this and the 32 bytes.
    (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + plain(key().jwk.x))
    (tmp_path / "signed").write_text(signed)
    (tmp_path / "signature").write_bytes(plain(signature))
    arguments = "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in signed -sigfile signature"
    done = subprocess.run([openssl, *arguments.split()], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def head(**members: object) -> str:
    return written(json.dumps(members).encode())


@each_row(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        _JWS + "=",
        _JWS.replace(".", "", 1),
        _JWS[:-1] + "h",  # bits that no byte has
        head(alg="none") + ".e30.",
        head(alg="HS256") + ".e30.aaaa",
        head(alg="EdDSA", crit=["b64"], b64=False) + ".e30.aaaa",
        head(kid="x") + ".e30.aaaa",
        written(b"[]") + ".e30.aaaa",
        "é.e30.aaaa",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"this is no JWS|of another kind"):
        parse_jws(text)


@each_row(
    "value",
    [
        None,
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed448", "x": _X},
        {"kty": "RSA", "crv": "Ed25519", "x": _X},
        {"kty": "OKP", "crv": "Ed25519", "x": _X[:-4]},
        {"kty": "OKP", "crv": "Ed25519", "x": 5},
        {"kty": "OKP", "crv": "Ed25519", "x": _X + "="},
    ],
)
def test_what_is_no_key_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"a key is no JWK|a key of Ed25519 has"):
        read_jwk(value)


def test_the_id_of_a_key_is_computed_and_not_believed() -> None:
    sent = {**msgspec.to_builtins(key().jwk), "kid": "somebody else's"}
    assert read_jwk(sent).kid == _THUMBPRINT
