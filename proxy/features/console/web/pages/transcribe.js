// Transcribe: a recording is written down, and its text stands beside its sound. What is saved is made of one answer.

import { cleanTitle, clock, note, priceText, shortClock } from "./job_facts.js";
import { refreshAccount } from "../core/account.js";
import { ask, Failure, OnceKey, read, saveBlob } from "../core/api.js";
import { catalogue, loadCatalogue } from "../core/catalogue.js";
import { mayUpload } from "../core/door.js";
import { draft } from "../core/draft.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { player } from "../core/player.js";
import { Recorder } from "../core/recorder.js";
import { hasFeature, session } from "../core/session.js";
import { duration, languageName, t } from "../core/texts.js";

const FIELDS = ["file", "model", "language"];
const USUAL = "whisper-1";
// Longer ones are jobs.
const LONGEST_S = 1800;
const SAVED = ["txt", "srt", "vtt", "json"];

// The files that the server would make of the same answer.
export function fileOf(found, format) {
  if (format === "txt") return `${found.text}\n`;
  if (format === "json") return `${JSON.stringify(found, null, 2)}\n`;
  const mark = format === "srt" ? "," : ".";
  const cues = found.segments.map(({ start, end, text }, at) => `${format === "srt" ? `${at + 1}\n` : ""}${clock(start, mark)} --> ${clock(end, mark)}\n${text.trim()}\n`);
  return format === "vtt" ? ["WEBVTT\n", ...cues].join("\n") : cues.join("\n");
}

export default class TranscribePage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { language: "", model: "", isEnglish: false, isKept: draft.isKept, isReady: false, sending: null, once: new OnceKey() });
    this.recorder = new Recorder(this, "transcribe", "file", { isLong: true, taken: () => this.forget() });
    this.forget();
  }

  title() {
    return t("frame.transcribe");
  }

  async open() {
    await loadCatalogue();
    const { models } = this;
    this.set({ isReady: true, model: (models.find(({ id }) => id === USUAL) ?? models[0])?.id ?? "" });
  }

  left() {
    this.sending?.abort();
  }

  // A text belongs to the recording that was chosen before.
  forget() {
    this.set({ found: null, heardAs: "", job: null, clip: null });
  }

  get models() {
    return catalogue.models.filter(({ hears }) => hears);
  }

  get chosen() {
    return this.models.find(({ id }) => id === this.model) ?? {};
  }

  // One button for both keeps its focus.
  submit(event) {
    event.preventDefault();
    if (!this.sending) return this.send();
    this.sending.abort();
    return this.set({ sending: null, status: t("speak.stopped") });
  }

  async send() {
    this.forget();
    const mine = (this.sending = new AbortController());
    await this.run("transcribe", async () => {
      try {
        const { take } = this.recorder;
        if (!take) throw new Failure({ message: t("recorder.missing"), param: "file" });
        if (!(await mayUpload()) || this.isLeft) return;
        this.say(t("transcribe.hearing"));
        const fields = { model: this.model, language: this.isEnglish ? "" : this.language, response_format: this.chosen.times_words ? "verbose_json" : "json", file: take };
        const isJob = this.recorder.length > LONGEST_S && hasFeature("jobs");
        if (isJob || !(await this.hear(fields, mine.signal))) await this.makeJob(fields);
        refreshAccount();
        this.set({ status: "" });
        this.draw();
        this.place.querySelector("#transcribe-end")?.focus();
      } finally {
        if (this.sending === mine) this.set({ sending: null });
      }
    }, FIELDS);
  }

  // False for a recording that is too long.
  async hear(fields, signal) {
    try {
      const form = { ...fields, history: this.isKept && hasFeature("history") && "true" };
      const answer = await ask(`v1/audio/${this.isEnglish ? "translations" : "transcriptions"}`, { form, headers: this.once.of(form), signal });
      this.set({ found: await answer.json(), heardAs: answer.headers.get("x-voxgate-language") ?? "" });
      return true;
    } catch (failure) {
      if (failure.code !== "recording_too_long" || !hasFeature("jobs")) throw failure;
      return false;
    }
  }

  async makeJob(fields) {
    const form = { ...fields, kind: "transcription", task: this.isEnglish ? "translate" : "", title: cleanTitle(this.recorder.fileName) };
    this.set({ job: await read("v1/jobs", { form, headers: this.once.of(form) }) });
  }

  play(start) {
    if (!this.clip || player.clip !== this.clip) {
      const name = this.recorder.fileName;
      player.play({ title: name, name }, this.recorder.sound, player.claim());
      this.clip = player.clip;
    }
    player.seek(start);
    player.audio.play().catch(() => {});
  }

  save(format) {
    saveBlob(new Blob([fileOf(this.found, format)]), `${cleanTitle(this.recorder.fileName)}.${format}`);
  }

  view() {
    const { found, job } = this;
    return html`<section class="view narrow">${this.heading()}${this.alert("page")}
      ${this.isReady ? (this.model ? this.form() : note(t("transcribe.none"), "warn", "transcribe-none")) : nothing}
      ${job ? html`<p class="note" id="transcribe-end" tabindex="-1">${icon("info")}<span>${t("transcribe.long")} <a href="#/jobs/${job.id}">${t("jobs.job")}</a></span></p>` : nothing}
      ${found ? this.result(found) : nothing}
    </section>`;
  }

  form() {
    const { transcribed_languages: tags = [], translates } = this.chosen;
    const languages = tags.filter((tag) => tag !== "*").map((tag) => [tag, languageName(tag)]).sort(([, a], [, b]) => a.localeCompare(b));
    const isBusy = Boolean(this.sending);
    return html`<form class="card stack" id="transcribe-form" novalidate @submit=${(event) => this.submit(event)}>
      <p class="quiet">${t("transcribe.about")}</p>
      ${this.recorder.view(t("marks.file"), t("transcribe.hint"), isBusy)}
      ${this.choice("transcribe", "language", t("speak.language"), { value: this.language, disabled: isBusy || this.isEnglish,
        options: [["", t("transcribe.any")], ...languages], change: (language) => this.set({ language }) })}
      ${this.choice("transcribe", "model", t("speak.model"), { value: this.model, disabled: isBusy, options: this.models.map(({ id }) => [id, id]),
        change: (each) => this.set({ model: each, language: "", isEnglish: false }) })}
      ${translates ? this.tick("english", t("transcribe.english"), "isEnglish") : nothing}
      ${hasFeature("history") ? this.tick("kept", t("speak.keep"), "isKept") : nothing}
      <div class="row apart"><span class="quiet small num" role="status">${priceText(session.me?.prices.transcription, this.recorder.length)}</span>
        <button class="first" id="transcribe-go" @click=${(event) => event.detail > 1 && event.preventDefault()}>${isBusy ? html`${icon("stop")} ${t("speak.stop")}` : html`${icon("transcribe")} ${t("frame.transcribe")}`}</button></div>
      ${isBusy ? html`<progress aria-label=${t("transcribe.hearing")}></progress>` : nothing}
      ${this.statusLine()}${this.alert("transcribe")}
    </form>`;
  }

  tick(name, label, field) {
    return html`<label class="tick"><input type="checkbox" id="transcribe-${name}" ?disabled=${Boolean(this.sending)} .checked=${this[field]}
      @change=${(event) => this.set({ [field]: event.target.checked })}>${label}</label>`;
  }

  // Without times, the text is one piece from the beginning on.
  result({ text, segments = text ? [{ start: 0, text }] : [], usage }) {
    const saved = this.found.segments ? SAVED : ["txt", "json"];
    const lang = this.isEnglish ? "en" : this.heardAs;
    return html`<section class="card stack" aria-labelledby="transcribe-end">
      <div class="row apart"><h2 id="transcribe-end" tabindex="-1">${t("transcribe.text")}</h2>
        <span class="quiet small num">${[lang && languageName(lang), duration(usage.seconds)].filter(Boolean).join(" · ")}</span></div>
      ${segments.length ? nothing : html`<p class="quiet" id="transcribe-silent">${t("transcribe.silent")}</p>`}
      <ul role="list" class="entries" id="transcribe-text">${segments.map(({ start, text }) => {
        const time = shortClock(start);
        return html`<li><p class="about" lang=${lang || nothing}>${text.trim()}</p>
          <button type="button" class="plain num" aria-label=${t("transcribe.from", { time })} @click=${() => this.play(start)}>${icon("play")} ${time}</button></li>`;
      })}</ul>
      <div class="row">${saved.map((format) => html`<button type="button" class="plain" id="transcribe-${format}" @click=${() => this.save(format)}>${icon("down")} ${t("speak.save", { format: format.toUpperCase() })}</button>`)}</div>
    </section>`;
  }
}
