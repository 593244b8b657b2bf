// The one way to the server: requests with a key or a session, failures as values, events, and files to keep.

import { credentials, session } from "./session.js";
import { t } from "./texts.js";

// The page may lie below a path of a proxy.
const base = location.origin + location.pathname.replace(/[^/]*$/, "");
export const root = `${base}v1`;

// A failure as the server tells it. `param` names a field of the API, and `wait` the seconds of a 429.
export class Failure extends Error {
  constructor({ message, code = "", param = null }, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { code, param, status, wait });
  }
}

// What to do when the server knows the key, or the person, no more, or wants a fresh sign-in.
let onUnknown = () => {};
export function whenUnknown(action) {
  onUnknown = action;
}
const AT_THE_DOOR = ["sign_in_again", "account_suspended"];

async function failureOf(answer) {
  const body = await answer.json().catch(() => ({}));
  const failure = new Failure(body.error ?? { message: t("failure.status", { status: answer.status }) }, answer.status, Number(answer.headers.get("retry-after")) || 0);
  return Object.assign(failure, { body });
}

// Where no feature answers, there is nothing of it.
export function orNone(failure) {
  if (failure.status !== 404) throw failure;
  return { data: [], has_more: false, last_id: null };
}

// What says nothing is left out.
function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  return form;
}

// `form` has the fields of one. With `isKeyless`, a cookie goes along in place of a key: a person signs in, or may have done so.
export async function ask(path, { method, json, form, headers = {}, query = {}, signal, isKeyless = false } = {}) {
  const { key } = session;
  const who = credentials(isKeyless ? "" : key);
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) if (value !== "" && value != null) url.searchParams.set(name, value);
  const body = json === undefined ? form && formOf(form) : JSON.stringify(json);
  // A form says its type itself, with its boundary.
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = {
    method: method ?? (body === undefined ? "GET" : "POST"),
    body,
    signal,
    cache: "no-store",
    credentials: who.credentials,
    headers: { ...type, ...who.headers, ...headers },
  };
  let answer;
  try {
    answer = await fetch(url, sent);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({ message: t("failure.unreachable"), code: "unreachable" });
  }
  if (answer.ok) return answer;
  const failure = await failureOf(answer);
  // A late answer to an earlier key says nothing about the key of now.
  if ((answer.status === 401 || AT_THE_DOOR.includes(failure.code)) && key === session.key) onUnknown(failure);
  throw failure;
}

export async function read(path, options) {
  return (await ask(path, options)).json();
}

// Each event of an answer in server-sent events, as it comes. `note` gets the id of each that has one.
export async function* events(answer, note = () => {}) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Failure({ message: t("failure.broken"), code: "broken" });
    });
    if (done) return;
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const each of whole) {
      const [id, data] = ["id:", "data:"].map((name) => each.split("\n").find((line) => line.startsWith(name))?.slice(name.length));
      if (id) note(id.trim());
      if (data) yield JSON.parse(data);
    }
  }
}

// The name of a file of sound: who speaks, and the first words, without what no file system takes.
export function fileName(voice, text, format) {
  const parts = [voice, text.trim().split(/\s+/, 6).join(" ")].map((each) => each.slice(0, 48).replace(/["*?<>|]+/g, "").replace(/[\p{C}\\/:\s]+/gu, " ").replace(/[\p{P}\s]+$/u, ""));
  return `${parts.filter(Boolean).join(" - ")}.${format}`;
}

export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// A link carries neither a key nor a session, so a file is fetched first.
export async function download(path, name, options) {
  saveBlob(await (await ask(path, options)).blob(), name);
}

// The key of a request: what is sent again after a lost answer is made once.
export class OnceKey {
  of({ file, ...texts }) {
    const said = JSON.stringify(texts);
    if (this.file !== file || this.said !== said) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      Object.assign(this, { file, said, key: [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") });
    }
    return { "Idempotency-Key": this.key };
  }
}
