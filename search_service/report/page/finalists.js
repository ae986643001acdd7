// The last act: finalists from fresh seeds, how they fit, and simpler models on the same rows.

// A row per model on one axis of scores: dots for seeds, a bar for the interval, a diamond for the mean.
function forestRows() {
  const rows = data.finalists.map((finalist, i) => ({
    title: finalist.trial_id, beside: "validation"
        + (finalist.place === "winner" ? ", winner" : finalist.place.startsWith("cannot") ? ", alike" : ", worse"),
    dots: finalist.scores, mean: finalist.mean, low: finalist.low, high: finalist.high, group: i,
  }));
  const winner = data.finalists[0];
  if (winner?.test_scores.length) {
    const finite = winner.test_scores.filter((score) => score !== null),
        mean = finite.reduce((sum, score) => sum + score, 0) / Math.max(1, finite.length);
    rows.push({ title: winner.trial_id, beside: "test rows, winner", dots: winner.test_scores,
        mean: finite.length ? mean : null, low: null, high: null, group: 0, hollow: true });
  }
  if (data.headline.score !== null)
    rows.push({ title: "the model", beside: "test rows", dots: [], mean: data.headline.score, low: data.headline.low,
        high: data.headline.high, group: 3, star: true });
  return rows;
}

function forest(rows, description, beside = true) {
  const lines = data.baselines.filter((one) => one.test !== null);
  return chart(description, (width) => {
    const left = !beside ? 80 : width < 560 ? 112 : 190, top = 14 + 15 * lines.length,
        height = top + 34 * rows.length + 44, svg = s("svg", {});
    const models = rows.flatMap((row) => [...row.dots, row.mean, row.low, row.high]).filter((value) => value !== null);
    const all = [...models, ...lines.map((one) => one.test)],
        reach = Math.max(...models) - Math.min(...models) || Math.abs(models[0]) || 1;
    // Whoever ignores the inputs may be far away: then an arrow says where.
    const near = all.filter((value) => value >= Math.min(...models) - 4 * reach && value <= Math.max(...models)
        + 4 * reach);
    const x = scale(Math.min(...near), Math.max(...near), left + 12, width - 16, { most: (width - left) / 80 });
    const area = { left, right: width - 8, top, bottom: height - 40 };
    frame(svg, area, x, null, { xTitle: words(data.metric) + (up ? " (right is better)" : " (left is better)") });
    lines.forEach((one, i) => {
      const outside = !near.includes(one.test), at = outside ? (one.test < near[0] ? left + 6 : width - 10)
          : x(one.test), y = 12 + 15 * i;
      if (!outside) svg.append(s("line", { class: `stroke thin c4 d${i % 5}`, x1: at, x2: at, y1: y + 3,
          y2: area.bottom }));
      const score = `${shown(one.test)}${outside ? (one.test < Math.min(...near) ? " ←" : " →") : ""}`;
      const end = at > (left + width) / 2, most = Math.floor((end ? at : width - at) / 6.5);
      const whole = `${one.name}, test ${score}`;
      // On a narrow screen the name gives way, and not the score.
      const text = whole.length <= most ? whole : `${cut(one.name, Math.max(3, most - score.length - 1))} ${score}`;
      svg.append(withTitle(s("text", { x: at + (end ? 4 : -4), y, "text-anchor": end ? "end" : "start" }, text),
          whole));
    });
    rows.forEach((row, i) => {
      const y = area.top + 18 + 34 * i, group = `c${row.group % 5}`;
      svg.append(withTitle(s("text", { class: "strong", x: 2, y: beside ? y : y + 4 },
          cut(row.title, Math.floor(left / 7))), row.title));
      if (beside) svg.append(s("text", { x: 2, y: y + 13 }, cut(row.beside, Math.floor(left / 6))));
      if (row.low !== null && row.high !== null)
        svg.append(s("path", { class: `stroke ${group}`,
            d: `M${x(row.low)} ${y - 6}V${y + 6}M${x(row.low)} ${y}H${x(row.high)}M${x(row.high)} ${y - 6}V${y + 6}` }));
      for (const dot of row.dots)
        if (dot !== null) svg.append(s("circle", { class: row.hollow ? `stroke ${group}` : `fill ${group}`,
            cx: x(dot), cy: y + 8, r: 3.2 }, s("title", {}, "one seed: " + shown(dot))));
      if (row.mean !== null) svg.append(s("path", { class: `fill ${group}`,
          d: row.star ? starPath(9) : diamondPath(7), transform: `translate(${x(row.mean)} ${y})` },
          s("title", {}, shown(row.mean))));
    });
    return { svg, height };
  });
}

function finalistCurves() {
  const shownOnes = data.finalists.filter((finalist) => finalist.curve);
  return chart("Learning curves of the finalists: mean validation score over the seeds, and the range between them",
      (width) => {
    const height = 300, area = { left: 58, right: width - 78, top: 22, bottom: height - 40 }, svg = s("svg", {});
    const curves = shownOnes.map((finalist) => finalist.curve);
    const ends = curves.flatMap((curve) => [...curve.low, ...curve.high]).filter((value) => value !== null).sort((a,
        b) => rank(a) - rank(b));
    // The first epochs may be hopeless.
    const worst = ends[Math.floor(0.93 * (ends.length - 1))] ?? 0, best = ends[0] ?? 1;
    const x = scale(1, Math.max(2, ...curves.flatMap((curve) => curve.mean.epochs)), area.left, area.right,
        { most: width / 90 });
    x.ticks = x.ticks.filter(Number.isInteger);
    const y = scale(worst, best, area.bottom, area.top, { most: 5 });
    if (!up) y.ticks = niceTicks(best, worst, 5);
    frame(svg, area, x, y, { xTitle: "epoch", yTitle: "validation " + words(data.metric) });
    const labels = [], at = (value) => (value === null ? null : Math.min(area.bottom, Math.max(area.top, y(value))));
    shownOnes.forEach((finalist, i) => {
      const { mean, low, high } = finalist.curve, group = data.finalists.indexOf(finalist);
      const upper = mean.epochs.map((epoch, k) => [x(epoch), at(high[k])]).filter(([, py]) => py !== null);
      const lower = mean.epochs.map((epoch, k) => [x(epoch), at(low[k])]).filter(([, py]) => py !== null).reverse();
      if (upper.length) svg.append(s("path", { class: `band fill c${group % 5}`,
          d: line([...upper, ...lower]) + "Z" }));
      const points = mean.epochs.map((epoch, k) => [x(epoch), at(mean.score[k])]);
      svg.append(s("path", { class: `line c${group % 5} d${i % 5}`, d: line(points) }));
      const end = points.findLast(([, py]) => py !== null);
      if (end) labels.push({ x: end[0], y: end[1], text: finalist.trial_id, group });
    });
    endLabels(svg, labels, area.top, area.bottom);
    return { svg, height };
  });
}

// Hyperparameters in which the finalists differ.
function finalistTable() {
  const leaves = [...new Set(data.finalists.flatMap((finalist) => Object.keys(finalist.config)))];
  const differ = leaves.filter((leaf) => new Set(data.finalists.map((finalist) => finalist.config[leaf])).size > 1
      || leafOf.has(leaf));
  const head = ["finalist", "place", `validation ${words(data.metric)}`, "95 % interval", "parameters", ...differ];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of finalists" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, data.finalists.map((finalist) => h("tr", {}, [
      finalist.trial_id, finalist.place, `${shown(finalist.mean)} ± ${shown(finalist.std, 2)}`,
      finalist.low === null ? "—" : `${shown(finalist.low)} to ${shown(finalist.high)}`,
          finalist.parameters.toLocaleString("en"),
      ...differ.map((leaf) => finalist.config[leaf] ?? "off"),
    ].map((cell) => h("td", {}, name_(cell))))))));
}

function fitList() {
  return h("ul", {}, data.finalists.map((finalist) => h("li", {},
    h("b", {}, `${finalist.trial_id}: `), name_(finalist.fit_summary), ". ",
    finalist.fit_remedy ? ["To do: ", name_(finalist.fit_remedy), ". "] : "",
    finalist.gradients ? [name_(finalist.gradients.summary), ".",
        finalist.gradients.remedy ? [" To do: ", name_(finalist.gradients.remedy), "."] : ""] : "")));
}

function baselineTable() {
  const best = data.study.best;
  const rows = [["the model", data.headline.score, null, "", ""],
      ...data.baselines.map((one) => [one.name, one.test, one.validation, one.lead, one.note])];
  const main = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of simpler models" },
      h("table", {},
    h("thead", {}, h("tr", {}, ["model", `test ${words(data.metric)}`, `validation ${words(data.metric)}`,
        "beside the model", ""].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => h("td",
        { class: i === 1 || i === 2 ? "number" : "" }, name_(i === 1 || i === 2 ? shown(cell) : cell ?? ""))))))));
  const names = Object.keys(best.test_metrics_trivial);
  const every = [["the winner, mean over its seeds", best.test_metrics],
      ...(best.model.test_metrics ? [["the model", best.model.test_metrics]] : []),
    ...best.baselines.map((one) => [one.model, one.test_metrics]), ["ignoring the inputs", best.test_metrics_trivial]];
  const head = h("tr", {}, h("th", { scope: "col" }, "model"),
      names.map((one) => h("th", { scope: "col" }, words(one))));
  const cells = (values) => names.map((one) => h("td", { class: "number" }, shown(values[one])));
  const body = every.map(([title, values]) => h("tr", {}, h("th", { scope: "row" }, name_(title)), cells(values)));
  const table = h("table", {}, h("thead", {}, head), h("tbody", {}, body));
  const all = h("details", {}, h("summary", {}, "Every metric on the test rows"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of every metric" }, table));
  return [main, all];
}

// How much worse the score is without each column: those that are missed, then the rest behind a summary.
function columnTable(found) {
  const missed = found.columns.filter((column) => column.worse > column.spread);
  const first = (missed.length ? missed : found.columns).slice(0, 12), most = Math.max(first[0].worse, 1e-12);
  const row = (column) => h("tr", {}, h("th", { scope: "row" }, name_(column.name)),
    h("td", {}, s("svg", { width: 90, height: 12, viewBox: "0 0 90 12", "aria-hidden": "true" },
      s("rect", { class: "track", x: 0, y: 2, width: 90, height: 8 }),
      s("rect", { class: "bar", x: 0, y: 2, height: 8, width: Math.max(0, 90 * column.worse / most) }))),
    h("td", { class: "number" }, `${shown(column.worse, 2)} ± ${shown(column.spread, 1)}`));
  const of = (columns, label) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "column"), h("th", { scope: "col" }, "missed"),
      h("th", { scope: "col" }, `${words(found.metric)} is worse by`))), h("tbody", {}, columns.map(row))));
  const others = found.columns.filter((column) => !first.includes(column));
  return [of(first, "Table of the columns that matter"), others.length ? h("details", {},
    h("summary", {}, others.length === 1 ? "The other column" : `The other ${others.length} columns`),
    of(others, "Table of the other columns")) : null];
}

// What the network says at each value of a column, a chart for each; all on one axis of what is said.
function dependenceCharts(asked) {
  const labels = Object.keys(asked[0].means), ends = asked.flatMap((one) => labels.flatMap((label) =>
    one.means[label].flatMap((mean, i) => [mean - one.spreads[label][i], mean + one.spreads[label][i]])));
  const low = Math.min(...ends), high = Math.max(...ends);
  const title = labels.length > 1 ? "mean probability" : labels[0] === "" ? "mean prediction"
      : `mean probability of ${labels[0]}`;
  const legend = labels.length > 1 ? h("p", { class: "legend" }, labels.map((label, i) => h("span", {},
      s("svg", { width: 28, height: 10, "aria-hidden": "true" },
        s("path", { class: `line c${i % 5} d${i % 5}`, d: "M0 5H28" })), " ", name_(label)))) : null;
  return [legend, h("div", { class: "columns" }, asked.map((one) => h("figure", {},
      h("figcaption", {}, name_(one.column)), dependenceChart(one, labels, low, high, title))))];
}

function dependenceChart(one, labels, low, high, title) {
  const listed = one.kind === "categorical" || one.kind === "boolean", isDate = one.kind === "date";
  const numbers = isDate ? one.values.map((value) => Date.parse(value.endsWith("Z") ? value : value + "Z")) : one.values;
  const dated = (value) => {
    const whole = new Date(value).toISOString();
    return whole.startsWith("1970-01-01") ? whole.slice(11, 16) : whole.slice(0, 10);
  };
  const said = (i) => labels.map((label) => `${label ? label + " " : ""}${shown(one.means[label][i])}`).join(", ");
  return chart(`${one.column}: ${one.values.map((value, i) => `${isDate ? dated(numbers[i]) : shown(value)}: ${said(i)}`)
      .join("; ")}`, (width) => {
    const height = 210, svg = s("svg", {}), area = { left: 58, right: width - 12, top: 22, bottom: height - 26 };
    const x = listed ? places(one.values, area.left, area.right)
        : scale(Math.min(...numbers), Math.max(...numbers), area.left + 4, area.right - 4, { most: width / 110 });
    const y = scale(low, high, area.bottom, area.top, { most: 6 });
    frame(svg, area, x, y, { yTitle: cut(title, Math.floor(width / 7)), xText: isDate ? dated : shown });
    labels.forEach((label, k) => {
      const at = numbers.map((value, i) => ({ x: x(value), y: y(one.means[label][i]),
        up: y(one.means[label][i] + one.spreads[label][i]), down: y(one.means[label][i] - one.spreads[label][i]) }));
      if (listed) for (const point of at)
        svg.append(s("path", { class: `stroke c${k % 5}`, d: `M${point.x} ${point.up}V${point.down}` }));
      else {
        svg.append(s("path", { class: `band fill c${k % 5}`,
          d: line([...at.map((p) => [p.x, p.up]), ...at.map((p) => [p.x, p.down]).reverse()]) + "Z" }));
        svg.append(s("path", { class: `line c${k % 5} d${k % 5}`, d: line(at.map((p) => [p.x, p.y])) }));
      }
      at.forEach((point, i) => svg.append(s("circle", { class: `fill c${k % 5}`, cx: point.x, cy: point.y, r: 3 },
        s("title", {}, `${isDate ? dated(numbers[i]) : shown(one.values[i])}: ${label ? label + " " : ""}${
          shown(one.means[label][i])}${one.shares.length ? `, ${percent(one.shares[i])} of the rows` : ""}`))));
    });
    return { svg, height };
  });
}
