// The lines of a job that has ended: a book's sentences, chapter by chapter, or the report of a dub. A line is heard at
// its time, changed, and said again.

import { sayAgain } from "./job_again.js";
import { clock, jobPath, shortClock } from "./job_facts.js";
import { drop, keep, kept } from "./job_kept.js";
import { canHear, playSound } from "./job_sound.js";
import { upload } from "./job_upload.js";
import { ask, Failure, read } from "../core/api.js";
import { html, live, nothing, repeat } from "../core/lit.js";
import { icon } from "../core/page.js";
import { player } from "../core/player.js";
import { number, t } from "../core/texts.js";

const EACH = 50;
const MOST_READ = 1000;
// A pause of a speaker that is shorter would join two lines.
const JOINED_MS = 300;
const CUE = /(\d+)\n(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3})[^\n]*\n([^]*?)(?=\n\n|\n*$)/g;

function cuesOf(srt) {
  const seconds = (h, m, s, ms) => 3600 * h + 60 * m + Number(s) + ms / 1000;
  return [...srt.matchAll(CUE)].map(([, each, h, m, s, ms, ...end]) => ({ number: Number(each), start: seconds(h, m, s, ms), end: seconds(...end.slice(0, 4)), text: end[4].split("\n").join(" ").trim() }));
}

const bare = (word) => word.replace(/^[^\p{L}\p{N}/]+|[^\p{L}\p{N}/]+$/gu, "");

// The words of a line that were changed, and how they are said now. What has no word before or now is null.
export function changedWords(before, after) {
  const [old, now] = [before, after].map((text) => text.trim().split(/\s+/));
  if (old.length !== now.length) {
    while (old.length && now.length && old[0] === now[0]) [old, now].forEach((each) => each.shift());
    while (old.length && now.length && old.at(-1) === now.at(-1)) [old, now].forEach((each) => each.pop());
    old.splice(0, Infinity, old.join(" "));
    now.splice(0, Infinity, now.join(" "));
  }
  const changed = old.map((word, at) => [bare(word), bare(now[at])]).filter(([word, spoken]) => word !== spoken);
  return changed.length && changed.every(([word, spoken]) => word && spoken) ? Object.fromEntries(changed) : null;
}

export class JobLines {
  constructor(page, job) {
    Object.assign(this, { page, job, isDub: job.kind === "dub", rows: [], chapters: [], chapter: null, shown: EACH, isLateOnly: false, isRead: false, clip: null });
    this.edits = new Map(kept(this.name) ?? []);
  }

  get name() {
    return `lines-${this.job.id}`;
  }

  get path() {
    return jobPath(this.job.id);
  }

  // A chapter, or all.
  get query() {
    return this.chapter ? { chapter: this.chapter } : {};
  }

  async open() {
    if (!this.isDub) {
      const known = new Map((await this.allSteps()).filter(({ chapter }) => chapter).map(({ chapter, chapter_title: title }) => [chapter, title]));
      this.chapters = [...known];
      this.chapter = this.chapters[0]?.[0] ?? null;
    }
    await this.read();
  }

  async read() {
    const cues = cuesOf(await (await ask(`${this.path}/subtitles`, { query: { ...this.query, format: "srt" }, signal: this.page.signal })).text());
    const report = this.isDub ? await read(`${this.path}/content`, { query: { file: "report.json" }, signal: this.page.signal }) : null;
    // A line of the report and its subtitle have one number. What has no text is not said again without one.
    const texts = new Map(cues.map(({ number: each, text }) => [each, text]));
    this.rows = report ? report.cues.map((cue, at) => ({ ...cue, cue: cue.number, number: at + 1, text: texts.get(at + 1) ?? "" })) : cues;
    Object.assign(this, { isRead: true, shown: EACH, clip: null, isLateOnly: Boolean(report?.late) });
    this.page.update();
  }

  async allSteps() {
    const steps = [];
    for (let after = "", more = true; more;) {
      const { data, has_more: hasMore, last_id: last } = await read(`${this.path}/steps`, { query: { limit: MOST_READ, after }, signal: this.page.signal });
      steps.push(...data);
      [after, more] = [last, hasMore];
    }
    return steps;
  }

  keyOf({ number: each }) {
    return this.chapter ? `${this.chapter}.${each}` : String(each);
  }

  edit(row, text) {
    const key = this.keyOf(row);
    if (text === row.text) this.edits.delete(key);
    else this.edits.set(key, [row.text, text]);
    keep(this.name, [...this.edits]);
    this.page.update();
  }

  // The sound is fetched once, and then heard from any place.
  async play({ start }) {
    const { audio } = player;
    let { clip } = this;
    if (!clip || player.clip !== clip) {
      const title = this.chapters.find(([each]) => each === this.chapter)?.[1] ?? this.page.title();
      clip = await playSound(this.job, "content", title, this.job.seconds, this.query);
      if (!clip) return;
      this.clip = clip;
      if (audio.readyState < audio.HAVE_METADATA) await new Promise((resolve) => audio.addEventListener("loadedmetadata", resolve, { once: true }));
    }
    // Another sound may have begun meanwhile.
    if (player.clip !== clip) return;
    player.seek(start);
    audio.play().catch(() => {});
  }

  async say() {
    const isMade = await (this.isDub ? this.sayDub() : this.sayWords());
    if (isMade) drop(this.name);
  }

  sayWords() {
    const words = {};
    for (const [before, after] of this.edits.values()) {
      const found = changedWords(before, after);
      if (!found) throw new Failure({ message: t("jobs.lines_words") });
      Object.assign(words, found);
    }
    return sayAgain(this.job, { words }, html`<ul>${Object.entries(words).map(([word, spoken]) => html`<li>${t("jobs.lines_said", { word, spoken })}</li>`)}</ul>`);
  }

  async sayDub() {
    const steps = await this.allSteps();
    const file = new File([this.subtitles(steps)], "lines.srt", { type: "application/x-subrip" });
    const { id } = await upload(file, { signal: this.page.signal });
    let isMade = false;
    try {
      return (isMade = await sayAgain(this.job, { input_file_id: id }));
    } finally {
      if (!isMade) ask(`v1/files/${id}`, { method: "DELETE" }).catch(() => {});
    }
  }

  // Subtitles with the numbers of the old ones, and the times that the lines were to have. A number that speaks no line
  // is kept by a cue that is not spoken.
  subtitles(steps) {
    const cues = [];
    this.rows.forEach((row, at) => {
      const { start, end } = steps[at];
      const next = steps[at + 1]?.start ?? Infinity;
      const isClose = this.rows[at + 1]?.speaker === row.speaker && next >= end && next - end < JOINED_MS;
      const [, text = row.text] = this.edits.get(this.keyOf(row)) ?? [];
      const cue = { start, end: isClose ? Math.max(start + 1, next - JOINED_MS) : end, said: `${row.speaker ? `${row.speaker}: ` : ""}${text.replace(/\s+/g, " ")}` };
      while (cues.length < row.cue - 1) cues.push({ start, end: start + 1, said: "♪" });
      const before = this.rows[at - 1]?.cue === row.cue ? cues.pop() : null;
      cues.push(before ? { ...before, end: Math.max(before.end, end), said: `${before.said}\n${cue.said}` } : cue);
    });
    return cues.map(({ start, end, said }, at) => `${at + 1}\n${clock(start / 1000, ",")} --> ${clock(end / 1000, ",")}\n${said}\n`).join("\n");
  }

  view() {
    const { page, rows, edits, isLateOnly, isDub } = this;
    if (!this.isRead) return page.alert("lines");
    const late = rows.filter(({ is_late: isLate, is_cut: isCut }) => isLate || isCut);
    const listed = isLateOnly ? rows.filter((row) => late.includes(row) || edits.has(this.keyOf(row))) : rows;
    const run = (step) => () => page.run("lines", step);
    const isLacking = isDub && rows.some((row) => !row.text && !edits.has(this.keyOf(row)));
    return html`<section class="card stack" id="job-lines" aria-labelledby="lines-title">
      <div class="row apart"><h2 id="lines-title">${t("jobs.lines")}</h2>
        ${this.chapters.length > 1 ? html`<select id="lines-chapter" aria-label=${t("jobs.chapters", { n: this.chapters.length })} @change=${(event) => this.turn(Number(event.target.value))}>
          ${this.chapters.map(([each, title]) => html`<option value=${each} ?selected=${each === this.chapter}>${each}. ${title}</option>`)}</select>` : nothing}
        ${late.length ? html`<label class="tick"><input type="checkbox" id="lines-late" .checked=${isLateOnly} @change=${(event) => { this.isLateOnly = event.target.checked; page.update(); }}>${t("jobs.lines_late", { n: late.length })}</label>` : nothing}</div>
      <p class="quiet small">${t(isDub ? "jobs.lines_dub" : "jobs.lines_book")}</p>
      <div class="scroll"><table class="fold" id="lines-list"><thead><tr><th>${t("jobs.time")}</th><th>${t("speak.text")}</th>${isDub ? html`<th>${t("speak.speed")}</th><th><span class="skip">${t("jobs.again_go")}</span></th>` : nothing}</tr></thead>
        <tbody>${repeat(listed.slice(0, this.shown), (row) => this.keyOf(row), (row) => this.row(row, run))}</tbody></table></div>
      ${listed.length > this.shown ? html`<div class="row"><button type="button" @click=${() => { this.shown += EACH; page.update(); }}>${t("list.more")}</button></div>` : nothing}
      <div class="row"><button class=${edits.size ? "first" : ""} id="lines-go" ?disabled=${!edits.size || isLacking} @click=${run(() => this.say())}>${icon("again")} ${edits.size ? t("jobs.lines_go", { n: edits.size }) : t("jobs.again_go")}</button></div>
      ${page.alert("lines")}</section>`;
  }

  turn(chapter) {
    this.chapter = chapter;
    return this.page.run("lines", () => this.read());
  }

  row(row, run) {
    const { job, isDub } = this;
    const time = shortClock(row.start);
    const [, text = row.text] = this.edits.get(this.keyOf(row)) ?? [];
    const label = t("jobs.line", { n: row.number });
    return html`<tr class=${text === row.text ? "" : "changed"}><td>${canHear(job.format) ? html`<button type="button" class="plain num" aria-label=${t("transcribe.from", { time })} @click=${run(() => this.play(row))}>${icon("play")} ${time}</button>` : html`<span class="num">${time}</span>`}</td>
      <td class="cue">${row.speaker ? html`<span class="quiet small">${row.speaker}</span>` : nothing}<textarea rows="1" aria-label=${label} maxlength="2000" .value=${live(text)} @input=${(event) => this.edit(row, event.target.value)}></textarea></td>
      ${isDub ? html`<td class="small num">${this.facts(row)}</td>
        <td class="end"><button type="button" class="round plain" aria-label=${t("jobs.line_again", { n: row.number })} @click=${run(() => sayAgain(job, { steps: [row.cue] }))}>${icon("again")}</button></td>` : nothing}</tr>`;
  }

  facts({ pace, shift, is_late: isLate, is_short: isShort, is_cut: isCut }) {
    const tags = [isLate && ["warn", t("jobs.line_late", { s: number(shift, 2) })], isCut && ["bad", t("jobs.line_cut")], isShort && ["", t("jobs.line_short")]].filter(Boolean);
    return html`${number(pace, 2)} × ${tags.map(([look, text]) => html`<span class="tag ${look}">${text}</span> `)}`;
  }
}
