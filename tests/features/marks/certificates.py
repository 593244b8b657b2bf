"""Certificates as an authority would give them, and as none should."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class Chain(NamedTuple):
    """A leaf and its root, the leaf's key, and the root alone, all in PEM."""

    chain: str
    key: str
    root: str


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_chain(
    key: PrivateKey | None = None,
    *,
    uses: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    signs: bool = True,
    certifies: bool = False,
    is_authority: bool = False,
    has_authority_key: bool = True,
    begins_in: timedelta = timedelta(days=-1),
    ends_in: timedelta = timedelta(days=90),
) -> Chain:
    root_key, own_key = p256(), key or p256()
    now = datetime.now(UTC)
    dated = (
        x509.CertificateBuilder()
        .issuer_name(_name("Some authority"))
        .not_valid_before(now + begins_in)
        .not_valid_after(now + ends_in)
    )
    root = (
        dated.subject_name(_name("Some authority"))
        .public_key(root_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=False, certifies=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        dated.subject_name(_name("speech.example.org"))
        .public_key(own_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(_usage(signs=signs, certifies=certifies), critical=True)
    )
    if uses:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if has_authority_key:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        leaf = leaf.add_extension(authority, critical=False)
    of_root, of_leaf = _pem(root), _pem(leaf.sign(root_key, hashes.SHA256()))
    secret = own_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Chain(of_leaf + of_root, secret.decode(), of_root)


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common), organisation])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _usage(*, signs: bool, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=not signs,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )
