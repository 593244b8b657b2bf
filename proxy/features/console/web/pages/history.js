// History: what was spoken and is kept. An entry is played, saved, said again, or deleted.

import { bookTabs, daysOf, pager, periodOptions, ROWS, speakerNames, speakersOf } from "./books.js";
import { ask, download, Failure, fileName, read } from "../core/api.js";
import { catalogue, loadCatalogue, voiceOf } from "../core/catalogue.js";
import { agrees } from "../core/dialogs.js";
import { sayAgain } from "../core/draft.js";
import { html, nothing, repeat } from "../core/lit.js";
import { icon, Page, select } from "../core/page.js";
import { player } from "../core/player.js";
import { duration, moment, t } from "../core/texts.js";

const MOST_VOICES = 100;
const NAME = 60;

function pathOf({ id }) {
  return `v1/history/${encodeURIComponent(id)}`;
}

const fileOf = (entry) => fileName(speakerNames(entry.voice), titleOf(entry), entry.sound.format);

// Telephone formats are for telephones. A browser may know a container by another name.
function isPlayable({ media_type: type }) {
  return [type, type.replace("opus", "ogg")].some((each) => player.audio.canPlayType(each) !== "");
}

function titleOf(entry) {
  if (entry.operation === "conversion") return t("usage.operation.conversion");
  return entry.text || t("history.unreadable");
}

export default class HistoryPage extends Page {
  constructor(path) {
    super(path);
    Object.assign(this, { voice: "", period: "", list: null, voices: [] });
    // Where the pages begin that were turned, each behind the entry of this id.
    this.starts = [""];
  }

  title() {
    return t("frame.history");
  }

  async open() {
    // What was just spoken is written a moment after its end.
    document.addEventListener("account", () => this.starts.length === 1 && this.reload(), { signal: this.signal });
    await Promise.all([this.readList(), loadCatalogue().catch(() => {})]);
    this.update();
  }

  // The voices to choose from are those that were used.
  async readVoices() {
    const days = Math.min(366, Math.max(1, Math.ceil(this.list.days)));
    const { data } = await read("v1/usage", { query: { ...daysOf(days), by: "voice", limit: MOST_VOICES } }).catch(() => ({ data: [] }));
    this.set({ voices: data.map(({ name }) => name).filter(Boolean) });
  }

  get filter() {
    return { voice: this.voice, ...(this.period && daysOf(this.period)) };
  }

  async readList() {
    const query = { ...this.filter, limit: ROWS, after: this.starts.at(-1) };
    const asked = (this.asked = {});
    try {
      const list = await read("v1/history", { query, signal: this.signal });
      if (this.asked !== asked) return;
      this.set({ list });
      if (list.data.length && !this.voices.length) this.readVoices();
    } catch (failure) {
      // The entry before this page is gone by now.
      if (failure.param !== "after") throw failure;
      this.starts = [""];
      await this.readList();
    }
  }

  reload() {
    return this.run("history", () => this.readList());
  }

  change(changes) {
    this.starts = [""];
    this.set(changes);
    return this.reload();
  }

  async turn(starts) {
    this.starts = starts;
    await this.reload();
    this.place.querySelector("#history-title").focus();
  }

  async play(entry) {
    const turn = player.claim();
    const blob = await (await ask(`${pathOf(entry)}/content`)).blob();
    await player.play({ title: `${speakerNames(entry.voice)} · ${titleOf(entry)}`, name: fileOf(entry) }, blob, turn);
  }

  // The same settings, also those that Speak has no field for. Nothing is spoken before its reader asks.
  async again(entry) {
    const { request, tag } = await read(pathOf(entry));
    if (!request) throw new Failure({ message: t("history.unreadable") });
    sayAgain(request, tag);
    location.hash = "#/speak";
  }

  mayDelete(title) {
    return agrees({ title, text: t("history.delete_text"), no: t("word.no"), yes: t("history.delete"), isDanger: true });
  }

  async remove(entry) {
    if (!(await this.mayDelete(t("history.delete_one")))) return;
    const place = this.list.data.indexOf(entry);
    await ask(pathOf(entry), { method: "DELETE" });
    await this.readList();
    this.gone(1, [...this.place.querySelectorAll("#history-list .danger")][place]);
  }

  async removeAll() {
    if (!(await this.mayDelete(t("history.delete_chosen")))) return;
    const { deleted } = await read("v1/history", { method: "DELETE", query: this.filter });
    this.starts = [""];
    await this.readList();
    this.gone(deleted);
  }

  // The focus goes to what stands where the deleted was.
  gone(count, next) {
    this.status = t("history.deleted", { n: count });
    this.draw();
    (next ?? this.place.querySelector("#history-title")).focus();
  }

  view() {
    const { list } = this;
    return html`<section class="view">${this.heading()}
      ${bookTabs("history")}
      ${list ? this.told(list) : nothing}
      ${this.alert("page")}
      ${list && (list.days || list.data.length) ? this.card(list) : nothing}
    </section>`;
  }

  told({ days, account_mb: all, used_mb: used }) {
    if (!days) return html`<p class="note warn" id="history-days">${icon("info")}<span>${t("history.off")}</span></p>`;
    return html`<p class="quiet" id="history-days">${t("history.kept", { n: days })} ${t("history.room", { used, all })}</p>`;
  }

  card({ data, has_more: hasMore, last_id: last }) {
    const isFiltered = this.voice || this.period;
    if (!data.length && !isFiltered && this.starts.length === 1) {
      return html`<div class="card stack"><h2 id="history-title" tabindex="-1">${t("history.list")}</h2>${this.statusLine()}
        <p class="quiet">${t("history.none")}</p><div class="row"><a class="button first" href="#/speak">${icon("speak")} ${t("frame.speak")}</a></div></div>`;
    }
    const place = t("books.page", { n: this.starts.length });
    return html`<div class="card stack"><div class="row apart"><h2 id="history-title" tabindex="-1">${t("history.list")}</h2>${this.filters()}</div>
      ${this.alert("history")}${this.statusLine()}
      ${data.length ? nothing : html`<p class="quiet">${t("history.none_found")}</p>`}
      <ul role="list" class="entries" id="history-list">${repeat(data, ({ id }) => id, (entry) => this.entry(entry))}</ul>
      ${pager({ hasBefore: this.starts.length > 1, hasMore, place,
        before: () => this.turn(this.starts.slice(0, -1)), after: () => this.turn([...this.starts, last]) })}</div>`;
  }

  filters() {
    const voices = [["", t("history.any_voice")], ...this.voices.map((id) => [id, speakerNames(id)])];
    return html`<div class="row">
      ${select("history-voice", t("history.voice"), { value: this.voice, options: voices, change: (voice) => this.change({ voice }) })}
      ${select("history-period", t("books.period"), { value: this.period, options: [["", t("history.any_time")], ...periodOptions()], change: (period) => this.change({ period }) })}
      <button class="plain danger" id="history-delete" ?disabled=${!this.list.data.length} @click=${() => this.run("history", () => this.removeAll())}>
        ${icon("trash")} ${t("history.delete_all")}</button></div>`;
  }

  entry(entry) {
    const title = titleOf(entry);
    const { sound } = entry;
    const step = (name, sign, action, isOff = false) => html`<button class="round plain ${sign === "trash" ? "danger" : ""}" ?disabled=${isOff}
      aria-label="${name}: ${[...title].slice(0, NAME).join("")}"
      @click=${() => this.run("history", () => action.call(this, entry))}>${icon(sign)}</button>`;
    return html`<li><div class="about"><p class="extract"><bdi>${title}</bdi></p><p class="quiet small num">${this.facts(entry)} ${this.tags(entry)}</p></div>
      <div class="row line">${step(t("player.play"), "play", this.play, !sound || !isPlayable(sound))}
        ${step(t("player.save", { format: sound?.format.toUpperCase() ?? "" }), "down", (each) => download(`${pathOf(each)}/content`, fileOf(each)), !sound)}
        ${entry.operation === "speech" ? step(t("history.again"), "again", this.again) : nothing}${step(t("history.delete"), "trash", this.remove)}</div></li>`;
  }

  facts({ operation, voice, created_at: at, seconds, credits, refunded, tag }) {
    const left = credits === null ? null : credits - refunded;
    const said = operation === "transcription" ? t("usage.operation.transcription") : t("voice.cast");
    const facts = [voice ? speakerNames(voice) : said, moment(at), seconds && duration(seconds), left !== null && t("frame.credits", { n: left }), tag];
    return facts.filter(Boolean).join(" · ");
  }

  // What became of it, in words.
  tags({ operation, outcome, credits, refunded, sound, voice }) {
    const tags = [];
    if (outcome === "failed") tags.push(["bad", credits ? t("history.failed") : t("history.not_charged")]);
    if (outcome === "left") tags.push(["warn", t("history.left")]);
    if (refunded) tags.push(["", t("usage.refunded", { n: refunded })]);
    if (!sound && outcome === "finished" && operation !== "transcription") tags.push(["", t("history.no_sound")]);
    if (voice && catalogue.voices.length && !speakersOf(voice).every(voiceOf)) tags.push(["warn", t("history.gone")]);
    return tags.map(([kind, text]) => html` <span class="tag ${kind}">${text}</span>`);
  }
}
