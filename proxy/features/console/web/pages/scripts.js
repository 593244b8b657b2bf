// Scripts: a text in which names begin lines, and a voice for each name. It is spoken, or its cast becomes a voice.

import { Cast, castRow, castSaver, keyOf, namesOf } from "./cast.js";
import SpeakPage from "./speak.js";
import { spokenCard } from "./spoken.js";
import { Failure } from "../core/api.js";
import { draft, hideExample, keepExample, requestOf } from "../core/draft.js";
import { html, nothing, repeat } from "../core/lit.js";
import { areaTabs } from "../core/tabs.js";
import { language, t } from "../core/texts.js";

const MOST_NAMED = 16;
const TAG = /\[([^[\]\n]{1,64})\]/g;

// The names and their voices, until there is another reader.
const cast = new Cast();
// What looks like a name and is not to be one.
const refused = new Set();
document.addEventListener("reader", () => [cast, refused].forEach((each) => each.clear()));

export default class ScriptsPage extends SpeakPage {
  constructor(path) {
    super(path);
    Object.assign(this, { found: new Map(), tags: new Set(), name: "" });
  }

  title() {
    return t("frame.scripts");
  }

  get example() {
    return t("scripts.example");
  }

  voiceButton() {
    return nothing;
  }

  async open() {
    await super.open();
    hideExample();
    this.measure();
    this.update();
  }

  left() {
    super.left();
    keepExample();
  }

  // Who speaks is found once the writer pauses: a name that begins two lines, or that is all in capitals.
  measure() {
    this.found = namesOf(draft.text);
    this.tags = new Set([...draft.text.matchAll(TAG)].map(([, name]) => keyOf(name)));
    for (const [key, { isChosen }] of cast) if (!isChosen && !this.occurs(key)) cast.delete(key);
    for (const [key, { name, times }] of this.found) if (times > 1 || name === name.toUpperCase()) this.add(key, name);
  }

  occurs(key) {
    return this.found.has(key) || this.tags.has(key);
  }

  add(key, name) {
    if (cast.has(key) || refused.has(key) || cast.isFull) return;
    cast.set(key, { name, voice: cast.nextVoice(this.tag) });
  }

  get tag() {
    return draft.language || this.estimate?.language || language;
  }

  get hasVoice() {
    return cast.size > 0;
  }

  get unused() {
    return [...cast].filter(([key]) => !this.occurs(key)).map(([, { name }]) => name);
  }

  get others() {
    return [...this.found].filter(([key, { times }]) => times > 1 && !cast.has(key)).map(([, { name }]) => name).slice(0, MOST_NAMED);
  }

  request(text) {
    return requestOf({ ...draft, text, model: cast.model, voice: "", more: { voice: { cast: cast.named } } });
  }

  readEstimate() {
    this.measure();
    return super.readEstimate();
  }

  submit(event) {
    event?.preventDefault();
    this.measure();
    if (this.hasVoice || !this.spoken.trim()) return super.submit(event);
    return this.run("speak", () => { throw new Failure({ message: t("scripts.no_names"), param: "input" }); }, ["input"]);
  }

  view() {
    return html`<section class="view speak narrow">${this.heading()}${areaTabs("voices", "scripts")}${this.alert("page")}
      ${this.composer()}${spokenCard(this)}</section>`;
  }

  // In the place of one voice: the names, each with its own.
  speakers() {
    if (!cast.size) return html`<p class="quiet speakers" id="script-none">${t("scripts.none")}</p>`;
    return html`<section class="stack speakers" aria-labelledby="script-names"><h2 id="script-names" tabindex="-1">${t("scripts.names", { n: cast.size })}</h2>
      <ul class="rows" role="list" id="script-cast">${repeat(cast, ([key]) => key, ([key, member]) => this.member(key, member))}</ul>
      ${castSaver(this, cast)}
      ${this.alert("script")}</section>`;
  }

  member(key, member) {
    const times = this.found.get(key)?.times ?? 0;
    const about = times ? t("scripts.lines", { n: times }) : this.tags.has(key) ? nothing : t("scripts.unused");
    return castRow(this, "script", member, { about, tag: draft.language || this.estimate?.language, change: () => this.change({}), remove: () => this.remove(key) });
  }

  remove(key) {
    cast.delete(key);
    refused.add(key);
    this.change({});
    this.draw();
    this.place.querySelector("#script-names, textarea").focus();
  }

  // The reader wants them as names after all.
  addOthers = () => {
    for (const name of this.others) {
      refused.delete(keyOf(name));
      this.add(keyOf(name), name);
    }
    this.change({});
  };
}
