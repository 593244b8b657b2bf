// Vercel's AI SDK with its OpenAI provider: `vercel_ai.mjs URL KEY [ROW]` does a row and prints what it saw.
// Without a row it takes one from each line of its input, which may name another URL and KEY behind it. URL is
// the server's root, without /v1.
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, experimental_transcribe as transcribe, generateSpeech } from "ai";
import { LONG, TEXT, base64, exchanged, noting, run, server } from "./rows.mjs";

const provider = ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key, fetch: noting });

const say = ({ model = "tts-1", at = server, ...more } = {}) =>
  generateSpeech({
    model: provider(at).speech(model),
    voice: "alloy",
    text: TEXT,
    maxRetries: 0,
    ...more,
  });

const answer = ({ audio, responses }) => ({
  headers: responses[0].headers,
  audio: base64(audio.uint8Array),
  media_type: audio.mediaType,
});

const error = async (call) => {
  try {
    await call();
  } catch (caught) {
    const seen = { class: caught.name, message: caught.message };
    if (!APICallError.isInstance(caught)) return seen;
    const { code, param, type } = caught.data?.error ?? {};
    const { "x-request-id": request_id, "retry-after": retry_after } = caught.responseHeaders ?? {};
    return { ...seen, status: caught.statusCode, code, param, type, request_id, retry_after };
  }
  return { class: "none" };
};

async function sixFormats() {
  const seen = {};
  for (const outputFormat of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
    seen[outputFormat] = answer(await say({ outputFormat }));
  }
  return seen;
}

async function errors() {
  return {
    400: await error(() => say({ voice: "nobody" })),
    401: await error(() => say({ at: { ...server, key: "vg-wrong" } })),
    404: await error(() => say({ model: "tts-9" })),
    503: await error(() => say({ model: "tone/standard", voice: "tone/unavailable" })),
  };
}

async function failureBeforeAudio() {
  const seen = [];
  for (const voice of ["tone/fail", "tone/bug", "tone/busy"]) {
    seen.push(await error(() => say({ model: "tone/standard", voice })));
  }
  return seen;
}

const failureMidway = async () => ({
  whole: await error(() => say({ model: "tone/standard", voice: "tone/fail-late" })),
});

const rateLimit = async (at) => ({
  error: await error(() => say({ at })),
  ...(await exchanged(async () => ({ answer: answer(await say({ at, maxRetries: 1 })) }))),
});

const failingAgain = (at) =>
  exchanged(async () => ({
    error: await error(() => say({ at, model: "tone/standard", voice: "tone/fail-late", maxRetries: 2 })),
  }));

// It hands over whole answers only: who gives up aborts the call.
const leaving = async () => ({
  error: await error(() =>
    say({ model: "tts-1-hd", voice: "verse", text: LONG, abortSignal: AbortSignal.timeout(3000) }),
  ),
});

async function writtenDown() {
  const { audio } = await say({ outputFormat: "wav" });
  const seen = {};
  for (const model of ["whisper-1", "gpt-4o-mini-transcribe"]) {
    const heard = await transcribe({ model: provider(server).transcription(model), audio: audio.uint8Array });
    const { text, segments, language, durationInSeconds } = heard;
    seen[model] = { text, segments, language, seconds: durationInSeconds };
  }
  return seen;
}

await run({
  1: async () => answer(await say()),
  2: sixFormats,
  13: errors,
  14: rateLimit,
  17: failureBeforeAudio,
  18: failureMidway,
  19: failingAgain,
  20: leaving,
  41: writtenDown,
});
