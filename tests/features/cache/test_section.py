"""[cache]: off as shipped, taken on by a reload, and what is wrong in it."""

from pathlib import Path

from proxy.config.reload import merge_config
from proxy.config.sections import Config
from proxy.features.cache.section import SECTION, CacheSection
from tests.proxy.config.files import faults, load
from tests.tables import each_row


def test_the_cache_is_off_as_shipped_and_read_as_written(tmp_path: Path) -> None:
    assert SECTION.of(load(tmp_path, "")) == CacheSection(on=False, megabytes=1024, days=30.0)
    written = load(tmp_path, "[cache]\non = true\nmegabytes = 5\ndays = 0.5\n")
    assert SECTION.of(written) == CacheSection(on=True, megabytes=5, days=0.5)
    assert SECTION.of(load(tmp_path, "", VOXGATE_CACHE__MEGABYTES="7")).megabytes == 7


@each_row(
    ("line", "right"),
    [
        ("on = 1", "true or false"),
        ("megabytes = -1", "a number of megabytes"),
        ("megabytes = 1.5", "a number of megabytes"),
        ("days = 0", "a number of days, above 0 and up to 3650"),
        ("day = 1", "days"),
    ],
)
def test_a_fault_names_the_key_and_what_would_be_right(tmp_path: Path, line: str, right: str) -> None:
    (fault,) = faults(tmp_path, f"[cache]\n{line}\n")
    assert fault.startswith(f"cache.{line.partition(' ')[0]}: ")
    assert right in fault


def test_a_reload_takes_it_on() -> None:
    read = Config(features={"cache": CacheSection(on=True)})
    reload = merge_config(Config(), read, (SECTION,))
    assert (reload.config, reload.changed, reload.needs_restart) == (read, ("cache",), ())
