// One job: how far it is, what it waits for, and what was made of it.

import { againCard } from "./job_again.js";
import { JobLines } from "./job_lines.js";
import { canHear, playSound, saveSound, stepsCard, TEXTS } from "./job_sound.js";
import { follow, isOpen, jobPath, kindOf, leftText, note, Pace, progressBar, secondsOf, stateTag, stepsOf, titleOf, voicesOf, waitText, wordOf } from "./job_facts.js";
import { formatName } from "./spoken.js";
import { ask, read } from "../core/api.js";
import { refreshAccount } from "../core/account.js";
import { catalogue, isOfRules, loadCatalogue, voiceName } from "../core/catalogue.js";
import { agrees } from "../core/dialogs.js";
import { Listing } from "../core/listing.js";
import { html, nothing } from "../core/lit.js";
import { Page, entitle, icon } from "../core/page.js";
import { duration, moment, number, t } from "../core/texts.js";

// Of every other kind, what failed can be tried again.
const ONCE = ["batch", "training"];
const SUBTITLES = ["srt", "vtt"];
// What has subtitles, and lines that are said again.
const SPOKEN = ["speech", "book", "dub"];

// The voices of robots are not listed for each language.
function insteadText(substitute) {
  const voice = catalogue.voices.find(({ id }) => id === substitute || id.endsWith(`/${substitute}`));
  const isRobot = voice ? isOfRules(voice) : catalogue.voices.length;
  return isRobot ? t("speak.robot_read") : t("speak.substitute.voice", { voice: voiceName(substitute) });
}

export default class JobPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { id: path[0], job: null, lines: null, text: "", word: "", spoken: "", isBroken: false, pace: new Pace() });
    this.steps = new Listing(this, `${jobPath(this.id)}/steps`);
  }

  title() {
    return this.job ? titleOf(this.job) : t("jobs.job");
  }

  async open() {
    loadCatalogue().then(() => this.update(), () => {});
    await this.watch();
  }

  async watch() {
    for await (const job of follow(this.id, this.signal, (isBroken) => this.set({ isBroken }))) await this.take(job);
  }

  async take(job) {
    const before = this.job;
    this.pace.note(job);
    this.set({ job });
    entitle(this.title());
    if (job.ended && (!before || isOpen(before) || before.settling)) refreshAccount();
    const isFurther = before?.steps_done !== job.steps_done || before.status !== job.status;
    if (job.kind === "training" || !isFurther) return;
    await this.steps.refresh().catch((failure) => this.tell("steps", failure));
    if (SPOKEN.includes(job.kind) && job.status === "done") {
      this.lines = new JobLines(this, job);
      // Of a job whose sound was erased, there are no lines.
      await this.run("lines", () => this.lines.open().catch((failure) => { if (failure.status !== 409) throw failure; }));
    }
    if (job.kind !== "transcription" || !job.ended || !job.steps_done) return;
    await this.run("result", async () => this.set({ text: await (await ask(`${jobPath(this.id)}/content`, { query: { format: "text" } })).text() }));
  }

  cancel() {
    return this.run("job", async () => {
      const { kind } = this.job;
      // What can be tried again was not lost.
      const question = { title: t("jobs.cancel_title"), text: t("jobs.cancel_text"), no: t("jobs.keep"), yes: t("voices.cancel"), isDanger: true };
      if (ONCE.includes(kind) && !(await agrees(question))) return;
      await this.take(await read(`${jobPath(this.id)}/cancel`, { method: "POST" }));
    });
  }

  retry() {
    return this.run("job", async () => {
      await this.take(await read(`${jobPath(this.id)}/retry`, { method: "POST" }));
      await this.watch();
    });
  }

  remove() {
    return this.run("job", async () => {
      const question = { title: t("voices.delete_title", { name: this.title() }), text: t("jobs.delete_text"), no: t("jobs.keep"), yes: t("history.delete"), isDanger: true };
      if (!(await agrees(question))) return;
      await ask(jobPath(this.id), { method: "DELETE" });
      location.hash = "#/jobs";
    });
  }

  view() {
    const { job } = this;
    const isWhole = job && job.kind !== "training";
    return html`<section class="view">${this.heading(job ? this.buttons(job) : nothing)}
      <p><a href="#/jobs">← ${t("frame.jobs")}</a></p>
      ${this.alert("page")}${this.alert("job")}
      ${job ? this.progress(job) : nothing}
      ${job && job.ended && (job.steps_done || job.kind === "training") ? this.result(job) : nothing}
      ${this.lines?.view() ?? nothing}
      ${SPOKEN.includes(job?.kind) && job.ended && job.steps_done ? againCard(this) : nothing}
      ${isWhole && !(job.kind === "dub" && this.lines) && this.steps.rows.length ? stepsCard(this) : nothing}
    </section>`;
  }

  buttons(job) {
    const canRetry = ["failed", "canceled"].includes(job.status) && !ONCE.includes(job.kind);
    return html`<div class="row">
      ${isOpen(job) ? html`<button id="job-cancel" @click=${() => this.cancel()}>${icon("stop")} ${t("voices.cancel")}</button>` : nothing}
      ${canRetry ? html`<button class="first" id="job-retry" @click=${() => this.retry()}>${icon("again")} ${t("jobs.retry")}</button>` : nothing}
      <button class="danger" id="job-delete" @click=${() => this.remove()}>${icon("trash")} ${t("history.delete")}</button></div>`;
  }

  progress(job) {
    const facts = [kindOf(job), job.model, voicesOf(job), formatName(job.format)];
    if (job.characters) facts.push(t("speak.characters", { n: job.characters }));
    return html`<section class="card stack" id="job-state" aria-label=${t("jobs.state")}>
      <div class="row apart"><span role="status">${stateTag(job)}</span><span class="num" id="job-steps">${t("jobs.steps", stepsOf(job))}</span></div>
      ${progressBar(job)}
      <p class="quiet small">${facts.filter(Boolean).join(" · ")}</p>
      ${this.notes(job)}
      <dl class="tiles facts">
        ${this.fact(t("jobs.handed_in"), moment(secondsOf(job.created)))}
        ${job.ended ? this.fact(t("jobs.ended"), moment(secondsOf(job.ended))) : this.fact(t("jobs.time_left"), leftText(job, this.pace) || "–", "job-left")}
        ${job.kind === "training" ? nothing : this.fact(t("jobs.sound"), duration(job.seconds))}
        ${this.fact(t("usage.credits"), number(job.credits))}
        ${Object.entries(job.columns ?? {}).map(([name, value]) => this.fact(wordOf(job, name) ?? name, value))}
      </dl>
    </section>`;
  }

  fact(name, text, id = nothing) {
    return html`<div><dt class="quiet small">${name}</dt><dd class="num" id=${id}>${text}</dd></div>`;
  }

  notes(job) {
    const fields = job.warnings.filter((each) => each.endsWith("is followed")).map((each) => each.split(":")[0]).join(", ");
    const texts = [
      waitText(job),
      this.isBroken && t("jobs.broken"),
      job.substitute && insteadText(job.substitute),
      fields && t("speak.ignored", { fields }),
    ];
    const error = job.error ? note(html`<span lang="en">${job.error}</span>`, "bad", "job-error") : nothing;
    return html`${error}${texts.filter(Boolean).map((text) => note(text))}`;
  }

  result(job) {
    if (job.kind === "training") return this.trained(job);
    const isText = job.kind === "transcription";
    const isZip = job.files === "chapters" || job.kind === "batch";
    const hear = !isZip && canHear(job.format);
    const save = (query, part = "content", title = titleOf(job)) => () => this.run("result", () => saveSound(job, query, part, title));
    const more = [
      ...this.filesOf(job).map(([file, name]) => [file.split(".")[0], name, save({ file }, "content", `${titleOf(job)} ${file.split(".")[0]}`)]),
      ...(SPOKEN.includes(job.kind) ? SUBTITLES : []).map((format) => [format, format.toUpperCase(), save({ format }, "subtitles")]),
      ...(isText ? TEXTS.slice(0, -1) : []).map((format) => [format, t("speak.save", { format: { text: "TXT", verbose_json: "JSON" }[format] ?? format.toUpperCase() }), save({ format })]),
    ];
    return html`<section class="card stack" id="job-result" aria-labelledby="job-result-title">
      <h2 id="job-result-title">${t("jobs.result")}</h2>
      ${job.status === "done" ? nothing : html`<p class="quiet">${t("jobs.partly")}</p>`}
      ${isText ? html`<p id="job-text">${this.text}</p>` : nothing}
      <div class="row">
        ${hear ? html`<button class=${job.status === "done" ? "first" : ""} id="job-play" @click=${() => this.run("result", () => playSound(job, "content", titleOf(job), job.seconds))}>${icon("play")} ${t("player.play")}</button>` : nothing}
        ${isText ? nothing : html`<button id="job-save" class=${hear || job.status !== "done" ? "" : "first"} @click=${save()}>${icon("down")} ${t("speak.save", { format: isZip ? "ZIP" : formatName(job.format) })}</button>`}
        ${more.map(([name, text, step]) => html`<button class="plain" id="job-${name}" @click=${step}>${icon("down")} ${text}</button>`)}
      </div>
      ${this.alert("result")}
    </section>`;
  }

  // What a dub has beside its track.
  filesOf({ kind, status, columns }) {
    if (kind !== "dub" || status !== "done") return [];
    const stems = String(columns?.results ?? "").split(", ").filter((name) => ["speech", "bed"].includes(name));
    return [...stems.map((name) => [name, t(`jobs.stem.${name}`)]), ["report.csv", t("jobs.report")]];
  }

  trained(job) {
    if (job.status !== "done") return nothing;
    return html`<div class="row"><a class="button first" href="#/train/${job.training.voice}">${t("train.voice", { name: voiceName(job.training.voice) })}</a></div>`;
  }
}
