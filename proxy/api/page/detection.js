// The card that tells whether a recording was spoken here.

const checkForm = {
  fields: { file: at("check-file"), manifest: at("check-manifest") },
  end: at("check-buttons"),
  status: at("check-status"),
};
const MANIFESTS = {
  trusted: "Its signed manifest is of this server and fits the recording.",
  invalid: "Its manifest is damaged, or belongs to another recording.",
};
const HINT = "A mark can be copied onto another sound. Only a manifest or a receipt proves who spoke it.";
let checking = null;

function markReason({ found, key, day, is_ours: isOurs }) {
  if (!found) return "No mark was found in the sound. A short, noisy or changed recording may have lost it.";
  const made = day === null ? "on a day that cannot be read" : `on ${day}`;
  if (key === null) return `The sound has a mark without a key, made ${made}. Any machine may make such a mark.`;
  const whose = isOurs === false ? "another server that shares the key" : "this server";
  return `The sound has a mark of ${whose}, made ${made} with the key ${key}.`;
}

function manifestReason(manifest) {
  if (manifest === null) return "No signed manifest came with it.";
  const { validation_state: state, issuer } = manifest;
  if (state !== "valid") return MANIFESTS[state];
  return `Its manifest fits the recording, but this server did not sign it. It names ${issuer ?? "nobody"}; anybody can do so.`;
}

function verdict(marks, c2pa) {
  if (c2pa?.signed_by_us) return "Yes. It was spoken here.";
  const found = marks.filter((mark) => mark.found);
  const keyed = found.filter((mark) => mark.key);
  if (keyed.some((mark) => mark.is_ours !== false)) return "It carries this server's mark.";
  if (keyed.length) return "It carries the mark of another server that shares the key.";
  return found.length
    ? "It carries a mark of machines that speak, which does not say whose."
    : "Nothing shows that it was spoken here.";
}

function tellVerdict({ marks, c2pa, is_cut: isCut, seconds }) {
  const title = document.createElement("h3");
  title.textContent = verdict(marks, c2pa);
  const reasons = [...marks.map(markReason), manifestReason(c2pa)];
  if (marks.some((mark) => mark.found) && !c2pa?.signed_by_us) reasons.unshift(HINT);
  if (!marks.length) reasons.unshift("This server has no key, so it has made no marks yet.");
  if (isCut) reasons.push(`Only its first ${Math.round(seconds)} seconds were looked at.`);
  const list = document.createElement("ul");
  for (const reason of reasons) list.append(Object.assign(document.createElement("li"), { textContent: reason }));
  at("verdict").replaceChildren(title, list);
  at("check-status").textContent = "";
}

async function check() {
  const key = at("key").value.trim();
  const [file] = at("check-file").files;
  const [manifest] = at("check-manifest").files;
  forgive();
  endCheck();
  at("verdict").replaceChildren();
  if (!key) return fail({ message: "A key is missing.", code: "invalid_api_key" }, checkForm);
  if (!file) return fail({ message: "Choose a recording first.", param: "file" }, checkForm);
  // The server would end the connection in the middle of it, and could not say why.
  if (file.size > MOST_BYTES) return fail({ message: "The file has more than 10 MiB.", param: "file" }, checkForm);
  const mine = (checking = new AbortController());
  const body = new FormData();
  body.append("file", file);
  if (manifest) body.append("manifest", manifest);
  try {
    if (!(await mayUpload(key)) || checking !== mine) return;
    at("check-stop").hidden = at("check-progress").hidden = false;
    at("check-status").textContent = "Looking for marks. This can take some seconds.";
    const answer = await ask("audio/marks/detect", key, { method: "POST", body, signal: mine.signal });
    tellVerdict(await answer.json());
  } catch (failure) {
    if (checking === mine) fail(failure, checkForm);
  } finally {
    if (checking === mine) endCheck();
  }
}

function endCheck() {
  checking?.abort();
  checking = null;
  // A focus on what is hidden is lost, and the keyboard starts at the top again.
  if (document.activeElement === at("check-stop")) at("check-start").focus();
  at("check-stop").hidden = at("check-progress").hidden = true;
}

at("check").addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
at("check-stop").addEventListener("click", () => {
  endCheck();
  at("check-status").textContent = "Stopped.";
});
for (const kind of ["dragenter", "dragover"]) {
  at("check").addEventListener(kind, (event) => {
    event.preventDefault();
    at("check").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) at("check").addEventListener(kind, () => at("check").classList.remove("over"));
at("check").addEventListener("drop", (event) => {
  event.preventDefault();
  if (!event.dataTransfer.files.length) return;
  at("check-file").files = event.dataTransfer.files;
  check();
});
// A file that misses the card would take the place of the page, and of the key in it.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
}
// The verdict is on the file that was chosen before.
for (const id of ["check-file", "check-manifest"]) {
  at(id).addEventListener("change", () => {
    at("verdict").replaceChildren();
    at("check-status").textContent = "";
  });
}
