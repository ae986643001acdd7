// What everything is drawn with: elements, numbers in words, scales. Every text goes in as a text node.

const data = JSON.parse(document.getElementById("document").textContent);
const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name,
        value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
// A name may be in any script: it must not turn the direction of what stands beside it.
const name_ = (text) => h("bdi", {}, String(text));

// ---- numbers and words -----------------------------------------------------------------------------------------

function shown(value, digits = 4) {
  if (value === null || value === undefined) return "—";
  if (typeof value !== "number") return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e7) return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
  const exact = Number.isInteger(value) && size < 1e6;
  return value.toLocaleString("en",
    { maximumSignificantDigits: exact ? 21 : digits, useGrouping: size >= 9999.5 });
}
const percent = (share) => (share === null ? "—" : shown(100 * share, 3) + " %");
const words = (metric) => metric.replaceAll("_", " ");
const shortName = (leaf) => leaf.split(".").slice(-1)[0].replaceAll("_", " ");
const cut = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
const FATES = { completed: "trained to the end", pruned: "stopped early", diverged: "diverged", failed: "failed" };

// ---- scales ----------------------------------------------------------------------------------------------------

function niceTicks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= raw * 0.999) || raw;
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step)
    ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

function logTicks(low, high, most) {
  const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high)), ticks = [];
  const parts = to - from <= 1 ? [1, 2, 5] : to - from <= 2 ? [1, 3] : [1];
  const every = Math.max(1, Math.ceil((to - from) / most));
  for (let power = from; power <= to; power += every)
    for (const part of parts) {
      const tick = Number((part * 10 ** power).toPrecision(6));
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  return ticks.length ? ticks : [low, high];
}

// A function from a value to a pixel, with its ticks. The ends of a range of one value lie beside it.
function scale(low, high, from, to, { log = false, most = 6 } = {}) {
  if (log && !(low > 0)) log = false;
  if (low === high) [low, high] = log ? [low / 2, high * 2]
      : [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
  const way = log ? Math.log : (value) => value, back = log ? Math.exp : (value) => value;
  const place = (value) => from + ((way(value) - way(low)) / (way(high) - way(low))) * (to - from);
  place.ticks = log ? logTicks(low, high, most) : niceTicks(low, high, most);
  place.ends = [low, high];
  place.inverse = (at) => back(way(low) + ((at - from) / (to - from)) * (way(high) - way(low)));
  return place;
}

// Categories, evenly apart.
function places(choices, from, to) {
  const part = (to - from) / choices.length;
  const place = (value) => from + (choices.indexOf(value) + 0.5) * part;
  place.ticks = choices;
  place.part = Math.abs(part);
  return place;
}

// ---- colours of scores -----------------------------------------------------------------------------------------

// Cividis, from the worst to the best: told apart by people with any kind of colour vision, also in grey.
const CIVIDIS = [[0, 34, 78], [48, 66, 107], [87, 93, 109], [124, 123, 120], [165, 155, 115], [209, 191, 97],
    [254, 232, 56]];
function scoreColour(share) {
  const at = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1), i = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const mixed = CIVIDIS[i].map((c, k) => Math.round(c + (at - i) * (CIVIDIS[i + 1][k] - c)));
  return "rgb(" + mixed.join(",") + ")";
}

const up = data.larger_is_better;
const rank = (score) => (up ? -score : score);
const better = (a, b) => (up ? a > b : a < b);
const scores = data.trials.map((trial) => trial.score).filter((score) => score !== null).sort((a,
    b) => rank(a) - rank(b));
// What axes of scores show: hopeless trials would use up all the room, and stand at the bad edge instead.
const scoreWindow = (() => {
  if (!scores.length) return { best: 1, worst: 0 };
  const best = scores[0], middle = scores[Math.floor(0.75 * (scores.length - 1))];
  const limit = middle + 1.5 * (middle - best), last = scores[scores.length - 1];
  const worst = better(last, limit) || middle === best ? last : limit;
  return { best, worst };
})();
const clamped = (score) => (score === null ? scoreWindow.worst : better(scoreWindow.worst, score) ? scoreWindow.worst
    : score);
// Colours span the better two thirds.
const colourFrom = scores.length ? scores[Math.floor(0.67 * (scores.length - 1))] : 0;
const scoreShare = (score) => (scoreWindow.best === colourFrom ? 1
    : (score - colourFrom) / (scoreWindow.best - colourFrom));
