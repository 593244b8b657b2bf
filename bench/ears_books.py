"""Books for `bench.ears`: `python -m bench.ears_books URL KEY FOLDER [MODEL [SENTENCES]]`.

Chapters with headings, prose and dialogues are read by the voices of hibari and Kokoro, and written down by
the model. A sentence is lost if fewer than half of its words are heard where it was read. Then clips are
joined with pauses, so that their beginnings are known, and those of the subtitles are compared with them.
Chapters and pauses are chosen by chance, always the same. The folder keeps the sounds, so that two runs hear
the same ones.
"""

from __future__ import annotations

import io
import random
import sys
import wave
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np

from proxy.audio.formats import wav_header
from speech_engine.text.said import words_of
from tests.heard.judge import edits

VOICES = ("hibari/heart", "kokoro/bm_fable", "hibari/heart", "kokoro/af_nova")
RATE_HZ, PAUSES_S, BEFORE_S, LEVEL = 24_000, (0.5, 0.7, 0.9, 1.2, 1.6, 2.2, 3.0, 4.0), 0.05, 0.02
_SHORT = 12
_LOST = 0.5

_TITLES = (
    *("The Cellar", "A Letter from Leeds", "Low Water", "The Third Step", "What the Miller Saw", "Snow"),
    *("An Uninvited Guest", "The Long Way Home", "Two Lamps", "Nobody at the Gate"),
)
_NUMBERS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
_PROSE = """The lamp on the landing had gone out again.
He counted the steps under his breath and held the rail with both hands.
It was colder than he had expected, and the air smelled of wet stone.
Somewhere below them a door closed, slowly, as if somebody were taking care.
For a while neither of them spoke.
She lit a second match and watched it burn down to her fingers.
The river had risen in the night and taken the lower fence with it.
By noon the whole street knew that the letter had come.
There was a table, a chair, and a bed without a mattress.
A dog barked twice on the other side of the yard and then was quiet.
Nothing in the room had been moved since the autumn.
His grandfather had built the mill with his own hands, or so the story went.
They walked on without a word until the church tower came into sight.
The rain stopped as suddenly as it had begun.
It took him most of the morning to find the key.
Mrs. Harding put the kettle on and pretended not to listen.
No light was burning in any of the windows.
The boat lay where they had left it, half full of leaves.
On the second shelf stood a row of empty bottles.
He turned the page, and a pressed flower fell out of the book.
Three of the lamps were broken, and the fourth had no oil.
The snow had covered their tracks before they reached the wood.
She thought of the winter in which her brother had gone away.
All through supper the clock on the wall seemed too loud.
The path went up between two walls and ended at a gate.
Nobody had told the children that the house was to be sold.
He did not mind the third step.
He did not mind the cold, and he did not mind the dark.
A wind came up from the sea and shook the shutters.
The stranger wrote his name in the book and asked for the smallest room.""".splitlines()
_SAID = """"Mind the third step," she said.
"Who is there?" he asked.
"Nobody," said the boy.
"You are late," said the old woman.
"I know," he said. "The bridge was closed."
"Give me the lamp," she said, "and stay behind me."
"Did you hear that?" whispered Anna.
"It was only the wind," said Peter.
"Then why is the door open?"
"Because I opened it."
"No," she said. "Not tonight."
"Come in, come in!" cried the miller.
"We cannot stay here," said Thomas.
"Where would you go?"
"Home," he said.
"Wait for me at the gate," said the captain.
"Yes, of course," she answered.
"Look at this," he said, and held up the letter.
"I have never seen it before," said Mrs. Harding.
"How many of them are there?"
"Three," said Anna, "or perhaps four."
"Good night," he said.
"Good night, sir."
"Is that all?" asked the stranger.""".splitlines()


class Chapter(NamedTuple):
    voice: str
    text: str
    sentences: tuple[str, ...]

    @property
    def file(self) -> str:
        return f"{self.voice.replace('/', '-')}-{random.Random(self.text).getrandbits(32):08x}.wav"


def main() -> None:
    url, key, folder, *more = sys.argv[1:]
    model, count = [*more, *("whisper-1", "1000")[len(more) :]]
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=600.0) as client:
        sounds = Path(folder)
        sounds.mkdir(exist_ok=True)
        print("|voice|sentences lost|of|words wrong|of|\n|-|-|-|-|-|", flush=True)
        book = chapters(int(count))
        for voice in dict.fromkeys(VOICES):
            sums = [0, 0, 0, 0]
            for chapter in [each for each in book if each.voice == voice]:
                heard = written(client, model, spoken(client, chapter, sounds))["text"]
                missed = lost(chapter.sentences, heard)
                print(
                    *[f"lost: {chapter.file}: {sentence}\n" for sentence in missed],
                    sep="",
                    end="",
                    flush=True,
                )
                counts = len(missed), len(chapter.sentences), *wrong_words(chapter.sentences, heard)
                sums = [total + each for total, each in zip(sums, counts, strict=True)]
            print(f"|{voice}|{'|'.join(map(str, sums))}|", flush=True)
        print("|voice|beginnings|p50, ms|p90|most|above 400|\n|-|-|-|-|-|-|", flush=True)
        for voice in ("hibari/heart", "kokoro/bm_fable"):
            late_ms = np.abs([*starts_late_ms(client, model, voice, sounds)])
            p50, p90, most = np.percentile(late_ms, [50, 90, 100])
            print(
                f"|{voice}|{len(late_ms)}|{p50:.0f}|{p90:.0f}|{most:.0f}|{(late_ms > 400).sum()}|", flush=True
            )


def starts_late_ms(client: httpx2.Client, model: str, voice: str, folder: Path) -> Iterator[float]:
    """Yield how late the subtitles and words of joined clips begin, where a clip begins with them."""
    chance = random.Random(voice)
    lines = [*_PROSE, *_SAID]
    for _ in range(2):
        chance.shuffle(lines)
        sound, begins_s = bytearray(), list[float]()
        for line in lines[:30]:
            clip = read_wav(spoken(client, Chapter(voice, line, (line,)), folder))
            first = int(np.argmax(np.abs(clip) > LEVEL * np.abs(clip).max()))
            begin = max(0, first - round(BEFORE_S * RATE_HZ))
            sound += bytes(2 * round(chance.choice(PAUSES_S) * RATE_HZ))
            begins_s.append((len(sound) // 2 + first - begin) / RATE_HZ)
            sound += clip[begin:].tobytes()
        file = wav_header(len(sound) // 2, RATE_HZ) + bytes(sound)
        for times in ("segment", "word"):
            found = written(
                client, model, file, response_format="verbose_json", **{"timestamp_granularities[]": times}
            )
            starts = [(each.get("word") or each["text"], each["start"]) for each in found[f"{times}s"]]
            yield from (1000 * late_s for late_s in _late_s(lines[:30], begins_s, starts))


def _late_s(
    lines: Sequence[str], begins_s: Sequence[float], starts: Sequence[tuple[str, float]]
) -> Iterator[float]:
    wanted = [
        (token, not place, at_s)
        for line, at_s in zip(lines, begins_s, strict=True)
        for place, token in enumerate(words_of(line).tokens)
    ]
    found = [
        (token, not place, at_s) for text, at_s in starts for place, token in enumerate(words_of(text).tokens)
    ]
    blocks = SequenceMatcher(None, [each[0] for each in wanted], [each[0] for each in found], autojunk=False)
    for block in blocks.get_matching_blocks():
        for place in range(block.size):
            (_, begins_line, at_s), (_, begins_text, start_s) = (
                wanted[block.a + place],
                found[block.b + place],
            )
            if begins_line and begins_text:
                yield start_s - at_s


def read_wav(data: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == RATE_HZ
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def written(client: httpx2.Client, model: str, sound: bytes, **fields: str) -> dict[str, Any]:
    """Return what the model writes down of a sound."""
    data = {"model": model, "language": "en", **fields}
    answer = client.post("/v1/audio/transcriptions", data=data, files={"file": ("a.wav", sound)})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def chapters(least_sentences: int) -> list[Chapter]:
    """Return chapters of so many sentences together, or a few more. Each reads a heading first."""
    chance, made, count = random.Random(79), list[Chapter](), 0
    while count < least_sentences:
        title, number = chance.choice(_TITLES), _NUMBERS[len(made) % len(_NUMBERS)]
        paragraphs = [[f"Chapter {number}."], [f"{title}."]]
        while sum(map(len, paragraphs)) < 2 + 2 * _SHORT:
            paragraphs.append(chance.sample(_PROSE, chance.randint(1, 4)))
            paragraphs += [[line] for line in chance.sample(_SAID, chance.randint(1, 4))]
        text = "\n\n".join(" ".join(lines) for lines in paragraphs)
        sentences = tuple(line for lines in paragraphs for line in lines)
        made.append(Chapter(VOICES[len(made) % len(VOICES)], text, sentences))
        count += len(sentences)
    return made


def spoken(client: httpx2.Client, chapter: Chapter, folder: Path) -> bytes:
    """Return the sound of a chapter, from the folder if it is there."""
    file = folder / chapter.file
    if not file.exists():
        engine, _, voice = chapter.voice.partition("/")
        body = {"model": f"{engine}/standard", "voice": voice, "language": "en", "input": chapter.text}
        answer = client.post("/v1/audio/speech", json={**body, "response_format": "wav"})
        file.write_bytes(answer.raise_for_status().content)
    return file.read_bytes()


def lost(sentences: Sequence[str], heard: str) -> list[str]:
    """Return the sentences that were not heard."""
    found, owner = words_of(heard).tokens, list[int]()
    wanted: list[str] = []
    for number, sentence in enumerate(sentences):
        tokens = words_of(sentence).tokens
        wanted += tokens
        owner += [number] * len(tokens)
    hits = [0] * len(sentences)
    for block in SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks():
        for place in range(block.a, block.a + block.size):
            hits[owner[place]] += 1
    return [text for number, text in enumerate(sentences) if hits[number] < _LOST * owner.count(number)]


def wrong_words(sentences: Sequence[str], heard: str) -> tuple[int, int]:
    """Return how many words are wrong, and how many there are."""
    wanted = words_of(" ".join(sentences)).tokens
    return edits(wanted, words_of(heard).tokens), len(wanted)


if __name__ == "__main__":
    main()
