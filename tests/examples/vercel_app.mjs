// An app with Vercel's AI SDK and the example's provider: `vercel_app.mjs URL KEY CALLS`, with a JSON list of
// calls. Each answer is a line of JSON.
import { createInterface } from "node:readline";
import { experimental_streamSpeech as streamSpeech, generateSpeech } from "ai";
import { voxgate } from "./voxgate.mjs";

const [baseURL, apiKey, calls] = process.argv.slice(2);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const say = (answer) => console.log(JSON.stringify(answer));
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const told = ({ name, message, statusCode, code }) => ({ name, message, statusCode, code });

// A part of null waits until there is sound, says so, and waits for a line.
async function* written(text, sound) {
  for (const part of text) {
    if (part !== null) {
      yield part;
      continue;
    }
    await sound;
    say("sounds");
    await lines.next();
  }
}

async function generate({ model = "tts-1", ...fields }) {
  const { audio } = await generateSpeech({ model: voxgate({ baseURL, apiKey }).speech(model), ...fields });
  return { type: audio.mediaType, sound: base64(audio.uint8Array) };
}

// `abort` is "at once", "with sound" or "by leaving", which stops reading.
async function stream({ model = "tts-1", text, abort, ...fields }) {
  const aborting = new AbortController();
  if (abort === "at once") aborting.abort();
  const sound = Promise.withResolvers();
  const result = streamSpeech({
    model: voxgate({ baseURL, apiKey }).speech(model),
    text: typeof text === "string" ? text : written(text, sound.promise),
    abortSignal: aborting.signal,
    ...fields,
  });
  const parts = [];
  for await (const part of result.fullStream) {
    parts.push(part);
    sound.resolve();
    if (abort === "with sound") aborting.abort();
    if (abort === "by leaving") break;
  }
  const forms = new Set(parts.map(({ audioFormat }) => JSON.stringify(audioFormat)));
  const all = base64(Buffer.concat(parts.map(({ audio }) => audio)));
  return { forms: [...forms].map((form) => JSON.parse(form)), sound: all, usage: await result.usage };
}

for (const [name, fields] of JSON.parse(calls)) {
  try {
    say(await { generate, stream }[name](fields));
  } catch (error) {
    say({ error: told(error) });
  }
}
input.close();
