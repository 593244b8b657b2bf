"""A download of one file over HTTP: it resumes after a break, and never exceeds its limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx2
import msgspec

from proxy.features.models.addresses import Address, FetchFailed, parse_address
from proxy.features.models.part_file import Count, FileInfo, PartFile, has_digest, is_digest
from speech_engine.redacted import Redacted

_MOST_REDIRECTS = 5
_MOST_TRIES = 5
_LEAST_BYTES = 16 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_GATED = {401, 403}


class _Cut(Exception):
    """The answer ended too early, or there was none. The next try resumes.

    With `is_anew`, the received bytes are not the beginning of the file, and the next try starts again.
    """

    def __init__(self, reason: str, *, is_anew: bool = False) -> None:
        super().__init__(reason)
        self.is_anew = is_anew


class HubPatience(NamedTuple):
    """The seconds until a server begins to answer, and the seconds for each 16 KiB."""

    answer_s: float = 30.0
    silence_s: float = 30.0


class Wanted(Redacted, msgspec.Struct, frozen=True):
    """A file to fetch. A `size` of 0 is unknown; then it has at most `most_bytes`. Without `digests`, the
    server of the first address must send one, if it `trusts_hub`. `token` goes to that server alone."""

    name: str
    urls: tuple[str, ...]
    size: int
    most_bytes: int
    digests: tuple[str, ...] = ()
    trusts_hub: bool = True
    token: str = ""


def fetch(file: Wanted, part: PartFile, patience: HubPatience, count: Count) -> None:
    """Fetch a file into `part`, from the first address that has it. Raise FetchFailed, OSError."""
    faults = []
    for url in file.urls:
        try:
            asyncio.run(_fetch_from(url, file, part, patience, count))
            return
        except FetchFailed as fault:
            faults.append(str(fault))
    raise FetchFailed(f"{file.name}: {'; '.join(faults)}")


async def _fetch_from(url: str, file: Wanted, part: PartFile, patience: HubPatience, count: Count) -> None:
    address = parse_address(url)
    async with httpx2.AsyncClient(timeout=patience.answer_s) as http:
        getting = _Getting(http, address, file, part, patience, count)
        before = -1
        for _ in range(_MOST_TRIES):
            try:
                facts = await getting.get()
                break
            except _Cut as cut:
                # A server that sends nothing new gets no other try.
                now = part.size
                if now <= before and not cut.is_anew:
                    raise FetchFailed(f"{address.host} {cut}") from None
                before = now
        else:
            raise FetchFailed(f"{address.host} cut it off again and again")
    _judge(file, facts, part, address, count)


def _judge(file: Wanted, facts: FileInfo, part: PartFile, address: Address, count: Count) -> None:
    """Delete the part, and raise FetchFailed, if it is another file."""
    digests = file.digests or ((facts.digest,) if facts.digest else ())
    if not digests:
        part.forget()
        raise FetchFailed(
            f"neither the gallery nor {address.host} tells a digest of it; look one up, and add --sha256"
        )
    if (file.size and part.size != file.size) or not has_digest(part.path, digests, count):
        part.forget()
        raise FetchFailed(f"what {address.host} sent is not the file: its digest is another")


class _Getting:
    def __init__(
        self,
        http: httpx2.AsyncClient,
        address: Address,
        file: Wanted,
        part: PartFile,
        patience: HubPatience,
        count: Count,
    ) -> None:
        self._http = http
        self._address = address
        self._wanted = file
        self._part = part
        self._patience = patience
        self._count = count
        self._is_hub = file.trusts_hub and address.origin == parse_address(file.urls[0]).origin

    async def get(self) -> FileInfo:
        """Request the missing bytes, and write them. Raise FetchFailed, or _Cut if another try may resume."""
        facts = self._part.known()
        begin = self._part.size if facts.url == self._address.url and facts.etag else 0
        if begin and begin == facts.size:
            return facts
        headers = {"Range": f"bytes={begin}-", "If-Range": facts.etag} if begin else {}
        try:
            async with self._answer(headers) as (answer, digest):
                facts, begin = self._read_head(answer, digest, begin)
                await self._write(answer, facts, begin)
                return facts
        except TimeoutError:
            raise _Cut("is silent") from None
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            raise _Cut("broke off") from None
        except httpx2.HTTPError as error:
            raise _Cut(f"does not answer ({type(error).__name__})") from None

    @asynccontextmanager
    async def _answer(self, headers: Mapping[str, str]) -> AsyncIterator[tuple[httpx2.Response, str]]:
        """Yield the answer after all redirects, and the digest that the hub sent on the way."""
        address, digest = self._address, ""
        for _ in range(_MOST_REDIRECTS + 1):
            headers_sent = {**headers, "Accept-Encoding": "identity"}
            if self._wanted.token and self._is_hub and address.origin == self._address.origin:
                headers_sent["Authorization"] = f"Bearer {self._wanted.token}"
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
        """Return the facts in an answer, and the place of its first byte in the file."""
        status, host = answer.status_code, self._address.host
        if status == 206 and begin:
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            size = int(found[3]) if found else 0
            known = self._part.known()
            digest = digest or known.digest
            if (
                not found
                or int(found[1]) != begin
                or int(found[2]) != size - 1
                or size != (known.size or size)
            ):
                self._part.forget()
                raise _Cut("goes on at another place than it was asked to", is_anew=True)
        elif status == 200:
            begin, size = 0, _number(answer.headers.get("Content-Length", ""))
        elif status == 416 and begin:
            self._part.forget()
            raise _Cut("does not go on where it was cut", is_anew=True)
        else:
            raise FetchFailed(_refusal(status, host, answer, has_token=bool(self._wanted.token)))
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchFailed(f"{host} sends it packed, which was not asked for")
        most = self._wanted.size or self._wanted.most_bytes
        if size > most or (size and self._wanted.size and size != self._wanted.size):
            self._part.forget()
            raise FetchFailed(f"{host} has {size:,} bytes of it, and not {most:,}")
        etag = answer.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        return FileInfo(self._address.url, strong, size, digest), begin

    async def _write(self, answer: httpx2.Response, facts: FileInfo, begin: int) -> None:
        most = facts.size or self._wanted.size or self._wanted.most_bytes
        with self._part.open(begin, facts) as file:
            done = begin
            async for piece in self._pieces(answer):
                done += len(piece)
                if done > most:
                    break
                file.write(piece)
                self._count(done, facts.size)
        if done > most:
            self._part.forget()
            raise FetchFailed(f"{self._address.host} sends more than the {most:,} bytes of it")
        if done < facts.size:
            raise _Cut(f"ended after {done:,} of {facts.size:,} bytes")

    async def _pieces(self, answer: httpx2.Response) -> AsyncIterator[bytes]:
        """Yield the received pieces. Raise TimeoutError if they are too slow."""
        pieces = answer.aiter_raw()
        come = 0
        deadline = asyncio.get_running_loop().time() + self._patience.silence_s
        while True:
            async with asyncio.timeout_at(deadline):
                piece = await anext(pieces, b"")
            if not piece:
                return
            come += len(piece)
            if come >= _LEAST_BYTES:
                come, deadline = 0, asyncio.get_running_loop().time() + self._patience.silence_s
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
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
