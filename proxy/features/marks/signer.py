"""The worker's side of signing: child processes with the C2PA library, which sign one by one.

One signs without a network. Another one asks for time stamps, so that only its own requests wait for the
stamper. They start at the first need, and end when idle for a while. If one dies during a request, its
successor gets that request once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.config.sections import Config
from proxy.errors import NoPlace
from proxy.features.marks.manifest import ManifestFacts, write_definition
from proxy.features.marks.section import SECTION, TEST_CERTIFICATE, MarkingSection
from proxy.features.marks.signing import (
    MOST_BODY_BYTES,
    Signed,
    SigningCertificate,
    SignRequest,
    Unsigned,
    UnusableCertificate,
)
from proxy.features.marks.signing_queue import FILE_GONE, FileSource, SigningQueue
from proxy.file_store import locked_files
from proxy.helpers.lazy_value import LazyValue
from proxy.helpers.limiter import FairLimiter, FairPlace
from proxy.speech.speech_stream import FileSink

MOST_PLACES = 64
"""The most files that wait or are signed. Each is on the disk, and its listener waits."""
MOST_OF_ACCOUNT = 16

WITHIN_S = 10.0
"""How long a signature may take without the time stamp. A process takes half a second to start."""
STAMP_WITHIN_S = 1.5
STAMP_REST_S = 60.0
"""How long a stamper that did not answer gets no more requests, so that no other signature waits for it."""

_log = structlog.get_logger()


class SignerUnavailable(Exception):
    """Nothing was signed: there was no place, the file was gone, or signing failed. The log has the
    reason."""


class SoundFile(NamedTuple):
    """A whole file that gets a manifest, or the parent of one."""

    source: FileSource
    media_type: str


class Signer:
    """Signs manifests. Close it: `open_signer` does."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        within_s: float = WITHIN_S,
        stamp_within_s: float = STAMP_WITHIN_S,
    ) -> None:
        self.within_s = within_s
        self._signatures = Counter(
            "voxgate_manifests",
            "Manifests signed: `stamped` or `plain`, `unstamped` if the time-stamper failed, or `failed`.",
            ["result"],
            registry=registry,
        )
        self._stamp_within_s = stamp_within_s
        self._plain = SigningQueue(has_network=False)
        self._stamped = SigningQueue(has_network=True)
        # All places have a turn at once: a file waits here only for files of the same account.
        self._places = FairLimiter(
            "files to sign", places=MOST_PLACES, of_account=MOST_OF_ACCOUNT, at_once=MOST_PLACES
        )
        self._section = MarkingSection()
        self._data = Path()
        self._certificate = self._lazy_certificate()
        self._stamper_rests_until = 0.0
        self._logged: set[str] = set()

    def __repr__(self) -> str:
        under_way = len(self._plain.under_way) + len(self._stamped.under_way)
        return f"<Signer, {under_way} under way, {self._places!r}>"

    @property
    def can_stamp(self) -> bool:
        """Whether a server of time stamps is configured and is not in a pause after a failure."""
        return bool(self._section.timestamp_url) and time.monotonic() >= self._stamper_rests_until

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration. The next signature reads the certificate again."""
        section = SECTION.of(config)
        if section.timestamp_url != self._section.timestamp_url:
            self._stamper_rests_until = 0.0
        self._section, self._data = section, Path(config.data)
        self._certificate = self._lazy_certificate()
        self._logged.clear()

    def prepare(self, *, wants_stamp: bool = True) -> None:
        """Start the process, if there is none, while the file is still being spoken."""
        self._queue(wants_stamp=wants_stamp).start_early()

    async def sign_digest(self, facts: ManifestFacts, digest: bytes) -> Signed:
        """Sign a manifest for any file with this SHA-256. It takes no place here: `Manifests` limits how many
        digests wait. Raises SignerUnavailable."""
        request = SignRequest(definition=write_definition(facts), digest=digest)
        queue = self._queue(wants_stamp=True)
        sign = partial(self._sign_in_turn, queue, request)
        return await asyncio.shield(queue.start_work(self._signed(sign)))

    async def take_place(self, account: str) -> FairPlace:
        """Reserve a place for a file that is made later. Raises SignerUnavailable if no process can sign."""
        try:
            await self._read_certificate()
        except (OSError, UnusableCertificate) as error:
            raise self._signing_failed(_reason(error)) from None
        return self._take_place(account)

    async def embed(
        self,
        facts: ManifestFacts,
        file: SoundFile,
        sink: FileSink,
        parent: SoundFile | None = None,
        *,
        account: str = "",
        place: FairPlace | None = None,
    ) -> Signed | None:
        """Write the file with a manifest in it, when it is the account's turn. Return None if it is too long.

        The new manifest contains that of `parent`, the provider's own file. Without a `place`, its turn was
        not promised, and it may not wait for a time stamp. Raises SignerUnavailable, and the errors of the
        sink.
        """
        if file.source.size > MOST_BODY_BYTES:
            _log.warning("manifest.embed.failed", reason="the sound is too long")
            self._signatures.labels("failed").inc()
            return None
        if parent is not None and file.source.size + parent.source.size > MOST_BODY_BYTES:
            _log.warning("manifest.parent.failed")
            parent = None
        # A place that was taken before the engine spoke is a promise that the file will be signed.
        was_promised = place is not None
        place = place or self._take_place(account)
        queue = self._queue(wants_stamp=was_promised)
        sign = partial(self._embed, queue, facts, (file, parent), sink, place, was_promised=was_promised)
        signing = queue.start_work(self._signed(sign))
        place.give_back_after(signing)
        return await asyncio.shield(signing)

    async def _embed(
        self,
        queue: SigningQueue,
        facts: ManifestFacts,
        files: tuple[SoundFile, SoundFile | None],
        sink: FileSink,
        place: FairPlace,
        *,
        was_promised: bool,
    ) -> Signed | Unsigned:
        file, parent = files
        request = SignRequest(
            definition=write_definition(facts, has_parent=parent is not None),
            media_type=file.media_type,
            file_bytes=file.source.size,
            parent_bytes=parent.source.size if parent else 0,
            parent_type=parent.media_type if parent else "",
        )
        sources = (file.source, parent.source) if parent else (file.source,)
        answer = await self._sign_in_turn(queue, request, place, sources, sink, was_promised=was_promised)
        if parent is None or isinstance(answer, Signed) or answer is FILE_GONE:
            return answer
        # The parent's manifest may be broken: sign without the parent.
        _log.warning("manifest.parent.failed")
        return await self._embed(queue, facts, (file, None), sink, place, was_promised=was_promised)

    async def close(self) -> None:
        """End the processes, and whatever they still sign."""
        await self._plain.close()
        await self._stamped.close()

    def _queue(self, *, wants_stamp: bool) -> SigningQueue:
        return self._stamped if wants_stamp and self.can_stamp else self._plain

    def _take_place(self, account: str) -> FairPlace:
        try:
            return self._places.reserve_place(account)
        except NoPlace:
            self._signatures.labels("failed").inc()
            raise SignerUnavailable from None

    async def _sign_in_turn(
        self,
        queue: SigningQueue,
        request: SignRequest,
        place: FairPlace | None = None,
        sources: Sequence[FileSource] = (),
        sink: FileSink | None = None,
        *,
        was_promised: bool = False,
    ) -> Signed | Unsigned:
        # Only a digest comes without a place. It may always wait for a stamp.
        may_stamp = place is None or was_promised
        # Files that were promised no turn may not wait long.
        within_s = None if was_promised else 2 * self.within_s + self._stamp_within_s
        size = request.file_bytes + request.parent_bytes
        try:
            async with asyncio.timeout(within_s), queue.turn_of(place, size):
                # The stamper may have failed while this request waited.
                wants_stamp = may_stamp and queue is self._stamped and self.can_stamp
                keyed = await self._certified(request, wants_stamp=wants_stamp)
                answer = await queue.sign(keyed, self.within_s + keyed.timestamp_s, sources, sink)
                if keyed.timestamp_url and isinstance(answer, Signed) and not answer.is_stamped:
                    self._stamper_rests_until = time.monotonic() + STAMP_REST_S
        except (OSError, UnusableCertificate) as error:  # a TimeoutError is an OSError
            return Unsigned(_reason(error))
        if isinstance(answer, Signed):
            self._count_signature(answer, was_stamp_due=may_stamp and bool(self._section.timestamp_url))
        return answer

    async def _signed(self, sign: Callable[[], Awaitable[Signed | Unsigned]]) -> Signed:
        """Return a signature. Raises SignerUnavailable if there is none, also where nobody waits any more."""
        answer = await sign()
        if isinstance(answer, Signed):
            return answer
        raise SignerUnavailable if answer is FILE_GONE else self._signing_failed(answer.reason)

    def _signing_failed(self, reason: str) -> SignerUnavailable:
        self._signatures.labels("failed").inc()
        if self._is_news(reason):
            _log.error("manifest.sign.failed", reason=reason)
        return SignerUnavailable()

    def _lazy_certificate(self) -> LazyValue[SigningCertificate]:
        return LazyValue(partial(ensure_certificate, self._section, self._data))

    async def _read_certificate(self) -> SigningCertificate:
        certificate = await self._certificate.get()
        if certificate.is_test and self._is_news("test"):
            _log.warning("manifest.certificate.test", do="name your own in marking.certificate")
        return certificate

    async def _certified(self, request: SignRequest, *, wants_stamp: bool) -> SignRequest:
        """Return the request with the certificate. Raises OSError and UnusableCertificate."""
        certificate = await self._read_certificate()
        return msgspec.structs.replace(
            request,
            chain=certificate.chain,
            key=certificate.key,
            algorithm=certificate.algorithm,
            timestamp_url=self._section.timestamp_url if wants_stamp else "",
            timestamp_s=self._stamp_within_s if wants_stamp else 0.0,
        )

    def _count_signature(self, answer: Signed, *, was_stamp_due: bool) -> None:
        if answer.is_stamped or not was_stamp_due:
            self._signatures.labels("stamped" if answer.is_stamped else "plain").inc()
        else:
            self._signatures.labels("unstamped").inc()
            if self._is_news("stamp"):
                _log.warning("manifest.timestamp.failed")
        if answer.lacks and self._is_news("lacks"):
            _log.warning("signer.confinement.missing", what=[lack[:40] for lack in answer.lacks[:5]])

    def _is_news(self, what: str) -> bool:
        """Note `what`. Return whether it is new in this revision: a wrong setting fails each request."""
        is_news = what not in self._logged
        self._logged.add(what)
        return is_news


def ensure_certificate(section: MarkingSection, data: Path) -> SigningCertificate:
    """Return the operator's certificate, or the test certificate, which is made at the first need.

    Waits for the disk. Raises OSError and UnusableCertificate.
    """
    # A worker that signs nothing needs no library of certificates.
    from proxy.features.marks.certificate import make_test_pem, read_certificate, read_test_certificate

    if section.certificate:
        return read_certificate(section.certificate, section.certificate_key)
    file = data / TEST_CERTIFICATE
    return read_test_certificate(locked_files.ensure_secret(file, make_test_pem), str(file))


def _reason(error: OSError | UnusableCertificate) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return error.strerror or "the disk failed" if isinstance(error, OSError) else str(error)


@asynccontextmanager
async def open_signer(config: Config, registry: CollectorRegistry) -> AsyncIterator[Signer]:
    signer = Signer(registry)
    signer.revise(config)
    try:
        yield signer
    finally:
        await signer.close()
