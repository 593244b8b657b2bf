"""The terms of callers: made once for each agreement, and not for each key."""

from policies.limits import Caps
from policies.plans import AgreedTerms, Plan, Prices
from policies.price import Price
from proxy.access.admission import Plans
from proxy.access.callers import Caller


def caller(number: int, caps: Caps = Caps(), agreed: AgreedTerms = AgreedTerms()) -> Caller:  # noqa: B008 - frozen
    return Caller(f"acc_{number}", f"key_{number}", "free", "speech", caps=caps, agreed=agreed)


def test_callers_with_the_same_agreement_have_the_very_same_terms() -> None:
    plans = Plans({"free": Plan(name="free", rpm=5)})
    assert len({id(plans.terms(caller(number))) for number in range(1000)}) == 1


def test_whoever_has_terms_of_their_own_shares_them_with_nobody_else() -> None:
    plans = Plans({"free": Plan(name="free", rpm=5)})
    dear = AgreedTerms(prices=Prices(models={"tone": Price(2, "character")}))
    own = [
        plans.terms(caller(1)),
        plans.terms(caller(2, caps=Caps(max_characters=9))),
        plans.terms(caller(3, agreed=AgreedTerms(rpm=9))),
        plans.terms(caller(4, agreed=dear)),
    ]
    assert len({id(each) for each in own}) == 4
    assert [each.max_characters for each in own] == [None, 9, None, None]
    assert [each.rpm for each in own] == [5, 5, 9, 5]
    assert plans.terms(caller(5, agreed=dear)) is own[3]
