"""A recording in windows that overlap: each is a stretch of it, with some sound before and after.

Every window has one of a few lengths, so a model can take windows of many recordings side by side without
padding, and each sounds as it would alone. Where the recording begins and ends, a window goes on with its
mirror image; a short last window has more of the sound before it instead.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

_SAMPLE_BYTES = 2


class WindowSizes(NamedTuple):
    """In samples, all multiples of `grid`. The first windows have the lengths `first`, all others `usual`:
    the sooner one is whole, the sooner something is heard. Beside each, the model hears the `context`. The
    last window has the least of these lengths in which it has room, or one of `last`.
    """

    first: tuple[int, ...]
    usual: int
    context: int
    grid: int
    last: tuple[int, ...] = ()

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(sorted({each + 2 * self.context for each in (*self.first, *self.last, self.usual)}))

    def of(self, number: int) -> int:
        return self.first[number] if number < len(self.first) else self.usual

    def expected(self, samples: int) -> list[int]:
        """Return the expected lengths, with context, of the windows of so many samples."""
        found: list[int] = []
        while samples > 0:
            size = self.of(len(found))
            found.append(size + 2 * self.context)
            samples -= size
        return found


class SoundWindow(NamedTuple):
    """One stretch. Its PCM begins at the sample `begin` of the recording, which may be before its first one.
    The part from `start` to `end` is heard."""

    number: int
    pcm: bytes
    begin: int
    start: int
    end: int
    is_last: bool

    def __repr__(self) -> str:
        return f"<SoundWindow {self.number} from {self.start} to {self.end}>"


class WindowCutter:
    """Cuts one recording, 16-bit mono, while it comes. `_rest` has its samples from `_rest_from` on."""

    def __init__(self, sizes: WindowSizes) -> None:
        self._sizes = sizes
        self._rest = array("h")
        self._rest_from = 0
        self._half = b""
        self._number = 0
        self._start = 0

    def __repr__(self) -> str:
        return f"<WindowCutter after {self._number} windows, at sample {self._start}>"

    @property
    def samples(self) -> int:
        return self._rest_from + len(self._rest)

    def feed(self, pcm: bytes) -> list[SoundWindow]:
        """Return the windows that are whole now. None of them is the last one."""
        pcm = self._half + pcm
        whole = len(pcm) - len(pcm) % _SAMPLE_BYTES
        self._half = pcm[whole:]
        self._rest.frombytes(pcm[:whole])
        found = []
        while self.samples >= self._start + (size := self._sizes.of(self._number)) + self._sizes.context:
            found.append(self._window(size, size + 2 * self._sizes.context, is_last=False))
        return found

    def finish(self) -> list[SoundWindow]:
        """Return the rest of the recording: nothing if it was empty, else one window or two."""
        found = []
        sizes = self._sizes
        if self.samples - self._start + 2 * sizes.context > sizes.lengths[-1]:
            # Two of about one length: a very short one would add a needless seam.
            half = (self.samples - self._start) // 2
            found.append(self._window(half - half % sizes.grid, sizes.lengths[-1], is_last=False))
        if (left := self.samples - self._start) > 0:
            needed = left + 2 * sizes.context
            length = next(each for each in sizes.lengths if each >= needed)
            found.append(self._window(left, length, is_last=True))
        return found

    def _window(self, size: int, length: int, *, is_last: bool) -> SoundWindow:
        """Take the next stretch: `length` samples in all, with at least the context on each side."""
        sizes, start, end = self._sizes, self._start, self._start + size
        # The room that a shorter stretch leaves free is for more sound before it.
        spare = length - size - 2 * sizes.context
        begin = max(-sizes.context, start - sizes.context - (spare - spare % sizes.grid))
        window = SoundWindow(self._number, self._mirrored(begin, length), begin, start, end, is_last)
        self._number, self._start = self._number + 1, end
        self._forget(end + sizes.context - sizes.lengths[-1] - sizes.grid)
        return window

    def _mirrored(self, begin: int, length: int) -> bytes:
        """Return samples of the recording; before its beginning and after its end, of its mirror image."""
        count, end = self.samples, begin + length
        inner = self._rest[max(0, begin - self._rest_from) : max(0, end - self._rest_from)]
        before = array("h", map(self._image, range(begin, min(0, end))))
        after = array("h", map(self._image, range(max(begin, count), end)))
        return (before + inner + after).tobytes()

    def _image(self, at: int) -> int:
        count = self.samples
        if count == 1:
            return self._rest[0]
        at %= 2 * (count - 1)
        return self._rest[min(at, 2 * (count - 1) - at) - self._rest_from]

    def _forget(self, before: int) -> None:
        if before > self._rest_from:
            del self._rest[: before - self._rest_from]
            self._rest_from = before
