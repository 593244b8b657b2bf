"""How long recordings take to be heard. A recording that would take too long is refused at once."""

from __future__ import annotations

from collections import defaultdict

from proxy.errors import UpstreamFailed

MOST_WAIT_S = 480.0
"""The longest that an answer may take, by the rate of the last ones. Clients wait ten minutes."""
_FIRST_RATE = 0.1
"""The time to hear a second of a recording, before a model has heard any."""
_SMOOTHING = 0.8
"""The weight of the former rate in a new one."""
SHORT_S = 30.0
"""One window of a recogniser. A recording that is no longer passes long ones, and is not measured."""
_ROUNDING_S = 0.001


class HearingRates:
    """How long a second of a long recording takes, by model, and the seconds that are being heard."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}
        # By model and account.
        self._under_way: defaultdict[tuple[str, str], float] = defaultdict(float)

    def check_wait(self, model: str, account: str, seconds: float) -> None:
        """Raise UpstreamFailed if a recording would take too long beside those under way. Engines are fair,
        so each other account takes at most as long. A short recording passes long ones."""
        if seconds <= SHORT_S:
            return
        own_s = self._under_way[model, account] + seconds
        others = (s for (each, owner), s in self._under_way.items() if each == model and owner != account)
        all_s = own_s + sum(min(other_s, own_s) for other_s in others)
        late_s = all_s * self._rates.get(model, _FIRST_RATE) - MOST_WAIT_S
        if late_s > 0:
            raise UpstreamFailed(
                f"This recording would take more than {MOST_WAIT_S / 60:g} minutes now. Send it as a job "
                "of kind transcription.",
                code="engine_unavailable",
                retry_after_s=late_s,
            )

    def begin_hearing(self, model: str, account: str, seconds: float) -> None:
        self._under_way[model, account] += seconds

    def end_hearing(self, model: str, account: str, seconds: float, took_s: float | None) -> None:
        """Note the end of a recording. `took_s` is None if its time shows nothing."""
        # Recordings beside it had a part of the machine, so their seconds count, too.
        all_s = sum(s for (each, _), s in self._under_way.items() if each == model)
        if took_s is not None and seconds > SHORT_S:
            known = self._rates.get(model, _FIRST_RATE)
            self._rates[model] = _SMOOTHING * known + (1 - _SMOOTHING) * took_s / all_s
        self._under_way[model, account] -= seconds
        if self._under_way[model, account] < _ROUNDING_S:
            del self._under_way[model, account]
