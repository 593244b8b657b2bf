"""A change of an account's plan, as tests make it who look at what follows."""

from collections.abc import Awaitable, Callable

from proxy.storage.accounts import Account, Change


def to_plan(plan: str) -> Callable[[Account], Awaitable[Change]]:
    """What is agreed stays."""

    async def decide(read: Account) -> Change:
        return Change(plan, read.agreed)

    return decide
