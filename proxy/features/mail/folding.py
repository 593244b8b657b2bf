"""The folded form of a mail address, in which different spellings of one address are equal."""

from __future__ import annotations

import unicodedata

from proxy.features.mail.addresses import MOST_CHARACTERS, is_mail_address


def folded_address(text: str) -> str | None:
    """Return an address in its folded form, or None if it is no address.

    Mails go to this form alone, so two texts that fold to one form lead to one mailbox. The part before the @
    must be ASCII once its widths are folded, and a domain must survive IDNA.
    """
    if len(text) > MOST_CHARACTERS or not text.isprintable():
        return None
    local, at, domain = unicodedata.normalize("NFKC", text).lower().rpartition("@")
    ascii_domain = _ascii_domain(domain)
    whole = f"{local}{at}{ascii_domain}"
    if not local.isascii() or ascii_domain is None or not is_mail_address(whole):
        return None
    return whole


def mailbox_of(folded: str) -> str:
    """Return the mailbox that the limits count for an address, since many spellings may lead to one mailbox.
    Mails go to the address itself."""
    local, _, domain = folded.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def _ascii_domain(domain: str) -> str | None:
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna")
        # The older IDNA of Python turns ß into ss, which is another domain today. Its owner writes xn--….
        return encoded.decode() if encoded.decode("idna") == domain else None
    except UnicodeError:
        return None
