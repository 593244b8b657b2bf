// What History and Usage share: the way from one to the other, periods of UTC days, and long lists by pages.

import { voiceName, voiceOf } from "../core/catalogue.js";
import { html, nothing } from "../core/lit.js";
import { tabs } from "../core/tabs.js";
import { language, t } from "../core/texts.js";

const DAY_MS = 86_400_000;
const PERIODS = ["7", "14", "30", "90", "month", "before"];
export const ROWS = 50;

export function bookTabs(now) {
  return tabs(t("books.tabs"), ["history", "usage"], now);
}

export function periodOptions() {
  return PERIODS.map((period) => [period, Number(period) ? t("books.days", { n: Number(period) }) : t(`books.${period}`)]);
}

// The name of a day, such as 2026-01-31. Without a moment, it is today.
export function nameOf(moment = Date.now()) {
  return new Date(moment).toISOString().slice(0, 10);
}

// The days of a period, from `since` to before `until`. It is closed, so that all that is read of it is of the same days.
export function daysOf(period, now = Date.now()) {
  const date = new Date(now);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  const tomorrow = Date.UTC(year, month, date.getUTCDate() + 1);
  if (period === "month") return { since: nameOf(Date.UTC(year, month, 1)), until: nameOf(tomorrow) };
  if (period === "before") return { since: nameOf(Date.UTC(year, month - 1, 1)), until: nameOf(Date.UTC(year, month, 1)) };
  return { since: nameOf(tomorrow - Number(period) * DAY_MS), until: nameOf(tomorrow) };
}

// The names of all days of a period, such as 2026-01-31.
export function eachDay({ since, until }) {
  const names = [];
  for (let moment = Date.parse(since); moment < Date.parse(until); moment += DAY_MS) names.push(nameOf(moment));
  return names;
}

export function utcDay(name, style = { dateStyle: "medium" }) {
  return new Intl.DateTimeFormat(language, { ...style, timeZone: "UTC" }).format(new Date(name));
}

export function utcDays(first, last) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" }).formatRange(new Date(first), new Date(last));
}

// Who spoke: the voices of a cast stand side by side in the books, and those of a mix with their weights.
export function speakersOf(voice) {
  return voiceOf(voice) ? [voice] : voice.split("+").map((each) => each.replace(/\*[\d.e-]+$/, ""));
}

export function speakerNames(voice) {
  return speakersOf(voice).map(voiceName).join(" + ");
}

// The way through a long list: a page holds one page of it at a time, so that it never grows.
export function pager({ hasBefore, hasMore, before, after, place }) {
  if (!hasBefore && !hasMore) return nothing;
  return html`<div class="row" id="pager"><button ?disabled=${!hasBefore} @click=${before}>${t("books.previous")}</button>
    <button ?disabled=${!hasMore} @click=${after}>${t("books.next")}</button><span class="quiet small num" role="status">${place}</span></div>`;
}
