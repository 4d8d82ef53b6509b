import { listen } from "./live.js";
import { call, command, confirm } from "./commands.js";
import { clock, count, duration, fill, h, setText, table } from "./dom.js";

const STATUS_CLASS = { completed: "good", failed: "bad-text", cancelled: "soft", expired: "bad-text", queued: "warn-text", assigned: "", unknown: "soft", unreadable: "bad-text" };
const SEEN = "agent-coordinator.tasks-seen";
const ENDED = ["completed", "failed", "cancelled", "expired"];

const seen = () => JSON.parse(sessionStorage.getItem(SEEN) ?? "[]");

export function tasksView() {
  const input = h("input", { id: "task-id", type: "search", required: true, autocomplete: "off", size: 40 });
  const before = seen();
  return {
    title: "Tasks",
    elements: [
      h("section", {}, h("form", { class: "fields", onsubmit: (event) => {
        event.preventDefault();
        location.hash = "#/tasks/" + encodeURIComponent(input.value.trim());
      } }, h("label", {}, "Task id ", input), h("button", {}, "Show"))),
      h("section", {}, h("h2", {}, "Recently viewed"), before.length === 0
        ? h("p", { class: "empty" }, "None yet. Queued tasks are listed under their queue, failed ones under dead letters, assigned ones under their agent.")
        : h("ul", {}, before.map((id) => h("li", {}, h("a", { href: "#/tasks/" + encodeURIComponent(id) }, id))))),
    ],
    end: () => {},
  };
}

export function taskView(id) {
  sessionStorage.setItem(SEEN, JSON.stringify([id, ...seen().filter((one) => one !== id)].slice(0, 20)));
  const status = h("span", { class: "tag", id: "task-status" }, "Loading…");
  const summary = h("p", { role: "status" }, status);
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
  let shown = null;
  const end = listen("tasks/" + id, ({ data, error }) => {
    if (error) {
      setText(status, "status unavailable: " + error);
      return;
    }
    setText(status, data.status);
    status.className = "tag " + (STATUS_CLASS[data.status] ?? "");
    fill(life, timeline(data));
    fill(facts, description(data));
    cancel.hidden = ENDED.includes(data.status) || data.status === "unknown";
    redrive.hidden = data.status !== "failed";
    whySection.hidden = data.status !== "queued";
    if (data.status === "queued" && shown !== "queued") {
      explain(id, why);
    }
    shown = data.status;
  });
  return {
    title: "Task " + id,
    elements: [
      h("section", {}, summary, life, h("div", { class: "actions" }, cancel, redrive)),
      whySection,
      h("section", {}, h("h2", {}, "Details"), facts),
    ],
    end,
  };
}

function timeline(task) {
  if (task.status === "unknown") {
    return [h("li", { class: "open" }, "Unknown task: it was never received, or it was deleted after its retention. The page updates when it arrives.")];
  }
  const step = (at, text, kind) => ({ at, text, kind });
  const agent = () => h("a", { href: "#/agents/" + encodeURIComponent(task.agent_id) }, task.agent_id);
  const steps = [step(task.submitted_at, [`Accepted, with priority ${task.priority}`])];
  if (task.not_before) {
    steps.push(step(task.not_before, ["Scheduled start"]));
  }
  if (task.agent_id && task.assigned_at) {
    steps.push(step(task.assigned_at, [`Attempt ${task.attempt} of ${task.max_attempts ?? "?"} assigned to `, agent()]));
  }
  if (task.agent_started_at) {
    steps.push(step(task.agent_started_at, ["Started, as reported by the agent"]));
  }
  if (ENDED.includes(task.status)) {
    steps.push(step(task.finished_at, [task.status.charAt(0).toUpperCase() + task.status.slice(1)], task.status === "completed" ? "" : "bad"));
  }
  const known = steps.filter((one) => one.at);
  const items = known.map((one, i) => h("li", { class: one.kind ?? null }, one.text, h("br"),
    h("span", { class: "soft" }, clock(one.at), i > 0 ? ", after " + duration((Date.parse(one.at) - Date.parse(known[i - 1].at)) / 1000) : "")));
  if (task.status === "queued") {
    items.push(h("li", { class: "open" }, task.attempt > 1 ? `Waiting for attempt ${task.attempt}` : "Waiting for an agent"));
  } else if (task.status === "assigned") {
    items.push(h("li", { class: "open" }, "The agent is working on it", task.deadline ? ", deadline " + clock(task.deadline) : ""));
  }
  return items;
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
