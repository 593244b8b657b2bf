// The voices of a cast: names, and for each a voice that can be heard and changed. Scripts, books and dubs have casts.

import { genderOf } from "./genders.js";
import { Failure, read } from "../core/api.js";
import { baseOf, catalogue, forgetCatalogue, groupOf, isOfRules, loadCatalogue, modelFor, personIn, titleOf, voiceOf } from "../core/catalogue.js";
import { draft, keyOf } from "../core/draft.js";
import { html, live, nothing } from "../core/lit.js";
import { icon } from "../core/page.js";
import { previewButton } from "../core/previews.js";
import { hasFeature } from "../core/session.js";
import { language, t } from "../core/texts.js";

const MOST_NAMES = 16;
const GROUPS = ["own", "natural", "rules"];
const IN_TURN = { female: "male", male: "female" };

// One speaker under one name: a cast has no cast in it.
const speakers = () => catalogue.voices.filter(({ id, type, engines, shown_as: shown = id }) => engines.length && type !== "cast" && shown === id);

// The place of a voice in a list: first those of the language, then those of every one.
const placeOf = ({ language: own }, tag) => 2 * Boolean(own && baseOf(own) !== baseOf(tag)) + !own;

// The members by key: `name` as it is written, and `voice`. `isChosen` says that the reader chose the voice.
export class Cast extends Map {
  get isFull() {
    return this.size >= MOST_NAMES;
  }

  // The engines that speak all the voices.
  get engines() {
    const [first = [], ...others] = [...this.values()].map(({ voice }) => voiceOf(voice)?.engines ?? []);
    return first.filter((engine) => others.every((engines) => engines.includes(engine)));
  }

  // The body of a request names them so.
  get named() {
    return Object.fromEntries([...this.values()].map(({ name, voice }) => [name, voice]));
  }

  // A voice of one engine is spoken by its models. Others are spoken by whatever an alias leads to.
  get model() {
    const isOfOne = this.engines.length && [...this.values()].some(({ voice }) => voiceOf(voice)?.engines.length === 1);
    return modelFor({ type: isOfOne ? "audio_sample" : "cast", engines: this.engines }, draft.wanted) ?? draft.model;
  }

  // The voice that the name has in a saved cast, so that the next volume sounds like the last one, or another one.
  voiceFor(name, tag) {
    const known = catalogue.voices.flatMap(({ cast }) => Object.entries(cast ?? {})).find(([each, id]) => keyOf(each) === keyOf(name) && voiceOf(id)?.engines.length);
    return known?.[1] ?? this.nextVoice(name, tag);
  }

  // The next natural voice of the language that nobody has yet: a woman's or a man's, as the name is, or else in turn. It is
  // of an engine of the others, if there is one. Once all are taken, they begin anew.
  nextVoice(name, tag = language) {
    const speaker = (id) => voiceOf(id)?.shown_as ?? voiceOf(id)?.alias_of ?? id;
    const taken = [...this.values()].map(({ voice }) => speaker(voice));
    const gender = genderOf(name, tag) ?? taken.map((id) => IN_TURN[voiceOf(id)?.gender]).findLast(Boolean);
    const { engines: shared } = this;
    const isAlike = (voice) => !shared.length || voice.engines.some((engine) => shared.includes(engine));
    const isOther = (voice) => Boolean(gender) && voice.gender !== gender;
    const rankOf = (voice) => 8 * isOfRules(voice) + 2 * (placeOf(voice, tag) & 2) + 2 * isOther(voice) + !isAlike(voice);
    const order = speakers().toSorted((one, other) => rankOf(one) - rankOf(other));
    return (order.find(({ id }) => !taken.includes(speaker(id))) ?? order[taken.length % order.length])?.id ?? "";
  }
}

// A row of the list: what is known of the name, its voice, a sound of that, and a button that takes the name away.
export function castRow(page, form, member, { about, tag, change, remove }) {
  const voice = voiceOf(member.voice);
  const choose = (event) => {
    Object.assign(member, { voice: event.target.value, isChosen: true });
    change();
  };
  return html`<li><span class="about"><span class="name">${member.name}</span><span class="quiet small num">${about}</span></span>
    <select aria-label=${t("scripts.voice", { name: member.name })} @change=${choose}>${GROUPS.map((group) => groupOptions(group, member, tag || language))}</select>
    ${voice ? previewButton(page, form, voice, tag) : nothing}
    ${remove ? html`<button type="button" class="round plain" aria-label=${t("scripts.remove", { name: member.name })} @click=${remove}>${icon("close")}</button>` : nothing}</li>`;
}

function groupOptions(group, member, tag) {
  const voices = speakers().filter((voice) => groupOf(voice) === group).toSorted((one, other) => placeOf(one, tag) - placeOf(other, tag));
  const nameOf = (voice) => [titleOf(voice), ...personIn(voice)].join(", ");
  return voices.length ? html`<optgroup label=${t(`picker.${group}`)}>${voices.map((voice) => html`<option value=${voice.id} ?selected=${voice.id === (voiceOf(member.voice)?.shown_as ?? member.voice)}>${nameOf(voice)}</option>`)}</optgroup>` : nothing;
}

async function save(page, cast) {
  const name = page.name.trim();
  if (!name) throw new Failure({ message: t("scripts.no_name"), param: "name" });
  await read("v1/audio/voices", { json: { name, cast: cast.named } });
  forgetCatalogue();
  await loadCatalogue();
  page.set({ name: "", status: t("scripts.saved", { name }) });
}

// A cast becomes a voice. The page's `name` is that of the new voice.
export function castSaver(page, cast) {
  if (!hasFeature("own_voices")) return nothing;
  return html`<div class="row"><input id="script-name" maxlength="100" aria-label=${t("scripts.name")} placeholder=${t("scripts.name")} aria-invalid=${page.isWrong("script", "name")}
      .value=${live(page.name)} @input=${(event) => { page.mended("script", "name"); page.set({ name: event.target.value }); }}>
    <button type="button" id="script-save" @click=${() => page.run("script", () => save(page, cast), ["name"])}>${t("scripts.save")}</button></div>${page.alert("script", "name")}`;
}
