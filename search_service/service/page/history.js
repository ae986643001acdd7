// The scores of a study's trials in the order of their end, with the best so far as a line, as a small picture.

import { drawn, number, words } from "/page/shared.js";

const HEIGHT = 190, LEFT = 62, RIGHT = 10, TOP = 12, BOTTOM = 24;

// The part of the scores that is worth its room: hopeless trials stand at the edge instead of pressing all others flat.
function ends(scores, largerIsBetter) {
  const sorted = [...scores].sort((a, b) => (largerIsBetter ? b - a : a - b));
  const best = sorted[0], middle = sorted[Math.floor(0.75 * (sorted.length - 1))], last = sorted.at(-1);
  const limit = middle + 1.5 * (middle - best);
  const worst = middle === best || (largerIsBetter ? last > limit : last < limit) ? last : limit;
  const low = Math.min(best, worst), high = Math.max(best, worst);
  return low === high ? [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10] : [low, high];
}

function mark(status, x, y) {
  const at = (path) => drawn("path", { d: `M${x} ${y}${path}` });
  if (status === "completed") return drawn("circle", { cx: x, cy: y, r: 3.5 });
  if (status === "pruned") return at("m-3 -3h6v6h-6z");
  return at("m-3.5 -3.5l7 7m-7 0l7 -7");
}

// An SVG element of this width; null while no trial has a score.
export function history(story, width) {
  const scores = story.trials.filter((trial) => trial.score !== null).map((trial) => trial.score);
  if (!scores.length) return null;
  const [low, high] = ends(scores, story.largerIsBetter), n = story.trials.length;
  const x = (index) => LEFT + ((index + 0.5) / n) * (width - LEFT - RIGHT);
  const y = (score) => {
    const share = (Math.min(high, Math.max(low, score)) - low) / (high - low);
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  };
  const svg = drawn("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low), at = y(value);
    svg.append(drawn("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
      drawn("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, number(value)));
  }
  svg.append(drawn("text", { x: LEFT, y: HEIGHT - 6 }, "first trial"),
    drawn("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `trial ${n}`));
  let best = null, path = "";
  const worst = story.largerIsBetter ? low : high;
  story.trials.forEach((trial, index) => {
    const made = mark(trial.status, x(index), y(trial.score ?? worst));
    made.setAttribute("class", `trial is-${trial.status}`);
    const score = trial.score === null ? "no score" : `${words(story.metric)} ${number(trial.score)}`;
    made.append(drawn("title", {}, `Trial ${trial.id}: ${score}, ${trial.fate}`));
    svg.append(made);
    const counts = trial.score !== null && ["completed", "pruned"].includes(trial.status);
    if (counts && (best === null || story.isBetter(trial.score, best))) {
      path += best === null ? `M${x(index)} ${y(trial.score)}` : `H${x(index)}V${y(trial.score)}`;
      best = trial.score;
    }
  });
  if (path) svg.append(drawn("path", { class: "best", d: `${path}H${width - RIGHT}` }));
  const said = best === null ? "none with a score that counts" : `the best has ${words(story.metric)} ${number(best)}`;
  svg.setAttribute("aria-label", `Scores of ${n} trials in the order of their end; ${said}`);
  return svg;
}
