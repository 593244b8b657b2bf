// The clip that was spoken last: its sound as a wave, its words as they are heard, and what else is to be told.

const BARS = 120;
// A wave is seen as well from every fourth sample.
const EACH = 4;
const wave = at("wave");
for (let bar = 0; bar < BARS; bar += 1) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x: bar * 6, y: 35, width: 3.5, height: 2, rx: 1.75 })) made.setAttribute(name, value);
  wave.append(made);
}

class Clip {
  constructor(body, voice, player) {
    this.body = body;
    this.voice = voice;
    this.player = player;
    this.words = [];
    this.letters = [...body.input];
    this.drawn = 0;
    this.isWhole = false;
    this.spans = [];
    this.now = null;
  }

  get position() {
    return this.isWhole ? at("audio").currentTime : this.player.position;
  }

  add(words) {
    this.words.push(...words);
    const parts = [];
    let end = 0;
    this.spans = this.words.map((word) => {
      const span = element("span", this.letters.slice(word.source_start, word.source_end).join(""));
      parts.push(this.letters.slice(end, word.source_start).join(""), span);
      end = word.source_end;
      return span;
    });
    at("words").replaceChildren(...parts, this.letters.slice(end).join(""));
    at("words").hidden = !this.words.length;
    at("guessed").hidden = !this.words.some(({ interpolated }) => interpolated);
    this.now = null;
  }

  // The loudest sample of each bar's part of the sound that is there.
  draw() {
    const { samples, parts } = this.player;
    if (samples === this.drawn) return;
    this.drawn = samples;
    const peaks = new Float32Array(BARS);
    let before = 0;
    for (const part of parts) {
      const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
      const length = part.length / 2;
      for (let i = 0; i < length; i += EACH) {
        const bar = Math.floor(((before + i) / samples) * BARS);
        peaks[bar] = Math.max(peaks[bar], Math.abs(view.getInt16(i * 2, true)) / 32768);
      }
      before += length;
    }
    const most = Math.max(0.05, ...peaks);
    [...wave.children].forEach((rect, bar) => {
      const height = 2 + 68 * (peaks[bar] / most);
      rect.setAttribute("y", 36 - height / 2);
      rect.setAttribute("height", height);
    });
  }

  show() {
    this.draw();
    const { seconds } = this.player;
    const position = Math.min(this.position, seconds);
    at("seek").max = seconds;
    at("seek").value = position;
    at("seek").setAttribute("aria-valuetext", `${position.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
    at("clock").textContent = `${position.toFixed(1)} / ${seconds.toFixed(1)} s`;
    [...wave.children].forEach((rect, bar) => rect.classList.toggle("on", bar / BARS < position / seconds && position > 0));
    this.point(position);
  }

  point(position) {
    const isOver = this.isWhole && at("audio").paused && (at("audio").ended || position === 0);
    const number = isOver ? -1 : this.words.findLastIndex(({ start_seconds: start }) => start <= position);
    const now = this.spans[number] ?? null;
    if (now === this.now) return;
    this.now?.classList.remove("now");
    now?.classList.add("now");
    this.now = now;
    if (!now) return;
    const [box, line] = [at("words").getBoundingClientRect(), now.getBoundingClientRect()];
    if (line.bottom > box.bottom || line.top < box.top) at("words").scrollTop += line.top - box.top - 8;
  }
}

let clip = null;

function openClip(made, headers) {
  clip = made;
  at("audio").pause();
  URL.revokeObjectURL(at("audio").src);
  at("audio").removeAttribute("src");
  at("heard").hidden = false;
  at("heard-title").textContent = made.voice?.name ?? made.body.voice;
  at("play").disabled = at("seek").disabled = at("save").disabled = true;
  made.add([]);
  at("marked").hidden = !headers.get("x-voxgate-mark");
  at("plainly").textContent = plainWords(made, headers);
  at("plainly").hidden = !at("plainly").textContent;
  at("by").textContent = "";
  follow(made);
}

function dropClip() {
  clip = null;
  at("heard").hidden = true;
}

// Once a frame, while something moves.
function follow(mine) {
  if (clip !== mine) return;
  mine.show();
  if (!mine.isWhole || !at("audio").paused) requestAnimationFrame(() => follow(mine));
}

function closeClip(mine, headers, first) {
  mine.isWhole = true;
  at("audio").src = URL.createObjectURL(wav(mine.player.parts, RATE));
  at("play").disabled = at("seek").disabled = at("save").disabled = false;
  const substitute = headers.get("x-voxgate-substitute");
  const [engine, tag] = ["engine", "language"].map((name) => headers.get(`x-voxgate-${name}`));
  at("heard-title").textContent = `${mine.voice?.name ?? mine.body.voice}, ${mine.player.seconds.toFixed(1)} s`;
  at("by").textContent = `Spoken by ${engine} in ${languageName(tag)}${substitute ? `, with its voice ${substitute}` : ""}. The first sound came after ${first} ms.`;
  mine.show();
}

function isRulesModel(name) {
  return models.some(({ id, is_trained }) => id === name && is_trained === false);
}

// Nobody has to know the names of engines to hear that a voice is not a natural one, and why.
function plainWords({ voice }, headers) {
  const speakers = headers.get("x-voxgate-engine").split(", ");
  const tag = headers.get("x-voxgate-language");
  // Who chose it by name knows.
  if (!speakers.every(isRulesModel) || isByRules((voice?.id ?? "").split("/")[0])) return "";
  const natural = voices.filter((each) => rankOf(each) === 2 && each.engines.length);
  if (natural.some(({ language }) => !language || baseOf(language) === baseOf(tag))) return "";
  const help = natural.length ? "" : " The operator of this server can add natural voices with: voxgate voices natural";
  return `No natural voice of this server speaks ${languageName(tag)}, so ${speakers[0].split("/")[0]} did: it speaks by rules, and sounds like it.${help}`;
}

function setPlaying(is) {
  at("play").replaceChildren(icon(is ? "pause" : "play"));
  at("play").setAttribute("aria-label", is ? "Pause" : "Play");
}

at("play").addEventListener("click", () => {
  if (!at("audio").paused) return at("audio").pause();
  hush();
  at("audio").play();
});
at("audio").addEventListener("play", () => {
  setPlaying(true);
  follow(clip);
});
for (const kind of ["pause", "ended"]) {
  at("audio").addEventListener(kind, () => {
    setPlaying(false);
    clip?.show();
  });
}
at("seek").addEventListener("input", () => {
  at("audio").currentTime = Number(at("seek").value);
  clip.show();
});
at("audio").addEventListener("seeked", () => clip?.show());
