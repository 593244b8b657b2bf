// A recorder: the microphone or a file, and what is known of the recording before it is sent.
//
//   this.sample = new Recorder(this, "new", "audio_sample", { best: { least: 6, most: 30 }, taken: (blob) => this.update() });
//   html`${this.sample.view(t("voices.recording"), t("voices.recording_hint"))}`
//
// `take` is the recording as a blob, or null. A failure of the form "new" whose `param` is "audio_sample" is told
// in it. It gives the microphone back by itself when its page is left; `clear()` does so at once, and forgets.

import { html, nothing } from "./lit.js";
import { icon } from "./page.js";
import { player } from "./player.js";
import { lengthOf, samplesOf, wavOf } from "./sound.js";
import { duration, number, t } from "./texts.js";

export const SOUND_FILES = "audio/*,video/webm,.webm,.m4a,.ogg,.opus,.flac";
export const MOST_BYTES = 10 * 1024 * 1024;
const MIB = 1024 * 1024;
const RATE = 48000;
const LONGEST_S = 60;
// Of a recording that is written down.
const LONG = { most: 25, seconds: 300 };
const LEAST_S = 3;
// A recorder loses a moment at both ends.
const LOST_S = 0.3;
const BITS_A_SECOND = 128000;
const FLOOR_DB = -60;
const SILENT_DB = -55;
const QUIET_DB = -30;
const LOUD_DB = -1;
const CLIPPED_SHARE = 0.001;
const FULL = 0.985;
let recording = null;

function decibels(level) {
  return 20 * Math.log10(Math.max(level, 1e-6));
}

// What its speaker can do better, in sentences. How good the speech in it is, only the server knows.
function faultsOf(samples, best) {
  let peak = 0;
  let clipped = 0;
  for (const sample of samples) {
    const level = Math.abs(sample);
    if (level > peak) peak = level;
    if (level >= FULL) clipped += 1;
  }
  const seconds = samples.length / RATE;
  const faults = [];
  if (decibels(peak) < SILENT_DB) faults.push(t("recorder.silent"));
  else if (decibels(peak) < QUIET_DB) faults.push(t("recorder.too_quiet"));
  if (clipped > CLIPPED_SHARE * samples.length) faults.push(t("recorder.distorted"));
  if (seconds < LEAST_S) faults.push(t("recorder.too_short", { least: LEAST_S }));
  else if (best && seconds < best.least - LOST_S) faults.push(t("recorder.short", best));
  else if (best && seconds > best.most) faults.push(t("recorder.long", best));
  return faults;
}

function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}

// Echo cancelling and the like are for calls: they take from a voice what makes it that voice.
async function openMicrophone() {
  if (!navigator.mediaDevices) throw new Error(t("recorder.https"));
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch ({ name }) {
    throw new Error(name === "NotAllowedError" ? t("recorder.refused") : t("recorder.busy"));
  }
}

// The stream of the microphone while it is recorded. It is over when `stop` is called, when it is too long, or
// when the device is gone.
class Listening {
  constructor(stream, show, most) {
    this.stream = stream;
    this.show = show;
    this.chunks = [];
    this.recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_A_SECOND });
    this.recorder.addEventListener("dataavailable", ({ data }) => this.chunks.push(data));
    this.over = new Promise((resolve) => {
      for (const end of ["stop", "error"]) this.recorder.addEventListener(end, resolve);
    });
    this.recorder.start();
    this.context = new AudioContext();
    // A browser may hold it back when the question for the microphone took long.
    this.context.resume();
    this.analyser = new AnalyserNode(this.context);
    this.context.createMediaStreamSource(stream).connect(this.analyser);
    this.began = performance.now();
    this.limit = setTimeout(() => this.stop(), most * 1000);
    this.look();
  }

  look() {
    const window = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(window);
    const peak = window.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.show((performance.now() - this.began) / 1000, decibels(peak));
    this.frame = requestAnimationFrame(() => this.look());
  }

  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }

  // The browser shows that it listens until the last track is stopped.
  async recorded() {
    await this.over;
    cancelAnimationFrame(this.frame);
    clearTimeout(this.limit);
    release(this.stream);
    this.context.close();
    return new Blob(this.chunks, { type: this.recorder.mimeType });
  }
}

export class Recorder {
  // `best` are the seconds that the recording should have, or null. `taken` gets each recording once it was
  // looked at, from the microphone or a file. One that `isLong` may be, of 25 MiB, is not judged.
  constructor(page, form, name, { best = null, taken = () => {}, isLong = false } = {}) {
    Object.assign(this, { page, form, name, best, taken, isLong, said: "", turn: 0 });
    this.forget();
    page.signal.addEventListener("abort", () => this.clear());
  }

  forget() {
    Object.assign(this, { take: null, sound: null, faults: [], listening: null, seconds: 0, length: 0, level: FLOOR_DB, isEnough: false });
  }

  // Forgets the recording, ends one that goes on, and gives the microphone back.
  clear() {
    this.turn += 1;
    this.listening?.stop();
    this.forget();
    this.say("");
  }

  stop() {
    this.listening?.stop();
  }

  say(text) {
    this.said = text;
    this.page.update();
  }

  get longest() {
    return this.isLong ? LONG.seconds : LONGEST_S;
  }

  focus() {
    this.page.draw();
    this.page.place.querySelector(`#${this.form}-${this.name}`)?.focus();
  }

  async record() {
    this.page.set({ problem: null });
    recording?.stop();
    player.stop();
    this.clear();
    const { turn } = this;
    this.say(t("recorder.allow"));
    const stream = await openMicrophone().catch(({ message }) => {
      if (turn === this.turn) this.say(message);
    });
    if (!stream) return;
    if (turn !== this.turn) return release(stream);
    let mine;
    try {
      mine = new Listening(stream, (seconds, level) => this.hear(seconds, level), this.longest);
    } catch {
      release(stream);
      return this.say(t("recorder.busy"));
    }
    recording = this.listening = mine;
    this.say(t("recorder.speak", { most: this.longest }));
    const blob = await mine.recorded();
    if (recording === mine) recording = null;
    if (turn === this.turn) await this.keep(blob);
  }

  hear(seconds, level) {
    Object.assign(this, { seconds, level });
    const { best } = this;
    const isEnough = Boolean(best) && seconds >= best.least;
    if (isEnough && !this.isEnough) this.say(t("recorder.enough", best));
    this.isEnough = isEnough;
    this.page.update();
  }

  // A recording or a chosen file is looked at, and can be heard.
  async keep(blob) {
    this.page.set({ problem: null });
    this.clear();
    const { turn } = this;
    // The server would end the connection in the middle of it, and could not say why.
    const most = this.isLong ? LONG.most : MOST_BYTES / MIB;
    if (blob.size > most * MIB) return this.say(t("recorder.large", { most }));
    this.take = blob;
    if (this.isLong && blob.name) return this.keepFile(blob, turn);
    const samples = await samplesOf(blob, RATE);
    if (turn !== this.turn) return;
    // What MediaRecorder makes says nothing of its length, so players show none. This one does.
    this.sound = samples ? wavOf([Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767)], RATE) : blob;
    this.length = (samples?.length ?? 0) / RATE;
    this.faults = samples && this.isLong ? [] : samples ? faultsOf(samples, this.best) : [t("recorder.unread")];
    const verdict = this.faults.join(" ") || t("recorder.good");
    this.say(samples ? t("recorder.judged", { s: number(this.length, 1), verdict: this.isLong ? "" : verdict }) : verdict);
    this.taken(blob);
  }

  // Hours of sound, as samples, would fill the memory.
  async keepFile(file, turn) {
    this.sound = file;
    const length = await lengthOf(file);
    if (turn !== this.turn) return;
    this.length = length;
    this.say([file.name, length && duration(length)].filter(Boolean).join(", "));
    this.taken(file);
  }

  discard() {
    this.clear();
    this.focus();
  }

  // While its recording is sent, there is no other.
  view(label, hint = nothing, isSending = false) {
    const { listening, sound, form, name } = this;
    const word = listening ? t("recorder.stop") : sound ? t("recorder.again") : t("recorder.record");
    return html`<fieldset class="recorder stack" id="${form}-${name}-recorder" ?disabled=${isSending}><legend>${label}</legend>
      ${hint === nothing ? nothing : html`<p class="hint">${hint}</p>`}
      <div class="row">
        <button type="button" id="${form}-${name}" class=${listening ? "danger" : ""} @click=${() => (listening ? this.stop() : this.record())}>
          ${icon(listening ? "stop" : "mic")} ${word}</button>
        <label class="button plain file">${icon("plus")} ${t("recorder.file")}<input type="file" id="${form}-${name}-file" accept=${SOUND_FILES}
          @change=${({ target }) => this.choose(target)}></label>
        ${sound ? this.kept(label) : nothing}
      </div>
      ${listening ? this.meter() : nothing}
      <p class="small said" role="status">${this.said}</p>
      ${this.page.alert(form, name)}
    </fieldset>`;
  }

  // The same file can be chosen once more.
  choose(input) {
    const [file] = input.files;
    input.value = "";
    if (file) this.keep(file);
  }

  kept(label) {
    const hear = () => player.play({ title: label, name: this.fileName }, this.sound, player.claim());
    return html`<button type="button" class="round" id="${this.form}-${this.name}-hear" aria-label=${t("recorder.listen")} @click=${hear}>${icon("play")}</button>
      <button type="button" class="round plain" id="${this.form}-${this.name}-discard" aria-label=${t("recorder.discard")} @click=${() => this.discard()}>${icon("trash")}</button>`;
  }

  get fileName() {
    return this.take?.name ?? "recording.wav";
  }

  meter() {
    const word = this.level > LOUD_DB ? t("recorder.level.loud") : this.level < QUIET_DB ? t("recorder.level.quiet") : t("recorder.level.good");
    const share = (level) => Math.max(0, Math.min(100, 100 * (1 - level / FLOOR_DB)));
    return html`<div class="row line small">
      <meter class="wide" min="0" max="100" low=${share(QUIET_DB)} high=${share(LOUD_DB)} optimum="75" .value=${share(this.level)}
        aria-label=${t("recorder.level")} aria-valuetext=${word}></meter>
      <span class="num" id="${this.form}-${this.name}-seconds">${t("time.seconds", { s: this.seconds.toFixed(1) })}</span>
      <span class="loudness">${word}</span>
    </div>`;
  }
}
