// The form of a conversion: a recording, and the voice in which its words are to be heard. It is always a job,
// so that a recording may be long, and this page may be left.

import { cleanTitle, JOB_FORMATS, note, priceText } from "./job_facts.js";
import { formatName } from "./spoken.js";
import { Failure, OnceKey, read } from "../core/api.js";
import { catalogue, loadCatalogue, voiceName } from "../core/catalogue.js";
import { consentsFor } from "../core/consents.js";
import { mayUpload } from "../core/door.js";
import { html, nothing } from "../core/lit.js";
import { icon, Page } from "../core/page.js";
import { MOST_BYTES, SOUND_FILES } from "../core/recorder.js";
import { session } from "../core/session.js";
import { lengthOf } from "../core/sound.js";
import { duration, t } from "../core/texts.js";

const FIELDS = ["file", "voice", "model", "pitch", "response_format", "consent", "title"];
const STATED = "true";

export default class ConvertPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { file: null, seconds: 0, voice: path[1] ?? "", model: "", pitch: 0, format: "mp3", consent: "", consents: [], isReady: false, isBusy: false, once: new OnceKey() });
  }

  title() {
    return t("jobs.convert");
  }

  async open() {
    [this.consents] = await Promise.all([consentsFor("conversion"), loadCatalogue()]);
    const fits = ({ owned_by: owner }) => catalogue.voices.find(({ id }) => id === this.voice)?.engines.includes(owner);
    this.model = (this.models.find(fits) ?? this.models[0])?.id ?? "";
    this.chooseModel(this.model);
    this.set({ isReady: true });
  }

  get models() {
    return catalogue.models.filter(({ converts }) => converts);
  }

  // The voices of the engine that converts.
  get voices() {
    const owner = this.models.find(({ id }) => id === this.model)?.owned_by;
    return catalogue.voices.filter(({ engines, type }) => type !== "cast" && engines.includes(owner));
  }

  chooseModel(model) {
    this.model = model;
    const { voices } = this;
    this.set({ voice: voices.some(({ id }) => id === this.voice) ? this.voice : (voices[0]?.id ?? "") });
  }

  take(file) {
    return this.run("convert", async () => {
      if (!file) return;
      this.set({ file: null, seconds: 0 });
      if (file.size > MOST_BYTES) throw new Failure({ message: t("recorder.large", { most: 10 }), param: "file" });
      this.set({ file });
      const seconds = await lengthOf(file);
      if (this.file === file) this.set({ seconds });
    }, FIELDS);
  }

  submit(event) {
    event.preventDefault();
    if (this.isBusy) return undefined;
    this.set({ isBusy: true });
    return this.run("convert", async () => {
      const { file, voice, model, pitch, format, consent } = this;
      if (!file) throw new Failure({ message: t("recorder.missing"), param: "file" });
      if (!consent && session.me.plan.consent === "required") throw new Failure({ message: t("jobs.consent_missing"), param: "consent" });
      if (!(await mayUpload()) || this.isLeft) return;
      const fields = { kind: "conversion", model, voice, pitch, response_format: format, consent, title: cleanTitle(file.name), file };
      const job = await read("v1/jobs", { form: fields, headers: this.once.of(fields) });
      location.hash = `#/jobs/${job.id}`;
    }, FIELDS).finally(() => this.set({ isBusy: false }));
  }

  view() {
    return html`<section class="view">${this.heading()}
      <p><a href="#/jobs">← ${t("frame.jobs")}</a></p>
      ${this.alert("page")}
      ${this.isReady ? (this.voice ? this.form() : note(t("jobs.no_converter"), "warn", "convert-none")) : nothing}
    </section>`;
  }

  form() {
    const options = (list) => list.map(({ id, name }) => [id, name ?? id]);
    const consents = [["", t("jobs.consent_none")], [STATED, t("jobs.consent_stated")], ...options(this.consents)];
    const pitch = t("speak.semitones", { n: this.pitch });
    return html`<form class="card stack narrow" novalidate @submit=${(event) => this.submit(event)}>
      <p class="quiet">${t("jobs.convert_text")}</p>
      ${this.chooser()}
      ${this.choice("convert", "voice", t("history.voice"), { value: this.voice, options: this.voices.map(({ id }) => [id, voiceName(id)]), change: (voice) => this.set({ voice }) })}
      ${this.choice("convert", "model", t("speak.model"), { value: this.model, options: options(this.models), change: (model) => this.chooseModel(model) })}
      ${this.field("convert", "pitch", html`<span class="row apart">${t("speak.pitch")} <output class="num">${pitch}</output></span>`, html`<input id="convert-pitch" type="range" min="-12" max="12" step="1"
        .value=${String(this.pitch)} aria-valuetext=${pitch} @input=${(event) => this.set({ pitch: Number(event.target.value) })}>`)}
      ${this.choice("convert", "response_format", t("speak.format"), { value: this.format, options: JOB_FORMATS.map((each) => [each, formatName(each)]), change: (format) => this.set({ format }) })}
      ${this.choice("convert", "consent", t("voices.consent"), { value: this.consent, options: consents, change: (consent) => this.set({ consent }) })}
      <div class="row apart"><span class="quiet small num" role="status">${priceText(session.me?.prices.conversion ?? { credits: 0, per: "minute" }, this.seconds)}</span>
        <button class="first" id="convert-go" ?disabled=${this.isBusy}>${icon("mic")} ${t("jobs.convert_go")}</button></div>
      ${this.alert("convert")}
    </form>`;
  }

  chooser() {
    const { file, seconds } = this;
    const told = file && [file.name, seconds && duration(seconds)].filter(Boolean).join(", ");
    return html`<div class="field"><div class="row"><label class="button file">${icon("plus")} ${t("recorder.file")}<input type="file" id="convert-file" accept=${SOUND_FILES}
        aria-invalid=${this.isWrong("convert", "file")} @change=${(event) => this.take(event.target.files[0])}></label>
      <span class="name" id="convert-name">${told ?? nothing}</span></div>
      <p class="hint">${t("jobs.file_hint")}</p>${this.alert("convert", "file")}</div>`;
  }
}
