// The search in three linked pictures: history, map and parallel coordinates. A trial that is pointed at or focused in
// one is marked in all of them; a click opens its curve and configuration.

const trialOf = new Map(data.trials.map((trial) => [trial.id, trial]));
const hiddenFates = new Set(), brushes = new Map();
const bestTrial = data.best_so_far.length ? data.best_so_far[data.best_so_far.length - 1].trial : null;
const leafOf = new Map(data.leaves.map((leaf) => [leaf.leaf, leaf]));
let linked = null, opened = null;

// ---- what is shown ---------------------------------------------------------------------------------------------

function inBrushes(trial) {
  for (const [axis, [low, high]] of brushes) {
    const at = axisPlace(axis, trial);
    if (at === null || at < low - 1e-9 || at > high + 1e-9) return false;
  }
  return true;
}

function refresh() {
  for (const mark of document.querySelectorAll(".trial")) {
    const trial = trialOf.get(mark.dataset.trial);
    const hidden = hiddenFates.has(trial.status);
    mark.toggleAttribute("hidden", hidden);
    mark.style.display = hidden ? "none" : "";
    mark.classList.toggle("is-out", !inBrushes(trial));
  }
  for (const group of document.querySelectorAll("[data-marks]")) rove(group);
  const left = data.trials.filter((trial) => !hiddenFates.has(trial.status) && inBrushes(trial)).length;
  byId("how-many").textContent = left + " of " + data.trials.length + " trials shown"
      + (brushes.size ? ", by the brushes below" : "");
  byId("clear").disabled = !brushes.size;
}

// One mark of each picture is reached by Tab; arrows go from there to its neighbours.
function rove(group, wanted) {
  const marks = [...group.querySelectorAll(".trial:not([hidden])")];
  const current = wanted || marks.find((mark) => mark.getAttribute("tabindex") === "0") || marks[0];
  for (const mark of group.querySelectorAll(".trial")) mark.setAttribute("tabindex", mark === current ? "0" : "-1");
  return marks;
}

function describe(trial) {
  const score = trial.score === null ? "no score" : words(data.metric) + " " + shown(trial.score);
  const values = Object.entries(trial.values).map(([leaf, value]) => leaf + " " + shown(value));
  return trial.id + ": " + score + ", " + FATES[trial.status] + " after " + trial.epochs
      + (trial.epochs === 1 ? " epoch" : " epochs") +
    "\nround " + trial.round + "\n" + values.join("\n");
}

// A mark in a picture: reached by pointer and keyboard alike.
function mark(trial, path, x, y, extra) {
  const node = s("path", {
    class: `trial is-${trial.status} ${extra || ""}`, d: path, "data-trial": trial.id, role: "button", tabindex: "-1",
    "aria-label": describe(trial).replaceAll("\n", ", "),
  });
  if (x !== null) node.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  return node;
}

function link(id, at) {
  if (linked === id && !at) return;
  for (const node of document.querySelectorAll(".is-linked")) node.classList.remove("is-linked");
  linked = id;
  const tip = byId("tip");
  if (id === null) { tip.hidden = true; return; }
  for (const node of document.querySelectorAll(`.trial[data-trial="${CSS.escape(id)}"]`)) {
    node.classList.add("is-linked");
  }
  tip.textContent = describe(trialOf.get(id));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(at.x + 14, innerWidth - box.width - 6)) + "px";
  tip.style.top = Math.max(4, at.y + 18 + box.height > innerHeight ? at.y - box.height - 12 : at.y + 18) + "px";
}

// Pointer and keys of a picture; nearest() tells which trial is meant by a point of it.
function listenTo(svg, group, nearest) {
  const meant = (event) => {
    const box = svg.getBoundingClientRect();
    return nearest(event.clientX - box.left, event.clientY - box.top);
  };
  svg.addEventListener("pointermove", (event) => {
    if (event.buttons) return;
    const id = meant(event);
    svg.style.cursor = id ? "pointer" : "";
    link(id, { x: event.clientX, y: event.clientY });
  });
  svg.addEventListener("pointerleave", () => link(null));
  svg.addEventListener("click", (event) => { const id = meant(event); if (id) openPanel(id); });
  group.addEventListener("focusin", (event) => {
    const node = event.target.closest(".trial");
    if (!node) return;
    const box = node.getBoundingClientRect();
    link(node.dataset.trial, { x: box.right, y: box.bottom });
  });
  group.addEventListener("focusout", () => link(null));
  group.addEventListener("keydown", (event) => {
    const node = event.target.closest(".trial");
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); openPanel(node.dataset.trial,
        node); return; }
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const marks = rove(group, node), at = marks.indexOf(node);
    const next = event.key === "Home" ? marks[0] : event.key === "End" ? marks[marks.length - 1] : step
        ? marks[at + step] : null;
    if (!next) return;
    event.preventDefault();
    rove(group, next);
    next.focus();
  });
}

// The nearest of some points that are shown, within the reach of a finger; of two on each other, the upper one.
function nearestOf(points) {
  return (x, y) => {
    let found = null, least = 22 ** 2;
    for (const [trial, px, py] of points) {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance <= least && !hiddenFates.has(trial.status)) { least = distance; found = trial.id; }
    }
    return found;
  };
}

function marksGroup(label) {
  // Chromium stops at whatever listens for focus, unless it is told not to.
  return s("g", { "data-marks": "", role: "group", tabindex: "-1", "aria-label": label });
}

// ---- history ---------------------------------------------------------------------------------------------------

function history() {
  return chart("Search history", (width) => {
    const height = 300, area = { left: 52, right: width - 10, top: 34, bottom: height - 40 };
    const svg = s("svg", { role: "group" });
    const x = scale(1, Math.max(2, data.trials_in_all), area.left + 8, area.right - 8,
        { most: Math.min(8, width / 80) });
    const y = scoreScale(area);
    x.ticks = x.ticks.filter(Number.isInteger);
    frame(svg, area, x, y, { xTitle: "trials, in the order of their end", yTitle: "validation " + words(data.metric) });
    for (const round of data.rounds) {
      const orders = data.trials.filter((trial) => trial.round === round.number).map((trial) => trial.order);
      if (!orders.length) continue;
      const from = x(Math.min(...orders)) - 5;
      svg.append(s("line", { class: "box", x1: from, x2: from, y1: area.top - 10, y2: area.bottom }));
      const text = `round ${round.number}: ${round.name.replace(/^\d+ /, "")}`;
      const most = Math.floor((x(Math.max(...orders)) - from) / 6.5);
      svg.append(withTitle(s("text", { x: from + 4, y: area.top - 4 },
          most < 8 ? String(round.number) : cut(text, most)), text));
    }
    const best = data.best_so_far.flatMap((one, i) => {
      const until = i + 1 < data.best_so_far.length ? data.best_so_far[i + 1].order : data.trials_in_all;
      return [[x(one.order), y(clamped(one.score))], [x(until), y(clamped(one.score))]];
    });
    svg.append(s("path", { class: "best-line", d: line(best) }));
    const group = marksGroup("Trials in the order of their end; arrow keys go from one to the next");
    const points = data.trials.map((trial) => [trial, x(trial.order), y(clamped(trial.score))]);
    const size = data.trials.length > 300 ? 3 : 4.5;
    for (const [trial, px, py] of points) group.append(mark(trial, symbol(trial.status, size), px, py));
    svg.append(group, ...special(points));
    listenTo(svg, group, nearestOf(points));
    return { svg, height };
  });
}

function scoreScale(area) {
  const y = scale(scoreWindow.worst, scoreWindow.best, up ? area.bottom - 8 : area.bottom - 8, area.top + 8,
      { most: 5 });
  // Niceties of the axis need ascending ends; better is up, whichever way the metric goes.
  if (!up) y.ticks = niceTicks(scoreWindow.best, scoreWindow.worst, 5);
  return y;
}

// A star for the study's best trial, a diamond around the one whose configuration won.
function special(points) {
  return points.flatMap(([trial, x, y]) => [
    ...(trial.id === bestTrial ? [s("path", { class: "star", d: starPath(11), transform: `translate(${x} ${y})` })]
        : []),
    ...(trial.id === data.winner ? [s("path", { class: "star", d: diamondPath(12),
        transform: `translate(${x} ${y})` })] : []),
  ]);
}

// ---- map -------------------------------------------------------------------------------------------------------

const mapAxes = { x: data.leaves[0]?.leaf, y: (data.leaves[1] || data.leaves[0])?.leaf };

function leafScale(leaf, from, to, most) {
  const pad = 10 * Math.sign(to - from);
  return leaf.choices.length ? places(leaf.choices, from, to)
      : scale(leaf.low, leaf.high, from + pad, to - pad, { log: leaf.log, most });
}

// Categories are one line: trials stand beside each other on it.
function spread(place, order) {
  return place.part ? ((order * 0.618) % 1 - 0.5) * place.part * 0.6 : 0;
}

function searchMap() {
  return chart("Map of the search", (width) => {
    const height = 340, area = { left: 62, right: width - 10, top: 24, bottom: height - 42 };
    const svg = s("svg", { role: "group" }), lx = leafOf.get(mapAxes.x), ly = leafOf.get(mapAxes.y);
    const x = leafScale(lx, area.left, area.right, width / 90), y = leafScale(ly, area.bottom, area.top, 6);
    frame(svg, area, x, y, { xTitle: lx.leaf + (lx.log ? " (log)" : ""), yTitle: ly.leaf + (ly.log ? " (log)" : "") });
    for (const round of data.rounds) drawBox(svg, round, lx, ly, x, y, area);
    const points = data.trials.filter((trial) => lx.leaf in trial.values && ly.leaf in trial.values).map((trial) => {
      const px = x(trial.values[lx.leaf]) + spread(x, trial.order),
          py = y(trial.values[ly.leaf]) + spread(y, trial.order + 7);
      return [trial, px, py];
    });
    // The best lie on top: a configuration that was tried again may have been stopped the second time.
    points.sort((a, b) => rankOf(b[0]) - rankOf(a[0]));
    const group = marksGroup("Trials by " + lx.leaf + " and " + ly.leaf + "; arrow keys go from one to the next");
    for (const [trial, px, py] of points) {
      const node = mark(trial, symbol(trial.status, data.trials.length > 300 ? 4 : 5.5), px, py,
          scored(trial) ? "scored" : "");
      if (scored(trial)) node.style.setProperty("--score", scoreColour(scoreShare(trial.score)));
      group.append(node);
    }
    svg.append(group, ...special(points));
    listenTo(svg, group, nearestOf(points));
    return { svg, height };
  });
}

const scored = (trial) => trial.score !== null && (trial.status === "completed" || trial.status === "pruned");

function drawBox(svg, round, lx, ly, x, y, area) {
  const rx = round.ranges.find((range) => range.leaf === lx.leaf),
      ry = round.ranges.find((range) => range.leaf === ly.leaf);
  const ends = (range, place, from, to) => (range && range.low !== null && !place.part
      ? [place(range.low), place(range.high)] : [from, to]);
  const [x1, x2] = ends(rx, x, area.left + 2, area.right - 2), [y1, y2] = ends(ry, y, area.bottom - 2, area.top + 2);
  if (lx === ly) return;
  svg.append(s("rect", { class: "box", x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1),
      height: Math.abs(y2 - y1) }));
  svg.append(s("text", { x: Math.min(x1, x2) + 4, y: Math.min(y1, y2) + 13 }, String(round.number)));
}

function mapControls(redrawMap) {
  if (data.leaves.length < 3) return null;
  const choose = (axis, label) => {
    const select = h("select", { onchange: () => { mapAxes[axis] = select.value; redrawMap(); } },
      data.leaves.map((leaf) => h("option", { value: leaf.leaf, selected: leaf.leaf === mapAxes[axis] }, leaf.leaf)));
    return h("label", {}, label, select);
  };
  return h("div", { class: "controls" }, choose("x", "across"), choose("y", "upwards"));
}

function scoreLegend() {
  const bar = s("svg", { width: 120, height: 12, "aria-hidden": "true" },
    Array.from({ length: 24 }, (_, i) => s("rect", { x: i * 5, width: 5.5, height: 12, fill: scoreColour(i / 23) })));
  return h("span", { class: "quiet legend" }, `validation ${words(data.metric)}: `, shown(colourFrom), " and worse ",
      bar, " ", shown(scoreWindow.best), ", the best");
}
