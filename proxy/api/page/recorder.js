// A recorder: the microphone or a file, and what is known of the recording before it is sent.

const LONGEST_S = 60;
const MOST_BYTES = 10 * 1024 * 1024;
const METER_FLOOR_DB = -60;
const TOO_LOUD_DB = -1;
const BITS_A_SECOND = 128000;
let listening = null;

// Echo cancelling and the like are for calls: they take from a voice what makes it that voice.
async function openMicrophone() {
  if (!navigator.mediaDevices) {
    throw "The browser gives the microphone only to pages over https, or from this machine (127.0.0.1). Choose a file instead.";
  }
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch ({ name }) {
    if (name === "NotAllowedError") {
      throw "The browser does not let this page use the microphone. Allow it in the settings of the page, or choose a file.";
    }
    if (name === "NotFoundError") throw "No microphone was found. Connect one, or choose a file.";
    throw "The microphone cannot be used: another program may have it. Close that program, or choose a file.";
  }
}

// One stream of the microphone while it is recorded. It is over when `stop` is called, when it is too long, or when the device is gone.
class Listening {
  constructor(stream, show) {
    this.stream = stream;
    this.show = show;
    this.chunks = [];
    this.recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_A_SECOND });
    this.recorder.addEventListener("dataavailable", ({ data }) => this.chunks.push(data));
    this.over = new Promise((resolve) => {
      this.recorder.addEventListener("stop", resolve);
      this.recorder.addEventListener("error", resolve);
    });
    this.recorder.start();
    this.context = new AudioContext();
    // A browser may hold it back when the question for the microphone took long.
    this.context.resume();
    this.analyser = new AnalyserNode(this.context);
    this.context.createMediaStreamSource(stream).connect(this.analyser);
    this.began = performance.now();
    this.limit = setTimeout(() => this.stop(), LONGEST_S * 1000);
    this.look();
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  look() {
    const window = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(window);
    this.show(this.seconds, decibels(window.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)));
    this.frame = requestAnimationFrame(() => this.look());
  }

  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }

  // The browser shows that it listens until the last track is stopped.
  release() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.limit);
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }

  async recorded() {
    await this.over;
    this.release();
    return new Blob(this.chunks, { type: this.recorder.mimeType });
  }
}

class Recorder {
  // `best` are the seconds that the recording should have, or null.
  constructor(place, best = null) {
    place.append(at("recorder").content.cloneNode(true));
    this.parts = Object.fromEntries([...place.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.name = place.querySelector("legend").textContent.trim();
    this.best = best;
    this.take = null;
    this.turn = 0;
    const { record, stop, file, discard, audio } = this.parts;
    file.setAttribute("aria-label", `${this.name}: choose a file`);
    audio.setAttribute("aria-label", `${this.name}: listen again`);
    record.addEventListener("click", () => this.record());
    stop.addEventListener("click", () => this.stop());
    file.addEventListener("change", () => file.files.length && this.keep(file.files[0]));
    discard.addEventListener("click", () => {
      this.clear();
      record.focus();
      this.say("Discarded.");
    });
  }

  // Where a failure of this recording is told: an element that takes the focus at any time.
  get field() {
    return this.parts.file;
  }

  say(text) {
    this.parts.said.textContent = text;
  }

  stop() {
    this.listening?.stop();
  }

  async record() {
    forgive();
    listening?.stop();
    this.clear();
    const turn = this.turn;
    this.say("Allow the microphone, if the browser asks.");
    const stream = await openMicrophone().catch((reason) => {
      if (turn === this.turn) this.say(reason);
    });
    if (!stream) return;
    if (turn !== this.turn) return stream.getTracks().forEach((track) => track.stop());
    let mine;
    try {
      mine = new Listening(stream, (seconds, level) => this.show(seconds, level));
    } catch {
      stream.getTracks().forEach((track) => track.stop());
      return this.say("This browser cannot record. Choose a file instead.");
    }
    listening = this.listening = mine;
    this.showListening(true);
    this.say(`Recording: speak now. It ends by itself after ${LONGEST_S} seconds.`);
    const blob = await mine.recorded();
    if (listening === mine) listening = null;
    if (turn === this.turn) await this.keep(blob);
  }

  show(seconds, level) {
    const { meter, bar, seconds: shown, loudness } = this.parts;
    const share = Math.max(0, Math.min(1, 1 - level / METER_FLOOR_DB));
    const word = level > TOO_LOUD_DB ? "too loud" : level < QUIET_DB ? "quiet" : "good";
    meter.setAttribute("aria-valuenow", Math.round(share * 100));
    meter.setAttribute("aria-valuetext", word);
    bar.style.width = `${share * 100}%`;
    loudness.textContent = meter.dataset.loudness = word;
    shown.textContent = `${seconds.toFixed(1)} s`;
    const { best } = this;
    const told = !best || seconds < best.least ? 0 : seconds < best.most ? best.least : best.most;
    if (told === this.told) return;
    this.told = told;
    if (told) this.say(told === best.least ? `${told} seconds: enough. More is better, up to ${best.most}.` : `${told} seconds: press Stop.`);
  }

  showListening(is) {
    const { record, stop, level } = this.parts;
    const focused = document.activeElement;
    level.hidden = stop.hidden = !is;
    record.hidden = is;
    if (focused === (is ? record : stop)) (is ? stop : record).focus();
  }

  // A recording or a chosen file is looked at, and can be heard.
  async keep(blob) {
    forgive();
    const { file, audio, kept, record } = this.parts;
    const isFile = blob === file.files[0];
    if (!isFile) file.value = "";
    this.clear(isFile);
    const turn = this.turn;
    // The server would end the connection in the middle of it, and could not say why.
    if (blob.size > MOST_BYTES) return this.say("The file has more than 10 MiB: choose a shorter one, or another format.");
    this.take = blob;
    const samples = await samplesOf(blob);
    if (turn !== this.turn) return;
    audio.src = URL.createObjectURL(samples ? playable(samples) : blob);
    kept.hidden = false;
    record.textContent = "Record again";
    if (!samples) return this.say("This browser cannot read it. The server says whether it can.");
    const faults = faultsOf(samples, this.best);
    const verdict = faults.length ? faults.join(" ") : "Its length and level are good.";
    this.say(`${(samples.length / TAKE_RATE).toFixed(1)} seconds. ${verdict}`);
  }

  // Forgets the recording, ends one that goes on, and gives the microphone back.
  clear(keepsFile = false) {
    const { file, audio, kept, record } = this.parts;
    this.turn += 1;
    this.take = null;
    this.told = 0;
    this.stop();
    this.listening = null;
    this.showListening(false);
    if (!keepsFile) file.value = "";
    audio.pause();
    URL.revokeObjectURL(audio.src);
    audio.removeAttribute("src");
    kept.hidden = true;
    record.textContent = "Record";
    this.say("");
  }
}
