"""What speakers have granted, for what makes, lends and clones voices. A feature keeps it.

Without that feature there are no grants: a voice that names a grant goes to no provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from proxy.audio.recordings.intake import TakenRecording
from proxy.catalogue.voice_records import Compared
from proxy.errors import NotAllowed
from proxy.storage.store import Condition

Use = Literal["speech", "conversion", "training"]
"""What a voice may be used for: speech, conversions from it or into it, and to train a model of it."""
USUAL_USES: tuple[Use, ...] = ("speech", "conversion")
"""Those of a consent that names none. Who trains a voice must ask for that."""


class Grant(NamedTuple):
    """What a speaker has agreed to. Only `providers` may receive the voice, None for all engines, and it may
    be used for `uses` alone.

    Receipts name it by its `digest`, which tells nothing of the speaker.
    """

    id: str
    providers: tuple[str, ...] | None
    digest: str
    uses: tuple[Use, ...] = USUAL_USES

    def check(self, use: Use, param: str) -> None:
        """Raise NotAllowed, which names the parameter, if the speaker has not agreed to this use."""
        if use not in self.uses:
            raise NotAllowed(
                f"The consent '{self.id}' does not name {use}, but {', '.join(self.uses)}.",
                param=param,
                code="consent_not_given",
            )


class Grants(Protocol):
    """The grants of all accounts."""

    async def find(self, account: str, id_: str, param: str) -> Grant:
        """Return a grant of this account. Raises NotFound, which names the parameter."""
        ...

    async def get(self, account: str, id_: str | None) -> Grant | None:
        """Return a grant of this account, if it is there."""
        ...

    async def of_account(self, account: str) -> Mapping[str, Grant]:
        """Return the grants of an account by id."""
        ...

    async def compare(self, account: str, taken: TakenRecording, grant: Grant | None) -> Compared | None:
        """Compare the speaker of a recording with the grant's. None: there is no comparer.

        Raises NotAllowed if the operator refuses other speakers.
        """
        ...

    def is_there(self, account: str, id_: str) -> Condition:
        """What must be true in the commit that adds a voice by this grant."""
        ...


def receivers(id_: str | None, grant: Grant | None) -> tuple[str, ...] | None:
    """Return who may receive a voice by the grant `id_`, None for all; () if the grant is gone."""
    if id_ is None:
        return None
    return () if grant is None else grant.providers
