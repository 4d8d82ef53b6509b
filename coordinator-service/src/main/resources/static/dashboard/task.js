import { listen } from "./live.js";
import { call, command, confirm } from "./commands.js";
import { clock, count, duration, fill, h, setText, table } from "./dom.js";
import { copy, curl, jsonForm } from "./forms.js";

const STATUS_CLASS = { completed: "good", failed: "bad-text", cancelled: "soft", expired: "bad-text", queued: "warn-text", assigned: "", unknown: "soft", unreadable: "bad-text" };
const SEEN = "agent-coordinator.tasks-seen";
const ENDED = ["completed", "failed", "cancelled", "expired"];

export const seen = () => JSON.parse(sessionStorage.getItem(SEEN) ?? "[]");

export const statusTag = (status) => h("span", { class: "tag " + (STATUS_CLASS[status] ?? "") }, status);

/** How long the last attempt ran. */
export const took = (attempt) => (attempt.assigned_at && attempt.finished_at ? duration(seconds(attempt.assigned_at, attempt.finished_at)) : "–");

/** An error is any JSON. */
export const errorText = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

const seconds = (from, to) => Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
const agentLink = (id) => (id ? h("a", { href: "#/agents/" + encodeURIComponent(id) }, id) : "an agent");

/** The address of traces; undefined until it is known. */
let traceUrl;

export function taskView(id) {
  sessionStorage.setItem(SEEN, JSON.stringify([id, ...seen().filter((one) => one !== id)].slice(0, 20)));
  const status = h("span", { class: "tag", id: "task-status" }, "Loading…");
  const callers = h("span", { class: "soft", id: "waiting-callers" });
  const summary = h("p", { role: "status" }, status, " ", callers);
  const life = h("ol", { class: "timeline" });
  const facts = h("div");
  const why = h("div", { id: "why" });
  const whySection = h("section", { hidden: true }, h("h2", {}, "Why is it waiting?"), why,
    h("div", { class: "actions" }, h("button", { onclick: () => explain(id, why) }, "Refresh")));
  const cancel = h("button", { class: "danger", hidden: true, onclick: async () => {
    if (await confirm(`Cancel task ${id}?`, "Cancel the task", "Keep it")) {
      await command(cancel, "POST", `/tasks/${encodeURIComponent(id)}/cancel`);
    }
  } }, "Cancel…");
  const redrive = h("button", { hidden: true, onclick: () => command(redrive, "POST", `/tasks/dead-letter/${encodeURIComponent(id)}/redrive`) }, "Redrive");
  const traceLink = h("span", { class: "actions" });
  const kept = h("div", { id: "kept" });
  let shown = null;
  let live = null;
  /** What the history adds: input, and all attempts. */
  let past = {};
  const showLife = () => live && fill(life, timeline(live, past));
  const show = (state) => {
    live = state;
    setText(status, state.status);
    status.className = "tag " + (STATUS_CLASS[state.status] ?? "");
    showLife();
    fill(facts, description(state));
    cancel.hidden = ENDED.includes(state.status) || state.status === "unknown";
    redrive.hidden = state.status !== "failed";
    whySection.hidden = state.status !== "queued";
  };
  const end = listen("tasks/" + id, ({ data, error }) => {
    if (error) {
      setText(status, "status unavailable: " + error);
      return;
    }
    if (data.status !== "unknown" || live === null) {
      show(data);
    }
    if (data.status === "queued" && shown?.status !== "queued") {
      explain(id, why);
    }
    if (data.status !== shown?.status || data.attempt !== shown?.attempt) {
      lookUp(id, kept, (task) => {
        past = task.attempts ? task : past;
        setText(callers, task.waiting_callers ? "Waiting for its end at this coordinator: " + task.waiting_callers.join(", ") : "");
        if (live.status === "unknown") {
          // Redis has forgotten it, the history has not.
          show(Object.fromEntries(Object.entries(task).filter(([name]) => !["attempts", "task_data"].includes(name))));
        } else {
          showLife();
        }
      });
    }
    shown = data;
  });
  showTraceLink(id, traceLink);
  return {
    title: "Task " + id,
    elements: [
      h("section", {}, summary, life, h("div", { class: "actions" }, cancel, redrive, traceLink)),
      whySection,
      h("section", {}, h("h2", {}, "Details"), facts),
      kept,
    ],
    end,
  };
}

async function showTraceLink(id, box) {
  traceUrl ??= await call("GET", "/").then(({ trace }) => trace ?? "").catch(() => undefined);
  if (traceUrl) {
    fill(box, h("a", { href: traceUrl.replaceAll("{task_id}", encodeURIComponent(id)), target: "_blank", rel: "noreferrer" }, "Trace"));
  }
}

const changeable = ({ priority, task_data, requirements, max_attempts, timeout_seconds }) => ({ priority, task_data, requirements, max_attempts, timeout_seconds });

/** Only what was edited: a number that JavaScript cannot hold stays as it was. */
const changed = (before, after) => Object.fromEntries(Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));

/** What the history adds. It lags a little behind, so that it is asked again. */
async function lookUp(id, box, found, again = true) {
  const number = (lookUps.get(box) ?? 0) + 1;
  lookUps.set(box, number);
  const task = await call("GET", "/tasks/" + encodeURIComponent(id)).catch(() => null);
  if (lookUps.get(box) !== number) {
    return;
  }
  const ended = ENDED.includes(task?.status);
  if (task) {
    found(task);
  }
  // What is shown stays if the history does not answer.
  if (task?.task_data !== undefined && !box.querySelector("details[open]")) {
    const whole = !task.task_data_truncated;
    fill(box, [
      ended && whole && h("section", {}, h("details", { id: "retry" },
        h("summary", {}, "Retry as a new task, with changes"),
        jsonForm("retry-task", "Retry", changeable(task), (json) => [`/tasks/${encodeURIComponent(id)}/retry`, changed(changeable(task), json)]))),
      h("section", {}, h("h2", {}, whole ? "Input" : "Input, cut"),
        h("pre", { tabindex: "0" }, typeof task.task_data === "string" ? task.task_data : JSON.stringify(task.task_data, null, 2)),
        whole && isExact(task) && h("div", { class: "actions" }, h("button", { onclick: () => copy(curl(JSON.stringify(submitted(task)))) }, "Copy as curl"))),
    ]);
  }
  if (again && task && (!task.attempts || task.attempts.length < task.attempt || (ended && task.attempts.some((one) => !one.outcome)))) {
    setTimeout(() => box.isConnected && lookUp(id, box, found, false), 2_000);
  }
}

const lookUps = new WeakMap();

/** As it was submitted. */
const submitted = ({ labels, fairness_key, fairness_weight, uses, expires_at, ...task }) => ({ ...changeable(task), labels, fairness_key, fairness_weight, uses, expires_at });

/** JavaScript rounds longer numbers. */
const isExact = (task) => !/\d{16}/.test(JSON.stringify(task.task_data));

/**
 * All that happened to a task, in order.
 *
 * @param task its state now
 * @param past what the history has of it, which lags a little: its attempts, and the task that it repeats
 */
function timeline(task, { attempts: past = [], retry_of: origin }) {
  if (task.status === "unknown") {
    return [h("li", { class: "open" }, "Unknown task: it was never received, or it was deleted after its retention. The page updates when it arrives.")];
  }
  const steps = [{ at: task.submitted_at, text: [`Accepted, with priority ${task.priority}`, origin ? [", as a retry of ", h("a", { href: "#/tasks/" + encodeURIComponent(origin) }, origin)] : ""] }];
  // That of another attempt is among the attempts.
  if (task.not_before && task.attempt === 1) {
    steps.push({ at: task.not_before, text: ["Scheduled start"] });
  }
  const ended = ENDED.includes(task.status);
  for (const attempt of attempts(task, past)) {
    const isLast = attempt.attempt === task.attempt;
    steps.push({ at: attempt.assigned_at, text: [`Attempt ${attempt.attempt}${isLast ? ` of ${task.max_attempts ?? "?"}` : ""} assigned to `, agentLink(attempt.agent_id)] });
    if (attempt.started_at) {
      steps.push({ at: attempt.started_at, text: ["Started, as reported by the agent"] });
    }
    if (isLast && task.status === "assigned" && task.progress_at) {
      steps.push({ at: task.progress_at, text: ["Progress", task.progress === undefined ? "" : ": " + errorText(task.progress)] });
    }
    if (attempt.progress_reports) {
      steps.push({ at: attempt.finished_at, text: [`${count(attempt.progress_reports)} progress ${attempt.progress_reports === 1 ? "report" : "reports"} until then`] });
    }
    if (attempt.finished_at && !(isLast && ended)) {
      steps.push({ at: attempt.finished_at, kind: "bad", text: [`Attempt ${attempt.attempt} ended: ${attempt.outcome ?? "without success"}`], detail: errorText(attempt.error) });
      if (attempt.not_before) {
        steps.push({ at: attempt.not_before, text: [`Attempt ${attempt.attempt + 1} due`] });
      }
    }
  }
  if (ended) {
    steps.push({ at: task.finished_at, kind: task.status === "completed" ? "" : "bad", text: [task.status.charAt(0).toUpperCase() + task.status.slice(1), task.reason ? ": " + task.reason : ""],
      detail: task.status === "failed" ? errorText(task.error) : "" });
  }
  const known = steps.filter((one) => one.at);
  const items = known.map((one, i) => h("li", { class: one.kind || null }, one.text, one.detail && h("p", { class: "detail" }, one.detail), one.detail ? null : h("br"),
    h("span", { class: "soft" }, clock(one.at), i > 0 ? after(known[i - 1].at, one.at) : "")));
  if (task.status === "queued") {
    items.push(h("li", { class: "open" }, task.attempt > 1 ? `Waiting for attempt ${task.attempt}` : "Waiting for an agent"));
  } else if (task.status === "assigned") {
    items.push(h("li", { class: "open" }, "The agent is working on it", task.deadline ? ", deadline " + clock(task.deadline) : ""));
  }
  return items;
}

/** Clocks of agents may be behind. */
const after = (before, at) => (Date.parse(at) >= Date.parse(before) ? ", after " + duration(seconds(before, at)) : "");

/** Those of the history, and the current one, which may not be there yet. */
function attempts(task, past) {
  const all = past.map((one) => ({ ...one }));
  if (task.agent_id && task.assigned_at && task.status !== "queued") {
    const current = all.find((one) => one.attempt === task.attempt);
    if (!current) {
      all.push({ attempt: task.attempt, agent_id: task.agent_id, assigned_at: task.assigned_at, started_at: task.agent_started_at });
    }
  }
  return all;
}

/** Leaves requirements out that are not set. */
const set = (name, value) => (value === null || (Array.isArray(value) && value.length === 0) ? undefined : value);

function description(task) {
  return h("dl", {}, Object.entries(task).filter(([name]) => name !== "timestamp").map(([name, value]) => [h("dt", {}, name),
    h("dd", {}, typeof value === "object" ? h("pre", { tabindex: "0" }, JSON.stringify(value, name === "requirements" ? set : null, 2)) : String(value))]));
}

async function explain(id, box) {
  try {
    const answer = await call("GET", `/tasks/${encodeURIComponent(id)}/explain`);
    const waiting = answer.waiting;
    const parts = [h("p", { class: "explanation" }, answer.explanation.charAt(0).toUpperCase() + answer.explanation.slice(1) + ".")];
    if (waiting) {
      parts.push(h("p", { class: "soft" }, `Position ${count(waiting.place_in_queue)} of ${count(waiting.queue_size)} in ${waiting.priority}` +
        (waiting.aged ? ", aged: a share of contended choices goes to the aged task that has waited longest" : "") +
        `; ${count(waiting.agents.eligible)} of ${count(waiting.agents.total)} agents are eligible now` +
        (waiting.agents.busy > 0 ? `, ${count(waiting.agents.busy)} more once capacity is free.` : ".")));
      if (waiting.agents.closest.length > 0) {
        parts.push(table("Closest agents", ["Agent", "Obstacle"], h("tbody", {}, waiting.agents.closest.map((one) =>
          h("tr", {}, h("th", { scope: "row" }, h("a", { href: "#/agents/" + encodeURIComponent(one.agent_id) }, one.agent_id)),
            h("td", { class: "text" }, one.obstacles.map((obstacle) => obstacle.detail).join("; ")))))));
      }
    }
    fill(box, parts);
  } catch (failure) {
    fill(box, h("p", { class: "empty" }, failure.message));
  }
}
