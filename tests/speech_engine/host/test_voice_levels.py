"""The loudness of a model's voices: of its table, or measured once and kept."""

from pathlib import Path

from speech_engine.host.voice_levels import STORED_LEVELS, VoiceLevel, VoiceLevels
from tests.tables import each_row


class Ears:
    """They hear one loudness, and count how often they were asked."""

    def __init__(self, lufs: float | None) -> None:
        self.lufs = lufs
        self.times = 0

    def __call__(self) -> float | None:
        self.times += 1
        return self.lufs


def test_a_voice_of_the_table_is_never_measured(tmp_path: Path) -> None:
    ears = Ears(-30.0)
    assert VoiceLevels().find(VoiceLevel(tmp_path, "ana", -23.0), ears) == -23.0
    assert (ears.times, [*tmp_path.iterdir()]) == (0, [])


@each_row(("lufs", "found"), [(-23.0, -23.0), (None, None), (-65.0, None), (0.5, None)])
def test_another_is_measured_once_for_all_hosts(
    tmp_path: Path, lufs: float | None, found: float | None
) -> None:
    ears = Ears(lufs)
    name = f"ana {lufs}"
    for levels in (*[VoiceLevels()] * 2, VoiceLevels()):
        assert levels.find(VoiceLevel(tmp_path, name), ears) == found
    assert ears.times == 1


def test_two_voices_are_kept_beside_each_other(tmp_path: Path) -> None:
    for lufs in (-23.0, -24.0):
        VoiceLevels().find(VoiceLevel(tmp_path, f"v{lufs}"), Ears(lufs))
    found = [VoiceLevels().find(VoiceLevel(tmp_path, f"v{lufs}"), Ears(None)) for lufs in (-23.0, -24.0)]
    assert found == [-23.0, -24.0]


@each_row("kept", ["", "[]", '{"ana": null}', '{"ana": "loud"}', "\0", '{"ana": NaN}'])
def test_a_broken_file_is_measured_anew(tmp_path: Path, kept: str) -> None:
    (tmp_path / STORED_LEVELS).write_text(kept)
    found = VoiceLevels().find(VoiceLevel(tmp_path, "ana"), Ears(-23.0))
    assert found == (None if "NaN" in kept else -23.0)


def test_where_nothing_can_be_kept_each_host_measures(tmp_path: Path) -> None:
    ears, gone = Ears(-23.0), tmp_path / "gone"
    assert [VoiceLevels().find(VoiceLevel(gone, "ana"), ears) for _ in range(2)] == [-23.0, -23.0]
    assert ears.times == 2
