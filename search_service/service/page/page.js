// Lists the service's studies and keeps the list live. All text goes in as text, never as markup.
"use strict";

const PAGE = 50;
const LOOK_EVERY_MS = 2000;
const STEPS = { 1: "1 initial loss", 2: "2 small sample", 3: "3 learning rates", 4: "4 coarse search", 5: "5 refined search", 6: "6 decision", 7: "finalists" };
const get = (id) => document.getElementById(id);
let offset = 0;

async function call(path) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(path, { headers, cache: "no-store" });
}

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text ?? "";
  if (kind) made.className = kind;
  return made;
}

function link(into, text, address) {
  // Only addresses of the web: what comes from a record must not become a script.
  if (!address || !/^(https?:\/\/|\/)/.test(address)) return;
  const made = document.createElement("a");
  made.href = address;
  made.textContent = text;
  into.append(made, " ");
}

function number(value) {
  return value === null ? "" : Number(value.toPrecision(4)).toString();
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= length) return `${Math.round(seconds / length)} ${unit} ago`;
  return `${Math.round(seconds)} s ago`;
}

function show(study) {
  const row = document.createElement("tr");
  cell(row, study.id);
  const state = cell(row, "");
  const word = document.createElement("span");
  word.textContent = study.state;
  word.className = `state ${study.state}`;
  state.append(word);
  if (study.reason) {
    const reason = document.createElement("div");
    // Its first clause; all of it is a look away.
    reason.textContent = study.reason.split(";")[0];
    reason.title = study.reason;
    reason.className = "reason";
    state.append(reason);
  }
  cell(row, STEPS[study.step] ?? "");
  cell(row, String(study.trials), "number");
  cell(row, study.best_score === null ? "" : `${number(study.best_score)} ${study.metric}`, "number");
  cell(row, number(study.test_score), "number");
  const submitted = cell(row, ago(study.submitted_at));
  submitted.title = new Date(study.submitted_at).toLocaleString();
  cell(row, study.owner);
  const places = cell(row, "");
  link(places, "MLflow", study.links.mlflow);
  link(places, "Ray", study.links.ray);
  return row;
}

async function look() {
  let answer, ready;
  try {
    answer = await call(`/api/v1/studies?limit=${PAGE}&offset=${offset}`);
    ready = await (await call("/readyz")).json();
  } catch {
    trouble("The service does not answer.");
    return;
  }
  const unknown = answer.status === 401;
  get("login").hidden = !unknown;
  if (unknown) {
    get("refused").textContent = sessionStorage.getItem("token") ? (await answer.json()).detail : "";
    sessionStorage.removeItem("token");
    document.querySelector("table").hidden = true;
    return;
  }
  const page = await answer.json();
  if (!answer.ok) {
    trouble(page.detail);
    return;
  }
  trouble(ready.trouble ? `${ready.trouble}; studies wait until they can.` : "");
  document.querySelector("table").hidden = page.total === 0;
  get("empty").hidden = page.total !== 0;
  get("counts").textContent = page.total === 1 ? "1 study" : `${page.total} studies`;
  get("studies").replaceChildren(...page.items.map(show));
  get("pages").hidden = page.total <= PAGE;
  get("shown").textContent = `${offset + 1} to ${offset + page.items.length} of ${page.total}`;
  get("newer").disabled = offset === 0;
  get("older").disabled = offset + PAGE >= page.total;
}

function trouble(text) {
  get("trouble").textContent = text;
  get("trouble").hidden = !text;
}

function turn(by) {
  offset = Math.max(0, offset + by);
  look();
}

async function watch() {
  if (!document.hidden && get("login").hidden) await look();
  setTimeout(watch, LOOK_EVERY_MS);
}

get("newer").addEventListener("click", () => turn(-PAGE));
get("older").addEventListener("click", () => turn(PAGE));
get("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", get("token").value.trim());
  get("token").value = "";
  look();
});
watch();
