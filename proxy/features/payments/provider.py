"""The interface of a provider of payments. No implementation is imported here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, NamedTuple, Protocol

import msgspec

MOST_AMOUNT = 10**15
Minor = Annotated[int, msgspec.Meta(ge=0, le=MOST_AMOUNT)]
"""An amount of a provider, in minor units. Any other number is no amount."""


class Checkout(NamedTuple):
    """A provider's page on which an order is paid."""

    id: str
    url: str


class CheckoutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkout is for. `amount` is in minor units; it is the price until `expires`."""

    order: str
    title: str
    amount: int
    currency: str
    expires: int
    return_url: str


class FetchedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the provider's API has it; amounts are in minor units.

    `reference` is the id of the order that it names. It `is_paid` once it was paid in full, whatever was
    given back since. `disputed` is the rest that an open or lost dispute holds; it may become less only once
    the payment `seller_won_dispute` a dispute.
    """

    id: str
    reference: str
    amount: int
    currency: str
    seller: str
    is_live: bool
    is_paid: bool
    refunded: int = 0
    disputed: int = 0
    seller_won_dispute: bool = False


class ProviderWebhook(NamedTuple):
    """A webhook as it came: its raw body, the query of its URL, and its headers in lower case."""

    body: bytes
    query: Mapping[str, str]
    headers: Mapping[str, str]
    now: int


class ProviderFailed(Exception):
    """The provider cannot be reached, or refuses. It `is_final` if the same call would fail again. The reason
    has no secret."""

    def __init__(self, reason: str, *, is_final: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Provider(Protocol):
    """One provider under our key. Every call but `event` may raise ProviderFailed."""

    name: str
    seller: str
    is_live: bool

    async def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Make the checkout of an order. A second call for the same order returns the same checkout."""
        ...

    async def end_checkout(self, checkout: str, at: int) -> None:
        """Let nothing be paid at a checkout since this moment. A second call changes nothing, and one for a
        checkout that was paid is none of its failures."""
        ...

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        """Return the payments that name an order; "" is a checkout that we do not know yet."""
        ...

    async def payment(self, object_id: str) -> FetchedPayment | None:
        """Return the payment of an object that a webhook named. None: there is no such object."""
        ...

    def since(self, moment: int) -> AsyncIterator[FetchedPayment]:
        """Yield the payments since a moment."""
        ...

    def event(self, request: ProviderWebhook) -> str | None:
        """Return the id of the object that a webhook names, once its signature is checked. None: it is about
        nothing of ours. Raises InvalidRequest and InvalidKey."""
        ...
