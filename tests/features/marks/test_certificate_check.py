"""`voxgate check` on the certificate of manifests: a wrong, ending or missing one is named."""

from datetime import timedelta
from pathlib import Path

import pytest

from proxy.config.finding import Finding
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor.examination import examine
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.marks.certificate import make_test_pem
from proxy.features.marks.marking_check import check_certificate
from proxy.features.marks.section import TEST_CERTIFICATE
from tests.features.marks.certificates import Chain, make_chain

NAMED = '[marking]\ncertificate = "file:chain.pem"\ncertificate_key = "file:key.pem"\n'


def findings(folder: Path, text: str = NAMED, chain: Chain | None = None) -> list[Finding]:
    if chain is not None:
        (folder / "chain.pem").write_text(chain.chain)
        (folder / "key.pem").write_text(chain.key)
    file = folder / "config.toml"
    file.write_text(text)
    return [*check_certificate(load_config(file, {}))]


def test_a_good_one_is_named_with_its_end(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, chain=make_chain())
    assert (found.verdict, found.name) == ("ok", "speech.example.org")
    assert found.found.startswith("signs manifests until 20")


def test_one_that_ends_soon_is_told_in_time(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, chain=make_chain(ends_in=timedelta(days=9)))
    assert (found.verdict, found.do) == ("note", "get the next one in time; a reload takes it")


def test_a_wrong_one_fails_the_check(tmp_path: Path) -> None:
    old = make_chain(begins_in=timedelta(-9), ends_in=timedelta(-1))
    (found,) = findings(tmp_path, chain=old)
    assert found.verdict == "wrong"
    assert "it expired on" in found.found
    config = load_config(tmp_path / "config.toml", {})
    assert found in check_config(config, registry.load())


@pytest.mark.parametrize("server", ['host = "0.0.0.0"', 'trusted_proxies = ["10.0.0.0/8"]'])
def test_a_server_for_others_is_asked_for_one(tmp_path: Path, server: str) -> None:
    (found,) = findings(tmp_path, f"[server]\n{server}\n")
    assert (found.verdict, found.do.startswith("name one for C2PA")) == ("note", True)


def test_without_one_the_test_certificate_is_said_to_be_one(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "")
    assert (found.verdict, "nobody trusts" in found.found, found.do) == ("ok", True, "")
    assert not (tmp_path / "data").exists()
    assert found in [*examine(tmp_path / "config.toml")]
    (tmp_path / "data").mkdir(exist_ok=True)
    file = tmp_path / "data" / TEST_CERTIFICATE
    file.write_bytes(make_test_pem())
    assert findings(tmp_path, "") == [found]
    file.write_bytes(b"nothing")
    (broken,) = findings(tmp_path, "")
    assert (broken.verdict, "remove" in broken.do) == ("wrong", True)


def test_nothing_is_said_where_nothing_is_signed(tmp_path: Path) -> None:
    assert findings(tmp_path, "[marking]\nmanifests = false\n") == []
