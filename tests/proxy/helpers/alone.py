"""What one process of ours answers, for tests that have no event loop."""

import asyncio

from proxy.helpers.helper import Helper, HelperSpec


def answer_alone(module: str, question: bytes, within_s: float = 60.0) -> bytes:
    async def ask() -> bytes:
        helper = Helper(HelperSpec(module=module, is_for_one=True))
        try:
            return await helper.ask(question, within_s=within_s)
        finally:
            await helper.close()

    return asyncio.run(ask())
