// Parallel coordinates: an axis for each hyperparameter and, last, one for the score. A stretch of an axis that is
// brushed, by pointer or keys, keeps the trials that pass through it; the others fade in every picture.

const SCORE = "score";
const axes = [...data.leaves.slice(0, 7).map((leaf) => leaf.leaf), SCORE];
const axisTitle = (axis) => (axis === SCORE ? words(data.metric) : axis);

// Where a trial lies on an axis, from 0 at its bottom to 1 at its top; null if it has no such value.
function axisPlace(axis, trial) {
  if (axis === SCORE) return scored(trial) ? share(scoreWindow.worst, scoreWindow.best, clamped(trial.score), false)
      : null;
  const leaf = leafOf.get(axis), value = trial.values[axis];
  if (value === undefined || value === null) return null;
  if (leaf.choices.length) return (leaf.choices.indexOf(value) + 0.5) / leaf.choices.length;
  return Math.min(1, Math.max(0, share(leaf.low, leaf.high, value, leaf.log)));
}

function share(low, high, value, log) {
  if (low === high) return 0.5;
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

// What stands at a place of an axis, in words.
function valueAt(axis, at) {
  if (axis === SCORE) return shown(scoreWindow.worst + at * (scoreWindow.best - scoreWindow.worst));
  const leaf = leafOf.get(axis);
  if (leaf.choices.length) return leaf.choices[Math.min(leaf.choices.length - 1, Math.floor(at * leaf.choices.length))];
  return shown(leaf.log ? leaf.low * (leaf.high / leaf.low) ** at : leaf.low + at * (leaf.high - leaf.low), 3);
}

function parallel() {
  return chart("Parallel coordinates of the trials", (width) => {
    const narrow = width < 620, height = narrow ? 380 : 340;
    const area = { left: 34, right: width - 40, top: narrow ? 68 : 48, bottom: height - 30 };
    const svg = s("svg", { role: "group" });
    const gap = axes.length > 1 ? (area.right - area.left) / (axes.length - 1) : 0;
    const at = (i) => area.left + i * gap, y = (place) => area.bottom - place * (area.bottom - area.top);
    const ways = data.trials.map((trial) => [trial,
        axes.map((axis, i) => [at(i), toPixel(axisPlace(axis, trial), y)])]);
    const crowd = data.trials.length > 300;
    const group = marksGroup("Trials as lines through all axes; arrow keys go from one to the next");
    for (const [trial, points] of [...ways].sort((a, b) => rankOf(b[0]) - rankOf(a[0]))) {
      const node = mark(trial, line(points), null, null, "way");
      if (scored(trial)) node.style.stroke = wayColour(scoreShare(trial.score));
      if (crowd) { node.style.strokeWidth = 1; node.style.strokeOpacity = 0.4; }
      if (trial.id === bestTrial || trial.id === data.winner) node.style.strokeWidth = 3;
      group.append(node);
    }
    svg.append(group);
    axes.forEach((axis, i) => drawAxis(svg, axis, i, at(i), y, area, narrow));
    listenTo(svg, group, nearestWay(ways));
    return { svg, height };
  });
}

const rankOf = (trial) => (trial.score === null ? Infinity : rank(trial.score));
const toPixel = (place, y) => (place === null ? null : y(place));
// Lines are thin: the palette's ends would vanish on white or black, so that theirs keeps its distance from both.
const wayColour = (at) => `color-mix(in srgb, var(--first) ${Math.round(100 * Math.min(1, Math.max(0, at)))}%, var(--edge))`;

function nearestWay(ways) {
  return (x, y) => {
    let found = null, least = 14;
    for (const [trial, points] of ways) {
      if (hiddenFates.has(trial.status) || !inBrushes(trial)) continue;
      for (let i = 0; i + 1 < points.length; i++) {
        const [[x1, y1], [x2, y2]] = [points[i], points[i + 1]];
        if (x < x1 || x > x2 || y1 === null || y2 === null) continue;
        const distance = Math.abs(y1 + ((x - x1) / (x2 - x1)) * (y2 - y1) - y);
        if (distance < least) { least = distance; found = trial.id; }
      }
    }
    return found;
  };
}

function drawAxis(svg, axis, i, x, y, area, narrow) {
  const isLast = i === axes.length - 1, anchor = i === 0 ? "start" : isLast ? "end" : "middle";
  const titleAt = narrow && i % 2 ? area.top - 44 : area.top - 26;
  const most = narrow ? Math.floor((2 * (area.right - area.left)) / axes.length / 7) : 22;
  const title = axis === SCORE ? axisTitle(axis) : narrow ? shortName(axis) : axis;
  svg.append(
    s("line", { class: "axis", x1: x, x2: x, y1: area.top, y2: area.bottom }),
    withTitle(s("text", { class: "title", x: i ? (isLast ? x + 36 : x) : 2, y: titleAt - 6, "text-anchor": anchor },
        cut(title, most)), axisTitle(axis)),
  );
  const leaf = leafOf.get(axis);
  const ticks = leaf?.choices.length ? leaf.choices.map((choice, k) => [(k + 0.5) / leaf.choices.length, choice])
      : [[0, valueAt(axis, 0)], [1, valueAt(axis, 1)]];
  for (const [place, text] of ticks) {
    const beside = leaf?.choices.length, dy = beside ? 4 : place ? -13 : 22;
    const node = s("text", { x: beside ? x + 5 : x, y: y(place) + dy,
        "text-anchor": beside ? (isLast ? "end" : "start") : anchor }, cut(text, 10));
    svg.append(withTitle(node, text));
  }
  brushOf(svg, axis, x, y, area);
}

// ---- brushes ---------------------------------------------------------------------------------------------------

function brushOf(svg, axis, x, y, area) {
  const grab = s("rect", { class: "grab", x: x - 9, width: 18, y: area.top, height: area.bottom - area.top,
      "data-axis": axis });
  const brush = s("rect", { class: "brush", x: x - 7, width: 14 });
  const handles = ["lower", "upper"].map((end) => s("path", {
    class: "handle", d: end === "lower" ? "M-7 0L7 0L0 9Z" : "M-7 0L7 0L0 -9Z", role: "slider", tabindex: "0",
        "data-key": `${axis}/${end}`,
    "aria-label": `${axisTitle(axis)}, ${end} end of the brush`, "aria-orientation": "vertical",
        "aria-valuemin": "0", "aria-valuemax": "100",
  }));
  const show = () => {
    const [low, high] = brushes.get(axis) || [0, 1];
    fill(brush, { y: y(high), height: brushes.has(axis) ? y(low) - y(high) : 0 }, []);
    handles.forEach((handle, k) => {
      const place = k ? high : low;
      handle.setAttribute("transform", `translate(${x} ${y(place) + (k ? -1 : 1)})`);
      handle.setAttribute("aria-valuenow", Math.round(100 * place));
      handle.setAttribute("aria-valuetext", valueAt(axis, place));
    });
  };
  const set = (low, high) => {
    [low, high] = [Math.max(0, Math.min(low, high)), Math.min(1, Math.max(low, high))];
    if (high - low < 0.01 || (low <= 0 && high >= 1)) brushes.delete(axis);
    else brushes.set(axis, [low, high]);
    show();
    refresh();
  };
  const placeOf = (event) => {
    const box = svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (area.bottom - (event.clientY - box.top)) / (area.bottom - area.top)));
  };
  drag(grab, (event) => placeOf(event), (start, event) => set(start, placeOf(event)));
  handles.forEach((handle, k) => {
    drag(handle, () => (brushes.get(axis) || [0, 1])[1 - k], (other, event) => set(other, placeOf(event)));
    handle.addEventListener("keydown", (event) => {
      const ends = [...(brushes.get(axis) || [0, 1])], step = event.shiftKey ? 0.2 : 0.05;
      if (event.key === "ArrowUp") ends[k] += step;
      else if (event.key === "ArrowDown") ends[k] -= step;
      else if (event.key === "Delete" || event.key === "Escape") { ends[0] = 0; ends[1] = 1; }
      else return;
      event.preventDefault();
      event.stopPropagation();
      if (ends[1] - ends[0] >= 0.01) set(...ends);
    });
  });
  show();
  svg.append(brush, grab, ...handles);
}

// A pointer that is held down: what it began at, and where it is now.
function drag(node, begin, move) {
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    node.setPointerCapture(event.pointerId);
    const start = begin(event), go = (next) => move(start, next);
    node.addEventListener("pointermove", go);
    node.addEventListener("pointerup", () => node.removeEventListener("pointermove", go), { once: true });
  });
  // A brush is not a click on the trial beneath.
  node.addEventListener("click", (event) => event.stopPropagation());
}
