// The voices and models to choose from.

const MANY_VOICES = 40;
let voices = [];
let models = [];
let loaded = { key: null, promise: null };

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

// An alias may lead to an engine that cannot speak a voice of recordings. A cast is spoken by several engines.
function modelOf(voice) {
  const own = models.filter(({ owned_by }) => voice.engines.includes(owned_by)).map(({ id }) => id);
  return voice.type === "cast" || !own.length || own.includes(at("model").value) ? at("model").value : own[0];
}

function chooseVoice(voice) {
  at("find").value = "";
  showVoices();
  at("voice").value = voice.id;
  at("model").value = modelOf(voice);
  refresh();
}

function showVoices() {
  const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const voice of voices) {
    const known = [voice.language, voice.gender, ...voice.tags].filter(Boolean);
    const sought = [voice.id, voice.name, voice.description, ...known].join(" ").toLowerCase();
    if (!words.every((word) => sought.includes(word))) continue;
    const group = voice.type === "cast" ? "Casts" : voice.id.includes("/") ? `Of ${voice.id.split("/")[0]}` : "By name";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(option(voice.id, known.length ? `${voice.name} (${known.join(", ")})` : voice.name));
  }
  const before = at("voice").value;
  at("voice").replaceChildren(
    ...[...groups].map(([name, options]) => {
      const group = document.createElement("optgroup");
      group.label = name;
      group.append(...options);
      return group;
    }),
  );
  if (!groups.size) at("voice").append(option("", "No such voice"));
  at("voice").value = before;
  if (at("voice").selectedIndex < 0) at("voice").selectedIndex = 0;
  refresh();
}

// Enter in the field of the key asks for the voices and for speech at once: both get the same list.
function voicesFor(key) {
  if (loaded.key !== key) {
    const mine = (loaded = { key, promise: null });
    mine.promise = loadVoices(key).catch((failure) => {
      if (loaded === mine) loaded = { key: null, promise: null };
      throw failure;
    });
  }
  return loaded.promise;
}

async function loadVoices(key) {
  at("status").textContent = "Asking for the voices…";
  [voices, models] = await Promise.all(
    ["audio/voices", "models"].map(async (path) => (await (await ask(path, key)).json()).data),
  );
  at("finder").hidden = voices.length <= MANY_VOICES;
  const model = at("model").value;
  at("model").replaceChildren(...models.map(({ id }) => option(id, id)));
  if (models.some(({ id }) => id === model)) at("model").value = model;
  at("voice").disabled = at("model").disabled = false;
  showVoices();
  at("status").textContent = `${voices.length} voices.`;
}
