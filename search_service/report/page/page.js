// The page, from the verdict to how to run it again.

const section = (id, title, ...content) => h("section", { id, "aria-labelledby": id + "-title" },
    h("h2", { id: id + "-title" }, title), ...content);
const missing = (name) => (data.missing[name] ? h("p", { class: "note" }, data.missing[name]) : null);

function header() {
  byId("header").append(h("h1", {}, "Study ", name_(data.study.name)),
      h("span", { class: "quiet" }, name_(data.study.study_id), ", ", data.study.status));
}

function verdict() {
  const head = data.headline;
  const rows = forestRows().filter((row) => row.star);
  const list = head.numbers.length ? h("details", {},
      h("summary", {}, "The other numbers, and how they relate to this one"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of numbers" },
        h("table", {}, h("tbody", {}, head.numbers.map((one) =>
      h("tr", {}, h("th", { scope: "row" }, one.name), h("td", { class: "number" }, shown(one.value)),
          h("td", {}, name_(one.meaning)))))))) : null;
  const said = h("div", {},
    h("p", { class: "headline" }, head.title),
    h("p", {}, name_(head.interval)),
    h("p", { class: "worth" }, head.score === null ? "" : "Worth it? ", name_(head.worth)),
    h("ul", {}, head.sentences.map((sentence) => h("li", {}, sentence)),
        data.study.reason && head.score !== null ? h("li", {}, "Why it ended: ", name_(data.study.reason)) : null));
  const drawn = rows.length ? h("div", {}, forest(rows,
      "Test score of the model with its interval, beside simpler models on the same rows", false)) : null;
  return h("section", { id: "verdict", class: "verdict " + head.verdict.replaceAll(" ", "-"),
      "aria-label": "Verdict" }, h("div", { class: "columns" }, said, drawn), list);
}

function searchSection() {
  if (!data.trials.length || !data.leaves.length) return section("search", "Search", missing("search"));
  const map = searchMap();
  const redrawMap = () => { redraw(charts.find((one) => one.box === map)); refresh(); };
  return section("search", "Search", missing("search"),
    h("p", {}, `${data.trials_in_all.toLocaleString("en")} trials. `,
        bestTrial ? `☆ marks the best of them, ${bestTrial}` : "",
        data.winner ? `, ◇ the one whose configuration won, ${data.winner}` : "", bestTrial ? ". " : "",
        "Point at a trial to see it in all pictures; click, or press Enter, for its curve and configuration."),
    data.left_out ? h("p", { class: "note" }, data.left_out) : null,
    h("div", { class: "controls" }, fateToggles(),
        h("button", { type: "button", id: "clear",
        onclick: () => { brushes.clear(); redraw(charts.find((one) => one.box === lines)); refresh(); } },
        "Clear brushes"),
      h("span", { class: "quiet", id: "how-many", role: "status" })),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "How the score grew"),
          h("p", { class: "quiet" },
          "The line is the best so far. Trials without a score, or far worse ones, stand at the lower edge."),
          history()),
      h("div", {}, h("h3", {}, "Where it looked"),
          h("p", { class: "quiet" }, "Dashed boxes are the ranges of the rounds. " + data.importance),
          mapControls(redrawMap), map, scoreLegend())),
    h("h3", {}, "Which values go together"),
    h("p", { class: "quiet" },
        "A line is a trial; better is bluer, and up on the last axis. Drag along an axis, or move its triangles with the arrow keys, to keep only the trials that pass there."),
    lines, trialTable());
}

let lines = null;

function finalistsSection() {
  if (!data.finalists.length) return section("finalists", "Finalists", missing("finalists"));
  const seeds = data.finalists[0].seeds.length;
  return section("finalists", "Finalists",
    h("p", {}, `The best configurations, trained again from ${seeds} fresh ${seeds === 1 ? "seed" : "seeds"}. `,
        name_(data.finalists_said)),
    h("p", { class: "quiet" },
        `Dots are ${data.finalists[0].unit}s, ◆ is their mean, the bar its 95 % interval; ☆ is the model that is handed over. Dashed: simpler models, on test rows.`),
    h("div", { class: "columns" }, forest(forestRows(),
        `Finalists: validation score of each ${data.finalists[0].unit}, mean and 95 % interval; test scores; simpler models as lines`),
        finalistCurves()),
    finalistTable(),
    h("h3", {}, "The model"), h("p", {}, "The model is ", name_(data.study.best.model.summary), "."));
}

function baselinesSection() {
  if (!data.baselines.length) return section("baselines", "Against simpler models", missing("baselines"));
  return section("baselines", "Against simpler models",
      h("p", {}, h("b", {}, "Worth it? "), name_(data.headline.worth)), baselineTable());
}

function columnsSection() {
  const found = data.study.best && data.study.best.columns;
  if (!found || !found.columns.length) return section("columns", "Which columns matter", missing("columns"));
  const asked = data.study.best.partial_dependences || [];
  return section("columns", "Which columns matter", h("p", {}, name_(data.columns_said)), columnTable(found),
    asked.length ? [h("h3", {}, "What the network says at their values (partial dependence)"),
        h("p", {}, name_(data.partial_dependence_said)), ...dependenceCharts(asked)] : null);
}

function again() {
  const { config, command, replay, table, fingerprint, versions } = data.again;
  return section("again", "Run it again",
    h("p", {}, "Save this as ", h("code", {}, "config.yaml"), ":"),
        h("pre", { tabindex: "0", role: "region", "aria-label": "Config" }, config),
    h("p", {}, "Then: ", h("code", {}, command), ". ", name_(table)),
    h("p", {}, "Where the study's folder still is, ", h("code", {}, replay),
        " trains every trial again and compares the numbers."),
    h("p", { class: "quiet" }, fingerprint ? ["Fingerprint of the table: ", h("code", {}, fingerprint), ". "] : "",
        "Versions: ", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
        || "not known", "."));
}

const LINKS = [["steps", "Six steps"], ["rates", "Learning rates"], ["search", "Search"], ["ranges", "Ranges"],
    ["finalists", "Finalists"], ["fit", "Fit"], ["baselines", "Simpler models"], ["columns", "Columns"], ["data", "Data"],
    ["again", "Run it again"]];

function build() {
  header();
  lines = data.trials.length && data.leaves.length ? parallel() : null;
  const sample = data.steps.find((step) => step.step === 2 && step.curves.length);
  byId("page").append(
    verdict(),
    h("nav", { "aria-label": "Parts of this page" }, LINKS.map(([id, title]) => h("a", { href: "#" + id }, title))),
    section("steps", "Six steps", h("ol", { class: "strip" }, data.steps.map(stepTile)),
        sample ? h("details", { ontoggle: drawAll }, h("summary", {}, "Step 2: how the small sample was memorised"),
        sampleChart(sample)) : null),
    section("rates", "Learning rates", missing("rates"), data.rates.map(ratesSection)),
    searchSection(),
    section("ranges", "Ranges, round by round", missing("ranges"),
        data.rounds.length ? h("p", { class: "quiet" }, "What each round searched; ◇ is its best trial.") : null,
      data.rounds.map((round) => h("p", {}, h("b", {},
          `Round ${round.number}, ${round.name.replace(/^\d+ /, "")}: `),
          `${round.sampler} samples, up to ${round.max_trials} trials of ${round.max_epochs} epochs. Ended: `,
          name_(round.stop_reason), ". ", name_(round.sentences.join(" ")))),
      h("div", { class: "columns" }, data.leaves.map(rangeRow)),
      data.rounds.length ? [h("h3", {}, "Who trained what, when"),
          data.missing.timeline ? missing("timeline") : timeline()] : null),
    finalistsSection(),
    section("fit", "Under- or overfitting", data.finalists.length ? fitList() : missing("finalists")),
    baselinesSection(),
    columnsSection(),
    section("data", "Data", h("ul", {}, data.data.map((sentence) => h("li", {}, name_(sentence)))),
      data.warnings.length ? [h("h3", {}, "What looks suspicious"),
          h("ul", {}, data.warnings.map((sentence) => h("li", { class: "note" }, name_(sentence))))]
          : data.data.length ? h("p", {}, "Nothing about it looks suspicious.") : null),
    again(),
  );
  drawAll();
  if (byId("how-many")) refresh();
  new ResizeObserver(() => requestAnimationFrame(() => { drawAll(); if (byId("how-many")) refresh(); })).observe(byId("page"));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && opened) closePanel(); });
}

build();
