"""A file from a hub: whole and right, or not there; and it goes on where it was cut."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from proxy.features.models.listing import GalleryModel
from proxy.features.models.pulling import PullOrder
from tests.features.models.hub import Hub, Manner, running_hub
from tests.features.models.pulls import only_model, pulled, refusal
from tests.features.models.toys import CONFIG, QUICK, WEIGHTS, at, listed, sha256

pytestmark = pytest.mark.slow


def _model(hub: Hub, manner: Manner, is_told: bool = True) -> GalleryModel:
    weights, config = hub.put("/weights.bin", WEIGHTS, manner), hub.put("/config.json", CONFIG)
    return listed(at("weights.bin", WEIGHTS, weights, is_told=is_told), at("config.json", CONFIG, config))


ENDS_WELL = {
    "as it should be": Manner(),
    "ranges are off": Manner(has_ranges=False, cut_at=100_000),
    "cut at the first byte": Manner(cut_at=0),
    "cut in the middle": Manner(cut_at=100_000),
    "cut twice": Manner(cut_at=100_000, times=2),
    "silent in the middle": Manner(stall_at=100_000),
    "a weak ETag, which nothing may go on with": Manner(etag='W/"one"', cut_at=100_000),
    "no ETag": Manner(etag="", cut_at=100_000),
}


@pytest.mark.parametrize("is_told", [True, False], ids=["known digest", "the hub's digest"])
@pytest.mark.parametrize("manner", ENDS_WELL.values(), ids=ENDS_WELL.keys())
def test_a_fault_that_passes_changes_nothing(hub: Hub, tmp_path: Path, manner: Manner, is_told: bool) -> None:
    made = pulled(tmp_path, _model(hub, manner, is_told))
    assert made.is_new
    assert only_model(tmp_path).manifest == made.manifest


def test_what_was_cut_goes_on_where_it_ended(hub: Hub, tmp_path: Path) -> None:
    pulled(tmp_path, _model(hub, Manner(cut_at=100_000)))
    first, second = hub.asked_for("/weights.bin")
    assert "range" not in first
    assert (second["range"], second["if-range"]) == ("bytes=106496-", '"one"')


ENDS_BADLY = {
    "401": (Manner(status=401), "gives it only to those with a token (401)"),
    "403": (Manner(status=403), "gives it only to those with a token (403)"),
    "404": (Manner(status=404), "has no such file (404)"),
    "429": (Manner(status=429), "has had too many requests (429); try again in 7 s"),
    "500": (Manner(status=500), "answered 500"),
    "a circle": (Manner(status=302, location="/weights.bin"), "leads in a circle"),
    "nowhere": (Manner(status=302, location="http://[::"), "leads to what is no address"),
    "to another machine, not encrypted": (
        Manner(status=302, location="http://hub.example/weights.bin"),
        "is not encrypted",
    ),
    "to a file": (Manner(status=302, location="file:///etc/passwd"), "is no address"),
    "too long, and says so": (Manner(more=10), "has 409,610 bytes of it, and not 409,600"),
    "too long, and does not say so": (Manner(more=10, length=0), "sends more than the 409,600 bytes"),
    "without an end": (Manner(more=50_000_000, length=0), "sends more than the 409,600 bytes"),
    "packed": (Manner(packs=True), "sends it packed"),
    "always cut at once": (Manner(cut_at=0, times=99), "broke off"),
    "silent from the start": (Manner(stall_at=0, times=99), "is silent"),
}


@pytest.mark.parametrize(("manner", "says"), ENDS_BADLY.values(), ids=ENDS_BADLY.keys())
def test_a_fault_that_stays_is_told_and_the_second_run_ends_well(
    hub: Hub, tmp_path: Path, manner: Manner, says: str
) -> None:
    assert says in refusal(tmp_path, _model(hub, manner))
    pulled(tmp_path, _model(hub, Manner()))
    only_model(tmp_path)


def test_other_bytes_are_not_taken_and_not_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    model = _model(hub, Manner())
    hub.put("/weights.bin", WEIGHTS[::-1])
    assert "its digest is another" in refusal(tmp_path, model)
    hub.put("/weights.bin", WEIGHTS)
    pulled(tmp_path, model)
    assert "range" not in hub.asked_for("/weights.bin")[-1]
    only_model(tmp_path)


def test_a_file_that_changed_meanwhile_begins_anew(hub: Hub, tmp_path: Path) -> None:
    refusal(tmp_path, _model(hub, Manner(cut_at=100_000, times=99, length=0)))
    refusal(tmp_path, _model(hub, Manner(etag='"old"', stall_at=100_000, times=99, has_ranges=False)))
    pulled(tmp_path, _model(hub, Manner(etag='"new"')))
    only_model(tmp_path)


def test_an_answer_that_goes_on_elsewhere_is_not_joined(hub: Hub, tmp_path: Path) -> None:
    pulled(tmp_path, _model(hub, Manner(cut_at=100_000, goes_on_at=5)))
    assert [("range" in asked) for asked in hub.asked_for("/weights.bin")] == [False, True, False]
    only_model(tmp_path)


_HTML = b"<!doctype html><title>Please sign in</title>"
BAD_MIRRORS = {
    "gone": (WEIGHTS, Manner(status=404), "has no such file (404)"),
    "half a file": (WEIGHTS[:200_000], Manner(), "has 200,000 bytes of it, and not 409,600"),
    "half a file, always cut": (WEIGHTS, Manner(cut_at=200_000, times=99, has_ranges=False), "broke off"),
    "HTML": (_HTML, Manner(tells_digest=False), "has 44 bytes of it, and not 409,600"),
    "HTML of no stated length": (_HTML, Manner(length=0, tells_digest=False), "its digest is another"),
    "another digest": (WEIGHTS[::-1], Manner(), "its digest is another"),
}


@pytest.mark.parametrize(("data", "manner", "says"), BAD_MIRRORS.values(), ids=BAD_MIRRORS.keys())
def test_the_next_mirror_is_asked_and_then_the_operator(
    hub: Hub, tmp_path: Path, data: bytes, manner: Manner, says: str
) -> None:
    bad = hub.put("/bad/weights.bin", data, manner)
    urls = {"/first": bad, "/second": hub.put("/good/weights.bin", data, manner)}
    model = listed(
        at("weights.bin", WEIGHTS, *urls.values()),
        at("config.json", CONFIG, hub.put("/config.json", CONFIG)),
    )
    said = refusal(tmp_path, model)
    assert said.count(says) == len(urls)
    assert said.endswith("if you have its files, add --from FOLDER or --from https://…")
    hub.put("/good/weights.bin", WEIGHTS)
    hub.asked.clear()
    pulled(tmp_path, model)
    only_model(tmp_path)
    assert hub.asked_for("/bad/weights.bin"), "the order of the gallery counts"


def test_without_any_digest_nothing_is_believed(hub: Hub, tmp_path: Path) -> None:
    model = _model(hub, Manner(tells_digest=False), is_told=False)
    assert "look one up, and add --sha256" in refusal(tmp_path, model)
    wrong = PullOrder(digests=(sha256(CONFIG),), hub_patience=QUICK)
    assert "its digest is another" in refusal(tmp_path, model, wrong)
    pulled(tmp_path, model, PullOrder(digests=(sha256(WEIGHTS), sha256(CONFIG)), hub_patience=QUICK))
    only_model(tmp_path)


def test_a_hub_may_tell_the_name_that_git_has_for_a_file(hub: Hub, tmp_path: Path) -> None:
    blob = hashlib.sha1(b"blob %d\0" % len(WEIGHTS) + WEIGHTS, usedforsecurity=False).hexdigest()
    pulled(tmp_path, _model(hub, Manner(tells_digest=False, etag=f'"{blob}"'), is_told=False))
    only_model(tmp_path)
    other = _model(hub, Manner(tells_digest=False, etag=f'"{"0" * 40}"'), is_told=False)
    assert "its digest is another" in refusal(tmp_path / "other", other)


def test_the_token_goes_to_the_hub_alone(hub: Hub, tmp_path: Path) -> None:
    with running_hub() as elsewhere:
        place = elsewhere.put("/store/weights.bin", WEIGHTS, Manner(tells_digest=False, etag='"x"'))
        url = hub.put("/weights.bin", WEIGHTS, Manner(status=302, location=place))
        config = hub.put("/config.json", CONFIG, Manner(token="s3cret"))
        model = listed(at("weights.bin", WEIGHTS, url, is_told=False), at("config.json", CONFIG, config))
        assert "only to those with a token (401)" in refusal(tmp_path, model)
        said = refusal(tmp_path, model, PullOrder(token="wr0ng", hub_patience=QUICK))
        assert "accept the model's terms there first" in said
        assert "wr0ng" not in said
        pulled(tmp_path, model, PullOrder(token="s3cret", hub_patience=QUICK))
        assert all("authorization" not in asked.headers for asked in elsewhere.asked)
        assert hub.asked_for("/config.json")[-1]["authorization"] == "Bearer s3cret"
    only_model(tmp_path)


def test_a_mirror_of_the_operators_gets_no_token_and_tells_no_digest(hub: Hub, tmp_path: Path) -> None:
    hub.put("/mine/weights.bin", WEIGHTS)
    hub.put("/mine/config.json", CONFIG)
    known = listed(
        at("weights.bin", WEIGHTS, "https://hub.example/w"),
        at("config.json", CONFIG, "https://hub.example/c"),
    )
    unknown = listed(
        at("weights.bin", WEIGHTS, "https://hub.example/w", is_told=False),
        at("config.json", CONFIG, "https://hub.example/c"),
    )
    order = PullOrder(source=f"{hub.url}/mine/", token="s3cret", hub_patience=QUICK)
    said = refusal(tmp_path, unknown, order)
    assert "add --sha256" in said
    assert "--from" not in said, "it was told already"
    pulled(tmp_path, known, order)
    assert all("authorization" not in asked.headers for asked in hub.asked)
    only_model(tmp_path)


def test_what_was_cut_elsewhere_goes_on_there(hub: Hub, tmp_path: Path) -> None:
    with running_hub() as elsewhere:
        place = elsewhere.put("/store/weights.bin", WEIGHTS, Manner(tells_digest=False, cut_at=100_000))
        pulled(tmp_path, _model(hub, Manner(status=302, location=place), is_told=False))
        assert [("range" in asked.headers) for asked in elsewhere.asked] == [False, True]
    only_model(tmp_path)


def test_without_room_nothing_is_fetched(hub: Hub, tmp_path: Path) -> None:
    model = _model(hub, Manner())
    (weights, config) = model.entry.files
    vast = msgspec.structs.replace(weights, size=1 << 50)
    said = refusal(tmp_path, listed(vast, config))
    assert "the download and the import need 2,097,152" in said.replace("2097152", "2,097,152")
    assert hub.asked == []
