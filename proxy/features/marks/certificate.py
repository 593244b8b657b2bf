"""The certificate that signs manifests: the operator's, or a test certificate that the server makes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.features.marks.section import TEST_CERTIFICATE
from proxy.features.marks.signing import SigningCertificate, UnusableCertificate
from proxy.file_store.certificates import make_certificate

_TEST_DAYS = 3650
_LEAST_RSA_BITS = 2048
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_KEY_HEADER = "-----BEGIN PRIVATE KEY-----"


def read_test_certificate(pem: bytes, where: str = TEST_CERTIFICATE) -> SigningCertificate:
    """Read the output of `make_test_pem`. Raises UnusableCertificate."""
    chain, key_header, key = pem.decode("ascii", "replace").partition(_KEY_HEADER)
    return read_certificate(chain, key_header + key, where, is_test=True)


def read_certificate(
    chain: str, key: str, where: str = "marking.certificate", *, is_test: bool = False
) -> SigningCertificate:
    """Read a chain and the key of its first certificate. `where` begins the messages of errors.

    Raises UnusableCertificate if a validator would refuse the certificate.
    """
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        raise UnusableCertificate(f"{where} must hold certificates in PEM, the signing one first") from None
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        raise UnusableCertificate(f"{where}: its key must be in PEM, without a password") from None
    leaf = certificates[0]
    if faults := _faults(leaf, private, datetime.now(UTC)):
        raise UnusableCertificate(f"{where}: {'; '.join(faults)}")
    return SigningCertificate(
        chain="".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates),
        key=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        algorithm=_algorithm(private) or "",  # never "": `_faults` refuses other keys
        subject=_common_name(leaf),
        expires=leaf.not_valid_after_utc,
        is_test=is_test,
    )


def _faults(leaf: x509.Certificate, key: PrivateKeyTypes, now: datetime) -> list[str]:
    """Return the faults for which the manifest library, or a validator, refuses a certificate.

    Each refusal was tried.
    """
    faults = []
    if leaf.public_key() != key.public_key():
        faults.append("the key is not the one of the first certificate")
    if _algorithm(key) is None:
        faults.append("its key must be of P-256, P-384, P-521, Ed25519, or RSA with 2048 bits and more")
    if now > leaf.not_valid_after_utc:
        faults.append(f"it expired on {leaf.not_valid_after_utc:%Y-%m-%d}")
    if now < leaf.not_valid_before_utc:
        faults.append(f"it is valid from {leaf.not_valid_before_utc:%Y-%m-%d} on")
    extensions = dict[type[x509.ExtensionType], x509.ExtensionType]()
    with suppress(ValueError):
        extensions = {type(each.value): each.value for each in leaf.extensions}
    basic, usage, extended = (
        extensions.get(x509.BasicConstraints),
        extensions.get(x509.KeyUsage),
        extensions.get(x509.ExtendedKeyUsage),
    )
    if isinstance(basic, x509.BasicConstraints) and basic.ca:
        faults.append("it is a certificate authority's; the signing certificate comes first")
    if not isinstance(usage, x509.KeyUsage) or not usage.digital_signature or usage.key_cert_sign:
        faults.append("its key usage must be digitalSignature, without keyCertSign")
    if not isinstance(extended, x509.ExtendedKeyUsage) or (
        ExtendedKeyUsageOID.EMAIL_PROTECTION not in extended or ExtendedKeyUsageOID.TIME_STAMPING in extended
    ):
        faults.append("its extended key usage must have emailProtection, and no timeStamping")
    if x509.AuthorityKeyIdentifier not in extensions and leaf.issuer != leaf.subject:
        faults.append("it has no authority key identifier")
    return faults


def _algorithm(key: PrivateKeyTypes) -> str | None:
    """Return the manifest library's name for the key's algorithm, or None if it is not supported."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return _CURVES.get(key.curve.name)
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey() if key.key_size >= _LEAST_RSA_BITS:
            return "ps256"
    return None


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def make_test_pem() -> bytes:
    """Make a leaf and its root. The root's key is discarded, so that it can sign nothing else."""
    end = datetime.now(UTC) + timedelta(days=_TEST_DAYS)
    root = make_certificate(_name("voxgate test root"), end)
    use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = make_certificate(_name("voxgate test certificate"), end, root, use)
    return leaf.pem + root.pem + leaf.key_pem


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "voxgate test"),
        ]
    )
