// Tables: each line of a CSV file is spoken into a file of its own, by a batch.

import { note, stateTag } from "./job_facts.js";
import { COLUMNS, batchFile, mostText, outcomeFile, readTable, requestOf, sizeOf } from "./table_lines.js";
import { Failure, OnceKey, download, read, saveBlob } from "../core/api.js";
import { isSpoken, loadCatalogue, voiceOf } from "../core/catalogue.js";
import { fileOf, textOf } from "../core/csv.js";
import { chooseFirst, draft, usualVoice } from "../core/draft.js";
import { voiceButton } from "../core/hear.js";
import { Listing } from "../core/listing.js";
import { html, nothing, repeat } from "../core/lit.js";
import { failureText, icon, Page } from "../core/page.js";
import { hasFeature, session } from "../core/session.js";
import { areaTabs } from "../core/tabs.js";
import { language, moment, number, t, wholeFromTen } from "../core/texts.js";

const EXPLAINED = ["text", "id", "voice", "language"];
const FORMATS = ["mp3", "wav", "opus", "flac", "aac"];
const MOST_BYTES = 10 * 1024 * 1024;
const MOST_LISTED = 100;
const SHOWN = 5;
const SHOWN_FAULTS = 20;
const MOST_ASKED = 6;
const LOOK_MS = 3000;
const STATES = { completed: "done", in_progress: "running", failed: "failed", expired: "expired", cancelled: "canceled" };

export default class TablesPage extends Page {
  batches = new Listing(this, "v1/batches", {}, MOST_LISTED);
  voice = null;
  format = "mp3";
  name = "";
  text = "";
  table = null;
  price = null;
  once = new OnceKey();

  title() {
    return t("frame.tables");
  }

  async open() {
    await Promise.all([loadCatalogue(), this.readBatches()]);
    chooseFirst();
    this.set({ voice: voiceOf(draft.voice) ?? usualVoice() });
  }

  left() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  async readBatches() {
    await this.batches.refresh();
    this.lookSoon();
  }

  // While something is spoken, the list is read again. While its reader is at the door, nothing is.
  lookSoon() {
    clearTimeout(this.timer);
    this.isOpened = Boolean(session.me);
    if (this.isLeft || !this.isOpened || !this.batches.rows.some(({ status }) => status === "in_progress")) return;
    this.timer = setTimeout(() => this.readBatches().catch(() => this.lookSoon()), LOOK_MS);
  }

  async take(file) {
    if (!file) return;
    this.set({ name: file.name.replace(/\.\w+$/, ""), text: "", table: null, status: "" });
    await this.run("table", async () => {
      if (file.size > MOST_BYTES) throw new Failure({ message: t("tables.large") });
      this.text = await textOf(file);
      this.readLines();
    });
  }

  readLines() {
    this.set({ table: readTable(this.text, this.voice), price: null, status: "" });
    if (!this.table.faults.length) this.estimate();
  }

  change(changes) {
    this.set(changes);
    if (this.table) this.run("table", async () => this.readLines());
  }

  // By the beginning of what each voice says in each language. Those with little text are priced as the others.
  async estimate() {
    this.asked?.abort();
    if (!hasFeature("estimates")) return;
    const { signal } = (this.asked = new AbortController());
    const { lines } = this.table;
    const groups = [...Map.groupBy(lines, ({ voice, language }) => `${voice.id} ${language}`).values()]
      .toSorted((a, b) => sizeOf(b) - sizeOf(a));
    let [credits, known] = [0, 0];
    for (const own of groups.slice(0, MOST_ASKED)) {
      const input = beginningOf(own);
      try {
        const estimate = await read("v1/audio/speech/estimate", { json: { ...requestOf(own[0], this.format), input }, signal });
        credits += estimate.credits * (sizeOf(own) / [...input].length);
        known += sizeOf(own);
      } catch (failure) {
        if (failure.name === "AbortError") return;
        // What a moment's rush refuses is no news about the table.
        if (failure.code !== "rate_limit_exceeded") this.set({ price: { line: own[0].line, failure } });
        return;
      }
    }
    const { speech } = session.me.prices;
    this.set({ price: { credits: speech.per === "job" ? speech.credits * lines.length : (credits * sizeOf(lines)) / known } });
  }

  send(event) {
    event.preventDefault();
    if (this.isBusy || !this.table || this.table.faults.length) return undefined;
    this.set({ isBusy: true });
    return this.run("table", async () => {
      const file = batchFile(this.table.lines, this.format, this.name);
      if (file.size > MOST_BYTES) throw new Failure({ message: t("tables.large") });
      // After a lost answer the file that is there is used.
      const [sent, now] = [this.sent, `${this.format} ${this.voice.id} ${this.text}`];
      if (sent?.now !== now) this.sent = { now, id: (await read("v1/files", { form: { purpose: "batch", file } })).id };
      const title = [...this.name.replace(/\p{Cc}+/gu, " ").trim()].slice(0, 200).join("");
      const json = { kind: "batch", input_file_id: this.sent.id, title, metadata: { table: title } };
      await read("v1/jobs", { json, headers: this.once.of(json) });
      this.set({ table: null, text: "", name: "", sent: null, price: null, status: t("tables.begun") });
      await this.readBatches();
      this.draw();
      this.place.querySelector("#tables-title")?.focus();
    }).finally(() => this.set({ isBusy: false }));
  }

  view() {
    return html`<section class="view">${this.heading()}${areaTabs("jobs", "tables")}
      ${this.alert("page")}
      ${this.batches.isRead && this.voice ? html`${this.form()}${this.list()}` : nothing}
      ${this.picker?.view() ?? nothing}
    </section>`;
  }

  form() {
    const { table } = this;
    return html`<form class="card stack" novalidate @submit=${(event) => this.send(event)}>
      <h2>${t("tables.new")}</h2>
      ${table ? nothing : this.guide()}
      <div class="grid">
        <div class="field"><strong>${t("tables.voice")}</strong>${voiceButton(this, "table-voice", (voice) => this.change({ voice }))}</div>
        ${this.choice("table", "format", t("tables.format"), { value: this.format, options: FORMATS.map((each) => [each, each.toUpperCase()]), change: (format) => this.change({ format }) })}
      </div>
      ${table ? this.found(table) : nothing}
      ${this.alert("table")}${this.alert("picker")}${this.statusLine()}
      <div class="row"><label class="button file ${table ? "" : "first"}">${icon("plus")} ${t("tables.choose")}<input type="file" id="table-file" accept=".csv,.tsv,.txt,text/csv"
          @change=${(event) => { this.take(event.target.files[0]); event.target.value = ""; }}></label>
        ${table ? nothing : html`<button type="button" class="plain" id="tables-example" @click=${() => saveBlob(exampleFile(), "example.csv")}>${icon("down")} ${t("tables.example")}</button>`}
        ${table && !table.faults.length ? html`<button class="first" id="table-go" ?disabled=${this.isBusy}>${icon("jobs")} ${t("tables.go")}</button>` : nothing}</div>
    </form>`;
  }

  // What the columns are, and what happens with the file.
  guide() {
    return html`<p>${t("tables.about")}</p>
      <table class="small" id="tables-columns"><tbody>${EXPLAINED.map((name) => html`<tr><th scope="row"><code>${name}</code></th><td>${t(`tables.column.${name}`)}</td></tr>`)}</tbody></table>
      <p>${t("tables.then", { go: t("tables.go") })}</p>`;
  }

  // What was found in the file: its faults, or its first lines and the price.
  found({ lines, faults, left }) {
    if (faults.length) {
      const more = faults.length - SHOWN_FAULTS;
      return html`<div class="note bad" role="alert" id="table-faults">${icon("info")}<div class="stack"><strong class="name">${t("tables.faults", { name: this.name, n: faults.length })}</strong>
        <ul>${faults.slice(0, SHOWN_FAULTS).map((text) => html`<li>${text}</li>`)}${more > 0 ? html`<li>${t("tables.more", { n: more })}</li>` : nothing}</ul></div></div>`;
    }
    const facts = [t("tables.lines", { n: lines.length }), t("speak.characters", { n: sizeOf(lines) }), this.priceText()].filter(Boolean);
    return html`<p class="num name" id="table-facts" role="status"><strong>${this.name}</strong>: ${facts.join(", ")}</p>
      ${left.length ? html`<p class="quiet small">${t("tables.left", { columns: left.join(", ") })}</p>` : nothing}${this.notes()}
      <div class="scroll"><table class="small" id="table-lines"><thead><tr>${COLUMNS.map((name) => html`<th>${name}</th>`)}</tr></thead>
        <tbody>${lines.slice(0, SHOWN).map(({ id, input, voice, language }) => html`<tr><td>${id}</td><td><span class="extract">${input.slice(0, 300)}</span></td><td>${voice.title || voice.name}</td><td>${language || t("speak.automatic")}</td></tr>`)}</tbody></table></div>
      ${lines.length > SHOWN ? html`<p class="quiet small">${t("tables.more", { n: lines.length - SHOWN })}</p>` : nothing}`;
  }

  priceText() {
    const { credits } = this.price ?? {};
    if (credits === undefined) return "";
    return credits ? t("speak.credits", { n: wholeFromTen(credits, Math.ceil) }) : t("speak.free");
  }

  notes() {
    const { line, failure, credits = 0 } = this.price ?? {};
    const available = session.me?.credits.available ?? null;
    const isShort = failure ? failure.code === "insufficient_quota" : available !== null && credits > available;
    if (!failure && !isShort) return nothing;
    const text = isShort ? t("jobs.lacks", { credits: number(available ?? 0) }) : html`${t("csv.line", { line, text: "" })} ${failureText(failure)}`;
    return note(text, "warn", "table-note");
  }

  list() {
    const { rows } = this.batches;
    if (!rows.length) return html`<div class="card new" id="tables-none"><h2>${t("list.empty")}</h2><p class="quiet">${t("tables.none")}</p></div>`;
    return html`<section class="card stack" aria-labelledby="tables-title"><h2 id="tables-title" tabindex="-1">${t("tables.list")}</h2>
      <div class="scroll"><table class="fold" id="tables-list"><thead><tr><th>${t("tables.table")}</th><th>${t("jobs.handed_in")}</th><th>${t("jobs.state")}</th><th>${t("jobs.result")}</th></tr></thead>
      <tbody>${repeat(rows, ({ id }) => id, (batch) => this.row(batch))}</tbody></table></div>
      ${this.batches.foot("batches")}${this.alert("batches")}</section>`;
  }

  row(batch) {
    const { id, status, metadata, created_at: created, request_counts: { total, completed, failed }, sound_file_id: sound } = batch;
    const name = metadata?.table || id;
    const saver = (kind, label, step) => html`<button aria-label="${label}: ${name}" @click=${() => this.run("batches", step)}>${icon("down")} ${kind}</button>`;
    const hasEnded = status !== "in_progress" && total > 0;
    return html`<tr><td><a class="name" href="#/jobs/${encodeURIComponent(id)}">${name}</a><br><span class="quiet small num">${t("tables.counts", { done: completed, all: total, failed })}</span></td>
      <td class="quiet small num">${moment(created)}</td><td>${stateTag({ status: failed && status === "completed" ? "failed" : STATES[status], steps_done: completed })}</td>
      <td><div class="row">${sound ? saver("ZIP", t("tables.sounds"), () => download(`v1/files/${encodeURIComponent(sound)}/content`, `${name}.zip`)) : nothing}
        ${hasEnded ? saver("CSV", t("tables.outcome"), async () => saveBlob(await outcomeFile(batch), `${name}.csv`)) : nothing}</div></td></tr>`;
  }
}

const exampleFile = () => fileOf([COLUMNS, ["hello", t("tables.example_text"), "", isSpoken(language) ? language : ""]]);

// The texts of lines, as much as an estimate takes. A line has at least one character.
function beginningOf(lines) {
  const most = mostText();
  const text = lines.slice(0, most).map(({ input }) => input).join("\n");
  return [...text.slice(0, 2 * most)].slice(0, most).join("");
}
