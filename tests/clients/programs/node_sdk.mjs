// OpenAI's SDK for Node, 6.x or 7.x: `node_sdk.mjs URL KEY [ROW]` does a row and prints what it saw.
// Without a row it takes one from each line of its input, which may name another URL and KEY behind it. URL is
// the server's root, without /v1.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import OpenAI, { APIError, toFile } from "openai";
import { LONG, SECOND, TEXT, base64, drained, exchanged, noting, run, server } from "./rows.mjs";

const sdk = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.key, maxRetries: 0, fetch: noting });
const at = ({ url, key }) => sdk.withOptions({ baseURL: `${url}/v1`, apiKey: key });
// As often as it does by itself.
const retrying = (from) => from.withOptions({ maxRetries: 2 });

const say = (more, from = sdk) =>
  from.audio.speech.create({ model: "tts-1", voice: "alloy", input: TEXT, ...more });

const answer = async (response) => ({
  headers: Object.fromEntries(response.headers),
  audio: base64(await response.arrayBuffer()),
});

const error = async (call) => {
  try {
    await call();
  } catch (caught) {
    const seen = { class: caught.constructor.name, message: caught.message };
    if (!(caught instanceof APIError)) return seen;
    return {
      ...seen,
      status: caught.status,
      request_id: caught.requestID,
      code: caught.code,
      param: caught.param,
      type: caught.type,
      retry_after: caught.headers?.get("retry-after"),
    };
  }
  return { class: "none" };
};

async function each(names, see) {
  const seen = {};
  for (const [name, value] of Object.entries(names)) seen[name] = await see(value);
  return seen;
}

const sixFormats = async () => {
  const names = ["mp3", "opus", "aac", "flac", "wav", "pcm"];
  const same = Object.fromEntries(names.map((name) => [name, name]));
  return each(same, async (format) => answer(await say({ response_format: format })));
};

const voiceForms = () => {
  const forms = { id: "tone16k/only-here", name: "Only-here", object: { id: "tone16k/only-here" } };
  return each(forms, async (voice) => answer(await say({ model: "tone16k/standard", voice })));
};

async function limits() {
  const longest = await say({ input: "x".repeat(4096), speed: 4, response_format: "pcm" });
  const wrong = [
    ["input", "x".repeat(4097)],
    ["input", ""],
    ["input", " \n"],
    ["speed", 0.24],
    ["speed", 4.01],
    ["response_format", "ogg"],
  ];
  const refused = [];
  for (const [field, value] of wrong) refused.push([field, await error(() => say({ [field]: value }))]);
  return { longest: await answer(longest), refused };
}

const errors = () =>
  each(
    {
      400: () => say({ voice: "nobody" }),
      401: () => say({}, sdk.withOptions({ apiKey: "vg-wrong" })),
      403: () => sdk.withOptions({ baseURL: server.url }).get("/admin/accounts"),
      404: () => say({ model: "tts-9" }),
      503: () => say({ model: "tone/standard", voice: "tone/unavailable" }),
    },
    error,
  );

async function failureBeforeAudio() {
  const seen = [];
  for (const voice of ["tone/fail", "tone/bug", "tone/busy"]) {
    seen.push(await error(() => say({ model: "tone/standard", voice })));
  }
  return seen;
}

const late = { model: "tone/standard", voice: "tone/fail-late", response_format: "pcm" };

const failingAgain = (server) =>
  exchanged(async () => ({
    error: await error(async () => (await say(late, retrying(at(server)))).arrayBuffer()),
  }));

async function failureMidway(server) {
  const whole = await failingAgain(server);
  const broken = async (stream_format) =>
    drained((await say({ ...late, stream_format })).body, (caught) => caught.message);
  return {
    whole: { ...whole.error, requests: whole.exchanges.length },
    streamed: await broken("audio"),
    events: await broken("sse"),
  };
}

async function leaving() {
  const slow = { model: "tts-1-hd", voice: "verse", input: LONG, response_format: "pcm" };
  const reader = (await say(slow)).body.getReader();
  let received = 0;
  while (received < SECOND) received += (await reader.read()).value.length;
  await reader.cancel();
  return { received };
}

async function rateLimit(server) {
  const refused = await error(() => say({}, at(server)));
  const onceMore = at(server).withOptions({ maxRetries: 1 });
  const seen = await exchanged(async () => ({ answer: await answer(await say({}, onceMore)) }));
  return { error: refused, ...seen };
}

const quota = (server) =>
  exchanged(async () => ({ error: await error(() => say({}, retrying(at(server)))) }));

async function streamCap(server) {
  const slow = { model: "tone/standard", voice: "tone/slow", input: LONG, response_format: "pcm" };
  const reader = (await say(slow, at(server))).body.getReader();
  await reader.read();
  const refused = await error(() => say({}, at(server)));
  const { value } = await reader.read();
  await reader.cancel();
  const after = await answer(await say({}, retrying(at(server))));
  return { error: refused, received: value.length, after };
}

const events = async () => answer(await say({ model: "gpt-4o-mini-tts", stream_format: "sse" }));

const eventsOfTts1 = async () => [
  await answer(await say({ model: "tts-1", stream_format: "sse" })),
  await answer(await say({ model: "tts-1-hd", stream_format: "sse" })),
];

async function models() {
  const listed = [];
  for await (const model of sdk.models.list()) listed.push(model);
  const retrieved = [];
  for (const model of listed) retrieved.push(await sdk.models.retrieve(model.id));
  return { listed, retrieved, missing: await error(() => sdk.models.retrieve("org/f6")) };
}

async function transcription() {
  const file = await toFile(Buffer.alloc(1 << 20), "a.wav");
  const { transcriptions } = retrying(sdk).audio;
  const seen = await exchanged(async () => ({
    error: await error(() => transcriptions.create({ model: "gpt-4o-transcribe", file })),
  }));
  return { error: seen.error, sent: seen.exchanges.map(({ path }) => path) };
}

async function writtenDown() {
  const file = await toFile(await (await say({ response_format: "wav" })).arrayBuffer(), "a.wav");
  const { transcriptions, translations } = sdk.audio;
  const ask = (more) => transcriptions.create({ model: "whisper-1", file, ...more });
  const names = Object.fromEntries(["json", "text", "srt", "vtt"].map((name) => [name, name]));
  const seen = await each(names, (response_format) => ask({ response_format }));
  const words = await ask({ response_format: "verbose_json", timestamp_granularities: ["word"] });
  const events = [];
  for await (const event of await ask({ stream: true })) events.push(event);
  return {
    ...seen,
    verbose: await ask({ response_format: "verbose_json" }),
    words: words.words.map(({ word }) => word),
    events,
    translation: (await translations.create({ model: "whisper-1", file })).text,
  };
}

async function batch() {
  const { files, batches } = sdk;
  const lines = Object.entries({ first: TEXT, empty: "", last: `${TEXT} Twice.` }).map(([custom_id, input]) => {
    const body = { model: "tts-1", voice: "alloy", input, response_format: "wav" };
    return JSON.stringify({ custom_id, method: "POST", url: "/v1/audio/speech", body });
  });
  const data = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const file = await files.create({ file: await toFile(data, "lines.jsonl"), purpose: "batch" });
  const begun = await batches.create({
    input_file_id: file.id,
    endpoint: "/v1/audio/speech",
    completion_window: "24h",
    metadata: { book: "one" },
  });
  let ended = begun;
  while (ended.status === "in_progress") {
    await new Promise((wake) => setTimeout(wake, 100));
    ended = await batches.retrieve(begun.id);
  }
  const listed = [];
  for await (const { id } of batches.list({ limit: 1 })) listed.push(id);
  return {
    begun,
    ended,
    listed,
    rows: await (await files.content(ended.output_file_id)).text(),
    errors: await (await files.content(ended.error_file_id)).text(),
    sound: base64(await (await files.content(ended.sound_file_id)).arrayBuffer()),
  };
}

async function headers(server) {
  const { headers: answered } = await answer(await say({}, at(server)));
  return { asked: {}, answered };
}

const sample = () => readFile(process.env.VOXGATE_TEST_SAMPLE);
const sampleFile = async () => toFile(await sample(), "me.wav", { type: "audio/wav" });
const newConsent = async (name, from) =>
  from.audio.voiceConsents.create({ name, language: "en-US", recording: await sampleFile() });

async function voiceCreation(server) {
  const own = at(server);
  const { voices } = own.audio;
  const consent = (await newConsent("Ana", own)).id;
  const create = async (name, audio_sample, more) =>
    voices.create({ name, consent, audio_sample: audio_sample ?? (await sampleFile()), ...more });
  const made = [await create("js-a"), await create("js-b", createReadStream(process.env.VOXGATE_TEST_SAMPLE))];
  const refused = {
    name: await error(() => create("js-a")),
    consent: await error(async () => create("js-e", undefined, { consent: "cons_0" })),
    audio: await error(async () => create("js-f", await toFile(Buffer.from("no audio"), "a.wav"))),
    type: await error(() =>
      voices.create({ type: "prompt", name: "js-g", prompt: "A warm voice.", script_hint: "Hello." }),
    ),
  };
  const spoken = {};
  for (const format of ["mp3", "opus", "aac", "flac", "wav", "pcm"])
    spoken[format] = await answer(await say({ voice: { id: made[0].id }, response_format: format }, own));
  const byName = await say({ voice: "js-a", response_format: "wav" }, own);
  return { made, refused, spoken, by_name: await answer(byName) };
}

async function voiceDeletion(server) {
  const own = at(server);
  const consent = await newConsent("Ben", own);
  const audio_sample = await sampleFile();
  const voice = await own.audio.voices.create({ name: "js-gone", consent: consent.id, audio_sample });
  const gone = await own.audio.voices.delete(voice.id);
  return {
    id: voice.id,
    gone,
    again: await error(() => own.audio.voices.delete(voice.id)),
    consent: (await own.audio.voiceConsents.retrieve(consent.id)).id === consent.id,
    spoken: await error(() => say({ voice: { id: voice.id } }, own)),
  };
}

async function consents(server) {
  const own = at(server);
  const kept = own.audio.voiceConsents;
  const made = await newConsent("Ana", own);
  const seen = await exchanged(async () => {
    const ids = [];
    for await (const consent of kept.list({ limit: 20 })) ids.push(consent.id);
    return { ids };
  });
  const first = made.id;
  return {
    made,
    ids: seen.ids,
    pages: seen.exchanges.length,
    unknown_after: await error(async () => {
      for await (const _ of kept.list({ after: "cons_nothing", limit: 20 }));
    }),
    renamed: await kept.update(first, { name: "new name" }),
    found: await kept.retrieve(first),
    deleted: await kept.delete(first),
    again: await error(() => kept.delete(first)),
  };
}

await run({
  1: async () => answer(await say({})),
  2: sixFormats,
  7: voiceForms,
  11: limits,
  13: errors,
  14: rateLimit,
  15: quota,
  17: failureBeforeAudio,
  18: failureMidway,
  19: failingAgain,
  20: leaving,
  21: streamCap,
  22: events,
  23: eventsOfTts1,
  26: models,
  29: voiceCreation,
  30: voiceDeletion,
  31: consents,
  32: transcription,
  33: headers,
  37: batch,
  41: writtenDown,
});
