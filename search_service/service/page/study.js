// Follows one study until it is over, and then opens its report.

import { history } from "/page/history.js";
import {
  STEPS, UNDER_WAY, askForToken, call, detail, element, get, lasted, link, number, onToken, span, token, trouble,
  words,
} from "/page/shared.js";
import { Story, epochsOf, secondsLeft } from "/page/story.js";

const LOOK_EVERY_MS = 2000, MOST_SENTENCES = 400, COOKIE_S = 20, MOST_PAUSE_MS = 2000;
const id = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const address = `/api/v1/studies/${encodeURIComponent(id)}`;
const STANDINGS = { waiting: "not begun", busy: "under way", passed: "done", failed: "not passed",
  cut: "cut short" };
const CHECKS = new Set([1, 2, 3]);
let story = new Story(), study = null, heard = 0, logged = 0, following = null, drawing = false;

// ---- the report ------------------------------------------------------------------------------------------------

// A browser that opens an address sends no token of its own accord: this cookie does, for a moment.
function lendToken() {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  if (token()) document.cookie = `search-service-token=${encodeURIComponent(token())}; Path=/studies/; `
      + `Max-Age=${COOKIE_S}; SameSite=Strict${secure}`;
}

function openReport() {
  // Once: a report that cannot be had must not be asked for for ever.
  const key = `opened ${id}`, last = Number(sessionStorage.getItem(key) ?? 0);
  if (Date.now() - last < 10000) return;
  sessionStorage.setItem(key, String(Date.now()));
  lendToken();
  location.replace(location.pathname);
}

// ---- what is shown ---------------------------------------------------------------------------------------------

function showStudy() {
  const ended = !UNDER_WAY.includes(study.state);
  document.title = `${study.state} · ${study.id}`;
  get("study").hidden = false;
  get("id").textContent = study.id;
  const owner = study.owner === "local" ? "" : ` · by ${study.owner}`;
  const took = lasted(study) ? ` · ${lasted(study)}` : "";
  get("what").textContent = `submitted ${new Date(study.submitted_at).toLocaleString()}${took}${owner}`;
  get("state").textContent = study.wanted === "cancel" && !ended ? `${study.state}, to be cancelled` : study.state;
  get("state").className = `state ${study.state}`;
  get("reason").textContent = study.reason;
  get("stop").disabled = ended || study.wanted !== "run" || study.state === "finishing";
  get("cancel").disabled = ended || study.wanted === "cancel";
  get("resume").disabled = !["cancelled", "interrupted"].includes(study.state);
  const places = [link("Report", study.links.report), link("MLflow run", study.links.mlflow),
    link("Ray job", study.links.ray)].filter((one) => one !== null);
  const shown = [...get("links").children].map((one) => one.href).join(" ");
  if (shown !== places.map((one) => one.href).join(" ")) get("links").replaceChildren(...places);
}

function tile([step, { standing, said }]) {
  const round = story.rounds.at(-1), searching = standing === "busy" && round && round.step === Number(step);
  if (searching) said = `${round.trials} of ${round.max_trials} trials`;
  const check = CHECKS.has(Number(step)), name = standing === "passed" && check ? "passed" : STANDINGS[standing];
  const marks = { waiting: "○", busy: "◐", passed: "✓", failed: "✗", cut: "◌" };
  return element("li", { class: `step ${standing}`, "aria-current": standing === "busy" ? "step" : null },
    element("h3", {}, STEPS[step]), element("p", { class: "standing-of-step" },
      element("span", { "aria-hidden": "true" }, `${marks[standing]} `), name), said && element("p", {}, said));
}

function bar(round) {
  const epochs = epochsOf(round), left = study && UNDER_WAY.includes(study.state) ? secondsLeft(round) : null;
  const most = round.max_trials * round.max_epochs, running = Object.keys(round.running).length;
  const name = `${STEPS[round.step] ?? round.name}${round.cycle > 1 ? `, cycle ${round.cycle}` : ""}`;
  const said = [`${round.trials} of ${round.max_trials} trials`, `${epochs} of at most ${most} epochs`,
    running && `${running} under way`, left !== null && `about ${span(left)} left at this rate`].filter(Boolean);
  return element("div", { class: "round" }, element("span", {}, name),
    element("progress", { max: round.max_trials, value: round.trials, "aria-label": `${name}: trials` }),
    element("span", { class: "quiet" }, said.join(" · ")));
}

function showStory() {
  drawing = false;
  get("strip").replaceChildren(...Object.entries(story.steps).map(tile));
  get("now").textContent = story.now;
  get("rounds").replaceChildren(...(story.rounds.length ? story.rounds.map(bar)
    : [element("p", { class: "quiet" }, "The search has not begun.")]));
  const width = Math.floor(get("history").clientWidth), picture = width ? history(story, width) : null;
  get("history").replaceChildren(...(picture ? [picture] : []));
  get("legend").textContent = picture ? `Validation ${words(story.metric)}; the line is the best so far, `
    + `${number(story.best?.score)}. ● trained to the end, ■ stopped early, × diverged or failed.`
    : "No trial has ended yet.";
  for (const { at, text } of story.sentences.slice(Math.max(logged, story.sentences.length - MOST_SENTENCES))) {
    const time = element("time", { datetime: at }, new Date(at).toLocaleTimeString());
    get("log").prepend(element("li", {}, time, element("span", {}, text)));
  }
  logged = story.sentences.length;
  while (get("log").children.length > MOST_SENTENCES) get("log").lastChild.remove();
}

function drawSoon() {
  // Events come by the hundred: they are shown together, and a picture of thousands of trials is drawn less often.
  if (!drawing) setTimeout(() => requestAnimationFrame(showStory), Math.min(MOST_PAUSE_MS, story.trials.length / 2));
  drawing = true;
}

// ---- what is heard ---------------------------------------------------------------------------------------------

function hearBlock(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const cut = line.indexOf(":");
    if (cut > 0) fields[line.slice(0, cut)] = line.slice(cut + 1).replace(/^ /, "");
  }
  if (!fields.data) return;
  if (fields.event === "end") {
    look();
    return;
  }
  heard = Number(fields.id);
  story.hear(fields.event, JSON.parse(fields.data));
  drawSoon();
}

// One connection; returns once it is over, for whatever reason.
async function follow() {
  const answer = await call(`${address}/events`, { headers: { "Last-Event-ID": String(heard) } });
  if (!answer.ok) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value.replaceAll("\r", "")).split("\n\n");
    text = blocks.pop();
    blocks.forEach(hearBlock);
  }
}

// A connection that breaks is taken up again with the next look.
function keepFollowing() {
  following ??= follow().catch(() => {}).finally(() => { following = null; });
}

async function look() {
  let answer;
  try {
    answer = await call(address);
  } catch {
    trouble("The service does not answer; what is below is how it was.");
    return;
  }
  if (answer.status === 401) {
    get("study").hidden = true;
    await askForToken(answer);
    return;
  }
  if (!answer.ok) {
    trouble(await detail(answer));
    if (answer.status === 404) get("study").hidden = true;
    return;
  }
  trouble("");
  study = await answer.json();
  if (["completed", "failed"].includes(study.state) && study.links.report) openReport();
  story.largerIsBetter = study.larger_is_better ?? true;
  story.metric ??= study.metric;
  showStudy();
  if (UNDER_WAY.includes(study.state) || !heard) keepFollowing();
}

async function ask(verb) {
  get("answer").textContent = "";
  try {
    const answer = await call(`${address}/${verb}`, { method: "POST" });
    if (!answer.ok) get("answer").textContent = await detail(answer);
  } catch {
    get("answer").textContent = "The service does not answer.";
  }
  await look();
}

async function watch() {
  if (!document.hidden && get("login").hidden) await look();
  setTimeout(watch, LOOK_EVERY_MS);
}

for (const verb of ["stop", "cancel", "resume"]) get(verb).addEventListener("click", () => ask(verb));
for (const kind of ["click", "auxclick"]) get("links").addEventListener(kind, lendToken);
get("id").textContent = id;
onToken(look);
new ResizeObserver(drawSoon).observe(get("history"));
drawSoon();
watch();
