// What is judged: the six steps, learning rates, ranges, finalists and who trained what when.

function measureBar(measure) {
  const text = (value) => (measure.unit === "share" ? percent(value) : shown(value));
  const said = h("div", { class: "measure" }, measure.name + ": ", h("b", {}, text(measure.measured)),
    measure.needed === null ? "" : `, needed ${measure.relation} ${text(measure.needed)}`,
        measure.margin ? ` (${measure.margin})` : "");
  if (measure.needed === null || measure.measured === null || !(measure.needed > 0)) return said;
  // The limit stands at two thirds, whatever it is.
  const ratio = Math.max(0, Math.min(1.5, measure.measured / measure.needed));
  said.append(s("svg", { width: "100%", height: 12, viewBox: "0 0 150 12", preserveAspectRatio: "none",
      "aria-hidden": "true" },
    s("rect", { class: "track", x: 0, y: 2, width: 150, height: 8 }),
        s("rect", { class: "bar", x: 0, y: 2, width: Math.max(1.5, 100 * ratio), height: 8 }),
    s("line", { class: "limit solid", x1: 100, x2: 100, y1: 0, y2: 12 })));
  return said;
}

const VERDICTS = { passed: "✓ passed", failed: "✗ not passed", done: "done", "cut off": "cut off", "left out": "left out", "not reached": "not reached" };

function stepTile(step) {
  return h("li", { class: "step " + step.verdict.replace(" ", "-") },
    h("h3", {}, h("span", { class: "mark" }, step.verdict === "passed" ? "✓ " : step.verdict === "failed" ? "✗ "
        : ""), `${step.step} ${step.title}`, step.cycle > 1 ? ` (cycle ${step.cycle})` : ""),
    h("p", { class: "quiet" }, step.question),
    h("p", {}, h("b", {}, VERDICTS[step.verdict] + ": "), name_(step.summary)),
    step.advice ? h("p", { class: "todo" }, "To do: ", name_(step.advice)) : null,
    step.measures.map(measureBar));
}

// Step 2: the loss on the sample, rate by rate, against the limit.
function sampleChart(step) {
  return chart("Step 2: loss on the small sample against parameter updates, with the limit to reach", (width) => {
    const height = 240, area = { left: 58, right: width - 90, top: 22, bottom: height - 40 }, svg = s("svg", {});
    const values = [...step.curves.flatMap((curve) => curve.losses), step.limit].filter((loss) => loss > 0);
    const x = scale(0, Math.max(...step.curves.flatMap((curve) => curve.steps), 1), area.left, area.right,
        { most: width / 100 });
    const y = scale(Math.min(...values), Math.max(...values), area.bottom, area.top, { log: true, most: 4 });
    frame(svg, area, x, y, { xTitle: "parameter updates", yTitle: "loss (log)" });
    if (step.limit > 0) svg.append(s("line", { class: "limit", x1: area.left, x2: area.right, y1: y(step.limit),
        y2: y(step.limit) }));
    const labels = [{ x: area.right, y: step.limit > 0 ? y(step.limit) : 0, text: "needed", group: 4 }];
    step.curves.forEach((curve, i) => {
      const points = curve.steps.map((at, k) => [x(at), curve.losses[k] > 0 ? y(curve.losses[k]) : null]),
          end = points.findLast(([, py]) => py !== null);
      svg.append(s("path", { class: `line c${i % 5} d${Math.floor(i / 2) % 5}`, d: line(points) }));
      if (end) labels.push({ x: end[0], y: end[1], text: curve.name, group: i });
    });
    endLabels(svg, labels, area.top, area.bottom);
    return { svg, height };
  });
}

// ---- learning rates --------------------------------------------------------------------------------------------

const rateSymbol = { works: symbol("completed", 5), "too slow": symbol("failed", 5), "too high": symbol("pruned", 5),
                     diverged: symbol("diverged", 5) };
const rateClass = { works: "c2", "too slow": "c4", "too high": "c4", diverged: "c1" };

function rateCurves(check) {
  return chart("Step 3: smoothed loss of each learning rate as a share of the untrained loss, with the share that is needed", (width) => {
    const height = 280, area = { left: 58, right: width - 84, top: 22, bottom: height - 40 }, svg = s("svg", {});
    const values = [...check.rates.flatMap((rate) => rate.shares), check.needed].filter((share) => share > 0);
    const x = scale(0, Math.max(...check.rates.flatMap((rate) => rate.steps), 1), area.left, area.right, { most: 5 });
    const y = scale(Math.min(...values), Math.min(Math.max(...values, 1), 20), area.bottom, area.top,
        { log: true, most: 4 });
    frame(svg, area, x, y, { xTitle: "parameter updates", yTitle: "loss left, of the untrained (log)",
        yText: percent });
    svg.append(s("line", { class: "limit", x1: area.left, x2: area.right, y1: y(check.needed), y2: y(check.needed) }));
    const labels = [{ x: area.right, y: y(check.needed), text: "needed " + percent(check.needed), group: 4 }];
    check.rates.forEach((rate, i) => {
      const points = rate.steps.map((step, k) => [x(step),
          rate.shares[k] > 0 ? Math.max(area.top - 6, y(rate.shares[k])) : null]);
      svg.append(s("path", { class: `line c${i % 5} d${i % 5}`, d: line(points) }));
      const end = points.findLast(([, py]) => py !== null) || [x(0), y(1)];
      if (rate.diverged_at !== null)
        svg.append(s("path", { class: `stroke c${i % 5}`, d: symbol("diverged", 6),
            transform: `translate(${Math.max(end[0], x(rate.diverged_at))} ${area.top - 2})` }));
      labels.push({ x: rate.diverged_at === null ? end[0] : area.right,
          y: rate.diverged_at === null ? end[1] : area.top,
          text: shown(rate.rate) + (rate.diverged_at === null ? "" : " ✕"), group: i });
    });
    endLabels(svg, labels, area.top, area.bottom);
    return { svg, height };
  });
}

function rateShares(check) {
  return chart("Step 3: share of the loss left by learning rate, with the rates that work and the range that is searched", (width) => {
    const height = 280, area = { left: 58, right: width - 12, top: 22, bottom: height - 40 }, svg = s("svg", {});
    const ends = [...check.rates.map((rate) => rate.rate), ...(check.searched || [])];
    const left = check.rates.map((rate) => rate.falls_to).filter((share) => share > 0);
    const x = scale(Math.min(...ends), Math.max(...ends), area.left + 12, area.right - 12,
        { log: true, most: width / 70 });
    const y = scale(Math.min(...left, check.needed) * 0.8, Math.max(...left, 1) * 1.1, area.bottom, area.top,
        { log: true, most: 4 });
    const shade = (range, kind) => range && svg.append(s("rect",
        { class: kind, x: x(range[0]), width: Math.max(2, x(range[1]) - x(range[0])), y: area.top,
        height: area.bottom - area.top }));
    shade(check.searched, "searched");
    shade(check.works, "working");
    frame(svg, area, x, y, { xTitle: "learning rate (log)", yTitle: "loss left after the last update (log)",
        yText: percent });
    svg.append(s("line", { class: "limit", x1: area.left, x2: area.right, y1: y(check.needed), y2: y(check.needed) }));
    for (const rate of check.rates) {
      const place = `translate(${x(rate.rate)} ${rate.falls_to === null ? area.top + 2 : y(Math.max(rate.falls_to, y.ends[0]))})`;
      const text = `${shown(rate.rate)}: ${rate.label}, ${rate.falls_to === null ? "not finite" : percent(rate.falls_to) + " left"}`;
      svg.append(s("path", { class: `${rate.label === "diverged" ? "stroke" : "fill"} ${rateClass[rate.label]}`,
          d: rateSymbol[rate.label], transform: place }, s("title", {}, text)));
    }
    return { svg, height };
  });
}

function ratesSection(check) {
  const said = check.rates.map((rate) => `${shown(rate.rate)} ${rate.label}`
      + (rate.diverged_at !== null ? ` (not a finite number at update ${rate.diverged_at})` : rate.falls_to === null
      ? "" : ` (${percent(rate.falls_to)} left)`));
  return h("div", {}, data.rates.length > 1 ? h("h3", {}, "Cycle " + check.cycle) : null,
    h("p", {}, said.join(", ") + ". ", check.searched
        ? `The search covers ${shown(check.searched[0])} to ${shown(check.searched[1])}.`
        : "There is no range to search."),
    h("p", { class: "quiet" },
        `A rate works when the mean loss of its last ${check.smoothing} updates is at most ${percent(check.needed)} of the untrained loss (dashed line). Shaded on the right: the rates that work, and around them the range that is searched. ● works, ▲ too slow, ✕ diverged.`),
    h("div", { class: "columns" }, rateCurves(check), rateShares(check)));
}

// ---- ranges ----------------------------------------------------------------------------------------------------

function rangeChart(leaf) {
  const rounds = data.rounds.filter((round) => round.ranges.some((range) => range.leaf === leaf.leaf));
  return chart(`Ranges of ${leaf.leaf}, round by round`, (width) => {
    const height = 34 + 20 * rounds.length, svg = s("svg", {}),
        area = { left: 66, right: width - 12, top: 2, bottom: height - 26 };
    const x = leafScale(leaf, area.left, area.right, width / 90);
    frame(svg, area, x, null, {});
    rounds.forEach((round, i) => {
      const range = round.ranges.find((one) => one.leaf === leaf.leaf), y = 6 + 20 * i;
      svg.append(s("text", { x: area.left - 8, y: y + 10, "text-anchor": "end" }, "round " + round.number));
      svg.append(s("rect", { class: "track", x: area.left, width: area.right - area.left, y, height: 12 }));
      if (leaf.choices.length)
        for (const choice of range.choices) svg.append(s("rect",
            { class: "bar", x: x(choice) - x.part / 2 + 2, width: Math.max(2, x.part - 4), y, height: 12 }));
      else svg.append(s("rect", { class: "bar", x: x(range.low), width: Math.max(2, x(range.high) - x(range.low)), y,
          height: 12 }));
      const best = trialOf.get(round.best_trial)?.values[leaf.leaf];
      if (best !== undefined && best !== null) svg.append(s("path",
          { class: "best-tick", d: diamondPath(6), transform: `translate(${x(best)} ${y + 6})` },
          s("title", {}, `best of round ${round.number}: ${shown(best)}`)));
    });
    return { svg, height };
  });
}

function rangeRow(leaf) {
  const sentences = data.rounds.flatMap((round) => round.ranges.filter((range) => range.leaf === leaf.leaf
      && (range.sentence || range.where)).map((range) =>
    h("li", {}, `Round ${round.number}: `, name_([range.sentence, range.where].filter(Boolean).join("; ")))));
  return h("div", { class: "range" }, h("h3", {}, leaf.leaf,
      leaf.importance === null ? "" : h("span", { class: "quiet" }, `  mattered ${percent(leaf.importance)}`)),
      rangeChart(leaf),
    sentences.length ? h("ul", {}, sentences) : h("p", { class: "quiet" }, "The same in every round."));
}

// ---- who trained what, when ------------------------------------------------------------------------------------

function timeline() {
  const timed = data.trials.filter((trial) => trial.began !== null);
  const timedTasks = data.tasks.map((task) => ({ ...task, isTask: true }));
  const all = [...timed, ...timedTasks];
  const workers = [...new Set(all.map((trial) => trial.worker))].sort();
  return chart("Who trained what, and when: trials, and outlined what came beside and after them", (width) => {
    const svg = s("svg", { role: "group" }), rows = [];
    for (const worker of workers) {
      const lanes = [];
      for (const trial of all.filter((one) => one.worker === worker).sort((a, b) => a.began - b.began)) {
        let lane = lanes.findIndex((end) => end <= trial.began + 1e-9);
        if (lane < 0) lane = lanes.push(0) - 1;
        lanes[lane] = trial.ended;
        rows.push([worker, lane, trial]);
      }
      rows.push([worker, lanes.length, null]);
    }
    const count = workers.reduce((sum, worker) => sum + rows.find(([one, , trial]) => one === worker && !trial)[1], 0);
    const thick = Math.max(2, Math.min(12, 420 / Math.max(1, count))), area = { left: 10, right: width - 10, top: 6 };
    const x = scale(0, Math.max(...all.map((trial) => trial.ended), 1), area.left, area.right, { most: width / 100 });
    let y = 6;
    const points = [], group = marksGroup("Trials by the time of their training; arrow keys go from one to the next");
    for (const worker of workers) {
      svg.append(withTitle(s("text", { x: area.left, y: y + 11 }, cut(worker || "a worker", Math.floor(width / 7))),
          worker));
      y += 16;
      for (const [one, lane, trial] of rows) {
        if (one !== worker || !trial) continue;
        const from = x(trial.began), wide = Math.max(2, x(trial.ended) - from - 1), top = y + lane * thick;
        if (trial.isTask) {
          svg.append(withTitle(s("rect", { x: from, y: top, width: wide, height: Math.max(1, thick - 1.5), class: "task" }),
              `${trial.name}: ${(trial.ended - trial.began).toFixed(1)} s`));
          continue;
        }
        group.append(mark(trial, `M0 0H${wide.toFixed(1)}V${Math.max(1, thick - 1.5).toFixed(1)}H0Z`, from, top,
            "time"));
        points.push([trial, from, from + wide, top, top + thick]);
      }
      y += rows.find(([one, , trial]) => one === worker && !trial)[1] * thick + 8;
    }
    frame(svg, { ...area, bottom: y }, x, null, { xTitle: ["seconds since the first trial began", data.pauses].filter(Boolean).join(", ") });
    svg.append(group);
    listenTo(svg, group, (px, py) => points.find(([trial, from, to, top, bottom]) => px >= from && px <= to
        && py >= top && py < bottom && !hiddenFates.has(trial.status))?.[0].id || null);
    return { svg, height: y + 42 };
  });
}
