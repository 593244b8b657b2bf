// A short sound of a voice. One thing is heard at a time: whatever else speaks is stopped first.

let preview = null;

// In a list, "Delete" alone does not tell whom. A round button has a sign in place of the word.
function setAction(button, word, voice) {
  if (button.classList.contains("round")) button.replaceChildren(icon(word.toLowerCase()));
  else button.textContent = word;
  button.setAttribute("aria-label", `${word} ${voice.name}`);
}

function stopPreview() {
  preview?.aborter.abort();
  endPreview();
  at("preview").pause();
  URL.revokeObjectURL(at("preview").src);
  at("preview").removeAttribute("src");
  at("preview").hidden = true;
  at("voices").append(at("preview"));
}

// The same button stops what it began.
async function hearPreview(voice, button, place = { fields: {}, end: button, status: at("status") }) {
  const isStop = preview?.button === button;
  hush();
  forgive();
  place.status.textContent = isStop ? "Stopped." : `Asking for ${voice.name}…`;
  if (isStop) return;
  const mine = (preview = { voice, button, place, aborter: new AbortController() });
  setAction(button, "Stop", voice);
  try {
    const sound = await soundOf(voice, mine.aborter.signal);
    if (preview !== mine) return;
    at("preview").src = URL.createObjectURL(sound);
    place.status.textContent = `${voice.name} speaks.`;
    await at("preview").play().catch(() => preview === mine && offer(mine));
  } catch (failure) {
    if (preview !== mine) return;
    stopPreview();
    fail(failure, place);
  }
}

async function soundOf(voice, signal) {
  const query = new URLSearchParams({ model: modelOf(voice), response_format: "wav" });
  const tag = at("language").value;
  if (tag && !voice.language) query.set("language", tag);
  const path = `audio/voices/${encodeURIComponent(voice.id)}/preview?${query}`;
  return (await ask(path, at("key").value.trim(), { signal })).blob();
}

// A browser wants another click, if the sound came late: then its own button is shown.
function offer({ voice, button, place }) {
  endPreview();
  button.closest("li").append(at("preview"));
  at("preview").hidden = false;
  place.status.textContent = `${voice.name} is ready to be heard.`;
}

function endPreview() {
  if (!preview) return;
  setAction(preview.button, "Play", preview.voice);
  preview.place.status.textContent = "";
  preview = null;
}

at("preview").addEventListener("ended", endPreview);
