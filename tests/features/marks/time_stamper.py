"""A time-stamper (RFC 3161) over a real socket: it signs the digest that it is sent, with the time."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.features.marks.certificates import make_chain

_SEQUENCE, _SET, _INTEGER, _OCTETS, _OID, _NULL, _TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x05, 0x18
_SIGNED_DATA, _TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST, _CERTIFICATE = (
    "1.2.840.113549.1.9.3",
    "1.2.840.113549.1.9.4",
    "1.2.840.113549.1.9.16.2.47",
)
_SHA256, _RSA = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.11"
_POLICY = "1.3.6.1.4.1.99999.1"
_REFUSAL = b"\x30\x05\x30\x03\x02\x01\x02"


class TimeStamper:
    """`asked` counts its queries. While it `is_refusing`, it grants none."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_refusing = False
        self.url = ""
        self._key = rsa.generate_private_key(65_537, 2048)
        chain = make_chain(self._key, uses=(ExtendedKeyUsageOID.TIME_STAMPING,))
        self._certificates = x509.load_pem_x509_certificates(chain.chain.encode())

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        if self.is_refusing:
            return _REFUSAL
        _version, imprint, *rest = _children(_children(query)[0][1])
        nonce = b"".join(_der(_INTEGER, value) for tag, value in rest if tag == _INTEGER)
        now = f"{datetime.now(UTC):%Y%m%d%H%M%SZ}".encode()
        info = _der(
            _SEQUENCE,
            _integer(1) + _oid(_POLICY) + _der(*imprint) + _integer(self.asked) + _der(_TIME, now) + nonce,
        )
        status = _der(_SEQUENCE, _integer(0))
        return _der(_SEQUENCE, status + _der(_SEQUENCE, _oid(_SIGNED_DATA) + _der(0xA0, self._signed(info))))

    def _signed(self, info: bytes) -> bytes:
        leaf = self._certificates[0]
        encoding = serialization.Encoding.DER
        raw = leaf.public_bytes(encoding)
        certificate = _sequences(_der(_OCTETS, hashlib.sha256(raw).digest()), 3)
        attributes = b"".join(
            sorted(
                (
                    _attribute(_CONTENT_TYPE, _oid(_TST_INFO)),
                    _attribute(_DIGEST, _der(_OCTETS, hashlib.sha256(info).digest())),
                    _attribute(_CERTIFICATE, certificate),
                )
            )
        )
        signature = self._key.sign(_der(_SET, attributes), padding.PKCS1v15(), hashes.SHA256())
        signer = _der(
            _SEQUENCE,
            _integer(1)
            + _der(_SEQUENCE, leaf.issuer.public_bytes() + _integer(leaf.serial_number))
            + _algorithm(_SHA256)
            + _der(0xA0, attributes)
            + _algorithm(_RSA)
            + _der(_OCTETS, signature),
        )
        content = _der(_SEQUENCE, _oid(_TST_INFO) + _der(0xA0, _der(_OCTETS, info)))
        certificates = b"".join(each.public_bytes(encoding) for each in self._certificates)
        parts = _integer(3) + _der(_SET, _algorithm(_SHA256)) + content + _der(0xA0, certificates)
        return _der(_SEQUENCE, parts + _der(_SET, signer))


@contextmanager
def time_stamper() -> Iterator[TimeStamper]:
    stamper = TimeStamper()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = stamper.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stamper.url = f"http://127.0.0.1:{server.server_address[1]}/"
        serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        try:
            yield stamper
        finally:
            server.shutdown()
            serving.join()


def _der(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 128:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def _children(data: bytes) -> list[tuple[int, bytes]]:
    """The tags and values that stand one after another."""
    found = []
    while data:
        size, begins = data[1], 2
        if size & 0x80:
            begins += size & 0x7F
            size = int.from_bytes(data[2:begins], "big")
        found.append((data[0], data[begins : begins + size]))
        data = data[begins + size :]
    return found


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray()
    for number in (first * 40 + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return _der(_OID, bytes(encoded))


def _algorithm(dotted: str) -> bytes:
    return _der(_SEQUENCE, _oid(dotted) + _der(_NULL, b""))


def _attribute(dotted: str, value: bytes) -> bytes:
    return _der(_SEQUENCE, _oid(dotted) + _der(_SET, value))


def _sequences(value: bytes, depth: int) -> bytes:
    for _ in range(depth):
        value = _der(_SEQUENCE, value)
    return value
