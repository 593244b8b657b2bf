// What the programs of Node share: rows asked for one by one, and what was seen as JSON.
import { createInterface } from "node:readline";

export const TEXT = "The quick brown fox.";
export const LONG = "This takes a while to say. ".repeat(20);
export const SECOND = 48_000;

const [, , url, key, ...asked] = process.argv;

export const server = { url, key };

export const base64 = (bytes) => Buffer.from(bytes).toString("base64");

// The rows named on the command line, or else one for each line of the input.
export async function run(rows) {
  for await (const row of asked.length ? asked : createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await rows[Number(row)]()));
  }
  // Connections kept for a next request would keep the process, too.
  process.exitCode = 0;
  process.stdout.write("", () => process.exit());
}

// What reads `body` to its end, or to the error that breaks it off.
export async function drained(body, seen) {
  const parts = [];
  try {
    for await (const part of body) parts.push(part);
    return { broken: "", received: base64(Buffer.concat(parts)) };
  } catch (error) {
    return { broken: seen(error), received: base64(Buffer.concat(parts)) };
  }
}
