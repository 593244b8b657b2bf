// The words of the page, in the reader's language. Each language is a flat file of keys and texts.

import { tried } from "./session.js";

export const LANGUAGES = { en: "English", "pt-BR": "Português (Brasil)", th: "ไทย", es: "Español" };
const CHOSEN = "voxgate-language";
let texts = {};
let later = null;
let plurals = new Intl.PluralRules("en");
const formats = new Map();
const SIGNS = { BRL: "R$ ", EUR: "€ ", GBP: "£", INR: "₹", MXN: "MX$", THB: "฿" };
let names = new Intl.DisplayNames("en", { type: "language", style: "short" });
export let language = "en";

// The language that was chosen on the front, or here before, else the first of the browser's that there is.
function preferred() {
  const chosen = [new URLSearchParams(location.search).get("lang"), tried(() => localStorage.getItem(CHOSEN))];
  const known = chosen.find((tag) => Object.hasOwn(LANGUAGES, tag));
  if (known) return known;
  const base = (tag) => tag.split("-")[0].toLowerCase();
  const wanted = navigator.languages.map(base);
  const found = wanted.find((tag) => Object.keys(LANGUAGES).some((each) => base(each) === tag));
  return Object.keys(LANGUAGES).find((each) => base(each) === found) ?? "en";
}

async function readTexts(name) {
  const answer = await fetch(new URL(`../texts/${name}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`texts of ${name}: ${answer.status}`);
  return answer.json();
}

export async function loadTexts(tag = preferred()) {
  texts = await readTexts(tag);
  later = null;
  language = tag;
  plurals = new Intl.PluralRules(tag);
  formats.clear();
  names = new Intl.DisplayNames(tag, { type: "language", style: "short" });
  document.documentElement.lang = tag;
}

// The texts of the pages that are not the first one. They are read once.
export function loadLaterTexts() {
  const own = texts;
  later ??= readTexts(`later/${language}`).then((more) => Object.assign(own, more)).catch((failure) => { later = null; throw failure; });
  return later;
}

export async function chooseLanguage(tag) {
  await loadTexts(tag);
  await loadLaterTexts();
  history.replaceState(null, "", location.pathname + location.hash);
  tried(() => localStorage.setItem(CHOSEN, tag));
}

export function hasText(key) {
  return key in texts;
}

// The text of a key. `{name}` in it is the value of that name; with `n`, the text is that of its plural form.
export function t(key, values = {}) {
  const plural = "n" in values ? `${key}.${plurals.select(values.n)}` : key;
  const text = texts[plural] ?? texts[`${key}.other`] ?? texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

export function languageName(tag) {
  return tried(() => names.of(tag), tag);
}

// A number with two decimals, and below ten with the first three digits: a price of 0.002 is not 0.
export function number(value, digits = Math.abs(value) < 10 ? "few" : 2) {
  const form = digits === "few" ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: digits };
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat(language, { ...form, useGrouping: "always" }));
  return formats.get(digits).format(value);
}

// Credits of which people need to know about how many: whole ones from ten on, three digits of fewer.
export function wholeFromTen(credits, round) {
  if (!credits || Math.abs(credits) >= 10) return round(credits);
  const unit = 10 ** (2 - Math.floor(Math.log10(Math.abs(credits))));
  return round(Number((credits * unit).toFixed(6))) / unit;
}

// Times are seconds, or texts such as "2026-01-31T12:00:00Z".
function dateOf(time) {
  return new Date(typeof time === "number" ? time * 1000 : time);
}

export function day(time) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(dateOf(time));
}

export function fullDay(time) {
  return new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(dateOf(time));
}

// Minutes of speech, as the server tells them: from ten on, whole ones.
export function minutes({ number: n, is_about: isAbout }) {
  const shown = n < 10 ? Math.floor(n * 10) / 10 : Math.floor(n);
  return t(isAbout ? "minutes.about" : "minutes.exact", { n: shown });
}

// The name of a plan, as people write names.
export function planName(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

// What credits are worth to people: minutes, where those can be said.
export function worth(credits, of) {
  return of ? minutes(of) : t("frame.credits", { n: credits });
}

export function moment(time) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(dateOf(time));
}

// An amount of money, which comes as a text: written as on the front, whole amounts without decimals.
export function money(amount, currency) {
  const minimumFractionDigits = Number.isInteger(Number(amount)) ? 0 : 2;
  const format = new Intl.NumberFormat(language, { minimumFractionDigits, maximumFractionDigits: 2, useGrouping: "always" });
  return `${currency === "USD" ? t("money.usd") : SIGNS[currency] ?? `${currency} `}${format.format(amount)}`;
}

// Costs of a request are parts of a cent.
export function dollars(usd) {
  return `${t("money.usd")}${number(usd, 4)}`;
}

// How many pages of a book a text has: two digits, rounded down, and never none.
export function pages(characters) {
  const all = Math.max(1, Math.floor(characters / 1800));
  const unit = 10 ** Math.max(0, String(all).length - 2);
  return Math.floor(all / unit) * unit;
}

// Seconds of sound or of waiting: "4.8 s", "2 min 10 s", "1 h 24 min".
export function duration(seconds) {
  if (seconds < 60) return t("time.seconds", { s: Math.round(seconds * 10) / 10 });
  const whole = Math.round(seconds);
  if (whole < 3600) return t("time.minutes", { m: Math.floor(whole / 60), s: whole % 60 });
  return t("time.hours", { h: Math.floor(whole / 3600), m: Math.floor((whole % 3600) / 60) });
}
