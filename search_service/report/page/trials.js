// One trial in a panel, all of them in a table, and which of them are shown.

let cameFrom = null;

function openPanel(id, from) {
  const trial = trialOf.get(id), panel = byId("panel");
  opened = id;
  cameFrom = from || document.activeElement;
  const facts = [
    ["how it ended", FATES[trial.status]], ["why", trial.reason],
        ["best validation " + words(data.metric), shown(trial.score)],
    ["epochs", shown(trial.epochs)], ["seconds of training", shown(trial.seconds)],
        ["began", trial.began === null ? "—" : [`${shown(trial.began)} s after the first trial`, data.pauses].filter(Boolean).join(", ")],
    ["trained by", trial.worker || "—"],
  ];
  panel.replaceChildren(
    h("div", { class: "top" }, h("h2", { id: "panel-title" }, "Trial " + trial.id),
        h("button", { type: "button", onclick: closePanel }, "Close")),
    h("p", { class: "quiet" }, `Round ${trial.round}.`, id === bestTrial ? " The best score of any trial." : "",
        id === data.winner ? " Its configuration won." : ""),
    h("table", {}, facts.map(([title, value]) => h("tr", {}, h("th", { scope: "row" }, title),
        h("td", {}, name_(value))))),
    h("h3", {}, "What was searched"),
    h("table", {}, Object.entries(trial.values).map(([leaf, value]) => h("tr", {}, h("th", { scope: "row" }, leaf),
        h("td", {}, name_(shown(value, 6)))))),
    h("p", { class: "quiet" }, "Everything else is as in the config at the end of this page."),
    h("h3", {}, "How it learnt"),
    trial.curve ? curveChart(trial.curve, "Trial " + trial.id)
        : h("p", {}, trial.epochs ? "Its curve is not on this page, which stays small; MLflow has it."
        : "It has not finished an epoch."),
  );
  // Of earlier trials, whose panels are gone.
  for (let i = charts.length - 1; i >= 0; i--) if (!charts[i].box.isConnected) charts.splice(i, 1);
  panel.hidden = false;
  for (const one of charts) if (panel.contains(one.box)) one.width = 0;
  drawAll();
  panel.focus();
}

function closePanel() {
  byId("panel").hidden = true;
  opened = null;
  if (cameFrom?.isConnected) cameFrom.focus();
}

function fateToggles() {
  const counts = Object.fromEntries(Object.keys(FATES).map((fate) => [fate,
      data.trials.filter((trial) => trial.status === fate).length]));
  const boxes = Object.entries(FATES).filter(([fate]) => counts[fate]).map(([fate, text]) => {
    const box = h("input", { type: "checkbox", checked: true, "data-fate": fate, onchange: () => {
      box.checked ? hiddenFates.delete(fate) : hiddenFates.add(fate);
      refresh();
    } });
    const icon = s("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" },
        s("path", { class: `trial is-${fate}`.replace("trial", "icon"), d: symbol(fate, 5) }));
    return h("label", {}, box, icon, `${text} (${counts[fate]})`);
  });
  return h("fieldset", {}, h("legend", {}, "Show trials that"), boxes);
}

function trialTable() {
  const columns = [
    ["trial", (trial) => trial.id], ["round", (trial) => trial.round], ["how it ended", (trial) => FATES[trial.status]],
    [words(data.metric), (trial) => trial.score], ["epochs", (trial) => trial.epochs],
        ["seconds", (trial) => trial.seconds],
    ...data.leaves.map((leaf) => [leaf.leaf, (trial) => trial.values[leaf.leaf]]),
  ];
  let by = 3, turned = false;
  const body = h("tbody", {});
  const show = () => {
    const value = columns[by][1], sign = (by === 3 && up ? -1 : 1) * (turned ? -1 : 1);
    const sorted = [...data.trials].sort((a, b) => {
      const [p, q] = [value(a), value(b)];
      if (p === null || p === undefined || q === null || q === undefined) return (p === null
          || p === undefined) - (q === null || q === undefined);
      return sign * (typeof p === "number" && typeof q === "number" ? p - q
          : String(p).localeCompare(String(q), "en", { numeric: true }));
    });
    body.replaceChildren(...sorted.map((trial) => h("tr", {},
        columns.map(([, of], i) => h("td", { class: typeof of(trial) === "number" ? "number" : "" },
      i ? name_(shown(of(trial))) : h("button", { type: "button",
          onclick: (event) => openPanel(trial.id, event.target) }, trial.id))))));
  };
  const heads = columns.map(([title], i) => h("th", { scope: "col" },
      h("button", { type: "button", onclick: () => { turned = by === i && !turned; by = i; show(); } }, title)));
  const details = h("details", {}, h("summary", {}, "The same trials as a table"),
      h("div", { class: "trials", tabindex: "0", role: "region", "aria-label": "Table of trials" },
      h("table", {}, h("thead", {}, h("tr", {}, heads)), body)));
  details.addEventListener("toggle", () => { if (details.open && !body.childElementCount) show(); });
  return details;
}
