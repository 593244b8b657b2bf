"""[alerts]: the addresses that get a mail when something needs an operator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from proxy.config.reader import Reader, Section
from proxy.features.mail.addresses import is_mail_address

_MOST_ADDRESSES = 20


class AlertSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[alerts]: the addresses that get a `mail` when something needs an operator, by way of [mail]."""

    mail: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            max_length=_MOST_ADDRESSES, description='a list of addresses, ["ops@example.org"], 20 at most'
        ),
    ] = ()


def _read(reader: Reader, value: object, _environ: Mapping[str, str], _folder: Path) -> AlertSection:
    section = reader.section(AlertSection, value, "alerts") or AlertSection()
    if not all(map(is_mail_address, section.mail)):
        reader.fault("alerts.mail", 'must be a list of addresses without names, ["ops@example.org"]')
    return section


SECTION = Section("alerts", AlertSection, _read)
