"""The worker's side of signing: one process beside it that has the C2PA library, and signs one by one.

It is started at the first need, and goes away when nobody needs it for a while. If it dies in the middle of
a request, the next one gets that request once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from proxy.config.secret_sections import MarkingSection
from proxy.config.sections import Config
from proxy.kept import secret
from proxy.provenance.certificate import (
    TEST_FILE,
    SigningCertificate,
    UnusableCertificate,
    make_test_pem,
    read_certificate,
    read_test_certificate,
)
from proxy.provenance.manifest import ManifestFacts, definition
from proxy.provenance.signing import MOST_BODY_BYTES, Signed, SignRequest, Unsigned
from proxy.provenance.signing_process import SigningProcess
from proxy.telemetry.metrics import ManifestMetrics

MOST_WAITING = 32
WITHIN_S = 10.0
"""From the turn to the answer, without the time stamp. A process takes half a second to start."""
STAMP_WITHIN_S = 1.5
STAMP_REST_S = 60.0
"""A stamper that did not answer is left alone so long: nobody else waits for it."""
IDLE_S = 120.0

_MOST_LIVES = 2

_log = structlog.get_logger()


class SignerUnavailable(Exception):
    """Nothing was signed. The reason is in the log."""


class SoundFile(NamedTuple):
    """A whole file of sound."""

    body: bytes
    media_type: str

    def __repr__(self) -> str:
        return f"<SoundFile {self.media_type}, {len(self.body)} bytes>"


class Signer:
    """Signs manifests. Close it: `open_signer` does."""

    def __init__(
        self, metrics: ManifestMetrics, *, within_s: float = WITHIN_S, stamp_within_s: float = STAMP_WITHIN_S
    ) -> None:
        self.within_s = within_s
        self._metrics = metrics
        self._stamp_within_s = stamp_within_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._section = MarkingSection()
        self._data = Path()
        self._certificate: SigningCertificate | None = None
        self._child: SigningProcess | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._under_way: set[asyncio.Task[Signed]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._stamper_rests_until = 0.0
        self._logged: set[str] = set()

    def __repr__(self) -> str:
        return f"<Signer, {self._waiting} under way, {self._child!r}>"

    @property
    def stamps(self) -> bool:
        """Whether a time stamp is asked for, and its server not resting."""
        return bool(self._section.timestamp_url) and time.monotonic() >= self._stamper_rests_until

    def revise(self, config: Config) -> None:
        """Take a revision of the configuration. The next signature reads the certificate again."""
        if config.marking.timestamp_url != self._section.timestamp_url:
            self._stamper_rests_until = 0.0
        self._section, self._data, self._certificate = config.marking, Path(config.data), None
        self._logged.clear()

    def prepare(self) -> None:
        """Start the process beside a speech whose file will need it, if there is none."""
        if self._child is None and not self._waiting and self._preparing is None:
            self._preparing = asyncio.create_task(self._prepare())

    async def sign_digest(self, facts: ManifestFacts, digest: bytes) -> Signed:
        """Sign a manifest for any file with this SHA-256. Raises SignerUnavailable."""
        return await self._sign(SignRequest(definition=definition(facts), digest=digest))

    async def embed(self, facts: ManifestFacts, file: SoundFile, parent: SoundFile | None = None) -> Signed:
        """Return the file with a manifest in it. Raises SignerUnavailable.

        `parent` is the provider's own file, whose manifest this one then has in it.
        """
        if len(file.body) + (len(parent.body) if parent else 0) > MOST_BODY_BYTES:
            _log.warning("manifest.embed.failed", reason="the sound is too long")
            self._metrics.signed("failed")
            raise SignerUnavailable
        request = SignRequest(
            definition=definition(facts, has_parent=parent is not None),
            media_type=file.media_type,
            body=file.body,
            parent=parent.body if parent else b"",
            parent_type=parent.media_type if parent else "",
        )
        try:
            return await self._sign(request)
        except SignerUnavailable:
            if parent is None:
                raise
            # Its manifest may be broken: then it cannot be kept.
            _log.warning("manifest.parent.failed")
            return await self.embed(facts, file)

    async def close(self) -> None:
        """End the process, and whatever it still signs."""
        under_way = {*self._under_way, *filter(None, [self._preparing])}
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        self._drop_child()
        while self._ending:
            await asyncio.wait(self._ending)

    async def _sign(self, request: SignRequest) -> Signed:
        """Sign in a task of its own. If its caller goes, the process can still be asked by others."""
        task = asyncio.create_task(self._sign_in_turn(request))
        self._under_way.add(task)
        task.add_done_callback(self._note_end)
        return await asyncio.shield(task)

    def _note_end(self, task: asyncio.Task[Signed]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller has it, if there still is one

    async def _sign_in_turn(self, request: SignRequest) -> Signed:
        if self._waiting >= MOST_WAITING:
            self._metrics.signed("failed")
            raise SignerUnavailable
        self._waiting += 1
        try:
            async with asyncio.timeout(2 * self.within_s + self._stamp_within_s), self._turn:
                answer = await self._signed(await self._keyed(request))
        except (OSError, UnusableCertificate) as error:
            answer = Unsigned(_reason(error))
        finally:
            self._waiting -= 1
        if isinstance(answer, Unsigned):
            self._metrics.signed("failed")
            if self._is_news(answer.reason):
                _log.error("manifest.sign.failed", reason=answer.reason)
            raise SignerUnavailable
        self._note(answer)
        return answer

    async def _keyed(self, request: SignRequest) -> SignRequest:
        """Return the request with the certificate. Raises OSError and UnusableCertificate."""
        certificate = self._certificate
        if certificate is None:
            certificate = await asyncio.to_thread(ensure_certificate, self._section, self._data)
            self._certificate = certificate
            if certificate.is_test and self._is_news("test"):
                _log.warning("manifest.certificate.test", do="name your own in marking.certificate")
        return msgspec.structs.replace(
            request,
            chain=certificate.chain,
            key=certificate.key,
            algorithm=certificate.algorithm,
            timestamp_url=self._section.timestamp_url if self.stamps else "",
            timestamp_s=self._stamp_within_s,
        )

    async def _signed(self, request: SignRequest) -> Signed | Unsigned:
        """Ask the process, and a second one if the first dies. Raises OSError."""
        for _ in range(_MOST_LIVES):
            child, answer = await self._ready_child(bool(self._section.timestamp_url)), None
            try:
                async with asyncio.timeout(self.within_s + request.timestamp_s):
                    answer = await child.ask(request)
            except TimeoutError:
                return Unsigned("the signing process did not answer in time")
            finally:
                # What was cancelled or late leaves an answer in the pipe, which is nobody's.
                if answer is None:
                    self._drop_child()
            if answer is not None:
                if request.timestamp_url and isinstance(answer, Signed) and not answer.is_stamped:
                    self._stamper_rests_until = time.monotonic() + STAMP_REST_S
                return answer
        return Unsigned("the signing process died twice")

    async def _prepare(self) -> None:
        try:
            async with self._turn:
                await self._ready_child(bool(self._section.timestamp_url))
        except OSError:
            pass  # the signature tries again, and says what is wrong
        finally:
            self._preparing = None

    async def _ready_child(self, has_network: bool) -> SigningProcess:
        child = self._child
        if child is not None and (child.is_dead or child.has_network != has_network):
            self._drop_child()
            child = None
        if child is None:
            self._child = child = await SigningProcess.start(has_network)
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._drop_idle_child)
        return child

    def _drop_idle_child(self) -> None:
        if not self._waiting:
            self._drop_child()

    def _drop_child(self) -> None:
        """End the process in the background: nobody waits for that, and a caller may be cancelled."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        child, self._child = self._child, None
        if child is not None:
            ending = asyncio.create_task(child.end())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _note(self, answer: Signed) -> None:
        if answer.is_stamped or not self._section.timestamp_url:
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
    return read_test_certificate(secret.ensure(file, make_test_pem), str(file))


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
