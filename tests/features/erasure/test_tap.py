"""An answer that speaks with a voice that may be erased: what goes out of it, until then and from then on."""

import pytest
from msgspec.structs import replace

from proxy.catalogue.erased_voices import ErasedVoices
from proxy.errors import RequestFailed, VoiceErased
from proxy.features.erasure.feature import ErasureObservers
from tests.proxy.speech.test_text_preparation import call


def test_nothing_goes_out_of_an_answer_whose_voice_is_erased() -> None:
    erased, asked = ErasedVoices(), call("Hello.", "plain")
    asked = replace(asked, plan=replace(asked.plan, own_voices=frozenset({"voice_1"})))
    opener = ErasureObservers(erased).opener(asked.request, asked.plan)
    assert opener is not None
    observer = opener(asked)
    for go_out in (observer.chunk, observer.piece):
        go_out(b"sound")
    erased.note_erased("voice_1")
    for go_out in (observer.chunk, observer.piece):
        with pytest.raises(VoiceErased):
            go_out(b"sound")
    observer.end(None)
    with pytest.raises(RequestFailed, match="was deleted"):
        opener(asked)
