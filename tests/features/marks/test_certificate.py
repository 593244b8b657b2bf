"""The certificate of manifests: what can sign is taken, and what cannot is named before anybody needs it."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from prometheus_client import CollectorRegistry

from proxy.config.sections import Config
from proxy.features.marks import certificate
from proxy.features.marks.clip_facts import ClipSpeaker
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.section import TEST_CERTIFICATE, MarkingSection
from proxy.features.marks.signer import ensure_certificate, open_signer
from proxy.features.marks.signing import UnusableCertificate
from tests.features.marks.certificates import Chain, make_chain, p256
from tests.features.marks.manifests import read
from tests.tables import each_row

pytestmark = pytest.mark.slow

FACTS = ManifestFacts(0, (ClipSpeaker("xtts/en", ""),))


@each_row(
    ("key", "algorithm"),
    [
        (p256, "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "es512"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
        (lambda: rsa.generate_private_key(65_537, 2048), "ps256"),
    ],
    ids=["P-256", "P-384", "P-521", "Ed25519", "RSA"],
)
async def test_the_operators_certificate_signs_and_is_trusted(
    tmp_path: Path, key: Callable[[], ec.EllipticCurvePrivateKey], algorithm: str
) -> None:
    made = make_chain(key())
    assert certificate.read_certificate(made.chain, made.key).algorithm == algorithm
    section = MarkingSection(certificate=made.chain, certificate_key=made.key)
    config = Config(features={"marking": section}, data=str(tmp_path))
    async with open_signer(config, CollectorRegistry()) as signer:
        signer.within_s = 60.0
        signed = await signer.sign_digest(FACTS, hashlib.sha256(b"x").digest())
    reading = read("pcm", b"x", signed.data, made.root)
    assert reading.state == "Trusted"
    assert reading.active["signature_info"]["common_name"] == "speech.example.org"
    assert not (tmp_path / TEST_CERTIFICATE).exists()


@each_row(
    ("made", "fault"),
    [
        (lambda: make_chain(begins_in=timedelta(-9), ends_in=timedelta(-1)), "it expired on 20"),
        (lambda: make_chain(begins_in=timedelta(1)), "it is valid from 20"),
        (lambda: make_chain(uses=()), "emailProtection"),
        (lambda: make_chain(uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)), "emailProtection"),
        (
            lambda: make_chain(
                uses=(ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.TIME_STAMPING)
            ),
            "no timeStamping",
        ),
        (lambda: make_chain(signs=False), "digitalSignature"),
        (lambda: make_chain(certifies=True), "without keyCertSign"),
        (lambda: make_chain(is_authority=True), "a certificate authority's"),
        (lambda: make_chain(has_authority_key=False), "no authority key identifier"),
        (lambda: make_chain(rsa.generate_private_key(65_537, 1024)), "2048 bits"),
        (lambda: make_chain(ec.generate_private_key(ec.SECP224R1())), "P-256"),
        (lambda: make_chain()._replace(key=make_chain().key), "not the one of the first"),
        (lambda: make_chain()._replace(key="no key"), "its key must be in PEM"),
        (lambda: make_chain()._replace(chain="none"), "must hold certificates in PEM"),
        (lambda: make_chain()._replace(chain=""), "must hold certificates in PEM"),
    ],
)
def test_what_no_validator_would_take_is_named(made: Callable[[], Chain], fault: str) -> None:
    chain = made()
    with pytest.raises(UnusableCertificate, match=fault) as raised:
        certificate.read_certificate(chain.chain, chain.key)
    assert str(raised.value).startswith("marking.certificate")
    assert "PRIVATE" not in str(raised.value)


def test_a_certificate_shows_no_key() -> None:
    made = make_chain()
    found = certificate.read_certificate(made.chain, made.key)
    assert repr(found) == "<SigningCertificate of 'speech.example.org', es256>"


def test_the_test_certificate_is_made_once_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    first = ensure_certificate(MarkingSection(), tmp_path)
    assert first.is_test
    assert ensure_certificate(MarkingSection(), tmp_path) == first
    assert certificate.read_test_certificate(certificate.make_test_pem()).chain != first.chain
    file = tmp_path / TEST_CERTIFICATE
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UnusableCertificate, match=TEST_CERTIFICATE):
        ensure_certificate(MarkingSection(), tmp_path)
