// Scripts: a text in which names begin lines, and a voice for each name. It is spoken, or its cast becomes a voice.

import { Cast, castRow, castSaver } from "./cast.js";
import SpeakPage from "./speak.js";
import { spokenCard } from "./spoken.js";
import { Failure } from "../core/api.js";
import { draft, hideExample, keepExample, keyOf, namesOf, requestOf } from "../core/draft.js";
import { html, nothing, repeat } from "../core/lit.js";
import { hasText, language, t } from "../core/texts.js";

const MOST_NAMED = 16;
const MOST_SHOWN = 3;
const TAG = /\[([^[\]\n]{1,64})\]/g;
// Words in brackets, but for the links of Markdown.
const BRACKETS = /[ \t]{0,8}(?:\[([^[\]\n]{1,200})\](?!\()|(?<!\])\([^()\n]{1,200}\)|（[^（）\n]{1,200}）)/g;

// The names and their voices, until there is another reader.
const cast = new Cast();
// What looks like a name and is not to be one.
const refused = new Set();
// Whether stage directions are spoken.
let areSpoken = false;
document.addEventListener("reader", () => [cast, refused].forEach((each) => each.clear()));

const isTag = (word) => cast.has(keyOf(word)) || hasText(`emotion.${keyOf(word)}`) || /^pause\b/i.test(word);

export default class ScriptsPage extends SpeakPage {
  constructor(path) {
    super(path);
    Object.assign(this, { found: new Map(), tags: new Set(), said: "", directions: [], name: "" });
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

  // A name begins two lines, or is all in capitals. What else is in brackets is a stage direction.
  measure() {
    this.found = namesOf(areSpoken ? draft.text : draft.text.replace(BRACKETS, ""));
    this.tags = new Set([...draft.text.matchAll(TAG)].map(([, name]) => keyOf(name)));
    for (const [key, { isChosen }] of cast) if (!isChosen && !this.occurs(key)) cast.delete(key);
    for (const [key, { name, times }] of this.found) if (times > 1 || name === name.toUpperCase()) this.add(key, name);
    this.directions = [];
    const said = draft.text.replace(BRACKETS, (whole, word) => (word && isTag(word) ? whole : (this.directions.push(whole.trim()), "")));
    this.said = areSpoken ? draft.text : said;
  }

  get spoken() {
    return this.said;
  }

  occurs(key) {
    return this.found.has(key) || this.tags.has(key);
  }

  add(key, name) {
    if (cast.has(key) || refused.has(key) || cast.isFull) return;
    cast.set(key, { name, voice: cast.nextVoice(name, this.tag) });
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

  submit(event) {
    event?.preventDefault();
    this.measure();
    if (this.hasVoice || !this.spoken.trim()) return super.submit(event);
    return this.run("speak", () => { throw new Failure({ message: t("scripts.no_names"), param: "input" }); }, ["input"]);
  }

  view() {
    return html`<section class="view speak narrow">${this.heading()}${this.alert("page")}
      ${this.composer()}${spokenCard(this)}</section>`;
  }

  // In the place of one voice: the names, each with its own.
  speakers() {
    if (!cast.size) return html`<p class="quiet speakers" id="script-none">${t("scripts.none")}</p>`;
    return html`<section class="stack speakers" aria-labelledby="script-names"><h2 id="script-names" tabindex="-1">${t("scripts.names", { n: cast.size })}</h2>
      <ul class="rows" role="list" id="script-cast">${repeat(cast, ([key]) => key, ([key, member]) => this.member(key, member))}</ul>
      ${this.directions.length ? this.directionsBox() : nothing}${castSaver(this, cast)}
      ${this.alert("script")}</section>`;
  }

  directionsBox() {
    const shown = [...this.directions.slice(0, MOST_SHOWN), ...(this.directions.length > MOST_SHOWN ? ["…"] : [])].join(" ");
    const change = ({ target }) => {
      areSpoken = target.checked;
      this.change({});
    };
    return html`<label class="tick"><input type="checkbox" id="script-directions" .checked=${areSpoken} @change=${change}><span class="name">${t("scripts.directions", { directions: shown })}</span></label>`;
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
