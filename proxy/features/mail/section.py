"""[mail]: the server that sends mails, and the address that they come from."""

from __future__ import annotations

import msgspec

from proxy.config.reader import Section


class MailSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mail]: `url` is resolved, as in [storage]. Without it, no mails are sent."""

    url: str = ""
    sender: str = msgspec.field(default="", name="from")

    def __repr__(self) -> str:
        return f"<MailSection {'on' if self.url else 'off'}>"


SECTION = Section("mail", MailSection)
