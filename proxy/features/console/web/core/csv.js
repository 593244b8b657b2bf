// Tables as text, by RFC 4180: cells between commas, semicolons or tabs.

import { Failure } from "./api.js";
import { t } from "./texts.js";

const SEPARATORS = [",", ";", "\t"];
// A program that opens a table takes such a cell for a formula. With an apostrophe before, it is a text.
const FORMULA = /^[=+\-@\t\r]/;

// What stands most often in the first line, outside of quotes.
function separatorOf(text) {
  const first = text.slice(0, 10_000).replace(/"[^"]*"/g, "").split(/[\r\n]/, 1)[0];
  const count = (sign) => first.split(sign).length;
  return SEPARATORS.toSorted((a, b) => count(b) - count(a))[0];
}

function fault(line, text) {
  return new Failure({ message: t("csv.line", { line, text }) });
}

// The text of a file. Throws a Failure with the first line that is not UTF-8.
export async function textOf(file) {
  const text = new TextDecoder().decode(await file.arrayBuffer());
  const at = text.search(/[\0\uFFFD]/);
  if (at >= 0) throw fault(text.slice(0, at).split(/\r\n|\r|\n/).length, t("csv.utf8"));
  return text;
}

// The rows of a table as { line, cells }. Blank lines are none. Throws a Failure at the first quote that is wrong.
export function rowsOf(text) {
  const separator = separatorOf(text);
  const ends = new RegExp(`[${separator}\\r\\n]`, "g");
  const rows = [];
  let [at, line, row] = [0, 1, null];
  while (at < text.length) {
    row ??= { line, cells: [] };
    const isQuoted = text[at] === '"';
    ends.lastIndex = at;
    let end = isQuoted ? closing(text, at) : (ends.exec(text)?.index ?? text.length);
    if (end < 0) throw fault(line, t("csv.unclosed"));
    const raw = isQuoted ? text.slice(at + 1, end).replaceAll('""', '"') : text.slice(at, end);
    row.cells.push(raw.startsWith("'") && FORMULA.test(raw.slice(1)) ? raw.slice(1) : raw);
    if (isQuoted) {
      line += raw.split(/\r\n|\r|\n/).length - 1;
      end += 1;
      if (end < text.length && ![separator, "\r", "\n"].includes(text[end])) throw fault(line, t("csv.after_quote"));
    }
    const isCell = text[end] === separator;
    at = end + (text.startsWith("\r\n", end) ? 2 : 1);
    // A separator at the very end has an empty cell behind it.
    if (isCell && at >= text.length) row.cells.push("");
    if (isCell) continue;
    if (row.cells.some((cell) => cell.trim())) rows.push(row);
    row = null;
    line += 1;
  }
  if (row) rows.push(row);
  return rows;
}

// Where the quote closes that opens here, or -1.
function closing(text, from) {
  let at = text.indexOf('"', from + 1);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

// A file of these rows. Its mark of UTF-8 is for Excel.
export function fileOf(rows) {
  const cell = (value) => {
    const text = FORMULA.test(value) ? `'${value}` : String(value);
    return /[",;\r\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return new Blob(["\uFEFF", ...rows.map((row) => `${row.map(cell).join(",")}\r\n`)], { type: "text/csv" });
}
