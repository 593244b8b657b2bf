// The console's first step. What was typed before this ran is kept.

import { draft, showExample } from "./core/draft.js";
import { frame } from "./core/frame.js";
import { loadTexts } from "./core/texts.js";

await loadTexts();
const early = document.getElementById("early");
draft.text = early.value;
showExample();
const hadFocus = document.activeElement === early;
early.closest("main").remove();
await frame.start(document.getElementById("frame"));
if (hadFocus) document.getElementById("speak-input")?.focus();

// A file that misses its field would take the place of the page, and of what was typed in it.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
}
