"""Helper: buckets in the memory of the test's process, with as much of S3 as a vault asks for.

They stand for those of moto in `make test`. `make slow` runs the same tests on moto.
"""

import hashlib
import re
import threading
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

_CHANGED = "2026-01-01T00:00:00.000Z"
_UPLOAD = "<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>"
_WHOLE = "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>"
_DELETED = "<DeleteResult>{}</DeleteResult>"
_LIST = "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>"
_LISTED = "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>"


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()


def _error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


class SmallBuckets:
    """All buckets of a server. Each request is answered alone."""

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, bytes]] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}
        self._turn = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def make_bucket(self, name: str) -> None:
        self._buckets[name] = {}

    def answer(self, method: str, target: str, fields: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        name, _, key = unquote(parts.path).lstrip("/").partition("/")
        with self._turn:
            bucket = self._buckets.get(name)
            if bucket is None:
                return _error(404, "NoSuchBucket")
            match method:
                case "PUT":
                    return self._put(bucket, key, query, body)
                case "GET" if key:
                    return _object(bucket, key, fields.get("range", ""))
                case "GET":
                    return _list(bucket, query.get("prefix", ""))
                case "POST" if "delete" in query:
                    return _delete(bucket, body)
                case "POST":
                    return self._upload(bucket, key, query, body)
                case "DELETE":
                    bucket.pop(key, None)
                    return Answer(204)
        return _error(405, "MethodNotAllowed")

    def _put(self, bucket: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> Answer:
        if "uploadId" in query:
            self._uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            bucket[key] = body
        return Answer(fields=(("ETag", _etag(body)),))

    def _upload(self, bucket: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> Answer:
        if "uploads" in query:
            upload = f"upload-{len(self._uploads)}"
            self._uploads[upload] = {}
            return Answer(body=_UPLOAD.format(upload).encode())
        parts = self._uploads[query["uploadId"]]
        wanted = [int(number) for number in re.findall(rb"<PartNumber>(\d+)", body)]
        bucket[key] = b"".join(parts[number] for number in wanted)
        return Answer(body=_WHOLE.format(escape(_etag(bucket[key]))).encode())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        buckets = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                fields = {name.lower(): value for name, value in self.headers.items()}
                answer = buckets.answer(self.command, self.path, fields, body)
                self.send_response(answer.status)
                for name, value in (*answer.fields, ("Content-Length", str(len(answer.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def __getattr__(self, name: str) -> Callable[[], None]:
                """Return how a request of any method is answered."""
                if name.startswith("do_"):
                    return self._answer
                raise AttributeError(name)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: each request would be a line of the test's output."""

        return Handler


def _object(bucket: dict[str, bytes], key: str, wanted: str) -> Answer:
    data = bucket.get(key)
    if data is None:
        return _error(404, "NoSuchKey")
    fields = (("ETag", _etag(data)), ("Last-Modified", formatdate(1_767_225_600, usegmt=True)))
    if not wanted:
        return Answer(body=data, fields=fields)
    first, last = map(int, wanted.removeprefix("bytes=").split("-"))
    if first >= len(data):
        return _error(416, "InvalidRange")
    last = min(last, len(data) - 1)
    return Answer(
        206, data[first : last + 1], (*fields, ("Content-Range", f"bytes {first}-{last}/{len(data)}"))
    )


def _list(bucket: dict[str, bytes], prefix: str) -> Answer:
    listed = (
        _LISTED.format(escape(key), _CHANGED, escape(_etag(data)), len(data))
        for key, data in sorted(bucket.items())
        if key.startswith(prefix)
    )
    return Answer(body=_LIST.format("".join(listed)).encode())


def _delete(bucket: dict[str, bytes], body: bytes) -> Answer:
    keys = [unescape(key.decode()) for key in re.findall(rb"<Key>(.*?)</Key>", body)]
    for key in keys:
        bucket.pop(key, None)
    gone = (f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return Answer(body=_DELETED.format("".join(gone)).encode())
