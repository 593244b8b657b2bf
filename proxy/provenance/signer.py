"""The worker's side of signing: processes beside it that have the C2PA library, and sign one by one.

One signs without a network, and another one what gets a time stamp: nobody else waits for the stamper. They
are started at the first need, and go away when nobody needs them for a while. If one dies in the middle of a
request, the next one gets that request once more.
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
from proxy.errors import DecoderBusy
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
from proxy.provenance.signing_lane import MOST_WAITING, SigningLane
from proxy.telemetry.metrics import ManifestMetrics

WITHIN_S = 10.0
"""From the turn to the answer, without the time stamp. A process takes half a second to start."""
STAMP_WITHIN_S = 1.5
STAMP_REST_S = 60.0
"""A stamper that did not answer is left alone so long: nobody else waits for it."""

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
        self._plain = SigningLane(has_network=False)
        self._stamped = SigningLane(has_network=True)
        self._waiting = 0
        self._section = MarkingSection()
        self._data = Path()
        self._certificate: SigningCertificate | None = None
        self._under_way: set[asyncio.Task[Signed]] = set()
        self._stamper_rests_until = 0.0
        self._logged: set[str] = set()

    def __repr__(self) -> str:
        return f"<Signer, {self._waiting} under way>"

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

    def prepare(self, *, has_stamp: bool = True) -> None:
        """Start the process beside a speech whose file will need it, if there is none."""
        self._lane(has_stamp).prepare()

    async def sign_digest(self, facts: ManifestFacts, digest: bytes) -> Signed:
        """Sign a manifest for any file with this SHA-256. Raises SignerUnavailable."""
        return await self._sign(SignRequest(definition=definition(facts), digest=digest))

    async def embed(
        self,
        facts: ManifestFacts,
        file: SoundFile,
        parent: SoundFile | None = None,
        *,
        account: str = "",
        has_stamp: bool = True,
    ) -> Signed:
        """Return the file with a manifest in it, when it is the account's turn. Raises SignerUnavailable.

        `parent` is the provider's own file, whose manifest this one then has in it. Without `has_stamp`, no
        time stamp is asked for: its server is slower than what nobody asked for may be.
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
            return await self._sign(request, account, has_stamp=has_stamp)
        except SignerUnavailable:
            if parent is None:
                raise
            # Its manifest may be broken: then it cannot be kept.
            _log.warning("manifest.parent.failed")
            return await self.embed(facts, file, account=account, has_stamp=has_stamp)

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

    async def _sign(
        self, request: SignRequest, account: str | None = None, *, has_stamp: bool = True
    ) -> Signed:
        """Sign in a task of its own. If its caller goes, the process can still be asked by others."""
        task = asyncio.create_task(self._sign_in_turn(request, account, has_stamp))
        self._under_way.add(task)
        task.add_done_callback(self._note_end)
        return await asyncio.shield(task)

    def _note_end(self, task: asyncio.Task[Signed]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller has it, if there still is one

    async def _sign_in_turn(self, request: SignRequest, account: str | None, has_stamp: bool) -> Signed:
        if self._waiting >= MOST_WAITING:
            self._metrics.signed("failed")
            raise SignerUnavailable
        self._waiting += 1
        lane = self._lane(has_stamp)
        turn = lane.turn(account, len(request.body) + len(request.parent))
        try:
            async with asyncio.timeout(2 * self.within_s + self._stamp_within_s), turn:
                # The stamper may have failed those before this one.
                keyed = await self._keyed(request, has_stamp and lane is self._stamped and self.stamps)
                answer = await lane.ask(keyed, self.within_s + keyed.timestamp_s)
                if keyed.timestamp_url and isinstance(answer, Signed) and not answer.is_stamped:
                    self._stamper_rests_until = time.monotonic() + STAMP_REST_S
        except DecoderBusy:
            self._metrics.signed("failed")
            raise SignerUnavailable from None
        except (OSError, UnusableCertificate) as error:
            answer = Unsigned(_reason(error))
        finally:
            self._waiting -= 1
        if isinstance(answer, Unsigned):
            self._metrics.signed("failed")
            if self._is_news(answer.reason):
                _log.error("manifest.sign.failed", reason=answer.reason)
            raise SignerUnavailable
        self._note(answer, has_stamp=has_stamp and bool(self._section.timestamp_url))
        return answer

    async def _keyed(self, request: SignRequest, has_stamp: bool) -> SignRequest:
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
