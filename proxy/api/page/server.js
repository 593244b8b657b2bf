// What the whole page shares: its elements, its server, and how a failure is told.

const at = (id) => document.getElementById(id);
const root = new URL("v1", location.origin + location.pathname.replace(/[^/]*$/, "")).href;

// Failures name a field of the API. A form says which of its elements that is, where else to tell it, and its status.
function fail({ message, param, code }, { fields, end, status }) {
  const isKey = code === "invalid_api_key";
  if (isKey) showDoor(true);
  const named = isKey ? at("key") : fields[param];
  // A field that is not shown can neither have the focus nor the words beside it.
  const field = named?.offsetParent ? named : null;
  // Beside its field: on a phone the end of the form is out of sight.
  if (field) field.closest("fieldset, div").append(at("alert"));
  else end.before(at("alert"));
  // The words of a field are told where it can be seen.
  field?.closest("details")?.setAttribute("open", "");
  at("alert").textContent = message;
  at("alert").hidden = false;
  status.textContent = "";
  if (field) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", "alert");
    field.focus();
  }
}

function forgive() {
  at("alert").hidden = true;
  for (const field of document.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
}

async function ask(path, key, more = {}) {
  const { headers = {}, ...rest } = more;
  headers.Authorization = `Bearer ${key}`;
  // A form says its type itself, with its boundary.
  if (typeof rest.body === "string") headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`${root}/${path}`, { headers, cache: "no-store", credentials: "omit", ...rest });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { message: "The server cannot be reached. Does it still run?" };
  }
  if (answer.ok) return answer;
  const failure = await answer.json().catch(() => ({}));
  throw failure.error ?? { message: `The server answered with status ${answer.status}.` };
}
