// A provider for Vercel's AI SDK: generateSpeech asks by HTTP, experimental_streamSpeech by a WebSocket.
const NAMES = { "audio/mpeg": "mp3", "audio/ogg": "opus", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw" };
const STREAM = "/audio/speech/stream";

// The SDK knows the errors of an API by two marks, and tries again where that may help.
function failure(message, statusCode, { code, param } = {}, responseHeaders = {}) {
  const error = Object.assign(new Error(message), { statusCode, code, param, responseHeaders });
  for (const mark of ["vercel.ai.error", "vercel.ai.error.AI_APICallError"]) error[Symbol.for(mark)] = true;
  return Object.assign(error, { name: "AI_APICallError", isRetryable: statusCode === 429 || statusCode >= 500 });
}

function model({ baseURL, apiKey }, modelId) {
  function asked({ voice = "alloy", instructions, speed, language, providerOptions }) {
    return { model: modelId, voice, instructions, speed, language, ...providerOptions?.voxgate };
  }

  async function ask(path, options = {}) {
    const own = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
    const response = await fetch(baseURL + path, { ...options, headers: { ...options.headers, ...own } });
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    const message = error?.message ?? `The speech server answered ${response.status}.`;
    throw failure(message, response.status, error, Object.fromEntries(response.headers));
  }

  async function doGenerate({ text, outputFormat, abortSignal: signal, headers, ...more }) {
    const body = JSON.stringify({ ...asked(more), input: text, response_format: outputFormat });
    const got = await ask("/audio/speech", { method: "POST", body, headers, signal });
    const response = { timestamp: new Date(), modelId, headers: Object.fromEntries(got.headers) };
    return { audio: new Uint8Array(await got.arrayBuffer()), warnings: [], response };
  }

  async function doStream({ text, outputFormat, abortSignal, ...more }) {
    const { type, rate } = outputFormat ?? { type: "audio/pcm" };
    const format = NAMES[type] ?? type.replace("audio/", "");
    const config = { ...asked(more), response_format: format, sample_rate: rate };
    if (!globalThis.WebSocket) throw failure("A stream needs a WebSocket: run it in Node 22 or newer.");
    const protocols = ["voxgate.v1", `openai-insecure-api-key.${apiKey}`];
    const socket = new WebSocket(baseURL.replace("http", "ws") + STREAM, protocols);
    const send = (type, more) => socket.readyState === 1 && socket.send(JSON.stringify({ type, ...more }));
    const reader = text.getReader();
    let [wasOpen, isFed, isDone, parts, audioFormat] = [false, false, false];

    function end(error) {
      if (isDone) return;
      isDone = true;
      abortSignal?.removeEventListener("abort", abort);
      reader.cancel(error).catch(() => {});
      if (error) send("input.cancel");
      wasOpen ? send("session.close") : socket.close();
      error ? parts.error(error) : parts.close();
    }
    async function feed() {
      wasOpen = true;
      send("session.config", config);
      for (let part; !(part = await reader.read()).done; ) {
        if ((part.value.voice ?? config.voice) !== config.voice) throw failure("A stream has one voice.");
        // A message has up to 128 KiB, and no character may be cut.
        for (const text of part.value.text.match(/[^]{1,16000}/gu) ?? []) send("input.text", { text });
      }
      isFed = true;
      send("input.done");
    }
    function hear({ data }) {
      if (isDone) return;
      if (typeof data !== "string") return parts.enqueue({ type: "audio", audio: new Uint8Array(data), audioFormat });
      const said = JSON.parse(data);
      if (said.type === "audio.start") audioFormat = format === "pcm" ? { type, rate: said.sample_rate } : { type };
      if (said.type === "error") end(failure(said.error.message, undefined, said.error));
      if (said.type !== "session.done" || !isFed) return;
      parts.enqueue({ type: "finish", usage: { inputCharacters: said.usage.characters, raw: said.usage } });
      end();
    }
    // A socket that is refused does not say why. A plain request is refused for the same reason.
    // Some versions of Node then fire `error` alone, others `close` as well.
    async function tell({ reason }) {
      socket.onerror = socket.onclose = null;
      const why = wasOpen ? {} : await ask(STREAM).catch((error) => error);
      end(why.statusCode && why.statusCode !== 426 ? why : failure(reason || "The speech server broke off."));
    }
    const abort = () => end(abortSignal.reason);
    const start = (controller) => (parts = controller).enqueue({ type: "stream-start", warnings: [] });
    const stream = new ReadableStream({ start, cancel: () => end(failure("The stream was cancelled.")) });
    const onerror = (event) => wasOpen || tell(event);
    const onopen = () => feed().catch(end);
    Object.assign(socket, { binaryType: "arraybuffer", onopen, onmessage: hear, onclose: tell, onerror });
    abortSignal?.aborted ? abort() : abortSignal?.addEventListener("abort", abort);
    return { stream };
  }

  return { specificationVersion: "v4", provider: "voxgate", modelId, doGenerate, doStream };
}

export const voxgate = (server) => ({ speech: (modelId) => model(server, modelId) });
