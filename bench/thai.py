"""The Thai front-end: how long it reads, and how long it keeps an event loop waiting: `python -m bench.thai`.

A ticker on the loop asks to be woken every millisecond while threads read; its latest wake-up is the stall.
Without work it is late as well: that row is the machine's own part.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psutil

from plugins.pythainlp.plugin import ThaiFrontEnd

ROUNDS = 5
CHARACTERS = 4096
TICK_S = 0.001

_NEWS = (
    "เมื่อวันที่ 14 พ.ย. 2569 เวลา 9.30 น. ดร.สมชาย ใจดี แถลงว่ามีผู้เข้าร่วมงานกว่า 25,000 คน เพิ่มขึ้น 12.5% จากปีก่อน "
    "โดยเด็ก ๆ สนใจหุ่นยนต์และระบบ AI มากที่สุด บัตรราคา 150-300 บาท สอบถามได้ที่ โทร. 02-123-4567 หรือ www.example.com "
)
_STORY = (
    "เมื่อวานนี้ฉันกับน้องสาวไปเดินเล่นที่สวนสาธารณะใกล้บ้านตั้งแต่เช้าเราเห็นนกหลายชนิดกำลังบินไปมา"
    "แล้วจึงแวะซื้อข้าวเหนียวมะม่วงกลับมาฝากคุณแม่ซึ่งกำลังรดน้ำต้นไม้อยู่หน้าบ้าน"
)
_TEXTS = {"news": _NEWS, "no blanks": _STORY, "numbers": "1 ", "one letter": "ก", "point by point": "ก."}
_ROW = "{:24} {:>10} {:>12} {:>12} {:>12}"


class Measured(NamedTuple):
    each_ms: float
    stall_ms: float
    p99_ms: float


def text_of(piece: str) -> str:
    return (piece * (CHARACTERS // len(piece) + 1))[:CHARACTERS]


async def measure(front_end: ThaiFrontEnd, text: str, threads: ThreadPoolExecutor, at_once: int) -> Measured:
    """At once so many times the text, and a ticker beside them."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            late.append((time.perf_counter() - due) * 1000)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    late.clear()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    if at_once:
        work = [loop.run_in_executor(threads, front_end.prepare, text, "th", {}) for _ in range(at_once)]
        await asyncio.gather(*work)
    else:
        await asyncio.sleep(0.1)
    took = (time.perf_counter() - began) * 1000
    ticker.cancel()
    late.sort()
    return Measured(took / max(at_once, 1), late[-1], late[int(len(late) * 0.99)])


async def main() -> None:
    front_end = ThaiFrontEnd()
    process = psutil.Process()
    before, began = process.memory_info().rss, time.perf_counter()
    front_end.warm()
    took, grown = time.perf_counter() - began, process.memory_info().rss - before
    began = time.perf_counter()
    gc.collect()
    collected = time.perf_counter() - began
    gc.freeze()  # as a worker does, once it has loaded all that it needs
    print(f"{CHARACTERS} characters; the median of {ROUNDS} rounds, the worst stall")
    print(f"warm {took * 1000:.0f} ms, +{grown >> 20} MiB; a full collection then {collected * 1000:.0f} ms")
    print(_ROW.format("text", "at once", "ms each", "stall ms", "p99 late ms"))
    with ThreadPoolExecutor(8) as threads:
        for name, piece in _TEXTS.items():
            for at_once in (0, 1, 4, 8) if name == "news" else (1, 8):
                rounds = [await measure(front_end, text_of(piece), threads, at_once) for _ in range(ROUNDS)]
                print(
                    _ROW.format(
                        name if at_once else "(nothing)",
                        at_once,
                        f"{statistics.median(one.each_ms for one in rounds):.1f}",
                        f"{max(one.stall_ms for one in rounds):.1f}",
                        f"{statistics.median(one.p99_ms for one in rounds):.1f}",
                    )
                )


if __name__ == "__main__":
    asyncio.run(main())
