// Lists the service's studies and keeps the list live.

import {
  STEPS, UNDER_WAY, ago, askForToken, call, detail, element, get, lasted, link, number, onToken, trialsOf, trouble,
  words,
} from "/page/shared.js";

const PAGE = 50, LOOK_EVERY_MS = 2000, TYPED_MS = 250;
// What each study's row was made of: one that has not changed stays as it is, and so does the focus in it.
const made = new Map();
let offset = 0, looks = 0, typed = null;

function cell(name, content, kind) {
  return element("td", { role: "cell", class: kind, "data-name": name }, content);
}

function stateOf(study) {
  const word = study.wanted === "cancel" && UNDER_WAY.includes(study.state) ? `${study.state}, to be cancelled`
    : study.state;
  // Where one stands that has ended, its reason says.
  const step = UNDER_WAY.includes(study.state) && study.step ? element("span", { class: "quiet" },
    ` ${STEPS[study.step] ?? ""}`) : null;
  return [element("span", { class: `state ${study.state}` }, word), step,
    study.reason && element("p", { class: "reason" }, study.reason)];
}

function progressOf(study) {
  const running = study.planned && UNDER_WAY.includes(study.state);
  return [trialsOf(study), running && element("progress", { max: Math.max(study.planned, study.trials),
    value: study.trials, "aria-label": `${study.id}: trials` })];
}

function moreFor(study) {
  if (study.state !== "completed") return null;
  const button = element("button", { type: "button", class: "more", "aria-label": `Extend ${study.id}` }, "Extend");
  button.addEventListener("click", () => askHowMuch(study));
  return button;
}

function rowOf(study) {
  const best = study.best_score === null ? "" : `${number(study.best_score)} ${words(study.metric)}`;
  const submitted = element("time", { datetime: study.submitted_at,
    title: new Date(study.submitted_at).toLocaleString() }, ago(study.submitted_at));
  return element("tr", { role: "row", "data-study": study.id },
    element("th", { role: "rowheader", scope: "row" }, link(study.id, study.links.page)),
    element("td", { role: "cell", class: "what" }, stateOf(study)),
    cell("Trials", progressOf(study), "number"), cell("Best validation", best, "number"),
    cell("Test", number(study.test_score), "number"), cell("Submitted", submitted, "when"),
    cell("Took", lasted(study), "when took"), cell("By", study.owner, "extra"),
    element("td", { role: "cell" }, link("MLflow", study.links.mlflow, { "aria-label": `${study.id} in MLflow` }),
      link("Ray", study.links.ray, { "aria-label": `${study.id} in Ray` }), moreFor(study)));
}

function show(studies) {
  const rows = studies.map((study) => {
    const of = JSON.stringify(study), before = made.get(study.id);
    if (before?.of === of) {
      before.row.querySelector("time").textContent = ago(study.submitted_at);
      before.row.querySelector(".took").textContent = lasted(study);
      return before.row;
    }
    const row = rowOf(study);
    // Whoever stands on a link of this row stands there still.
    const focused = before?.row.contains(document.activeElement) ? document.activeElement.href : null;
    if (before) before.row.replaceWith(row);
    if (focused) [...row.querySelectorAll("a")].find((one) => one.href === focused)?.focus();
    made.set(study.id, { of, row });
    return row;
  });
  const shown = new Set(rows);
  for (const [id, { row }] of made) if (!shown.has(row)) { row.remove(); made.delete(id); }
  const body = get("studies");
  // Only what is out of its place is moved: a row that is moved loses the focus.
  rows.forEach((row, i) => {
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
  });
}

// ---- filter ----------------------------------------------------------------------------------------------------

function query() {
  const asked = new URLSearchParams({ limit: PAGE, offset });
  for (const state of get("states").value.split(",").filter(Boolean)) asked.append("state", state);
  const name = get("name").value.trim();
  if (name) asked.set("name", name);
  return asked;
}

const filters = () => Boolean(get("states").value || get("name").value.trim());

// The filter stands in the address, so that a list can be sent on, and is there after a way back.
function filter() {
  const kept = new URLSearchParams();
  if (get("states").value) kept.set("state", get("states").value);
  if (get("name").value.trim()) kept.set("name", get("name").value.trim());
  window.history.replaceState(null, "", kept.size ? `?${kept}` : location.pathname);
  offset = 0;
  look();
}

function readFilter() {
  const kept = new URLSearchParams(location.search), state = kept.get("state") ?? "";
  if ([...get("states").options].some((option) => option.value === state)) get("states").value = state;
  get("name").value = kept.get("name") ?? "";
}

// ---- more ------------------------------------------------------------------------------------------------------

function askHowMuch(study) {
  get("extended").textContent = study.id;
  get("no-more").textContent = "";
  get("more").showModal();
}

async function extend() {
  const more = { [get("unit").value]: Number(get("amount").value) };
  try {
    const study = encodeURIComponent(get("extended").textContent);
    const answer = await call(`/api/v1/studies/${study}/extend`, { method: "POST", json: more });
    if (answer.ok) location.assign((await answer.json()).links.page);
    else get("no-more").textContent = await detail(answer);
  } catch {
    get("no-more").textContent = "The service does not answer.";
  }
}

// ---- looking ---------------------------------------------------------------------------------------------------

async function look() {
  const mine = ++looks;
  let answer, ready;
  try {
    answer = await call(`/api/v1/studies?${query()}`);
    ready = await (await call("/readyz")).json();
  } catch {
    trouble("The service does not answer.");
    return;
  }
  // Another look has been begun since, with another filter.
  if (mine !== looks) return;
  if (answer.status === 401) {
    get("list").hidden = true;
    await askForToken(answer);
    return;
  }
  if (!answer.ok) {
    trouble(await detail(answer));
    return;
  }
  const page = await answer.json();
  get("login").hidden = true;
  trouble(ready.trouble ? `${ready.trouble}; studies wait until they can.` : "");
  get("list").hidden = false;
  document.querySelector("table").hidden = page.total === 0;
  get("empty").hidden = page.total !== 0;
  get("empty").textContent = filters() ? "No study is like that."
    : "No studies yet. Submit one: search-service submit configs/01_digits.yaml --follow";
  const counted = page.total === 1 ? "1 study" : `${page.total} studies`;
  if (get("counts").textContent !== counted) get("counts").textContent = counted;
  show(page.items);
  get("pages").hidden = page.total <= PAGE;
  get("shown").textContent = `${offset + 1} to ${offset + page.items.length} of ${page.total}`;
  get("newer").disabled = offset === 0;
  get("older").disabled = offset + PAGE >= page.total;
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
get("states").addEventListener("change", filter);
get("name").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(filter, TYPED_MS);
});
get("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  filter();
});
get("give").addEventListener("submit", (event) => {
  event.preventDefault();
  extend();
});
get("leave").addEventListener("click", () => get("more").close());
onToken(look);
readFilter();
watch();
