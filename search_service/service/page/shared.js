// What the pages have in common: calls of the API, elements, numbers and times in words.
// All text goes in as text nodes.

export const STEPS = {
  1: "1 Initial loss", 2: "2 Small sample", 3: "3 Learning rates", 4: "4 Coarse search", 5: "5 Refined search",
  6: "6 Decision", 7: "Finalists",
};
export const UNDER_WAY = ["pending", "checking", "searching", "finishing", "stopping"];
export const get = (id) => document.getElementById(id);

// ---- calls -----------------------------------------------------------------------------------------------------

export const token = () => sessionStorage.getItem("token");

export function call(path, { method = "GET", headers = {}, json, signal } = {}) {
  const who = token() ? { Authorization: `Bearer ${token()}` } : {};
  const kind = json === undefined ? {} : { "Content-Type": "application/json" };
  const body = json === undefined ? undefined : JSON.stringify(json);
  return fetch(path, { method, headers: { ...who, ...kind, ...headers }, body, cache: "no-store", signal });
}

// What the service says is wrong; a proxy before it may answer with anything.
export async function detail(answer) {
  try {
    const said = await answer.json();
    const mistakes = (said.problems || []).map(({ path, message, hint }) => `${path}: ${message}; ${hint}.`);
    return mistakes.join(" ") || said.detail || `The service answered ${answer.status}.`;
  } catch {
    return `The service answered ${answer.status}.`;
  }
}

// Asks for a token: shown where an answer was 401.
export async function askForToken(answer) {
  get("refused").textContent = token() ? await detail(answer) : "";
  sessionStorage.removeItem("token");
  get("login").hidden = false;
}

export function onToken(then) {
  get("login").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", get("token").value.trim());
    get("token").value = "";
    get("login").hidden = true;
    then();
  });
}

export function trouble(text) {
  get("trouble").textContent = text;
  get("trouble").hidden = !text;
}

// ---- elements --------------------------------------------------------------------------------------------------

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  // What a condition leaves out (null, false, 0, "") is no child; numbers come as text.
  node.append(...children.flat().filter(Boolean));
  return node;
}
export const element = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const drawn = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Only addresses of the web: what comes from a record must not become a script.
export function link(text, address, attributes = {}) {
  if (!address || !/^(https?:\/\/|\/)/.test(address)) return null;
  return element("a", { href: address, ...attributes }, text);
}

// ---- words -----------------------------------------------------------------------------------------------------

export const words = (name) => (name || "score").replaceAll("_", " ");

export function number(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size > 0 && (size < 1e-4 || size >= 1e12)) return Number(value.toPrecision(4)).toString();
  return value.toLocaleString("en", { maximumSignificantDigits: 4, useGrouping: size >= 9999.5 });
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function ago(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  return `${Math.floor(seconds)} s ago`;
}

// How long a study has run, or ran.
export function lasted(study) {
  if (!study.started_at) return "";
  const end = study.finished_at ? new Date(study.finished_at) : Date.now();
  return span((end - new Date(study.started_at)) / 1000);
}

export const trialsOf = (study) =>
  study.planned ? `${study.trials} of ${Math.max(study.planned, study.trials)}` : String(study.trials);
