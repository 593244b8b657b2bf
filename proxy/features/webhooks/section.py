"""[webhooks]: whether accounts get events, and which receivers need not be public."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.reader import Section
from proxy.config.sections import Hosts, Switch


class WebhookSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[webhooks]: `allow` are the hosts that may have any address, any port, and http. `accounts` has more of
    them for one account each, by its id or name."""

    on: Switch = True
    allow: Hosts = ()
    accounts: Annotated[
        dict[str, Hosts], msgspec.Meta(description='a table of accounts, { ada = ["10.0.0.5"] }')
    ] = {}
    most: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a number of webhooks, 1 to 1000")] = 10


SECTION = Section("webhooks", WebhookSection)
