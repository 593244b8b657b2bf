"""`voxgate check` and `voxgate doctor` about certificates: usable ones, and those that end soon."""

from datetime import timedelta
from pathlib import Path

from proxy.config.finding import Finding
from proxy.diagnosis.certificate_check import check_certificates
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor.examination import examine
from proxy.engines import registry
from tests.proxy.config.files import load
from tests.proxy.hosts.cluster.certificate_files import made, write_authority, write_pair

CONFIG = """
[host]
listen = "10.0.0.5:7070"
certificate = "host.pem"
key = "host.key"
authority = "gateways-authority.pem"
[clusters.gpu]
hosts = ["gpu1:7070"]
certificate = "gateway.pem"
key = "gateway.key"
authority = "hosts-authority.pem"
"""


def findings(folder: Path) -> list[Finding]:
    return [*check_certificates(load(folder, CONFIG))]


def test_usable_certificates_are_fine_until_they_end(tmp_path: Path) -> None:
    made(tmp_path)
    found = findings(tmp_path)
    assert [(each.verdict, each.name) for each in found] == [("ok", "host"), ("ok", "clusters.gpu")]
    assert found[0].found.startswith("it ends on 2")
    assert all(each in check_config(load(tmp_path, CONFIG), registry.load()) for each in found)
    assert all(each in [*examine(tmp_path / "config.toml")] for each in found)


def test_a_host_is_told_its_own_address_and_nothing_of_a_servers(tmp_path: Path) -> None:
    made(tmp_path)
    found = {each.what: each for each in check_config(load(tmp_path, CONFIG), registry.load())}
    assert (found["address"].name, "64 ports" in found["address"].found) == ("10.0.0.5:7070", True)
    assert not found.keys() & {"storage", "limits", "plan", "default"}


def test_thirty_days_before_an_end_there_is_a_note(tmp_path: Path) -> None:
    made(tmp_path)
    write_pair("host", tmp_path, lives=timedelta(days=29))
    host, cluster = findings(tmp_path)
    assert (host.verdict, cluster.verdict) == ("note", "ok")
    assert "run voxgate certificates make FOLDER" in host.do
    write_pair("host", tmp_path, lives=timedelta(days=31))
    write_authority("gateway", tmp_path, lives=timedelta(days=29))
    host, _cluster = findings(tmp_path)
    assert host.verdict == "note"
    assert "in another folder" in host.do


def test_what_cannot_be_used_is_wrong_and_named_by_its_key(tmp_path: Path) -> None:
    host, cluster = findings(tmp_path)
    assert host.found.startswith("host.certificate: ")
    assert cluster.found.startswith("clusters.gpu.certificate: ")
    assert {host.verdict, cluster.verdict} == {"wrong"}
    made(tmp_path)
    write_pair("gateway", tmp_path, lives=timedelta(minutes=-1))
    host, cluster = findings(tmp_path)
    assert (host.verdict, cluster.verdict) == ("ok", "wrong")
    assert cluster.found.startswith("clusters.gpu.certificate: it ended on ")


def test_without_files_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert not [*check_certificates(load(tmp_path, '[host]\nlisten = "127.0.0.1:7070"'))]
