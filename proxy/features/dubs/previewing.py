"""The preview of a dub: each line is planned and priced as it will be, and not spoken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from proxy.api.speech_forms import BackgroundRequest
from proxy.config import credits
from proxy.feature import RevisionContext
from proxy.features.dubs.lines import DubLine
from proxy.features.dubs.request import DubFields, DubText
from proxy.features.jobs.core.paces import Paces
from proxy.features.jobs.core.previews import JobPreview, PreviewCast
from proxy.features.jobs.kinds.speech.previewing import likely_cost
from proxy.ledger import Payer
from proxy.speech.call import SpeechCall
from proxy.storage.store import Store


async def previewed(
    at: RevisionContext,
    background: BackgroundRequest,
    store: Store,
    text: DubText,
    fields: DubFields,
    plan: Callable[[DubLine], Awaitable[SpeechCall]],
) -> JobPreview:
    """Return the preview of a dub. Raises RequestFailed."""
    assert at.speaking is not None, "a worker speaks"
    caller, paces = background.caller, Paces(store)
    seconds, likely, most = 0.0, 0, 0
    for line in text.lines:
        call = await plan(line)
        dearest = (await at.speaking.pipeline.estimate(call)).amount
        own_s, expected = await likely_cost(paces, call, call.terms)
        seconds, likely, most = seconds + own_s, likely + min(expected, dearest), most + dearest
    payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=background.terms)
    # What an account cannot pay is shown, too.
    available = (await at.context.ledger.check_affordable(payer.of_job(), 0)).credits.available
    ignored = (f"{each}: not all of it is followed" for each in fields.ignored)
    mute = f"{text.mute} cues have sounds alone, and are not spoken"
    return JobPreview(
        chapters=(),
        cast=PreviewCast(names=fields.cast, without_voice=()),
        warnings=(*text.warnings, *([mute] if text.mute else ()), *ignored),
        characters=text.characters,
        steps=len(text.lines),
        seconds=round(seconds, 3),
        credits=credits.number(likely),
        most_credits=credits.number(most),
        available=None if available is None else credits.number(available),
    )
