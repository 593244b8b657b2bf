"""What a server knows of licences: a careful answer where it knows none."""

from speech_engine import Language, ModelInfo
from speech_engine.licences import terms_of, with_licence
from tests.tables import each_row

MODEL = ModelInfo(id="m", languages=(Language("en"),), sample_rate_hz=24_000, licence="MIT")


@each_row(
    ("licence", "paid_use", "must_accept"),
    [
        ("Apache-2.0", True, False),
        ("mit", True, False),
        ("CC-BY-4.0", True, False),
        ("CPML", False, True),
        ("cc-by-nc-4.0", False, True),
        ("Somebody's own terms", False, True),
    ],
)
def test_a_licence_decides_on_paid_use_and_acceptance(
    licence: str, paid_use: bool, must_accept: bool
) -> None:
    (model,) = with_licence([MODEL], licence)
    assert (model.licence, model.paid_use, model.must_accept_licence) == (licence, paid_use, must_accept)
    assert terms_of(licence).says


def test_without_a_licence_models_keep_their_own() -> None:
    assert with_licence([MODEL], "") == (MODEL,)
