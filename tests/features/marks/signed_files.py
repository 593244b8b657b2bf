"""Files with C2PA manifests, as other people's tools sign them, and certificates of our own making."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import NamedTuple

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

WHEN = "2026-11-21T10:00:00Z"
_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


class Signatory(NamedTuple):
    """Who signs: the signing certificate, its root, and the key, in PEM."""

    leaf: bytes
    root: bytes
    key: bytes

    @property
    def chain(self) -> bytes:
        return self.leaf + self.root


def signatory(organisation: str = "Ana's Studio", curve: ec.EllipticCurve | None = None) -> Signatory:
    root_key, key = (ec.generate_private_key(curve or ec.SECP256R1()) for _ in range(2))
    root_name = _name(organisation, "root")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate(_name(organisation, "signer"), root_name, key.public_key(), 2)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signatory(leaf.public_bytes(pem), root.public_bytes(pem), private)


def signed(
    file: bytes, media_type: str, by: Signatory, *, algorithm: str = "es256", agent: str = "ana"
) -> bytes:
    """The file with a manifest in it."""
    written = BytesIO()
    with c2pa.Builder(_manifest(agent)) as builder:
        builder.sign(_signer(by, algorithm), media_type, BytesIO(file), written)
    return written.getvalue()


def beside(file: bytes, by: Signatory) -> bytes:
    """A manifest that lies beside the file."""
    with c2pa.Builder(_manifest("ana")) as builder:
        builder.set_no_embed()
        made = builder.sign(_signer(by, "es256"), "application/octet-stream", BytesIO(file), BytesIO())
    return bytes(made)


def elsewhere(file: bytes, address: str, by: Signatory) -> bytes:
    """A wav file that says at which address its manifest is."""
    written = BytesIO()
    with c2pa.Builder(_manifest("ana")) as builder:
        builder.set_no_embed()
        builder.set_remote_url(address)
        builder.sign(_signer(by, "es256"), "audio/wav", BytesIO(file), written)
    return written.getvalue()


def _signer(by: Signatory, algorithm: str) -> c2pa.Signer:
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm.encode(), by.chain, by.key, None))


def _manifest(agent: str) -> str:
    action = {
        "action": "c2pa.created",
        "when": WHEN,
        "softwareAgent": {"name": agent},
        "digitalSourceType": _SOURCE,
    }
    return json.dumps(
        {
            "claim_generator_info": [{"name": "a tool of Ana's", "version": "1"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
    )


def _name(organisation: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} {role}"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, serial: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=700))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
