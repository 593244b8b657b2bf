// A table of lines to be spoken: its rows as requests, what is wrong with them, and what became of them.

import { ask, orNone } from "../core/api.js";
import { catalogue, isSpoken, modelFor } from "../core/catalogue.js";
import { fileOf, rowsOf } from "../core/csv.js";
import { draft } from "../core/draft.js";
import { session } from "../core/session.js";
import { t } from "../core/texts.js";

export const COLUMNS = ["id", "text", "voice", "language"];
const MOST_ROWS = 20_000;
const MOST_ID = 256;
const MOST_TEXT = 4096;
const LANGUAGE = /^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i;

// The most characters of a line.
export const mostText = () => Math.min(MOST_TEXT, session.me.limits?.max_characters ?? MOST_TEXT);
export const sizeOf = (lines) => lines.reduce((sum, { size }) => sum + size, 0);
const lengthOf = (text) => (text.length > 2 * MOST_TEXT ? text.length : [...text].length);

// Returns { lines, faults, left }: the lines to speak, each with its number in the file; what is wrong, as texts; and
// the columns that are not used. Throws a Failure if it is no table. The `usual` voice is that of lines that name none.
export function readTable(text, usual) {
  const [head, ...rows] = rowsOf(text);
  const columns = (head?.cells ?? []).map((cell) => cell.trim().toLowerCase());
  const faults = [];
  const fault = (line, text) => faults.push(t("csv.line", { line, text }));
  if (!columns.includes("text") || COLUMNS.some((name) => columns.filter((each) => each === name).length > 1)) fault(head?.line ?? 1, t("tables.fault.columns", { columns: COLUMNS.join(", ") }));
  else if (!rows.length) fault(head.line, t("tables.fault.no_rows"));
  else if (rows.length > MOST_ROWS) fault(rows[MOST_ROWS].line, t("tables.fault.too_many", { most: MOST_ROWS }));
  if (faults.length) return { lines: [], faults, left: [] };
  const most = mostText();
  const [seen, named] = [new Map(), voicesByName()];
  const lines = rows.map(({ line, cells }) => {
    const cell = (name) => (columns.includes(name) ? (cells[columns.indexOf(name)] ?? "").trim() : "");
    const [id, input, wanted, tag] = [cell("id") || `line-${line}`, cell("text"), cell("voice"), cell("language")];
    const voice = wanted ? named.get(wanted) ?? named.get(wanted.toLowerCase()) : usual;
    const size = lengthOf(input);
    if (cells.length > columns.length) fault(line, t("tables.fault.cells", { n: columns.length }));
    if (!size) fault(line, t("tables.fault.no_text"));
    if (size > most) fault(line, t("tables.fault.long", { most }));
    if (id.length > MOST_ID) fault(line, t("tables.fault.long_id", { most: MOST_ID }));
    else if (seen.has(id)) fault(line, t("tables.fault.twice", { id, line: seen.get(id) }));
    if (!voice) fault(line, t("tables.fault.voice", { voice: wanted.slice(0, 80) }));
    if (tag && !(LANGUAGE.test(tag) && isSpoken(tag))) fault(line, t("tables.fault.language", { language: tag.slice(0, 40) }));
    seen.set(id, line);
    return { line, id, input, size, voice, language: tag };
  });
  return { lines, faults, left: columns.filter((name) => name && !COLUMNS.includes(name)) };
}

// An id counts before a name, and the account's own voices come first.
function voicesByName() {
  const voices = catalogue.voices.filter(({ engines }) => engines.length).toReversed();
  const named = voices.flatMap((voice) => [voice.title, voice.name].filter(Boolean).map((name) => [name.toLowerCase(), voice]));
  return new Map([...named, ...voices.map((voice) => [voice.id, voice])]);
}

export function requestOf({ input, voice, language }, format) {
  return { model: modelFor(voice, draft.wanted) ?? draft.model, voice: voice.id, input, response_format: format, ...(language && { language }) };
}

// The file of a batch.
export function batchFile(lines, format, name) {
  const text = lines.map((line) => `${JSON.stringify({ custom_id: line.id, method: "POST", url: "/v1/audio/speech", body: requestOf(line, format) })}\n`);
  return new File(text, `${name}.jsonl`, { type: "application/jsonl" });
}

async function fileLines(id) {
  if (!id) return [];
  const answer = await ask(`v1/files/${encodeURIComponent(id)}/content`).catch(orNone);
  return answer.text ? (await answer.text()).split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line)) : [];
}

// The table of a batch that has ended: its lines as they were sent, each with what became of it.
export async function outcomeFile({ input_file_id: sent, output_file_id: output, error_file_id: failed }) {
  const [asked, ...ended] = await Promise.all([sent, output, failed].map(fileLines));
  const results = new Map(ended.flat().map((each) => [each.custom_id, each]));
  const rows = (asked.length ? asked : [...results.values()]).map(({ custom_id: id, body = {} }) => {
    const { response, error } = results.get(id) ?? {};
    const isSaid = response?.status_code === 200;
    const why = error ?? response?.body?.error;
    const voice = typeof body.voice === "string" ? body.voice : JSON.stringify(body.voice ?? "");
    return [id, body.input ?? "", voice, body.language ?? "", isSaid ? "spoken" : "failed", isSaid ? response.body.file : "", why?.message ?? ""];
  });
  return fileOf([[...COLUMNS, "outcome", "file", "error"], ...rows]);
}
