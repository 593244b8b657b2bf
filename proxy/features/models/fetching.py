"""Downloads one file over HTTP. A download resumes after a break, and never exceeds its limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx2
import msgspec

from proxy.features.models.addresses import Address, FetchFailed, parse_address
from proxy.features.models.part_file import FileInfo, PartFile, ReportBytes, has_digest, is_digest
from speech_engine.redacted import Redacted

_MOST_REDIRECTS = 5
_MOST_TRIES = 5
_LEAST_BYTES = 16 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_GATED = {401, 403}


class _BrokenOff(Exception):
    """The answer ended too early, or there was none. The next try resumes, or with `is_anew` starts again
    because the received bytes are not the beginning of the file."""

    def __init__(self, reason: str, *, is_anew: bool = False) -> None:
        super().__init__(reason)
        self.is_anew = is_anew


class HubPatience(NamedTuple):
    """The time until a server begins to answer, and the time in which `_LEAST_BYTES` must come."""

    answer_s: float = 30.0
    silence_s: float = 30.0


class FileToFetch(Redacted, msgspec.Struct, frozen=True):
    """A file to fetch. A `size` of 0 is unknown: then it may have `most_bytes`. Without `digests`, the server
    of the first address must state a digest. It is believed only with `trusts_hub`. `token` is sent to that
    server alone."""

    name: str
    urls: tuple[str, ...]
    size: int
    most_bytes: int
    digests: tuple[str, ...] = ()
    trusts_hub: bool = True
    token: str = ""


def fetch(file: FileToFetch, part: PartFile, patience: HubPatience, report: ReportBytes) -> None:
    """Fetch a file into `part`, from the first address that has it. Raise FetchFailed, OSError."""
    faults = []
    for url in file.urls:
        try:
            asyncio.run(_fetch_from(url, file, part, patience, report))
            return
        except FetchFailed as fault:
            faults.append(str(fault))
    raise FetchFailed(f"{file.name}: {'; '.join(faults)}")


async def _fetch_from(
    url: str, file: FileToFetch, part: PartFile, patience: HubPatience, report: ReportBytes
) -> None:
    address = parse_address(url)
    async with httpx2.AsyncClient(timeout=patience.answer_s) as http:
        download = _Download(http, address, file, part, patience, report)
        last_size = -1
        for _ in range(_MOST_TRIES):
            try:
                facts = await download.fetch_missing()
                break
            except _BrokenOff as cut:
                # A server that has sent nothing new is not tried again.
                size = part.size
                if size <= last_size and not cut.is_anew:
                    raise FetchFailed(f"{address.host} {cut}") from None
                last_size = size
        else:
            raise FetchFailed(f"{address.host} cut it off again and again")
    _check_digest(file, facts, part, address, report)


def _check_digest(
    file: FileToFetch, facts: FileInfo, part: PartFile, address: Address, report: ReportBytes
) -> None:
    """Check the size and the digest of a fetched file. If one is wrong, or no digest is known, delete the
    part and raise FetchFailed."""
    digests = file.digests or ((facts.digest,) if facts.digest else ())
    if not digests:
        part.delete()
        raise FetchFailed(
            f"neither the gallery nor {address.host} tells a digest of it; look one up, and add --sha256"
        )
    if (file.size and part.size != file.size) or not has_digest(part.path, digests, report):
        part.delete()
        raise FetchFailed(f"what {address.host} sent is not the file: its digest is another")


class _Download:
    """A download from one address. Each try goes on with the same part of the file."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        address: Address,
        file: FileToFetch,
        part: PartFile,
        patience: HubPatience,
        report: ReportBytes,
    ) -> None:
        self._http = http
        self._address = address
        self._file = file
        self._part = part
        self._patience = patience
        self._report = report
        self._is_hub = file.trusts_hub and address.origin == parse_address(file.urls[0]).origin

    async def fetch_missing(self) -> FileInfo:
        """Request the missing bytes, and write them. Raise FetchFailed, or _BrokenOff if another try may
        resume."""
        facts = self._part.read_info()
        begin = self._part.size if facts.url == self._address.url and facts.etag else 0
        if begin and begin == facts.size:
            return facts
        headers = {"Range": f"bytes={begin}-", "If-Range": facts.etag} if begin else {}
        try:
            async with self._open_answer(headers) as (answer, digest):
                facts, begin = self._read_head(answer, digest, begin)
                await self._write(answer, facts, begin)
                return facts
        except TimeoutError:
            raise _BrokenOff("is silent") from None
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            raise _BrokenOff("broke off") from None
        except httpx2.HTTPError as error:
            raise _BrokenOff(f"does not answer ({type(error).__name__})") from None

    @asynccontextmanager
    async def _open_answer(self, headers: Mapping[str, str]) -> AsyncIterator[tuple[httpx2.Response, str]]:
        """Yield the answer after all redirects, and the digest that the hub stated in one of them."""
        address, digest = self._address, ""
        for _ in range(_MOST_REDIRECTS + 1):
            headers_sent = {**headers, "Accept-Encoding": "identity"}
            if self._file.token and self._is_hub and address.origin == self._address.origin:
                headers_sent["Authorization"] = f"Bearer {self._file.token}"
            request = self._http.build_request("GET", address.url, headers=headers_sent)
            async with asyncio.timeout(self._patience.answer_s):
                answer = await self._http.send(request, stream=True)
            try:
                if self._is_hub and address.origin == self._address.origin:
                    digest = digest or _stated_digest(answer)
                if answer.status_code not in _REDIRECTS:
                    yield answer, digest
                    return
                url = str(httpx2.URL(address.url).join(answer.headers.get("Location", "")))
                address = parse_address(url, came_from=address)
            except httpx2.InvalidURL:
                raise FetchFailed(f"{address.host} leads to what is no address") from None
            finally:
                await answer.aclose()
        raise FetchFailed(f"{self._address.host} leads in a circle")

    def _read_head(self, answer: httpx2.Response, digest: str, begin: int) -> tuple[FileInfo, int]:
        """Return the facts in an answer's head, and the position of its first byte in the file."""
        status, host = answer.status_code, self._address.host
        if status == 206 and begin:
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            size = int(found[3]) if found else 0
            known = self._part.read_info()
            digest = digest or known.digest
            if (
                not found
                or int(found[1]) != begin
                or int(found[2]) != size - 1
                or (known.size and size != known.size)
            ):
                self._part.delete()
                raise _BrokenOff("goes on at another place than it was asked to", is_anew=True)
        elif status == 200:
            begin, size = 0, _number(answer.headers.get("Content-Length", ""))
        elif status == 416 and begin:
            self._part.delete()
            raise _BrokenOff("does not go on where it was cut", is_anew=True)
        else:
            raise FetchFailed(_refusal(status, host, answer, has_token=bool(self._file.token)))
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchFailed(f"{host} sends it packed, which was not asked for")
        most = self._file.size or self._file.most_bytes
        if size > most or (size and self._file.size and size != self._file.size):
            self._part.delete()
            raise FetchFailed(f"{host} has {size:,} bytes of it, and not {most:,}")
        etag = answer.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        return FileInfo(self._address.url, strong, size, digest), begin

    async def _write(self, answer: httpx2.Response, facts: FileInfo, begin: int) -> None:
        most = facts.size or self._file.size or self._file.most_bytes
        with self._part.open_at(begin, facts) as file:
            done = begin
            async for piece in self._read_pieces(answer):
                done += len(piece)
                if done > most:
                    break
                file.write(piece)
                self._report(done, facts.size)
        if done > most:
            self._part.delete()
            raise FetchFailed(f"{self._address.host} sends more than the {most:,} bytes of it")
        if done < facts.size:
            raise _BrokenOff(f"ended after {done:,} of {facts.size:,} bytes")

    async def _read_pieces(self, answer: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the received pieces. Raise TimeoutError if they are too slow."""
        pieces = answer.aiter_raw()
        new_bytes = 0
        deadline = asyncio.get_running_loop().time() + self._patience.silence_s
        while True:
            async with asyncio.timeout_at(deadline):
                piece = await anext(pieces, b"")
            if not piece:
                return
            new_bytes += len(piece)
            if new_bytes >= _LEAST_BYTES:
                new_bytes, deadline = 0, asyncio.get_running_loop().time() + self._patience.silence_s
            yield piece


def _refusal(status: int, host: str, answer: httpx2.Response, has_token: bool) -> str:
    if status in _GATED and not has_token:
        return f"{host} gives it only to those with a token ({status})"
    if status in _GATED:
        return f"{host} refuses the token ({status}): accept the model's terms there first"
    if status == 404:
        return f"{host} has no such file (404)"
    if status == 429:
        wait = _number(answer.headers.get("Retry-After", ""))
        return f"{host} has had too many requests (429); try again {f'in {wait} s' if wait else 'later'}"
    return f"{host} answered {status}"


def _stated_digest(answer: httpx2.Response) -> str:
    """Return the digest in a hub's header, or ""."""
    for header in ("X-Linked-ETag", "ETag"):
        text = answer.headers.get(header, "").removeprefix("W/").strip('"')
        if is_digest(text):
            return str(text)
    return ""


def _number(text: str) -> int:
    """Return the number in a header, or 0."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
