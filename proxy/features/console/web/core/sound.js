// Sound as samples: a WAV file made of them, their loudness for a picture, and pieces that are played as they come.

export const RATE = 24000;
// The first piece is heard soon. After a gap the server is late, and a longer lead saves further gaps.
const LEAD_S = 0.02;
const LEAD_AFTER_GAP_S = 0.08;
// A wave is seen as well from every fourth sample.
const EACH = 4;

// One channel of 16 bits.
export function wavOf(parts, rate = RATE) {
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (offset, letters) => [...letters].forEach((letter, i) => head.setUint8(offset + i, letter.charCodeAt(0)));
  const half = (offset, value) => head.setUint16(offset, value, true);
  const whole = (offset, value) => head.setUint32(offset, value, true);
  text(0, "RIFF");
  whole(4, 36 + bytes);
  text(8, "WAVEfmt ");
  whole(16, 16);
  half(20, 1);
  half(22, 1);
  whole(24, rate);
  whole(28, rate * 2);
  half(32, 2);
  half(34, 16);
  text(36, "data");
  whole(40, bytes);
  return new Blob([head, ...parts], { type: "audio/wav" });
}

// The samples of a sound as one channel, or null if the browser cannot read it.
export async function samplesOf(blob, rate = RATE) {
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
  } catch {
    return null;
  }
  const mixed = new Float32Array(buffer.length);
  for (let number = 0; number < buffer.numberOfChannels; number += 1) {
    const channel = buffer.getChannelData(number);
    for (let i = 0; i < channel.length; i += 1) mixed[i] += channel[i] / buffer.numberOfChannels;
  }
  return mixed;
}

// The seconds of a sound that the browser can read, else 0.
export function lengthOf(file) {
  const url = URL.createObjectURL(file);
  return new Promise((resolve) => {
    const audio = new Audio();
    audio.addEventListener("loadedmetadata", () => resolve(Number.isFinite(audio.duration) ? audio.duration : 0));
    audio.addEventListener("error", () => resolve(0));
    audio.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}

// The loudest sample of each of `bars` parts of the sound, 0 to 1. Parts are Int16Array or Float32Array.
export function peaksOf(parts, bars) {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const peaks = new Array(bars).fill(0);
  let before = 0;
  for (const part of parts) {
    const full = part instanceof Int16Array ? 32768 : 1;
    for (let i = 0; i < part.length; i += EACH) {
      const bar = Math.floor(((before + i) / total) * bars);
      peaks[bar] = Math.max(peaks[bar], Math.abs(part[i]) / full);
    }
    before += part.length;
  }
  return peaks;
}

// Plays PCM as it comes. MediaSource would be shorter, but Firefox takes none of our formats there, and an audio
// element would hide the first second behind its own buffer.
export class LiveSound {
  constructor() {
    this.context = new AudioContext({ sampleRate: RATE });
    Object.assign(this, { until: 0, last: null, half: new Uint8Array(), parts: [], samples: 0, drawn: { samples: 0, peaks: [] } });
  }

  play(bytes) {
    const whole = new Uint8Array(this.half.length + bytes.length);
    whole.set(this.half);
    whole.set(bytes, this.half.length);
    const count = whole.length >> 1;
    this.half = whole.slice(count * 2);
    if (!count) return;
    const view = new DataView(whole.buffer);
    const part = Int16Array.from({ length: count }, (_, i) => view.getInt16(i * 2, true));
    this.parts.push(part);
    this.samples += count;
    const buffer = this.context.createBuffer(1, count, RATE);
    buffer.copyToChannel(Float32Array.from(part, (sample) => sample / 32768), 0);
    const lead = this.last ? LEAD_AFTER_GAP_S : LEAD_S;
    this.last = this.context.createBufferSource();
    this.last.buffer = buffer;
    this.last.connect(this.context.destination);
    // What comes in time joins what is heard without a gap.
    if (this.until <= this.context.currentTime) this.until = this.context.currentTime + lead;
    this.last.start(this.until);
    this.until += buffer.duration;
  }

  get seconds() {
    return this.samples / RATE;
  }

  // What is heard now. A gap, in which the server is late, moves the end and not the place.
  get position() {
    return Math.max(0, this.seconds - Math.max(0, this.until - this.context.currentTime));
  }

  peaks(bars) {
    if (this.drawn.samples !== this.samples) this.drawn = { samples: this.samples, peaks: peaksOf(this.parts, bars) };
    return this.drawn.peaks;
  }

  // A closed context ends nothing, so a stop has to be told.
  heard(stopped) {
    if (!this.last || this.until <= this.context.currentTime || stopped.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.last.addEventListener("ended", resolve);
      stopped.addEventListener("abort", resolve);
    });
  }

  close() {
    if (this.context.state !== "closed") this.context.close();
  }
}
