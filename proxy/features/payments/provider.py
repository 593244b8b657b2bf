"""The interface of a provider of payments. No implementation is imported here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, NamedTuple, Protocol

import msgspec

MOST_FETCHED_AMOUNT = 10**15
Minor = Annotated[int, msgspec.Meta(ge=0, le=MOST_FETCHED_AMOUNT)]
"""An amount in an answer of a provider, in minor units. It may be far above any price."""


class Checkout(NamedTuple):
    """A provider's page on which an order is paid."""

    id: str
    url: str


class CheckoutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The order that a checkout is for. `amount` is in minor units. It can be paid until `expires`."""

    order: str
    title: str
    amount: int
    currency: str
    expires: int
    return_url: str


class FetchedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the provider's API has it; amounts are in minor units.

    `reference` is the id of the order that it names. It `is_paid` once it was paid in full, even if it was
    refunded since. `disputed` is the unrefunded part that an open or lost dispute holds. It may become less
    only if the `seller_won_dispute`.
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
    """One provider under our key. Every call but `webhook_object` may raise ProviderFailed. `seller` is the
    id of the account that is paid, "" if the key has only one."""

    name: str
    seller: str
    is_live: bool

    async def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Make the checkout of an order. A second call for the same order returns the same checkout."""
        ...

    async def end_checkout(self, checkout: str, at: int) -> None:
        """End a checkout, so that nothing can be paid there after `at`. A second call changes nothing. A
        checkout that was paid before is no failure."""
        ...

    async def payments_of(self, order: str, checkout: str) -> list[FetchedPayment]:
        """Return the payments that name an order. `checkout` is "" while it is not known."""
        ...

    async def find_payment(self, object_id: str) -> FetchedPayment | None:
        """Return the payment of the object that a webhook named. None: there is none."""
        ...

    def payments_since(self, moment: int) -> AsyncIterator[FetchedPayment]:
        """Yield the payments since a moment."""
        ...

    def webhook_object(self, request: ProviderWebhook) -> str | None:
        """Check the signature of a webhook, and return the id of the object that it names. None: it is not
        about a payment. Raises InvalidRequest."""
        ...
