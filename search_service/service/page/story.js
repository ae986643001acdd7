// What the events of a study say, kept as what the page shows: steps, rounds, scores in their order, sentences.

import { STEPS, number, span, words } from "/page/shared.js";

const FATES = { completed: "trained to the end", pruned: "stopped early", diverged: "diverged", failed: "failed" };

// A task's name in the record, for people.
const TASKS = [
  [/^step-2$/, () => "Step 2, the small sample"],
  [/^step-3-cycle-\d+$/, () => "Step 3, all learning rates"],
  [/^noise-\d+-(\d+)$/, (part) => `The seeds' noise, part ${part}`],
  [/^finalists-(\d+)$/, (part) => `Finalists, part ${part}`],
  [/^fold-(\d+)-finalists-(\d+)$/, (fold, part) => `Finalists on fold ${fold}, part ${part}`],
  [/^length-\d+-(\d+)$/, (part) => `How long to train, part ${part}`],
  [/^refit-\d+-(\d+)$/, (part) => `The model, trained again, part ${part}`],
  [/^baseline-(.+)$/, (name) => `Baseline: ${words(name)}`],
];

function taskWords(name) {
  for (const [form, said] of TASKS) {
    const found = form.exec(name);
    if (found) return said(...found.slice(1));
  }
  return words(name.replaceAll("-", " "));
}

export class Story {
  constructor() {
    this.metric = null;
    this.largerIsBetter = true;
    // By number of the step: where it stands (waiting, busy, passed, failed, cut), and what is said of it.
    this.steps = Object.fromEntries(Object.keys(STEPS).map((step) => [step, { standing: "waiting", said: "" }]));
    this.rounds = [];
    this.trials = [];
    this.best = null;
    // What stands in the log, oldest first.
    this.sentences = [];
    this.now = "";
  }

  hear(type, event) {
    const step = this.steps[event.step], at = event.at;
    switch (type) {
      case "study_started":
        this.metric = event.metric;
        // A step that was under way is not said to begin again.
        this.turn("cut", "busy");
        this.say(at, event.resumed ? "The study goes on; what was finished is kept."
          : `The study begins: ${event.rows.train} rows to train on, ${event.rows.validation} to validate, `
            + `${event.rows.test} to test.`);
        break;
      case "step_started":
        if (step) this.begin(event.step);
        break;
      case "check_finished":
        if (step) Object.assign(step, { standing: event.passed ? "passed" : "failed", said: event.summary });
        this.say(at, `${this.title(event)}: ${event.passed ? "passed" : "not passed"}. ${event.summary}`);
        if (event.advice) this.tell(at, event.advice);
        break;
      case "round_started":
        this.rounds.push({ ...event, trials: 0, epochs: 0, running: {}, last: at, done: false });
        this.begin(event.step);
        this.say(at, `${this.title(event)}: ${event.max_trials} trials of up to ${event.max_epochs} epochs.`);
        for (const sentence of event.decided) this.tell(at, sentence);
        break;
      case "trial_progressed":
        this.hearProgress(event);
        break;
      case "trial_finished":
        this.hearTrial(event);
        break;
      case "round_finished":
        this.hearRound(event);
        break;
      case "cycle_decided":
        Object.assign(this.steps[6], { standing: "passed", said: `${event.stop ? "Stop" : "Again"}: ${event.reason}` });
        this.say(at, `Step 6: ${event.stop ? "stop" : "again"}. ${event.reason}`);
        for (const sentence of event.decided) this.tell(at, sentence);
        break;
      case "task_finished":
        this.tell(at, `${taskWords(event.task)}: done in ${span(event.seconds)}.`);
        break;
      case "finalists_finished":
        Object.assign(this.steps[7], { standing: "passed", said: `Trial ${event.winner} won; test `
            + `${words(this.metric)} ${number(event.test_score)}, mean over its seeds.` });
        this.say(at, `The finalists are trained: ${this.steps[7].said}`);
        break;
      case "model_packed":
        this.say(at, `The model is ready; its test ${words(this.metric)} is ${number(event.test_score)}.`);
        break;
      case "study_finished":
        this.turn("busy", "cut");
        this.say(at, `The study is ${event.status} after ${span(event.seconds)}: ${event.reason}`);
        break;
      default:
        // What a newer study may tell is no reason to show nothing.
    }
  }

  title(event) {
    return `Step ${STEPS[event.step] ?? event.step}${event.cycle > 1 ? ` (cycle ${event.cycle})` : ""}`;
  }

  tell(at, text) {
    this.sentences.push({ at, text });
  }

  // What is told, and stands at the top of the page until something else does.
  say(at, text) {
    this.tell(at, text);
    this.now = text;
  }

  turn(from, to) {
    for (const step of Object.values(this.steps)) if (step.standing === from) step.standing = to;
  }

  begin(number_) {
    this.turn("busy", "passed");
    const step = this.steps[number_];
    if (step) Object.assign(step, { standing: "busy", said: "" });
    if (number_ === 7) this.now = "The finalists are trained again, from fresh seeds.";
  }

  hearProgress(event) {
    const round = this.rounds.at(-1);
    if (round) Object.assign(round, { last: event.at }).running[event.trial] = event.epoch;
  }

  hearTrial(event) {
    const round = this.rounds.findLast((one) => one.round === event.round);
    if (round) {
      round.trials += 1;
      round.epochs += event.epochs;
      round.last = event.at;
      delete round.running[event.trial];
    }
    const fate = FATES[event.status] ?? event.status;
    this.trials.push({ id: event.trial, round: event.round, status: event.status, fate, score: event.score });
    const counts = event.score !== null && ["completed", "pruned"].includes(event.status);
    if (counts && (this.best === null || this.isBetter(event.score, this.best.score))) {
      this.best = { trial: event.trial, score: event.score };
      this.say(event.at, `Trial ${event.trial} is the best so far: ${words(this.metric)} ${number(event.score)}.`);
    }
    if (event.status === "failed") this.say(event.at, `Trial ${event.trial} failed: ${event.reason}`);
  }

  hearRound(event) {
    const round = this.rounds.findLast((one) => one.round === event.round);
    if (!round) return;
    Object.assign(round, { done: true, reason: event.reason, running: {} });
    const best = event.best ? `best ${words(this.metric)} ${number(event.best_score)} (trial ${event.best})`
      : "no score";
    const said = `${round.trials} of ${round.max_trials} trials, ${best}; ${event.reason}`;
    Object.assign(this.steps[round.step] ?? {}, { standing: event.best ? "passed" : "failed", said });
    this.say(event.at, `${this.title(round)} is over after ${span(event.seconds)}: ${said}`);
  }

  isBetter(a, b) {
    return this.largerIsBetter ? a > b : a < b;
  }
}

// Epochs trained in a round so far: those of trials that are over, and those that others are known to have.
export const epochsOf = (round) => Object.values(round.running).reduce((sum, epoch) => sum + epoch, round.epochs);

// Seconds that the rest of a round takes at the rate so far; null while that says little.
export function secondsLeft(round) {
  const seconds = (new Date(round.last) - new Date(round.at)) / 1000;
  if (round.done || round.trials < 3 || seconds <= 0) return null;
  return (seconds / round.trials) * (round.max_trials - round.trials);
}
