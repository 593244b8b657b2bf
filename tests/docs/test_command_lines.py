"""Each command line of the operator's pages runs as the page says: by root, beside a service of the user
voxgate whose secrets are in its file alone. It runs in a mount namespace, so this machine stays as it is."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.shop import variables
from tests.docs import pages
from tests.server import free_port

pytestmark = pytest.mark.slow

_PAGES = ("payments", "accounts", "run-a-server", "backup")
_SHOP = (pages.ROOT / "proxy/features/payments/shop.toml").read_text()
_HERE = "http://127.0.0.1:8000"
_BASIC = '\n[plans.basic]\nprice = "$19"\n'
_ELSEWHERE = {
    "docker compose": "containers",
    "make install": "the environment is there",
    "useradd": "made before",
    "systemctl": "there is no systemd",
    "pg_dump": "PostgreSQL's own tools",
    "pg_restore": "PostgreSQL's own tools",
    "voxgate worker": "needs PostgreSQL",
    "voxgate voices natural": "fetches models",
    "voxgate models pull": "fetches models",
    "fakes.shop": "in test_payments",
    "voxgate serve": "the server of this test",
    "openssl rand": "containers",
    "export ": "of the trial",
    "/opt/voxgate/.venv/bin/voxgate init shop": "of the trial",
    "voxgate restore": "below, without a server",
}
_UNKNOWN = re.compile(r"usr_none|\b(ORDER|REQUEST|ID|USER|KEY|ACCOUNT)\b")
"""What a reader replaces. The answer about such a thing comes from the server, which has none."""
_OPTIONS_OF_PEOPLE = {"TEXT": "done", "T": "paid"}

_SET_UP = r"""
set -eu
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
for folder in /var /run /opt /usr/local/bin; do mount -t tmpfs tmpfs $folder; done
chmod 755 /var /run /opt /usr/local/bin
# Python may be root's own, which the service's user must reach.
mkdir "$1/python"
mount --bind "$3" "$1/python"
case "$3" in /root/*)
    mount -t tmpfs -o mode=755 tmpfs /root
    mkdir -p "$3"
    mount --bind "$1/python" "$3" ;;
esac
mkdir -p /var/lib /var/cache /var/backups /var/tmp /etc/systemd/system
ln -s "$2" /opt/voxgate
userdel voxgate 2>/dev/null || true
useradd --system voxgate
install -d -o voxgate -m 700 /run/voxgate /var/cache/voxgate
unset STRIPE_KEY VOXGATE_CONFIG XDG_RUNTIME_DIR
export PATH=/usr/local/bin:$PATH
cd /opt/voxgate
n=0
run() {
    status=0
    eval "$1" > "$WORK/$n.out" 2>&1 < /dev/null || status=$?
    echo $status > "$WORK/$n.rc"
    n=$((n + 1))
}
WORK=$1
while IFS= read -r line; do run "$line"; done < "$1/setup"
cp "$1/secrets" /etc/voxgate/secrets
cat "$1/config" > /etc/voxgate/config.toml
cd /var/backups/voxgate
VOXGATE_SERVER__PORT=0 voxgate serve > "$WORK/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    grep -q "serves on" "$WORK/server.log" && break
    kill -0 $server
    sleep 0.2
done
voxgate accounts create bots > /dev/null
voxgate accounts create ada > /dev/null
key=$(voxgate keys create --account bots --json | sed -n 's/.*"key": "\(.*\)".*/\1/p')
VOXGATE_KEY=$key voxgate say --out hello.wav "Hello." > /dev/null
while IFS= read -r line; do
    run "$line"
    case "$line" in "voxgate init "*) cat "$1/config" > /etc/voxgate/config.toml ;; esac
done < "$1/lines"
kill $server
wait $server || true
while IFS= read -r line; do run "$line"; done < "$1/after"
"""


def _typed(page: str) -> list[str]:
    """The commands of a page: the lines of blocks, and texts in backquotes that begin with voxgate."""
    file = pages.ROOT / "docs" / f"{page}.md"
    text = file.read_text()
    found = []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            found += [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        elif kind in ("sh", "text"):
            starts = ("voxgate ", "cd ", "mv ", "export ", "/opt/", ".venv/", "install ")
            found += [line for line in lines if line.startswith(starts)]
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return found + [code for code in re.findall(r"`(voxgate [^`]+)`", outside) if "…" not in code]


def _is_here(line: str) -> bool:
    return not any(what in line for what in _ELSEWHERE)


def _filled(line: str) -> str:
    for name, value in _OPTIONS_OF_PEOPLE.items():
        line = re.sub(rf"(--(?:note|reason)) {name}\b", rf"\1 {value}", line)
    return line.replace("ACCOUNT", "bots").replace("usr_…", "usr_none")


def _write_files(folder: Path, port: int, setup: list[str], lines: list[str], after: list[str]) -> None:
    set_ = variables(port, _HERE)
    secrets = {name: value for name, value in set_.items() if "__" not in name}
    (folder / "secrets").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    text = (
        _SHOP.replace("# secrets_file", "secrets_file").replace("https://voice.example.org", _HERE) + _BASIC
    )
    for name in ("mercadopago", "stripe"):
        url = set_[f"VOXGATE_PAYMENTS__{name.upper()}__BASE_URL"]
        text = text.replace(f"[payments.{name}]\n", f'[payments.{name}]\nbase_url = "{url}"\n')
    (folder / "config").write_text(text)
    for name, texts in (("setup", setup), ("lines", lines), ("after", after)):
        (folder / name).write_text("".join(f"{text}\n" for text in texts))


def test_each_command_line_runs_as_the_page_says(tmp_path: Path) -> None:
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("needs root, and unshare of util-linux")
    typed = list(dict.fromkeys(_filled(line) for page in _PAGES for line in _typed(page) if _is_here(line)))
    setup = [line for line in typed if line.startswith(("install ", "cp "))]
    lines = [line for line in typed if line not in setup]
    restores = [
        f"{line} --yes" for page in _PAGES for line in _typed(page) if line.startswith("voxgate restore")
    ]
    # Those that need no server come again without one, and read the secrets in the file.
    after = [*dict.fromkeys(restores), "voxgate ledger verify", "voxgate check", "voxgate accounts list"]
    port = free_port()
    _write_files(tmp_path, port, setup, lines, after)
    command = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        _SET_UP,
        "sh",
        str(tmp_path),
        str(pages.ROOT),
        sys.base_prefix,
    )
    with _fakes(port):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    log = (tmp_path / "server.log").read_text() if (tmp_path / "server.log").exists() else ""
    assert done.returncode == 0, done.stderr + log
    assert len(lines) > 25
    failed = [
        f"{line} ({status}): {_wrong(out)}"
        for number, line in enumerate((*setup, *lines, *after))
        if (status := int((tmp_path / f"{number}.rc").read_text()))
        and not _is_answered(line, out := (tmp_path / f"{number}.out").read_text())
    ]
    assert failed == [], "\n".join(failed)


def _is_answered(line: str, out: str) -> bool:
    """Tell whether the server answered that it has no such thing, or the line is a command's name alone."""
    named = _UNKNOWN.search(line)
    return (named is not None and f"'{named[0]}'" in out) or "Error: Missing " in out


def _wrong(out: str) -> str:
    """The lines of a check that are wrong, or the end of what was printed."""
    lines = out.splitlines()
    return "\n".join([each for each in lines if each.startswith("wrong")] or lines[-5:])


@contextmanager
def _fakes(port: int) -> Iterator[None]:
    """The providers. A mail server is not asked."""
    command = (sys.executable, "-m", "fakes.shop", "--port", str(port))
    process = subprocess.Popen(command, cwd=pages.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any("serves on" in line for line in process.stdout)
        yield
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_page_shows_the_shop_that_init_writes() -> None:
    first = pages.blocks(pages.ROOT / "docs" / "payments.md", "toml")[0]
    assert first.text.strip() == _SHOP.strip()


def test_the_page_exports_what_the_fakes_print() -> None:
    shown = re.findall(
        r"^export (\w+)=(\S+)$", (pages.ROOT / "docs" / "payments.md").read_text(), re.MULTILINE
    )
    assert dict(shown) == variables(8010, "http://127.0.0.1:8000")
