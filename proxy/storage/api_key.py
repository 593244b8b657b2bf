"""The form of an API key: `sk-vg-`, 32 random characters, and 6 that check the rest.

The checksum refuses typing errors and other services' keys without a look into the store. Secret scanners
recognise our keys by it. It proves nothing: only the store knows which keys are good.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "sk-vg-"
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}")


class ApiKey:
    """A secret key. Its owner sees it once, by `reveal`, and nothing else prints it.

    It is a plain class on purpose: msgspec and other libraries write out the fields of a struct.
    """

    __slots__ = ("__secret",)

    def __init__(self, secret: str) -> None:
        self.__secret = secret

    def __repr__(self) -> str:
        return f"<ApiKey …{self.hint}>"

    def reveal(self) -> str:
        return self.__secret

    @property
    def digest(self) -> str:
        return digest(self.__secret)

    @property
    def hint(self) -> str:
        """The last four characters, to tell keys apart. They are from the checksum."""
        return self.__secret[-4:]


def mint() -> ApiKey:
    """Make a new key with 190 random bits."""
    body = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_LENGTH))
    return ApiKey(body + _checksum(body))


def is_well_formed(text: str) -> bool:
    """Tell whether `text` can be a key. It is cheap for any length, and finds each single wrong character."""
    if _SHAPE.fullmatch(text) is None:
        return False
    return text[-_CHECKSUM_LENGTH:] == _checksum(text[:-_CHECKSUM_LENGTH])


def digest(text: str) -> str:
    """Return the digest that the store has of a key. SHA-256 without salt is enough for 190 random bits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(digits)
