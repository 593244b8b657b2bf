"""The table of limits: each row comes out in the structs that are made from it."""

import msgspec
import pytest
from msgspec import UNSET

from policies.limits import AGREED_LIMITS, COUNT_LIMITS, KEY_LIMITS, LIMITS, with_limits
from policies.plans import AgreedTerms, Plan, Terms
from proxy.config.plans import PlanSection
from proxy.features.admin.agreed_terms import AgreedChange, ShownOverrides
from proxy.features.admin.keys import NewCaps
from proxy.features.admin.me import OwnLimits
from proxy.features.admin.plans import ShownPlan
from tests.tables import each_row


def test_a_key_may_cap_what_counts_and_an_account_may_agree_on_all_but_budgets() -> None:
    assert set(KEY_LIMITS) <= set(COUNT_LIMITS) <= set(AGREED_LIMITS) <= set(LIMITS)
    assert set(LIMITS) - set(AGREED_LIMITS) == {"budget_usd_day", "budget_usd_month"}


@each_row("type_", [Plan, AgreedTerms, Terms, PlanSection, AgreedChange, ShownOverrides, ShownPlan])
def test_every_limit_is_where_limits_are_written_or_shown(type_: type[msgspec.Struct]) -> None:
    assert set(LIMITS) <= set(type_.__struct_fields__)


def test_answers_to_a_key_and_its_caps_have_their_own_part_of_the_limits() -> None:
    assert set(OwnLimits.__struct_fields__) == {*COUNT_LIMITS, "engines"}
    assert set(NewCaps.__struct_fields__) == {*KEY_LIMITS, "pace"}


def test_a_struct_with_limits_keeps_its_name_its_words_and_its_strictness() -> None:
    @with_limits(COUNT_LIMITS, lambda row: row.number | msgspec.UnsetType, default=UNSET)
    class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """A section."""

        name: str

    assert (Section.__name__, Section.__doc__, Section.__module__) == ("Section", "A section.", __name__)
    assert msgspec.structs.asdict(msgspec.convert({"name": "a", "rpm": 3}, Section))["rpm"] == 3
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"name": "a", "rmp": 3}, Section)
    with pytest.raises(msgspec.ValidationError, match=">= 1"):
        msgspec.convert({"name": "a", "rpm": 0}, Section)


def test_a_stored_agreement_of_an_earlier_version_is_read() -> None:
    stored = b'{"rpm":3,"prices":{"speech":{"micro":5,"per":"job"},"training":{"micro":1,"per":"job"}}}'
    read = msgspec.json.decode(stored, type=AgreedTerms)
    assert read.rpm == 3
    assert read.prices is not None
    assert read.prices.speech.micro == 5
