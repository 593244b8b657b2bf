// A speech request as code, for a shell, Python and JavaScript. The key is read from the environment.

import { root } from "./api.js";

// A shell reads what stands between single quotes as it is; only the quote itself must leave them.
function curl(body, format) {
  const json = JSON.stringify({ ...body, response_format: format }).replaceAll("'", "'\\''");
  return `curl -s ${root}/audio/speech -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '${json}' -o speech.${format}`;
}

const KNOWN = ["model", "voice", "input", "speed", "instructions"];

function parts(body, format) {
  const all = Object.entries({ ...body, response_format: format });
  const isKnown = ([name]) => KNOWN.includes(name) || name === "response_format";
  return { known: all.filter(isKnown), extra: Object.fromEntries(all.filter((each) => !isKnown(each))) };
}

function python(body, format) {
  const { known, extra } = parts(body, format);
  const lines = known.map(([name, value]) => `    ${name}=${JSON.stringify(value)},`);
  if (Object.keys(extra).length) lines.push(`    extra_body=${JSON.stringify(extra)},`);
  return `import os
from openai import OpenAI

client = OpenAI(base_url="${root}", api_key=os.environ["KEY"])
with client.audio.speech.with_streaming_response.create(
${lines.join("\n")}
) as speech:
    speech.stream_to_file("speech.${format}")
`;
}

function javascript(body, format) {
  const lines = Object.entries({ ...body, response_format: format }).map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`);
  return `import { writeFile } from "node:fs/promises";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${root}", apiKey: process.env.KEY });
const speech = await client.audio.speech.create({
${lines.join("\n")}
});
await writeFile("speech.${format}", Buffer.from(await speech.arrayBuffer()));
`;
}

export const CODE = { curl, Python: python, JavaScript: javascript };
