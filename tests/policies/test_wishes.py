"""How long a wish waits after tries that failed."""

from policies.tasks import delay_s


def test_delays_double_up_to_an_hour_and_who_was_asked_may_want_longer() -> None:
    assert [delay_s(tries) for tries in (1, 2, 3, 4)] == [5.0, 10.0, 20.0, 40.0]
    assert delay_s(5000) == 3600.0
    assert delay_s(1, retry_after_s=60.0) == 60.0
    assert delay_s(4, retry_after_s=1.0) == 40.0
    assert delay_s(1, retry_after_s=1e9) == 3600.0
