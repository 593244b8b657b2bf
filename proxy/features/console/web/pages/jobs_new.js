// The form of a job that speaks a long text, perhaps in chapters.

import { cleanTitle, JOB_FORMATS, MOST_TITLE, note } from "./job_facts.js";
import SpeakPage from "./speak.js";
import { checkBox, estimateText, LONGEST, robotNote, slider } from "./speak_notes.js";
import { formatName } from "./spoken.js";
import { Failure, OnceKey, read } from "../core/api.js";
import { languageChoices, speakingModels } from "../core/catalogue.js";
import { draft, requestOf } from "../core/draft.js";
import { html, live, nothing } from "../core/lit.js";
import { failureText, icon } from "../core/page.js";
import { session } from "../core/session.js";
import { number, t } from "../core/texts.js";

const MOST_LISTED = 30;
const FIELDS = ["input", "title", "language", "model", "speed", "response_format", "tag"];

// The chapters of a text: each begins with a line "# Its title". A text without such a line has none.
export function chaptersOf(text) {
  const [before, ...parts] = text.split(/^#[ \t]+(.+)$/m);
  const found = [{ title: "", input: before.trim() }];
  for (let i = 0; i < parts.length; i += 2) found.push({ title: cleanTitle(parts[i]), input: parts[i + 1].trim() });
  return parts.length ? found.filter(({ input }) => input) : [];
}

function named({ title, input }, index) {
  return { title: title || t("jobs.chapter", { n: index + 1 }), input };
}

export default class NewJobPage extends SpeakPage {
  constructor(path) {
    super(path);
    Object.assign(this, { form: "job", hasCard: false, name: "", format: "mp3", files: "one", isBusy: false, once: new OnceKey() });
    this.measure();
  }

  title() {
    return t("jobs.new");
  }

  // A long text is looked at once its writer pauses.
  measure() {
    this.chapters = chaptersOf(draft.text);
    this.said = this.chapters.length ? this.chapters.map(({ input }) => input).join("\n\n") : draft.text;
    this.size = [...this.said].length;
  }

  get spoken() {
    return this.said;
  }

  get length() {
    return this.size;
  }

  // The settings of Speak that are not shown here do not count here.
  request(text) {
    return requestOf({ ...draft, text, pitch: 0, emotion: "", instructions: "" });
  }

  take(file) {
    if (file && !this.name) this.name = cleanTitle(file.name.replace(/\.\w+$/, ""));
    return super.take(file);
  }

  submit(event) {
    event.preventDefault();
    if (this.isBusy) return undefined;
    this.set({ isBusy: true });
    return this.run("job", async () => {
      this.measure();
      if (!this.spoken.trim()) throw new Failure({ message: t("speak.empty"), param: "input" });
      const { text } = draft;
      const { input, ...request } = this.request(text);
      const title = cleanTitle(this.name) || cleanTitle(this.chapters[0]?.title || input.trim().split("\n")[0]).slice(0, 80);
      const said = this.chapters.length ? { chapters: this.chapters.map(named), files: this.files } : { input };
      const json = { ...request, ...said, response_format: this.format, title };
      const job = await read("v1/jobs", { json, headers: this.once.of(json) });
      this.handedIn(text, job);
    }, FIELDS).finally(() => this.set({ isBusy: false }));
  }

  view() {
    return html`<section class="view">${this.heading()}<p><a href="#/jobs">← ${t("frame.jobs")}</a></p>${this.alert("page")}
      <form class="pair" novalidate @submit=${(event) => this.submit(event)}>
        <div class="stack">${this.text()}${this.chapters.length ? this.contents() : nothing}</div>
        ${this.delivery()}
      </form>
      ${this.picker?.view() ?? nothing}
    </section>`;
  }

  text() {
    return html`<div class="card composer ${this.isOver ? "over" : ""}" @dragover=${() => this.isOver || this.set({ isOver: true })}
        @dragleave=${() => this.set({ isOver: false })} @drop=${(event) => this.drop(event)}>
      <textarea id="job-input" aria-label=${t("speak.text")} aria-describedby="job-hint" aria-invalid=${this.isWrong("job", "input")}
        .value=${live(draft.text)} @input=${(event) => this.change({ text: event.target.value })}></textarea>
      <p class="below quiet small" id="job-hint">${t("jobs.text_hint")}</p>
      <div class="notes">${this.alert("job", "input")}${this.notices()}</div>
      <div class="bar"><span class="quiet small num" id="job-estimate" role="status">${this.priceText()}</span>
        <label class="button plain file">${icon("plus")} ${t("speak.file")}<input type="file" id="job-file" accept=".txt,.md,text/plain,text/markdown"
          @change=${(event) => this.take(event.target.files[0])}></label>
        <button class="first" id="job-go" ?disabled=${this.isBusy}>${icon("jobs")} ${t("jobs.go")}</button></div>
      ${this.alert("job")}${this.alert("picker")}
    </div>`;
  }

  priceText() {
    return [t("speak.characters", { n: this.size }), estimateText(this)].filter(Boolean).join(" · ");
  }

  notices() {
    const { estimate, doubt, size } = this;
    const available = session.me?.credits.available ?? null;
    const lacks = note(t("jobs.lacks", { credits: number(available ?? 0) }));
    if (doubt) return doubt.code === "insufficient_quota" ? lacks : note(failureText(doubt));
    if (!estimate) return nothing;
    const whole = estimate.credits * Math.max(1, size / LONGEST);
    const robot = robotNote(estimate);
    return [available !== null && whole > available && lacks, robot && note(robot)].filter(Boolean);
  }

  contents() {
    const chapters = this.chapters.map(named);
    return html`<section class="card stack" id="job-chapters" aria-labelledby="chapters-title">
      <h2 id="chapters-title">${t("jobs.chapters", { n: chapters.length })}</h2>
      <ol class="rows">${chapters.slice(0, MOST_LISTED).map(({ title, input }) => html`<li><span class="name">${title}</span>
        <span class="quiet small num end">${t("speak.characters", { n: input.length })}</span></li>`)}</ol>
      ${chapters.length > MOST_LISTED ? html`<p class="quiet">…</p>` : nothing}
    </section>`;
  }

  delivery() {
    const files = [["one", t("jobs.files_one")], ["chapters", t("jobs.files_chapters")]];
    const set = (field) => (value) => this.change({ [field]: value });
    return html`<div class="card stack delivery">
      ${this.input("job", "title", t("jobs.name"), { value: this.name, max: MOST_TITLE, change: (name) => this.set({ name }) })}
      <div class="field"><strong>${t("history.voice")}</strong>
        ${this.voiceButton()}</div>
      ${this.choice("job", "language", t("speak.language"), { value: draft.language, options: [["", t("speak.automatic")], ...languageChoices([draft.language])], change: set("language") })}
      ${slider(this, "speed", t("speak.speed"), { least: 0.5, most: 2, step: 0.05, text: `${number(draft.speed)} ×` })}
      ${this.choice("job", "files", t("jobs.files"), { value: this.files, options: files, disabled: !this.chapters.length, change: (value) => this.set({ files: value }) })}
      <details class="stack"><summary>${t("speak.more")}</summary>
        ${this.choice("job", "model", t("speak.model"), { value: draft.model, options: speakingModels(true).map(({ id }) => [id, id]), change: (model) => this.change({ model, wanted: model }) })}
        ${this.choice("job", "response_format", t("speak.format"), { value: this.format, options: JOB_FORMATS.map((each) => [each, formatName(each)]), change: (format) => this.set({ format }) })}
        ${this.input("job", "tag", t("speak.tag"), { value: draft.tag, max: 64, hint: t("speak.tag_hint"), change: set("tag") })}
        ${checkBox(this, html`<p class="quiet small">${t("speak.check_hint")}</p>`)}
      </details>
    </div>`;
  }
}
