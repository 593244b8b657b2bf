// Speak: a text, who speaks it and how, what it will cost, and what became of it.

import { checkBox, estimateText, LONGEST, notices } from "./speak_notes.js";
import { formatName, noteSpoken, spokenCard } from "./spoken.js";
import { Failure, OnceKey, ask, events, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { catalogue, groupOf, languageChoices, loadCatalogue, speakingModels, voiceOf } from "../core/catalogue.js";
import { chooseFirst, chooseVoice, draft, requestOf, showExample } from "../core/draft.js";
import { html, live, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { player } from "../core/player.js";
import { hasFeature, session } from "../core/session.js";
import { duration, number, t } from "../core/texts.js";

const MOST_FILE_BYTES = 8 * 1024 * 1024;
const PAUSE_MS = 600;
const WIDEST_PITCH = [-12, 12];
const FORMATS = ["mp3", "wav", "opus", "aac", "flac", "pcm", "g711_ulaw", "g711_alaw"];
const FIELDS = ["input", "language", "model", "speed", "pitch", "emotion", "instructions", "tag"];

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// The sound that comes now, and the page that is shown. A text is spoken to its end when the page changes.
let speaking = null;
let shown = null;

export default class SpeakPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { estimate: null, doubt: null, isOver: false, once: new OnceKey() });
    // The name of its form, which the page of long texts has of its own.
    this.form = "speak";
  }

  title() {
    return t("speak.title");
  }

  async open() {
    shown = this;
    if (!session.me) return;
    await loadCatalogue();
    chooseFirst();
    showExample();
    this.set({ status: draft.isAgain ? t("speak.again") : "" });
    draft.isAgain = false;
    this.estimateSoon(0);
  }

  left() {
    clearTimeout(this.timer);
    this.asked?.abort();
    shown = null;
  }

  // What is spoken of the text.
  get spoken() {
    return draft.text;
  }

  request(text) {
    return requestOf({ ...draft, text });
  }

  // A text may have millions of characters, so they are counted once.
  get length() {
    if (this.counted?.text !== draft.text) this.counted = { text: draft.text, length: [...draft.text].length };
    return this.counted.length;
  }

  get isJob() {
    return hasFeature("jobs") && this.length > LONGEST;
  }

  change(changes) {
    Object.assign(draft, changes);
    if ("text" in changes) this.mended(this.form, "input");
    this.update();
    this.estimateSoon();
  }

  choose(voice) {
    chooseVoice(voice);
    this.change({});
  }

  // The request is no longer quite the one that is said again.
  async forgetMore() {
    this.change({ more: {} });
    await this.open();
    this.place.querySelector("#speak-input").focus();
  }

  // Asks what the text would cost, once its writer pauses.
  estimateSoon(pause = PAUSE_MS) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.readEstimate(), pause);
  }

  async readEstimate() {
    this.asked?.abort();
    if (!hasFeature("estimates") || !session.me || !this.spoken.trim() || !(draft.voice || draft.more.voice)) return this.set({ estimate: null, doubt: null });
    const aborter = (this.asked = new AbortController());
    const json = this.request([...this.spoken].slice(0, LONGEST).join(""));
    try {
      const estimate = await read("v1/audio/speech/estimate", { json, signal: aborter.signal });
      this.set({ estimate, estimated: JSON.stringify(json), doubt: null });
    } catch (failure) {
      if (!(failure instanceof Failure)) return undefined;
      // What a moment's rush refuses is no news about the text.
      if (failure.code !== "rate_limit_exceeded") this.set({ doubt: failure });
    }
    return undefined;
  }

  submit(event) {
    event?.preventDefault();
    return this.run("speak", async () => {
      await session.ready;
      if (!session.me) throw new Failure({ message: t("door.missing"), code: "key_missing" });
      if (!this.spoken.trim()) throw new Failure({ message: t("speak.empty"), param: "input" });
      if (this.isJob) return this.makeJob();
      return this.speak();
    }, FIELDS);
  }

  async makeJob() {
    const { text } = draft;
    const json = { ...requestOf(draft), response_format: draft.format, title: [...text.trim().split("\n")[0].replace(/\p{Cc}/gu, " ")].slice(0, 80).join("") };
    const job = await read("v1/jobs", { json, headers: this.once.of(json) });
    this.handedIn(text, job);
  }

  // What was typed meanwhile stays.
  handedIn(text, job) {
    if (draft.text === text) draft.text = "";
    if (!this.isLeft) location.hash = `#/jobs/${job.id}`;
  }

  async speak() {
    player.stop();
    const body = requestOf(draft);
    const voice = voiceOf(draft.voice);
    const clip = player.open({ title: voice?.name ?? t("voice.cast"), name: "speech.wav", text: draft.text });
    const { signal } = clip.aborter;
    speaking = clip;
    this.say(t("speak.asking"));
    try {
      await this.hear({ body, voice, clip });
      await clip.live.heard(signal);
      if (signal.aborted) return;
      player.close(clip);
      clip.title = `${clip.title}, ${duration(clip.length)}`;
      player.draw();
    } catch (failure) {
      if (signal.aborted) return;
      player.stop();
      if (this.isLeft) player.tell(failure);
      throw failure;
    } finally {
      if (speaking === clip) this.end();
      refreshAccount();
    }
  }

  // Plays an answer as it comes, and notes what its headers tell.
  async hear({ body, voice, clip }) {
    const began = performance.now();
    const json = { ...body, response_format: "pcm", stream_format: "words", ...(draft.isKept && hasFeature("history") && { history: true }) };
    // What the page has told of this very request is known. Else it is asked once the sound has come.
    const isKnown = this.estimate && this.estimated === JSON.stringify(body);
    const spoken = { body, voice, clip, credits: isKnown ? this.estimate.credits : 0 };
    const answer = await ask("v1/audio/speech", { json, signal: clip.aborter.signal });
    let isWhole = false;
    for await (const event of events(answer)) {
      if (event.type === "error") throw new Failure({ ...event.error, message: t("speak.broken", { message: event.error.message }) });
      if (event.type === "speech.audio.done") [isWhole, clip.check] = [true, event.check];
      if (event.type === "speech.audio.words") clip.words.push(...event.words);
      if (event.type !== "speech.audio.delta" || !clip.live) continue;
      clip.live.play(bytesOf(event.audio));
      if (clip.first !== undefined) continue;
      clip.first = Math.round(performance.now() - began);
      noteSpoken(Object.assign(spoken, { headers: answer.headers, first: clip.first }));
      shown?.say(t("speak.speaking"));
    }
    if (!isKnown && hasFeature("estimates")) spoken.credits = await read("v1/audio/speech/estimate", { json: body }).then(({ credits }) => credits, () => 0);
    if (!isWhole && !clip.aborter.signal.aborted) throw new Failure({ message: t("failure.broken"), code: "broken" });
  }

  // Nothing is spoken any more. What was last refused, or not answered, is asked anew.
  end() {
    speaking = null;
    shown?.say("");
    if (shown?.doubt) shown.estimateSoon(0);
  }

  // The button that speaks stops, too, and so keeps its focus. A double click is one.
  press(event) {
    if (!speaking && event.detail < 2) return;
    event.preventDefault();
    if (event.detail < 2) this.stop();
  }

  stop() {
    player.stop();
    this.end();
    this.say(t("speak.stopped"));
  }

  async take(file) {
    if (!file) return;
    await this.run(this.form, async () => {
      if (file.size > MOST_FILE_BYTES) throw new Failure({ message: t("speak.too_large"), param: "input" });
      const text = await file.text();
      if (/[\0\uFFFD]/.test(text)) throw new Failure({ message: t("speak.not_text"), param: "input" });
      this.change({ text });
    }, FIELDS);
  }

  drop(event) {
    const [file] = event.dataTransfer?.files ?? [];
    event.preventDefault();
    this.set({ isOver: false });
    return this.take(file);
  }

  view() {
    return html`<section class="view speak">${this.heading()}${this.alert("page")}
      <div class="pair">
        <div class="stack">${this.composer()}${spokenCard(this)}</div>
        ${this.delivery()}
      </div>
      ${this.picker?.view() ?? nothing}
    </section>`;
  }

  composer() {
    const press = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.submit(event);
    return html`<form class="card composer ${this.isOver ? "over" : ""}" novalidate @submit=${(event) => this.submit(event)}
        @dragover=${() => this.isOver || this.set({ isOver: true })} @dragleave=${() => this.set({ isOver: false })} @drop=${(event) => this.drop(event)}>
      <textarea id="speak-input" aria-label=${t("speak.text")} aria-describedby="speak-count" aria-invalid=${this.isWrong("speak", "input")}
        .value=${live(draft.text)} @input=${(event) => this.change({ text: event.target.value })} @keydown=${press}></textarea>
      <div class="row apart below quiet small"><label class="button plain file">${icon("plus")} ${t("speak.file")}<input type="file" id="speak-file" accept=".txt,.md,text/plain,text/markdown"
              @change=${(event) => this.take(event.target.files[0])}></label><span class="keys">${t("speak.keys")}</span><span class="num" id="speak-count">${t("speak.characters", { n: this.length })}</span></div>
      <div class="notes">${this.alert("speak", "input")}${notices(this)}</div>
      <div class="bar">
        ${this.voiceButton()}
        <span class="quiet small num" id="speak-estimate" role="status">${estimateText(this)}</span>
        <button class="first" id=${speaking ? "speak-stop" : "speak-go"} @click=${(event) => this.press(event)}>
          ${icon(speaking ? "stop" : "play")} ${speaking ? t("speak.stop") : this.isJob ? t("speak.job") : t("speak.go")}</button>
      </div>
      ${this.alert("speak")}${this.alert("picker")}
      ${this.statusLine()}
    </form>`;
  }

  voiceButton() {
    const voice = voiceOf(draft.voice);
    return html`<button class="pick" id="${this.form}-voice" type="button" ?disabled=${!catalogue.voices.length} @click=${() => this.openPicker((voice) => this.choose(voice))}>
      <span class="face ${voice ? groupOf(voice) : ""}" aria-hidden="true">${voice ? [...voice.name][0]?.toUpperCase() : "?"}</span>
      <span class="name"><span class="skip">${t("speak.voice")} </span>${voice?.name ?? (draft.more.voice ? t("voice.cast") : t("speak.no_voice"))}</span></button>`;
  }

  delivery() {
    const { controls, model } = this.estimate ?? {};
    const can = controls ?? { pitch: WIDEST_PITCH, emotions: [], instructions: LONGEST };
    const hasPitch = can.pitch[0] < can.pitch[1];
    const pitch = hasPitch ? can.pitch : WIDEST_PITCH;
    const name = model?.split("/")[0] ?? "";
    const reason = (isMissing) => (controls && isMissing ? t("speak.cannot", { model: name }) : nothing);
    const emotions = [["", t("speak.plain")], ...can.emotions.map((each) => [each, t(`emotion.${each}`)])];
    const set = (field) => (value) => this.change({ [field]: value });
    return html`<form class="card stack delivery" aria-labelledby="delivery" @submit=${(event) => event.preventDefault()}><h2 id="delivery">${t("speak.delivery")}</h2>
      ${this.choice("speak", "language", t("speak.language"), { value: draft.language, options: [["", t("speak.automatic")], ...languageChoices([draft.language])], change: set("language") })}
      ${this.slider("speed", t("speak.speed"), { least: 0.5, most: 2, step: 0.05, text: `${number(draft.speed)} ×` })}
      ${this.slider("pitch", t("speak.pitch"), { least: pitch[0], most: pitch[1], step: 1, text: t("speak.semitones", { n: draft.pitch }), disabled: !hasPitch, hint: reason(!hasPitch) })}
      ${this.choice("speak", "emotion", t("speak.emotion"), { value: draft.emotion, options: emotions, disabled: !can.emotions.length, hint: reason(!can.emotions.length), change: set("emotion") })}
      ${this.field("speak", "instructions", t("speak.instructions"), html`<textarea class="short" id="speak-instructions" maxlength=${LONGEST} ?disabled=${!can.instructions}
        .value=${live(draft.instructions)} @input=${(event) => set("instructions")(event.target.value)}></textarea>`, reason(!can.instructions))}
      <details class="stack"><summary>${t("speak.more")}</summary>
        ${this.choice("speak", "model", t("speak.model"), { value: draft.model, options: speakingModels().map(({ id }) => [id, id]), change: (model) => this.change({ model, wanted: model }) })}
        ${this.choice("speak", "format", t("speak.format"), { value: draft.format, options: FORMATS.map((each) => [each, formatName(each)]), change: set("format") })}
        ${this.input("speak", "tag", t("speak.tag"), { value: draft.tag, max: 64, hint: t("speak.tag_hint"), change: set("tag") })}
        ${hasFeature("history") ? html`<label class="tick"><input type="checkbox" id="speak-kept" .checked=${draft.isKept} @change=${(event) => this.change({ isKept: event.target.checked })}>${t("speak.keep")}</label>` : nothing}
        ${checkBox(this)}
      </details>
    </form>`;
  }

  slider(name, label, { least, most, step, text, disabled = false, hint = nothing }) {
    const control = html`<input id="${this.form}-${name}" type="range" min=${least} max=${most} step=${step} .value=${String(draft[name])} ?disabled=${disabled}
      aria-valuetext=${text} @input=${(event) => this.change({ [name]: Number(event.target.value) })}>`;
    return this.field(this.form, name, html`<span class="row apart">${label} <output class="num">${text}</output></span>`, control, hint);
  }
}
