// What the programs of Node share: rows asked for one by one, and what was seen as JSON.
import { createInterface } from "node:readline";

export const TEXT = "The quick brown fox.";
export const LONG = "This takes a while to say. ".repeat(20);
export const SECOND = 48_000;

const [, , url, key, ...asked] = process.argv;

export const server = { url, key };

export const base64 = (bytes) => Buffer.from(bytes).toString("base64");

// A fetch that notes what was asked and answered, until `exchanges` is emptied.
export const exchanges = [];
export async function noting(input, init) {
  const { protocol, pathname: path } = new URL(input);
  const response = await fetch(input, init);
  const retry = new Headers(init?.headers).get("x-stainless-retry-count");
  const { status, headers } = response;
  // OpenAI's SDK looks at a `data:` address first, to see whether fetch can do FormData.
  if (protocol !== "data:") exchanges.push({ path, retry, status, headers: Object.fromEntries(headers) });
  return response;
}

// What `call` gives, beside the exchanges that it took.
export async function exchanged(call) {
  exchanges.length = 0;
  return { ...(await call()), exchanges: [...exchanges] };
}

// The rows named on the command line, or else one for each line of the input; there another server and key may
// stand behind it.
export async function run(rows) {
  for await (const line of asked.length ? asked : createInterface({ input: process.stdin })) {
    const [row, ...other] = line.split(" ");
    const [root, own] = other.length ? other : [url, key];
    console.log(JSON.stringify(await rows[Number(row)]({ url: root, key: own })));
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
