"""What a licence keeps from whom, and what an operator has to write for it to be otherwise."""

from policies.licence import AcceptedLicence, Licences, Obstacle
from speech_engine import ModelInfo
from tests.tables import each_row


def model(paid_use: bool = True, must_accept: bool = False) -> ModelInfo:
    return ModelInfo(
        id="m",
        languages=(),
        sample_rate_hz=24_000,
        licence="CPML",
        paid_use=paid_use,
        must_accept_licence=must_accept,
    )


@each_row("is_paid", [True, False])
@each_row(
    ("accepted", "obstacle"),
    [("", "not_accepted"), ("MIT", "not_accepted"), ("CPML", None), ("cpml", None)],
)
def test_a_licence_is_accepted_by_its_name(accepted: str, obstacle: Obstacle | None, is_paid: bool) -> None:
    licences = Licences(by_engine={"red": AcceptedLicence(accepted), "blue": AcceptedLicence("CPML")})
    assert licences.obstacle("red", model(must_accept=True), is_paid) == obstacle


def test_accepting_for_one_engine_accepts_for_no_other() -> None:
    licences = Licences(by_engine={"red": AcceptedLicence("CPML", "mine")})
    assert licences.obstacle("blue", model(must_accept=True), is_paid=False) == "not_accepted"
    assert licences.obstacle("blue", model(paid_use=False), is_paid=True) == "not_for_paid_use"


@each_row(
    ("is_commercial", "is_paid", "basis", "obstacle"),
    [
        (True, True, "", "not_for_paid_use"),
        (True, True, "bought on 2026-03-01", None),
        (True, False, "", None),
        (False, True, "", None),
        (False, False, "", None),
    ],
)
def test_paid_plans_need_a_basis_on_a_commercial_server(
    is_commercial: bool, is_paid: bool, basis: str, obstacle: Obstacle | None
) -> None:
    licences = Licences(is_commercial, {"red": AcceptedLicence("", basis)})
    assert licences.obstacle("red", model(paid_use=False), is_paid) == obstacle


def test_a_basis_for_paid_use_accepts_no_licence() -> None:
    licences = Licences(by_engine={"red": AcceptedLicence("", "mine")})
    assert licences.obstacle("red", model(paid_use=False, must_accept=True), is_paid=True) == "not_accepted"


def test_a_free_licence_keeps_nothing_from_anybody() -> None:
    assert Licences().obstacle("red", model(), is_paid=True) is None
