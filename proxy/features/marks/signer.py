"""The worker's side of signing: processes beside it that have the C2PA library, and sign one by one.

One signs without a network, and another one what gets a time stamp: no other waits for the stamper. They
start at the first need, and end when they are idle for a while. If one dies in the middle of a request, the
next one gets that request once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from proxy.config.sections import Config
from proxy.errors import NoPlace
from proxy.features.marks.certificate import (
    TEST_FILE,
    SigningCertificate,
    UnusableCertificate,
    make_test_pem,
    read_certificate,
    read_test_certificate,
)
from proxy.features.marks.manifest import ManifestFacts, definition
from proxy.features.marks.metrics import ManifestMetrics
from proxy.features.marks.section import MARKING, MarkingSection
from proxy.features.marks.signing import MOST_BODY_BYTES, Signed, SignRequest, Unsigned
from proxy.features.marks.signing_lane import FILE_GONE, FileSink, FileSource, SigningLane
from proxy.helpers.places import FairPlace, FairPlaces
from proxy.kept import locked_files

MOST_PLACES = 64
"""Each of them is a file on the disk, whose listener waits."""
MOST_OF_ACCOUNT = 16

WITHIN_S = 10.0
"""From the turn to the answer, without the time stamp. A process takes half a second to start."""
STAMP_WITHIN_S = 1.5
STAMP_REST_S = 60.0
"""A stamper that did not answer is left alone so long: no other request waits for it."""

_log = structlog.get_logger()


class SignerUnavailable(Exception):
    """Nothing was signed. The reason is in the log."""


class FileToSign(NamedTuple):
    """A whole file that gets a manifest: where it is read from, and where the signed one is written."""

    source: FileSource
    sink: FileSink
    media_type: str

    def __repr__(self) -> str:
        return f"<FileToSign {self.media_type}, {self.source.size} bytes>"


class ParentFile(NamedTuple):
    """A provider's own file with its manifest."""

    source: FileSource
    media_type: str

    def __repr__(self) -> str:
        return f"<ParentFile {self.media_type}, {self.source.size} bytes>"


class _Both:
    """A file and then its parent, for a process that reads one after the other."""

    def __init__(self, *files: FileSource) -> None:
        self._files = files

    @property
    def size(self) -> int:
        return sum(file.size for file in self._files)

    async def pieces(self) -> AsyncIterator[bytes]:
        for file in self._files:
            async for piece in file.pieces():
                yield piece


class FileTooLong(Exception):
    """The file is longer than any that is signed."""


class SigningPlace:
    """A place at the signer, which was taken before the sound was made: what is spoken then is signed.

    Its owner leaves it in any case. What is being signed keeps it until its end, also if its caller has gone.
    """

    def __init__(self, place: FairPlace, *, was_promised: bool = True) -> None:
        self.place = place
        self.was_promised = was_promised
        self.is_signing = False

    def leave(self) -> None:
        if not self.is_signing:
            self.place.leave()


class Signer:
    """Signs manifests. Close it: `open_signer` does."""

    def __init__(
        self, metrics: ManifestMetrics, *, within_s: float = WITHIN_S, stamp_within_s: float = STAMP_WITHIN_S
    ) -> None:
        self.within_s = within_s
        self._metrics = metrics
        self._stamp_within_s = stamp_within_s
        self._plain = SigningLane(has_network=False)
        self._stamped = SigningLane(has_network=True)
        # The processes sign one by one, so only an account's own files wait here for one another.
        self._places = FairPlaces(
            "files to sign", places=MOST_PLACES, of_account=MOST_OF_ACCOUNT, at_once=MOST_PLACES
        )
        self._section = MarkingSection()
        self._data = Path()
        self._certificate: SigningCertificate | None = None
        self._under_way: set[asyncio.Task[Signed]] = set()
        self._stamper_rests_until = 0.0
        self._logged: set[str] = set()

    def __repr__(self) -> str:
        return f"<Signer, {len(self._under_way)} under way, {self._places!r}>"

    @property
    def stamps(self) -> bool:
        """Whether there is a server of time stamps, and it is not resting."""
        return bool(self._section.timestamp_url) and time.monotonic() >= self._stamper_rests_until

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration. The next signature reads the certificate again."""
        section = MARKING.of(config)
        if section.timestamp_url != self._section.timestamp_url:
            self._stamper_rests_until = 0.0
        self._section, self._data, self._certificate = section, Path(config.data), None
        self._logged.clear()

    def prepare(self, *, has_stamp: bool = True) -> None:
        """Start the process beside a speech whose file will need it, if there is none."""
        self._lane(has_stamp).prepare()

    async def sign_digest(self, facts: ManifestFacts, digest: bytes) -> Signed:
        """Sign a manifest for any file with this SHA-256. Raises SignerUnavailable.

        The caller has a place: see `Manifests`.
        """
        request = SignRequest(definition=definition(facts), digest=digest)
        return await self._in_background(self._sign_in_turn(request))

    async def take_place(self, account: str) -> SigningPlace:
        """Take a place for a file that is not made yet. Raises SignerUnavailable if nothing could sign it."""
        try:
            await self._read_certificate()
        except (OSError, UnusableCertificate) as error:
            raise self._failed(_reason(error)) from None
        return self._take_place(account, was_promised=True)

    async def embed(
        self,
        facts: ManifestFacts,
        file: FileToSign,
        parent: ParentFile | None = None,
        *,
        account: str = "",
        place: SigningPlace | None = None,
    ) -> Signed:
        """Write the file with a manifest in it, when it is the account's turn.

        `parent` is the provider's own file, whose manifest this one then has in it. Without a `place`,
        the request names no manifest, and may not wait for a time stamp.
        Raises SignerUnavailable, FileTooLong, and what the sink raises.
        """
        if file.source.size > MOST_BODY_BYTES:
            _log.warning("manifest.embed.failed", reason="the sound is too long")
            self._metrics.signed("failed")
            raise FileTooLong
        if parent is not None and file.source.size + parent.source.size > MOST_BODY_BYTES:
            _log.warning("manifest.parent.failed")
            parent = None
        if place is None:
            place = self._take_place(account, was_promised=False)
        return await self._in_background(self._embed(facts, file, parent, place), place)

    async def _embed(
        self,
        facts: ManifestFacts,
        file: FileToSign,
        parent: ParentFile | None,
        place: SigningPlace,
    ) -> Signed:
        request = SignRequest(
            definition=definition(facts, has_parent=parent is not None),
            media_type=file.media_type,
            file_bytes=file.source.size,
            parent_bytes=parent.source.size if parent else 0,
            parent_type=parent.media_type if parent else "",
        )
        sent = file._replace(source=_Both(file.source, parent.source)) if parent else file
        try:
            return await self._sign_in_turn(request, sent, place)
        except SignerUnavailable:
            if parent is None:
                raise
            # Its manifest may be broken: then it cannot be kept.
            _log.warning("manifest.parent.failed")
            return await self._embed(facts, file, None, place)

    async def close(self) -> None:
        """End the processes, and whatever they still sign."""
        under_way = set(self._under_way)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        await self._plain.close()
        await self._stamped.close()

    def _lane(self, has_stamp: bool) -> SigningLane:
        return self._stamped if has_stamp and self.stamps else self._plain

    async def _in_background(
        self, work: Coroutine[None, None, Signed], place: SigningPlace | None = None
    ) -> Signed:
        """Sign in a task of its own. If its caller goes, the process is still of use to others."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        if place is not None:
            place.is_signing = True
            task.add_done_callback(lambda _: place.place.leave())
        task.add_done_callback(self._note_end)
        return await asyncio.shield(task)

    def _note_end(self, task: asyncio.Task[Signed]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller has it, if there still is one

    def _take_place(self, account: str, *, was_promised: bool) -> SigningPlace:
        try:
            return SigningPlace(self._places.take(account), was_promised=was_promised)
        except NoPlace:
            self._metrics.signed("failed")
            raise SignerUnavailable from None

    async def _sign_in_turn(
        self,
        request: SignRequest,
        file: FileToSign | None = None,
        place: SigningPlace | None = None,
    ) -> Signed:
        # A file whose place was taken before it was spoken was promised its turn. Others may not wait long.
        was_promised = place is not None and place.was_promised
        has_stamp = file is None or was_promised
        within_s = None if was_promised else 2 * self.within_s + self._stamp_within_s
        lane = self._lane(has_stamp)
        turn = lane.turn(None if place is None else place.place, request.file_bytes + request.parent_bytes)
        try:
            async with asyncio.timeout(within_s), turn:
                # The stamper may have failed those before this one.
                keyed = await self._keyed(request, has_stamp and lane is self._stamped and self.stamps)
                source, sink = (None, None) if file is None else (file.source, file.sink)
                answer = await lane.ask(keyed, self.within_s + keyed.timestamp_s, source, sink)
                if keyed.timestamp_url and isinstance(answer, Signed) and not answer.is_stamped:
                    self._stamper_rests_until = time.monotonic() + STAMP_REST_S
        except (OSError, UnusableCertificate) as error:
            answer = Unsigned(_reason(error))
        if answer is FILE_GONE:
            raise SignerUnavailable
        if isinstance(answer, Unsigned):
            raise self._failed(answer.reason)
        self._note(answer, has_stamp=has_stamp and bool(self._section.timestamp_url))
        return answer

    def _failed(self, reason: str) -> SignerUnavailable:
        self._metrics.signed("failed")
        if self._is_news(reason):
            _log.error("manifest.sign.failed", reason=reason)
        return SignerUnavailable()

    async def _read_certificate(self) -> SigningCertificate:
        certificate = self._certificate
        if certificate is None:
            certificate = await asyncio.to_thread(ensure_certificate, self._section, self._data)
            self._certificate = certificate
            if certificate.is_test and self._is_news("test"):
                _log.warning("manifest.certificate.test", do="name your own in marking.certificate")
        return certificate

    async def _keyed(self, request: SignRequest, has_stamp: bool) -> SignRequest:
        """Return the request with the certificate. Raises OSError and UnusableCertificate."""
        certificate = await self._read_certificate()
        return msgspec.structs.replace(
            request,
            chain=certificate.chain,
            key=certificate.key,
            algorithm=certificate.algorithm,
            timestamp_url=self._section.timestamp_url if has_stamp else "",
            timestamp_s=self._stamp_within_s if has_stamp else 0.0,
        )

    def _note(self, answer: Signed, *, has_stamp: bool) -> None:
        if answer.is_stamped or not has_stamp:
            self._metrics.signed("stamped" if answer.is_stamped else "plain")
        else:
            self._metrics.signed("unstamped")
            if self._is_news("stamp"):
                _log.warning("manifest.timestamp.failed")
        if answer.lacks and self._is_news("lacks"):
            _log.warning("signer.confinement.missing", what=[lack[:40] for lack in answer.lacks[:5]])

    def _is_news(self, what: str) -> bool:
        """Tell whether this was not logged in this revision: a wrong setting would fail each request."""
        is_news = what not in self._logged
        self._logged.add(what)
        return is_news


def ensure_certificate(section: MarkingSection, data: Path) -> SigningCertificate:
    """Return the operator's certificate, or the test certificate, which is made at the first need.

    Waits for the disk. Raises OSError and UnusableCertificate.
    """
    if section.certificate:
        return read_certificate(section.certificate, section.certificate_key)
    file = data / TEST_FILE
    return read_test_certificate(locked_files.ensure_secret(file, make_test_pem), str(file))


def _reason(error: OSError | UnusableCertificate) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return error.strerror or "the disk failed" if isinstance(error, OSError) else str(error)


@asynccontextmanager
async def open_signer(config: Config, metrics: ManifestMetrics) -> AsyncIterator[Signer]:
    signer = Signer(metrics)
    signer.revise(config)
    try:
        yield signer
    finally:
        await signer.close()
