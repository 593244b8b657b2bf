// What the forms of books and dubs share: their files, who speaks, a preview that tells length and price, and the
// button that begins the job. What was chosen outlives a reload.

import { Cast, castRow, castSaver } from "./cast.js";
import { note } from "./job_facts.js";
import { drop, keep, kept } from "./job_kept.js";
import { upload } from "./job_upload.js";
import { refreshAccount } from "../core/account.js";
import { ask, Failure, OnceKey, read } from "../core/api.js";
import { loadCatalogue, modelFor, voiceOf, languageChoices } from "../core/catalogue.js";
import { mayUpload } from "../core/door.js";
import { chooseFirst, draft, usualVoice } from "../core/draft.js";
import { voiceButton } from "../core/hear.js";
import { html, nothing, repeat } from "../core/lit.js";
import { failureText, icon, Page } from "../core/page.js";
import { duration, hasText, number, t, wholeFromTen } from "../core/texts.js";

const PAUSE_MS = 400;
const FIELDS = ["input_file_id", "original_file_id", "short_file_id", "length_s"];

export class FileJobPage extends Page {
  // `form` has what is kept, beside the cast. `files` has what was uploaded, by the field of the request.
  constructor(path, kind, form) {
    super(path);
    Object.assign(this, { kind, form: { files: {}, voice: "", language: "", ...form }, cast: new Cast(), name: "", once: new OnceKey() });
    Object.assign(this, { uploads: {}, over: "", preview: null, fault: null, isReading: false, isReady: false, isBusy: false });
  }

  title() {
    return t(`frame.jobs/${this.kind}`);
  }

  async open() {
    await loadCatalogue();
    chooseFirst();
    const { cast = [], ...form } = kept(this.kind) ?? {};
    Object.assign(this.form, form);
    for (const [key, member] of cast) if (voiceOf(member.voice)) this.cast.set(key, member);
    // What is said again by a cast or a mix has no voice of its own.
    this.form.voice = (voiceOf(this.form.voice) ?? voiceOf(draft.voice) ?? usualVoice())?.id ?? "";
    this.set({ isReady: true });
    this.previewSoon(0);
  }

  left() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  get voice() {
    return voiceOf(this.form.voice);
  }

  // What changes nothing of the preview.
  choose(changes) {
    Object.assign(this.form, changes);
    keep(this.kind, { ...this.form, cast: [...this.cast] });
    this.update();
  }

  change(changes) {
    this.choose(changes);
    this.previewSoon();
  }

  // Uploads a file in the place of the one before.
  take(field, file) {
    if (!file) return undefined;
    return this.run("job", async () => {
      if (!(await mayUpload()) || this.isLeft) return;
      this.uploads[field]?.aborter.abort();
      const mine = (this.uploads[field] = { name: file.name, share: 0, aborter: new AbortController() });
      const progress = (share) => { mine.share = share; this.update(); };
      this.update();
      try {
        const { id } = await upload(file, { signal: AbortSignal.any([this.signal, mine.aborter.signal]), progress })
          .catch((failure) => { throw failure instanceof Failure ? Object.assign(failure, { param: field }) : failure; });
        await this.taken(field, file);
        this.drop(field);
        this.change({ files: { ...this.form.files, [field]: { id, name: file.name, bytes: file.size } } });
      } finally {
        if (this.uploads[field] === mine) delete this.uploads[field];
        this.update();
      }
    }, FIELDS);
  }

  async taken() {}

  // The account has room for so many files.
  drop(field) {
    const { [field]: gone, ...files } = this.form.files;
    if (gone) ask(`v1/files/${gone.id}`, { method: "DELETE" }).catch(() => {});
    this.form.files = files;
  }

  takeAway(field) {
    this.drop(field);
    this.change({});
  }

  previewSoon(pause = PAUSE_MS) {
    clearTimeout(this.timer);
    // Until it is there, what is shown is the price of something else.
    this.set({ isReading: Boolean(this.form.files.input_file_id) });
    this.timer = setTimeout(() => this.readPreview(), pause);
  }

  // One at a time, and the last one counts.
  async readPreview() {
    this.asked?.abort();
    if (!this.form.files.input_file_id) return this.set({ preview: null, fault: null, isReading: false });
    const mine = (this.asked = new AbortController());
    this.set({ isReading: true, fault: null });
    try {
      const preview = await read("v1/jobs/preview", { json: this.body(), signal: mine.signal });
      if (this.asked === mine) this.set({ preview, isReading: false });
      if (this.asked === mine) this.previewed(preview);
    } catch (failure) {
      if (this.asked !== mine || !(failure instanceof Failure)) return undefined;
      if (failure.wait) return this.previewSoon(1000 * failure.wait);
      // Files go after some days.
      if (failure.code === "file_not_found") delete this.form.files[failure.param];
      this.set({ preview: null, fault: failure, isReading: false });
    }
    return undefined;
  }

  previewed() {}

  // The body of the request, without what the page adds once the job begins.
  body() {
    const { files, language } = this.form;
    const ids = Object.entries(files).map(([field, { id }]) => [field, id]);
    const hasCast = this.cast.size > 0;
    const model = hasCast ? this.cast.model : modelFor(this.voice, draft.wanted) ?? draft.model;
    return { kind: this.kind, ...Object.fromEntries(ids), model, voice: hasCast ? { cast: this.cast.named } : this.form.voice, language: language || undefined };
  }

  submit(event) {
    event.preventDefault();
    if (this.isBusy || !this.preview || this.isReading) return undefined;
    this.set({ isBusy: true });
    return this.run("job", async () => {
      const json = { ...this.body(), ...this.more() };
      const job = await read("v1/jobs", { json, headers: this.once.of(json) });
      drop(this.kind);
      refreshAccount();
      location.hash = `#/jobs/${job.id}`;
    }, FIELDS).finally(() => this.set({ isBusy: false }));
  }

  more() {
    return {};
  }

  // What the chosen part is likely to take.
  get share() {
    return this.preview;
  }

  view() {
    return html`<section class="view">${this.heading()}${this.alert("page")}
      ${this.isReady ? html`<form class="pair" novalidate @submit=${(event) => this.submit(event)}>
        <div class="stack">${this.filesCard()}${this.cast.size ? this.castCard() : nothing}${this.preview ? this.previewCard() : nothing}</div>
        <div class="card stack delivery">${this.choices()}${this.price()}</div></form>` : nothing}
      ${this.picker?.view() ?? nothing}</section>`;
  }

  // What is wrong with a file, by its name, and what to do about it. The server's words have the details.
  faultNote() {
    const { fault } = this;
    if (!fault) return nothing;
    const name = this.form.files[fault.param]?.name ?? "";
    return html`<div class="note bad" role="alert" id="job-fault">${icon("info")}<span>${hasText(`jobs.fault.${fault.code}`) ? html`<strong>${t(`jobs.fault.${fault.code}`, { name })}</strong> <span class="small" lang="en">${fault.message.replace(/^Invalid [^:]+: /, "")}</span>` : failureText(fault)}</span></div>`;
  }

  statusText() {
    return html`<p class="quiet small" role="status" id="job-reading">${this.isReading ? t("jobs.reading") : this.status}</p>${this.isReading && !this.preview ? html`<progress aria-label=${t("jobs.reading")}></progress>` : nothing}`;
  }

  voiceField() {
    const { cast } = this;
    return html`<div class="field"><strong>${t("jobs.reader")}</strong>${cast.size ? html`<p class="quiet small">${t("jobs.reader_cast")}</p>` : voiceButton(this, "job-voice", (voice) => this.change({ voice: voice.id }))}</div>
      ${this.choice("job", "language", t("speak.language"), { value: this.form.language, options: [["", t("speak.automatic")], ...languageChoices([this.form.language])], change: (value) => this.change({ language: value }) })}`;
  }

  castCard() {
    const { cast } = this;
    const remove = (key) => {
      cast.delete(key);
      this.change({});
      this.draw();
      this.place.querySelector("#cast-title")?.focus();
    };
    return html`<section class="card stack speakers" aria-labelledby="cast-title"><h2 id="cast-title" tabindex="-1">${t("scripts.names", { n: cast.size })}</h2>
      <p class="quiet small">${t("jobs.cast_hint")}</p>
      <ul class="rows" role="list" id="script-cast">${repeat(cast, ([key]) => key, ([key, member]) => castRow(this, "script", member, {
        about: this.aboutMember(key), tag: this.form.language, change: () => this.change({}), remove: this.isFixed(key) ? null : () => remove(key),
      }))}</ul>
      ${castSaver(this, cast)}${this.alert("script")}</section>`;
  }

  aboutMember() {
    return nothing;
  }

  isFixed() {
    return false;
  }

  price() {
    const { share, preview } = this;
    const isNone = !share || !share.characters;
    const most = preview && preview.most_credits * (share.credits / (preview.credits || 1));
    const lacks = preview && preview.available !== null && share.credits > preview.available;
    return html`<div class="stack" id="job-price">
      ${isNone ? nothing : html`<p class="num" role="status">${t("jobs.about", { time: duration(share.seconds) })}<br><span class="quiet small">${share.credits ? t("jobs.most", { credits: number(wholeFromTen(most, Math.ceil)) }) : t("speak.free")}</span></p>`}
      ${lacks ? note(t("jobs.lacks", { credits: number(wholeFromTen(preview.available, Math.floor)) })) : nothing}
      <button class="first" id="job-go" ?disabled=${isNone || this.isBusy || this.isReading}>${icon("jobs")} ${share?.credits ? t("jobs.go_for", { n: wholeFromTen(share.credits, Math.round) }) : t("jobs.go")}</button>
      ${this.alert("job")}${this.alert("picker")}</div>`;
  }
}
