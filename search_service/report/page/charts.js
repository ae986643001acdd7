// A chart is drawn for the width that it has, and again when that changes, so that its texts keep their size.

const charts = [];

function chart(description, draw) {
  const box = h("div", { class: "chart" });
  charts.push({ box, draw, description, width: 0 });
  return box;
}

function drawAll() {
  for (const one of charts) {
    const width = Math.floor(one.box.clientWidth);
    if (!width || width === one.width) continue;
    one.width = width;
    redraw(one);
  }
}

function redraw(one) {
  const { svg, height } = one.draw(one.width);
  const focused = one.box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  fill(svg, { width: one.width, height, viewBox: `0 0 ${one.width} ${height}` }, []);
  if (!svg.hasAttribute("role")) svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", one.description);
  one.box.replaceChildren(svg);
  for (const text of svg.querySelectorAll("text")) if (text.textContent.length > 20) shorten(text, one.width);
  if (focused) one.box.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// Letters differ in width: what still does not fit is cut until it does.
function shorten(text, width) {
  const whole = text.textContent, title = text.querySelector("title");
  for (let most = whole.length; most > 6; most -= 3) {
    const box = text.getBBox();
    if (box.x >= 0 && box.x + box.width <= width) return;
    text.replaceChildren(cut(whole, most), title || s("title", {}, whole));
  }
}

// The frame of a plot: grid, tick texts, titles. x and y are scales or places.
function frame(svg, area, x, y, { xTitle = "", yTitle = "", xText = shown, yText = shown, yGrid = true } = {}) {
  const { left, right, top, bottom } = area;
  for (const tick of y ? y.ticks : []) {
    const at = y(tick);
    if (yGrid) svg.append(s("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }));
    svg.append(withTitle(s("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, cut(yText(tick), 14)),
        yText(tick)));
  }
  const room = (right - left) / Math.max(1, x.ticks.length);
  x.ticks.forEach((tick) => {
    const at = x(tick), text = xText(tick);
    svg.append(s("line", { class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 4 }));
    const most = x.part ? Math.max(3, Math.floor(room / 6.5)) : 14;
    svg.append(withTitle(s("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, cut(text, most)), text));
  });
  svg.append(s("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  if (xTitle) svg.append(s("text", { class: "title", x: (left + right) / 2, y: bottom + 34,
      "text-anchor": "middle" }, xTitle));
  if (yTitle) svg.append(s("text", { class: "title", x: 2, y: 12 }, yTitle));
}

function withTitle(node, text) {
  if (node.textContent !== text) node.append(s("title", {}, text));
  return node;
}

const line = (points) =>
  points.map(([x, y], i) => (y === null ? "" : (i && points[i - 1][1] !== null ? "L" : "M") + x.toFixed(1) + " "
      + y.toFixed(1))).join("");

// The mark of a trial: its shape says how it ended, and so does its colour.
function symbol(fate, size) {
  const r = size;
  if (fate === "diverged") return `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`;
  if (fate === "pruned") return `M${-r * 0.85} ${-r * 0.85}H${r * 0.85}V${r * 0.85}H${-r * 0.85}Z`;
  if (fate === "failed") return `M0 ${-r * 1.2}L${r * 1.1} ${r * 0.8}L${-r * 1.1} ${r * 0.8}Z`;
  return `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`;
}

function starPath(r) {
  const points = Array.from({ length: 10 }, (_, i) => {
    const angle = (Math.PI * i) / 5 - Math.PI / 2, length = i % 2 ? r * 0.45 : r;
    return (length * Math.cos(angle)).toFixed(1) + " " + (length * Math.sin(angle)).toFixed(1);
  });
  return "M" + points.join("L") + "Z";
}

const diamondPath = (r) => `M0 ${-r}L${r} 0L0 ${r}L${-r} 0Z`;

// Texts at the right ends of lines, moved apart where they would lie on each other.
function endLabels(svg, labels, top, bottom) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  let last = top - 14;
  for (const one of sorted) last = one.at = Math.max(one.y, last + 14);
  let next = bottom + 14;
  for (const one of sorted.reverse()) next = one.at = Math.min(one.at, next - 14);
  for (const { x, at, text, group } of sorted)
    svg.append(withTitle(s("text", { class: `fill c${group % 5}`, x: x + 6, y: at + 4 }, cut(text, 16)), text));
}

// A curve of one training: the score, and below it both losses.
function curveChart(curve, title) {
  return chart(`${title}: validation ${words(data.metric)} and losses by epoch`, (width) => {
    const svg = s("svg", {}), height = 300;
    const x = scale(Math.min(...curve.epochs, 1), Math.max(...curve.epochs), 48, width - 12, { most: 6 });
    x.ticks = x.ticks.filter(Number.isInteger);
    const panel = (top, bottom, series, heading, log) => {
      const values = series.flatMap(([, list]) => list).filter((value) => value !== null && (!log || value > 0));
      if (!values.length) return;
      const y = scale(Math.min(...values), Math.max(...values), bottom, top + 20, { log, most: 3 });
      frame(svg, { left: 48, right: width - 12, top, bottom }, x, y, { xTitle: log ? "epoch" : "" });
      svg.append(s("text", { class: "title", x: 2, y: top + 8 }, heading));
      series.forEach(([group, list], i) => {
        const points = curve.epochs.map((epoch, k) => [x(epoch),
            list[k] === null || (log && list[k] <= 0) ? null : y(list[k])]);
        svg.append(s("path", { class: `line c${group} d${i}`, d: line(points) }));
        if (points.length === 1 && points[0][1] !== null)
          svg.append(s("circle", { class: `fill c${group}`, cx: points[0][0], cy: points[0][1], r: 3 }));
      });
    };
    panel(4, 118, [[0, curve.score]], "validation " + words(data.metric), false);
    panel(148, 262, [[0, curve.loss], [1, curve.train]], "loss: validation (solid), training (dashed)", true);
    return { svg, height };
  });
}
