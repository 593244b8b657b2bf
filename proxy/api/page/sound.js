// Sound: a WAV file made of samples, and a player of samples that still come.

const RATE = 24000;
const LEAD_S = 0.08;

function wav(parts, rate) {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const text = (offset, letters) => [...letters].forEach((letter, i) => head.setUint8(offset + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, ...parts], { type: "audio/wav" });
}

// Plays PCM as it comes. MediaSource would be shorter, but Firefox takes none of our formats there, and an audio
// element would hide the first second behind its own buffer. The whole goes to that element once it is heard.
class Player {
  constructor() {
    this.context = new AudioContext({ sampleRate: RATE });
    this.until = 0;
    this.last = null;
    this.half = new Uint8Array();
    this.parts = [];
  }

  play(bytes) {
    const whole = new Uint8Array(this.half.length + bytes.length);
    whole.set(this.half);
    whole.set(bytes, this.half.length);
    const samples = whole.length >> 1;
    this.half = whole.slice(samples * 2);
    if (!samples) return;
    this.parts.push(whole.slice(0, samples * 2));
    const view = new DataView(whole.buffer);
    const buffer = this.context.createBuffer(1, samples, RATE);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < samples; i += 1) channel[i] = view.getInt16(i * 2, true) / 32768;
    this.last = this.context.createBufferSource();
    this.last.buffer = buffer;
    this.last.connect(this.context.destination);
    this.until = Math.max(this.until, this.context.currentTime + LEAD_S);
    this.last.start(this.until);
    this.until += buffer.duration;
  }

  get samples() {
    return this.parts.reduce((sum, part) => sum + part.length, 0) / 2;
  }

  get seconds() {
    return this.samples / RATE;
  }

  // What is heard now. A gap, in which the server is late, moves the end and not the place.
  get position() {
    return Math.max(0, this.seconds - Math.max(0, this.until - this.context.currentTime));
  }

  // A closed context ends nothing, so a stop has to be told.
  heard(stopped) {
    if (!this.last || this.until <= this.context.currentTime) return Promise.resolve();
    return new Promise((resolve) => {
      this.last.addEventListener("ended", resolve);
      stopped.addEventListener("abort", resolve);
    });
  }

  async close() {
    if (this.context.state !== "closed") await this.context.close();
  }
}
