"""The file gallery.toml: read as a whole or refused with its key, and our own ones are as they should be."""

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

import plugins
from proxy.commands.tables import Grid
from proxy.engines import registry
from proxy.features.models.addresses import FetchFailed, parse_address
from proxy.features.models.commands import _models_table, _search_table
from proxy.features.models.entries import read_gallery
from proxy.features.models.import_order import ImportOrder, judge_levels
from proxy.features.models.importing import choose_file
from proxy.features.models.listing import Galleries, GalleryModel, open_galleries
from proxy.hosts.stored_models import ModelRefused
from speech_engine import Plugin
from speech_engine.licences import bound_by, terms_of
from speech_engine.model_files import ModelFormat
from tests.tables import each_row

DIGEST = "0123456789abcdef" * 4
FILE = f'{{ name = "w.bin", size = 1, sha256 = "{DIGEST}", urls = ["https://hub.example/w.bin"] }}'
URLS = 'urls = ["https://hub.example/w.bin"]'
GOOD = f'[toy]\ntitle = "A toy"\nlanguages = ["en"]\nlicence = "MIT"\nfiles = [{FILE}]\n'


def _read(folder: Path, text: str) -> str:
    path = folder / "gallery.toml"
    path.write_text(text)
    with pytest.raises(ModelRefused) as caught:
        read_gallery(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


PACKAGE = f'package = "p", version = "1.0", size = 9, integrity = "sha512-{"A" * 86}=="'
NPM = f"npm = [{{ {PACKAGE} }}]\n"
MEMBER = f'{{ package = "p", path = "p/w", size = 9, sha256 = "{DIGEST}" }}'

FAULTS = {
    "no TOML": ("[toy", "Expected"),
    "a name": (GOOD.replace("[toy]", '["To y"]'), "'To y' cannot be a model's name"),
    "an unknown key": (GOOD + "colour = 1\n", "toy: Object contains unknown field `colour`"),
    "a missing key": (GOOD.replace('licence = "MIT"\n', ""), "toy: Object missing required field `licence`"),
    "a path": (GOOD.replace("w.bin", "../w", 1), "toy.files[0].name: Expected `str` matching"),
    "a digest": (GOOD.replace(DIGEST, "abc"), "toy.files[0].sha256: Expected `str` matching"),
    "http": (GOOD.replace("https:", "http:"), "http://hub.example is not encrypted"),
    "a password": (GOOD.replace("//hub", "//me:pw@hub"), "the address of hub.example has a password in it"),
    "no place": (GOOD.replace(', urls = ["https://hub.example/w.bin"]', ""), "w.bin needs urls or members"),
    "an unlisted wheel": (
        GOOD.replace(URLS, 'members = [{ package = "p", path = "p/w" }]'),
        "is in p, which is not among its wheels",
    ),
    "a member of npm's index without a digest": (
        GOOD.replace(URLS, 'members = [{ package = "p", path = "p/w" }]') + NPM,
        "p/w is in npm's index, so it needs a size and a sha256",
    ),
    "a member that is no such array": (
        GOOD.replace(URLS, f"shape = [2, 2], members = [{MEMBER}]") + NPM,
        "p/w must have 16 bytes for its shape",
    ),
    "a package twice": (GOOD + NPM.replace("[{", "[{ " + PACKAGE + " }, {"), "a package is there twice"),
    "no integrity": (GOOD + NPM.replace("sha512-", "sha1-"), "toy.npm[0].integrity: Expected `str` matching"),
    "a member that leads elsewhere": (
        GOOD.replace(URLS, 'members = [{ package = "p", path = "/w" }]'),
        "members[0].path: Expected `str` matching",
    ),
    "no digest of what is joined": (
        GOOD.replace(
            'urls = ["https://hub.example/w.bin"]', 'members = [{ package = "p", path = "w" }]'
        ).replace(DIGEST, ""),
        "needs a size and a sha256",
    ),
    "a file twice": (GOOD.replace(FILE, f"{FILE}, {FILE}"), "w.bin is there twice"),
    "gated without a token": (GOOD + "gated = true\n", "toy.gated: it needs a token"),
    "own voices without terms": (
        GOOD + 'speaks_samples = true\nterms = "Ask."\n',
        "toy: a model of own voices, or with terms, needs terms and terms_page",
    ),
    "a page without terms": (GOOD + 'terms_page = "https://hub.example"\n', "needs terms and terms_page"),
    "long terms": (GOOD + f'terms = "{"a" * 601}"\n', "toy.terms: Expected `str` of length <= 600"),
    "terms of several lines": (GOOD + 'terms = "a\\nb"\n', "toy.terms: Expected `str` matching"),
    "a token that is written": (GOOD + 'token = "hf_123"\n', "toy.token: Expected `str` matching"),
}


@each_row(("text", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_the_file_and_the_key(tmp_path: Path, text: str, says: str) -> None:
    assert says in _read(tmp_path, text)


def test_a_broken_gallery_takes_no_other_with_it(tmp_path: Path) -> None:
    good, broken, again = tmp_path / "good.toml", tmp_path / "broken.toml", tmp_path / "again.toml"
    good.write_text(GOOD)
    broken.write_text("[toy")
    again.write_text(GOOD + GOOD.replace("[toy]", "[other]"))
    (kokoro,) = (plugin for plugin in registry.load().plugins("engine").values() if plugin.name == "kokoro")
    plugins = {
        ("engine", name): _with(kokoro, name, path)
        for name, path in (
            ("good", good),
            ("broken", broken),
            ("again", again),
            ("gone", tmp_path / "no.toml"),
        )
    }
    galleries = open_galleries(registry.Registry(plugins, ()))
    assert [(each.name, each.plugin) for each in galleries.listed] == [("toy", "good"), ("other", "again")]
    assert [fault.plugin for fault in galleries.faults] == ["broken", "again", "gone"]
    assert galleries.faults[1].reason.endswith("toy: good has a model of that name")


def test_a_third_partys_model_hides_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "gallery.toml"
    path.write_text(GOOD.replace("[toy]", "[joe]") + GOOD)
    engines = registry.load().plugins("engine")
    theirs = _with(engines["kokoro"], "aaa", path)
    first = {("engine", "aaa"): theirs, ("engine", "piper"): engines["piper"]}
    galleries = open_galleries(registry.Registry(first, ()))
    assert galleries.listed_model("joe").plugin == "piper"
    assert galleries.listed_model("toy").plugin == "aaa"
    assert [fault.plugin for fault in galleries.faults] == ["aaa"]


def _with(plugin: Plugin[Any], name: str, gallery: Path) -> Plugin[Any]:
    return msgspec.structs.replace(plugin, name=name, gallery=str(gallery))


@pytest.fixture(scope="module")
def ours() -> Galleries:
    return open_galleries(registry.load())


def test_ours_are_whole(ours: Galleries) -> None:
    assert ours.faults == ()
    assert {each.plugin for each in ours.listed} >= {"kokoro", "piper", "xtts"}
    for each in ours.listed:
        for file in each.entry.files:
            assert file.members or file.sha256 or all("/resolve/" in url for url in file.urls), each.name


def test_ours_lie_at_fixed_revisions(ours: Galleries) -> None:
    for each in ours.listed:
        for url in (url for file in each.entry.files for url in file.urls if "/resolve/" in url):
            revision = url.partition("/resolve/")[2].partition("/")[0]
            assert len(revision) == 40, url


def test_pocket_speaks_anybodys_voice_in_seven_languages_and_in_six_without_an_account(
    ours: Galleries,
) -> None:
    entries = {each.name: each.entry for each in ours.listed if each.plugin == "pocket"}
    assert all(entry.speaks_samples and not entry.to_accept for entry in entries.values())
    free = {name: entry for name, entry in entries.items() if not entry.gated}
    assert list(free) == list(entries)[: len(free)], "those that anybody can pull are found first"
    assert {entry.languages for entry in entries.values()} - {entry.languages for entry in free.values()} == {
        ("nl",)
    }
    for tag in ("en", "pt", "es", "de", "it", "fr"):
        assert ours.command_for(tag, is_paid=True) == f"voxgate voices own {tag}"
        assert next(ours.search(language=tag, word="pocket")).name == f"pocket-own-{tag}"


def test_who_pulls_a_model_of_own_voices_reads_what_its_makers_forbid(ours: Galleries) -> None:
    own = [each for each in ours.listed if each.entry.speaks_samples]
    assert {each.plugin for each in own} == {"pocket", "f5tts", "openvoice", "xtts"}
    says = {
        "pocket": "cloning without explicit and lawful consent",
        "openvoice": "Permission is hereby granted",
    }
    for each in own:
        assert says.get(each.plugin, "ommercial") in each.entry.terms, each.name


def test_weights_of_pocket_have_the_tokenizer_of_their_time(ours: Galleries) -> None:
    """Vocabularies of one size may still differ, and no check of a file would find that."""
    times: dict[bool, set[str]] = {True: set(), False: set()}
    for each in ours.listed:
        if each.plugin == "pocket":
            (tokenizer,) = (file for file in each.entry.files if file.name.startswith("tokenizer"))
            (url,) = tokenizer.urls
            times[each.entry.gated].add(url.partition("/resolve/")[2].partition("/")[0])
    assert times[False] == {"d29db7978e464fb90cb3359ee0c69a273b9142cc"}
    assert not times[True] & times[False]


def test_joe_is_no_model_to_sell_with(ours: Galleries) -> None:
    joe = ours.listed_model("joe")
    assert (joe.entry.licence, joe.entry.bound_by) == ("CC0-1.0", "Blizzard-2013")
    assert joe.entry.to_accept == ("Blizzard-2013",)
    assert joe.command == "voxgate models pull joe --accept Blizzard-2013"
    assert joe.name not in {each.name for each in ours.search(is_paid=True)}


@each_row(
    "languages, shown", [(["en", "th"], "en th"), ([f"x{number}" for number in range(99)], "99 languages")]
)
def test_tables_count_languages_that_are_many(languages: list[str], shown: str) -> None:
    listed = {"name": "bird", "state": "ready", "folder": "f", "languages": languages}
    found = dict.fromkeys(("name", "engine", "licence", "basis", "title", "command"), "") | {
        "languages": languages,
        "bytes": 1,
        "genders": {},
        **dict.fromkeys(("gated", "paid_use", "is_pulled", "speaks_samples"), False),
    }
    for parts in (_models_table({"data": [listed]}), _search_table({"data": [found], "faults": []})):
        (grid,) = parts
        assert isinstance(grid, Grid)
        assert shown in grid.rows[0]


def test_a_search_finds_names_words_and_languages(ours: Galleries) -> None:
    def names(word: str = "", language: str = "", is_paid: bool = False) -> set[str]:
        return {each.name for each in ours.search(word, language, is_paid)}

    assert {"xtts-v2", "faber", "kokoro"} <= names("pt")
    assert "joe" not in names("pt")
    assert names("ljspeech") == {"ljspeech"}
    assert names("xtts") == {"xtts-v2"}
    assert {"tugao", "xtts-v2"} <= names(language="pt-PT")
    assert "faber" not in names(language="pt-PT")
    assert "norman" in names("united", language="en", is_paid=True)
    assert names("nothing of this name") == set()


def test_all_files_that_rvc_and_f5tts_need_can_be_found(ours: Galleries) -> None:
    """By the words that people know, with a digest or a fixed revision each."""
    for plugin, words in {
        "rvc": ("content-vec", "hubert", "rmvpe", "f0g40k", "f0d40k"),
        "f5tts": ("vocos", "f5-tts", "f5tts"),
    }.items():
        for word in words:
            assert plugin in {each.plugin for each in ours.search(word)}, word
        for each in (each for each in ours.listed if each.plugin == plugin):
            names, main = sorted(file.name for file in each.entry.files), ""
            found = [choose_file(Path(each.name), names, file, main) for file in each.format_.files]
            assert sorted(filter(None, found)) == names
            needed = [file.role for file in each.format_.files if not file.is_optional]
            assert len(needed) <= len(names)


def test_a_printed_command_is_one_for_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "gallery.toml"
    path.write_text(GOOD.replace('"MIT"', '"Foo(v1), or later"'))
    (entry,) = read_gallery(path).values()
    command = GalleryModel("toy", "chirp", ModelFormat(files=()), entry).command
    assert shlex.split(command)[-2:] == ["--accept", "Foo(v1), or later"]
    assert command.endswith("--accept 'Foo(v1), or later'")


def test_kokoro_promises_no_language_that_it_does_not_speak(ours: Galleries) -> None:
    for each in ours.listed:
        if each.plugin == "kokoro":
            assert not {"ja", "zh"} & set(each.entry.languages)


def test_an_unknown_name_is_told_with_those_like_it(ours: Galleries) -> None:
    with pytest.raises(ModelRefused, match="Did you mean joe"):
        ours.listed_model("jo")


def test_the_stricter_of_two_licences_counts() -> None:
    assert bound_by("CC0-1.0", "") == "CC0-1.0"
    assert bound_by("CC0-1.0", "Blizzard-2013") == "Blizzard-2013"
    assert bound_by("CPML", "Blizzard-2013") == "CPML"
    assert bound_by("CC-BY-NC-4.0", "MIT") == "CC-BY-NC-4.0"
    # An operator may have a reason why paid use of an unknown one is allowed, but not of a known ban.
    assert bound_by("Foo-1.0", "CC-BY-NC-4.0") == "CC-BY-NC-4.0"
    assert bound_by("CC-BY-NC-4.0", "Foo-1.0") == "CC-BY-NC-4.0"
    assert bound_by("MIT", "Foo-1.0") == "Foo-1.0"
    assert bound_by("Foo-1.0", "Bar-1.0") == "Foo-1.0"
    assert terms_of("public-domain").paid_use
    assert not terms_of("public-domain").must_accept
    assert terms_of("blizzard-2013")[:2] == (False, True)


def test_nobody_elsewhere_leads_to_this_machine() -> None:
    hub = parse_address("https://hub.example/x")
    for url in ("http://127.0.0.1/x", "https://localhost/x", "http://[::1]:8000/x"):
        assert parse_address(url).is_local
        with pytest.raises(FetchFailed, match="leads to this machine itself"):
            parse_address(url, came_from=hub)


NUMBERS = [
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "10.0.0.1",
    "192.168.1",
    "172.16.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
]
NAMES = ["localhost.", "LOCALHOST", "a.localhost", "localhost.localdomain", "ip6-localhost"]
SPELLINGS = ("１２７.0.0.1", "127。0。0。1", "loc%61lhost", "ⓛocalhost")


@each_row("host", [*NUMBERS, *NAMES, *SPELLINGS])
def test_no_redirect_from_elsewhere_leads_inside(host: str) -> None:
    hub = parse_address("https://hub.example/x")
    with pytest.raises(FetchFailed):
        parse_address(f"https://{host}/x", came_from=hub)


def test_a_redirect_leads_to_the_internet_and_on_at_the_operators_own_number() -> None:
    hub, mirror = parse_address("https://hub.example/x"), parse_address("https://10.0.0.1/x")
    for host in ("1.1.1.1", "[2606:4700::1111]", "cdn.example", "xn--bcher-kva.example"):
        assert parse_address(f"https://{host}/x", came_from=hub).host == host.strip("[]")
    assert parse_address("https://10.0.0.1/y", came_from=mirror).host == "10.0.0.1"
    with pytest.raises(FetchFailed, match="not in the internet"):
        parse_address("https://10.0.0.2/y", came_from=mirror)


@each_row(
    ("lufs", "fault"),
    [
        ({"ana": -23.0, "eve": -20.0}, "the model has no voice 'eve'"),
        ({"ana": float("nan")}, "'ana' must have -60 to 0"),
        ({"ana": -60.5}, "'ana' must have -60 to 0"),
        ({"ana": 0.5}, "'ana' must have -60 to 0"),
    ],
)
def test_a_table_of_loudness_fits_the_models_voices(lufs: dict[str, float], fault: str) -> None:
    order = ImportOrder(Path("toy"), "toy", "toy", "MIT", lufs=lufs)
    with pytest.raises(ModelRefused, match=fault):
        judge_levels(order, ("ana", "ben"))
    judge_levels(order._replace(lufs={"ana": -23.0}), ("ana", "ben"))


def test_our_tables_of_loudness_have_all_voices() -> None:
    for plugin, model in (("kokoro", "kokoro-voices"), ("piper", "joe")):
        entry = read_gallery(Path(plugins.__file__).parent / plugin / "gallery.toml")[model]
        assert entry.lufs.keys() == entry.genders.keys()
        assert all(-35 < lufs < -10 for lufs in entry.lufs.values())
