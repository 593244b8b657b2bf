"""docs/upgrade.md: its lines check a receipt that 0.1.0 signed, and nothing that was changed."""

import json
import subprocess
import sys
from pathlib import Path

from tests.docs import pages
from tests.tables import each_row

CLIP = b"RIFF of 0.1.0"
HEAD = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6IjFJRzJ0TUg3SjJ3Ykpabk9mOExKelFpdEtmN0xNdm9BRWxzdURNVk01NFkiLCJ0eXAi"
    "OiJ2b3hnYXRlLXJlY2VpcHQrandzIn0"
)
CLAIMS = (
    "eyJpc3MiOiJBZGEncyB2b2ljZXMiLCJyZXF1ZXN0IjoicmVxXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCIsIm1hZGUiOiIy"
    "MDI2LTExLTMwVDIwOjAwOjAwWiIsInNoYTI1NiI6IjcxMjc3MjhmNmRmNDg5NzA0MDMxMjZlNTFiYzA1NmFhNjFlYzVjMmEx"
    "YWQwMzBmNWQwMzY2MDIwMmRlODlhMzAiLCJieXRlcyI6MTMsIm1lZGlhX3R5cGUiOiJhdWRpby93YXYiLCJmb3JtYXQiOiJ3"
    "YXYiLCJzYW1wbGVfcmF0ZV9oeiI6MjQwMDAsInNhbXBsZXMiOjQsInNwZWFrZXJzIjpbeyJtb2RlbCI6InRvbmUvc3RhbmRh"
    "cmQiLCJsaWNlbmNlIjoiQXBhY2hlLTIuMCIsImlzX3RyYWluZWQiOmZhbHNlfV0sIm1hcmsiOm51bGwsImtpbmQiOiJzcGVl"
    "Y2giLCJzb3VyY2Vfc2hhMjU2IjpudWxsLCJkdXJhdGlvbl9zZWNvbmRzIjowLjAsImxhbmd1YWdlIjoiZW4iLCJjb25zZW50"
    "cyI6W10sIm1hbmlmZXN0IjoiIiwiY3JlZGl0cyI6MS4wLCJjaGVjayI6bnVsbH0"
)
SIGNATURE = "sH7m8AxmcQDdl8m7jravtu6QYGwTj6SiI4lomjOYjPrYF9wp7yDug3R8gUuWl1v0rBOBGFjh3r9VLPaZRt_VAA"
KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
    "kid": "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y",
    "use": "sig",
    "alg": "EdDSA",
}


@each_row(
    ("clip", "claims", "key", "is_good"),
    [
        (CLIP, CLAIMS, KEY, True),
        (CLIP + b".", CLAIMS, KEY, False),
        (CLIP, CLAIMS[::-1], KEY, False),
        (CLIP, CLAIMS, {**KEY, "x": "A" * 43}, False),
        (CLIP, CLAIMS, {**KEY, "kid": "another"}, False),
    ],
    ids=["good", "another clip", "other claims", "another key", "an unknown key"],
)
def test_the_lines_of_the_page_check_an_old_receipt(
    tmp_path: Path, clip: bytes, claims: str, key: dict[str, str], is_good: bool
) -> None:
    (block,) = pages.blocks(pages.ROOT / "docs" / "upgrade.md", "py")
    assert len([line for line in block.text.splitlines() if line]) == 10
    files = {
        "check.py": block.text.encode(),
        "clip.wav": clip,
        "receipt.json": json.dumps({"jws": f"{HEAD}.{claims}.{SIGNATURE}"}).encode(),
        "keys.json": json.dumps({"keys": [key]}).encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run([sys.executable, *files], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0, done.stdout) == (is_good, b"")
