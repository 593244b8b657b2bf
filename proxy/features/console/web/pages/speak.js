// Speak: a text, who speaks it and how, what it will cost, and what became of it.

import { estimateText, languagesOf, LONGEST, moreControls, notices, range } from "./speak_notes.js";
import { fileFor, lastClip, noteSpoken, spokenCard, titleFor } from "./spoken.js";
import { Failure, OnceKey, ask, events, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { catalogue, groupOf, loadCatalogue, titleOf, voiceOf } from "../core/catalogue.js";
import { chooseFirst, chooseVoice, draft, requestOf, showExample, textOf } from "../core/draft.js";
import { html, live, nothing } from "../core/lit.js";
import { icon, Page, select } from "../core/page.js";
import { player } from "../core/player.js";
import { hasFeature, session } from "../core/session.js";
import { duration, number, t } from "../core/texts.js";

// A writer's pause, between two looks at a fetch, and without a sound until the page looks whether the language waits.
const [PAUSE_MS, FETCH_MS, LATE_MS] = [600, 5000, 3000];
const OF_MORE = ["model", "pitch", "emotion", "instructions", "tag"];
const FIELDS = ["input", "language", "speed", ...OF_MORE];

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// The sound that comes now, and the page that is shown.
let speaking = null;
let shown = null;
let hasMore = false;

export default class SpeakPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { estimate: null, doubt: null, isOver: false, hasCard: true, once: new OnceKey() });
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
    player.settle();
  }

  // The card has the player of what was spoken last.
  draw() {
    super.draw();
    if (!this.isLeft && this.hasCard) player.settle(this.place.querySelector("#speak-player"), lastClip());
  }

  tell(form, failure, fields) {
    hasMore ||= OF_MORE.includes(failure.param);
    super.tell(form, failure, fields);
  }

  // What is spoken of the text.
  get spoken() {
    return draft.text;
  }

  get hasVoice() {
    return Boolean(draft.voice || draft.more.voice);
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
    if (!speaking) this.status = "";
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
    this.measure?.();
    this.asked?.abort();
    if (!hasFeature("estimates") || !session.me || !this.spoken.trim() || !this.hasVoice) return this.set({ estimate: null, doubt: null });
    const aborter = (this.asked = new AbortController());
    const json = this.request([...this.spoken].slice(0, LONGEST).join(""));
    try {
      const estimate = await read("v1/audio/speech/estimate", { json, signal: aborter.signal });
      this.set({ estimate, estimated: JSON.stringify(json), doubt: null });
      if (estimate.substitute_reason === "installing") this.estimateSoon(FETCH_MS);
    } catch (failure) {
      if (!(failure instanceof Failure)) return undefined;
      // What a moment's rush refuses is no news about the text.
      if (failure.code !== "rate_limit_exceeded") this.set({ doubt: failure });
      if (failure.code === "engine_unavailable") this.estimateSoon(FETCH_MS);
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
      const body = this.request(this.spoken);
      return this.speak({ body, voice: voiceOf(body.voice) });
    }, FIELDS);
  }

  // What was spoken last is spoken once more, whatever is typed by now.
  sayAgain({ body, voice }) {
    return this.run("result", () => this.speak({ body, voice }));
  }

  async makeJob() {
    const { text } = draft;
    const json = { ...this.request(this.spoken), response_format: draft.format, title: [...text.trim().split("\n")[0].replace(/\p{Cc}/gu, " ")].slice(0, 80).join("") };
    const job = await read("v1/jobs", { json, headers: this.once.of(json) });
    this.handedIn(text, job);
  }

  // What was typed meanwhile stays.
  handedIn(text, job) {
    if (draft.text === text) draft.text = "";
    if (!this.isLeft) location.hash = `#/jobs/${job.id}`;
  }

  async speak({ body, voice }) {
    player.stop();
    const clip = player.open({ title: titleFor(body, voice), name: fileFor({ body, voice }, "wav"), text: body.input, isSpoken: true });
    const { signal } = clip.aborter;
    speaking = clip;
    this.say(t("speak.asking"));
    setTimeout(() => clip.first === undefined && shown?.readEstimate(), LATE_MS);
    try {
      await this.hear({ body, voice, clip });
      await clip.live.heard(signal);
      if (signal.aborted) return;
      player.close(clip);
      clip.title = `${clip.title}, ${duration(clip.length)}`;
      shown?.update();
    } catch (failure) {
      if (signal.aborted) return;
      player.stop();
      if (this.isLeft) player.tell(failure);
      shown?.estimateSoon(0);
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
    const spoken = { body, voice, clip, estimate: isKnown ? this.estimate : null };
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
      shown?.reveal();
    }
    if (!isKnown && hasFeature("estimates")) spoken.estimate = await read("v1/audio/speech/estimate", { json: body }).catch(() => null);
    if (!isWhole && !clip.aborter.signal.aborted) throw new Failure({ message: t("failure.broken"), code: "broken" });
  }

  // The player is in sight once there is something to hear.
  reveal() {
    this.say(t("speak.speaking"));
    this.draw();
    this.place.querySelector("#speak-player")?.scrollIntoView({ block: "nearest" });
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
      this.change({ text: await textOf(file) });
    }, FIELDS);
  }

  drop(event) {
    const [file] = event.dataTransfer?.files ?? [];
    event.preventDefault();
    this.set({ isOver: false });
    return this.take(file);
  }

  view() {
    return html`<section class="view speak narrow">${this.heading()}${this.alert("page")}
      ${this.composer()}${spokenCard(this)}
      ${this.picker?.view() ?? nothing}
    </section>`;
  }

  composer() {
    const press = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.submit(event);
    const speed = `${number(draft.speed)} ×`;
    return html`<form class="card composer ${this.isOver ? "over" : ""}" novalidate @submit=${(event) => this.submit(event)}
        @dragover=${() => this.isOver || this.set({ isOver: true })} @dragleave=${() => this.set({ isOver: false })} @drop=${(event) => this.drop(event)}>
      <textarea id="speak-input" aria-label=${t("speak.text")} placeholder=${this.example ?? nothing} aria-describedby="speak-count" aria-invalid=${this.isWrong("speak", "input")}
        .value=${live(draft.text)} @input=${(event) => this.change({ text: event.target.value })} @keydown=${press}></textarea>
      <div class="row apart below quiet small"><label class="button plain file">${icon("plus")} ${t("speak.file")}<input type="file" id="speak-file" accept=".txt,.md,text/plain,text/markdown"
              @change=${(event) => this.take(event.target.files[0])}></label><span class="keys">${t("speak.keys")}</span><span class="num" id="speak-count">${t("speak.characters", { n: this.length })}</span></div>
      <div class="notes">${this.alert("speak", "input")}${notices(this)}</div>
      ${this.speakers()}
      <div class="bar">
        ${this.voiceButton()}
        ${select("speak-language", t("speak.language"), { value: draft.language, options: languagesOf(this), change: (language) => this.change({ language }) })}
        <label class="row line small speed" for="speak-speed">${t("speak.speed")} ${range(this, "speed", { least: 0.5, most: 2, step: 0.05, text: speed })} <output class="num">${speed}</output></label>
        <button type="button" class="plain" id="speak-more" aria-expanded=${hasMore} aria-controls="speak-details" @click=${() => { hasMore = !hasMore; this.update(); }}>${t("speak.more")}</button>
        <button class="first" id=${speaking ? "speak-stop" : "speak-go"} @click=${(event) => this.press(event)}>
          ${icon(speaking ? "stop" : "play")} ${speaking ? t("speak.stop") : this.isJob ? t("speak.job") : t("speak.go")}</button>
      </div>
      <div class="details two" id="speak-details" ?hidden=${!hasMore}>${hasMore ? moreControls(this) : nothing}</div>
      ${["language", "speed"].map((field) => this.alert("speak", field))}${this.alert("speak")}${this.alert("picker")}
      <p class="quiet small num foot" id="speak-estimate" role="status">${this.status || estimateText(this)}</p>
    </form>`;
  }

  // A page of several voices has them here.
  speakers() {
    return nothing;
  }

  voiceButton() {
    const voice = voiceOf(draft.voice);
    return html`<button class="pick" id="${this.form}-voice" type="button" ?disabled=${!catalogue.voices.length} @click=${() => this.openPicker((voice) => this.choose(voice))}>
      <span class="face ${voice ? groupOf(voice) : ""}" aria-hidden="true">${voice ? [...titleOf(voice)][0]?.toUpperCase() : "?"}</span>
      <span class="name"><span class="skip">${t("speak.voice")} </span>${voice ? titleOf(voice) : draft.more.voice ? t("voice.cast") : t("speak.no_voice")}</span></button>`;
  }
}
