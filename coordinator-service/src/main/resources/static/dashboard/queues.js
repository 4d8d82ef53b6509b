import { listen } from "./live.js";
import { call, command, confirm, notify } from "./commands.js";
import { chart } from "./charts.js";
import { clock, count, duration, fill, h, rate, setText, since, table } from "./dom.js";

export const PRIORITIES = ["urgent", "critical", "high", "normal", "low"];
const LONG_SECONDS = 300;
/** A task that comes may need a moment. */
const A_MOMENT_SECONDS = 10;

export function queuesView() {
  const verdict = h("section", { class: "verdict" }, h("p", {}, "Waiting for data…"), h("p", { class: "unseen", role: "status" }));
  const rows = Object.fromEntries(PRIORITIES.map((priority) => [priority, row(priority)]));
  const size = chart("Queued tasks by priority, last 15 minutes",
    PRIORITIES.map((priority) => ({ label: priority, color: priority, width: 2 })));
  const flow = chart("Tasks received and assigned per second, last 15 minutes",
    [{ label: "received per second", color: "normal", width: 2 }, { label: "assigned per second", color: "good", width: 2 }]);
  const front = frontOfQueue();
  let queues = null;
  let stats = null;
  const judge = () => showVerdict(verdict, queues, stats);
  const ends = [
    listen("queues", (state) => {
      queues = state;
      if (state.data) {
        PRIORITIES.forEach((priority) => rows[priority].show(state.data.queues[priority]));
      }
      judge();
    }),
    listen("stats", (state) => { stats = state; judge(); }),
    listen("history", (state) => {
      const history = state.data?.points ?? [];
      const times = history.map((point) => Date.parse(point.at) / 1000);
      const last = history.at(-1);
      size.show([times, ...PRIORITIES.map((priority) => history.map((point) => point.size[priority] ?? 0))],
        last && PRIORITIES.map((priority) => priority + " " + count(last.size[priority])).join(", "));
      flow.show([times, history.map((point) => point.received_per_second), history.map((point) => point.assigned_per_second)],
        last && rate(last.received_per_second) + " received, " + rate(last.assigned_per_second) + " assigned");
    }),
  ];
  return {
    title: "Queues",
    elements: [
      verdict,
      h("section", {}, h("h2", {}, "By priority"),
        table("Queues by priority", ["Queue", { name: "Waiting", number: true }, { name: "Oldest", number: true },
          { name: "Received/s", number: true, secondary: true }, { name: "Assigned/s", number: true, secondary: true }, "Actions"],
        h("tbody", {}, PRIORITIES.map((priority) => rows[priority].element)))),
      h("section", {}, h("h2", {}, "Last 15 minutes"), h("div", { class: "charts" },
        h("div", {}, h("h3", {}, "Waiting"), size.box), h("div", {}, h("h3", {}, "Throughput"), flow.box))),
      front,
    ],
    end: () => [...ends, size.end, flow.end].forEach((one) => one()),
  };
}

function row(priority) {
  const cells = Object.fromEntries([["size", ""], ["oldest", ""], ["in", " secondary"], ["out", " secondary"]].map(([name, more]) =>
    [name, h("td", { class: "number" + more }, "–")]));
  const state = h("span", { class: "warn-text" });
  let now = null;
  const pause = h("button", { onclick: () => command(pause, "POST", `/tasks/queues/${priority}/${now?.paused ? "resume" : "pause"}`) }, "Pause");
  const clear = h("button", { class: "danger", onclick: () => askToClear(priority, clear) }, "Clear…");
  return {
    element: h("tr", { id: "queue-" + priority },
      h("th", { scope: "row" }, h("span", { class: "priority " + priority }, priority), " ", state),
      cells.size, cells.oldest, cells.in, cells.out, h("td", {}, h("div", { class: "actions" }, pause, clear))),
    show(queue) {
      now = queue;
      setText(cells.size, queue.size === null ? "?" : count(queue.size));
      setText(cells.oldest, queue.oldest_age_seconds === null ? "–" : duration(queue.oldest_age_seconds));
      setText(cells.in, rate(queue.received_per_second));
      setText(cells.out, rate(queue.assigned_per_second));
      setText(state, queue.paused ? "paused" : "");
      setText(pause, queue.paused ? "Resume" : "Pause");
      pause.setAttribute("aria-label", (queue.paused ? "Resume" : "Pause") + " the " + priority + " queue");
      clear.setAttribute("aria-label", "Clear the " + priority + " queue…");
    },
  };
}

/** The number is asked for anew: what is on the screen may be a second old. */
async function askToClear(priority, button) {
  try {
    const size = (await call("GET", "/tasks/queues")).queue_sizes[priority];
    if (size === 0) {
      notify("The " + priority + " queue is empty.");
      return;
    }
    const tasks = count(size) + (size === 1 ? " task" : " tasks");
    if (await confirm(`Cancel all tasks in the ${priority} queue (${tasks} now)? They will never be executed.`, "Clear " + tasks, "Keep")) {
      await command(button, "POST", `/tasks/queues/${priority}/clear`);
    }
  } catch (failure) {
    notify(failure.message, true);
  }
}

function showVerdict(section, queues, stats) {
  const { text, kind } = judgement(queues, stats);
  section.className = "verdict " + kind;
  setText(section.firstChild, text);
  // Rates and ages change each second, which nobody wants to be read to.
  setText(section.lastChild, { "": "The queues are healthy.", warn: "The queues need attention.", bad: "The queues have a problem." }[kind]);
}

const tasksWait = (number) => count(number) + (number === 1 ? " task waits" : " tasks wait");

/** Is it stuck, where, since when. What waits for a time that is still to come is not stuck. */
function judgement(queues, stats) {
  const error = queues?.error ?? stats?.error;
  if (error) {
    return { kind: "bad", text: "Status unavailable: " + error };
  }
  if (!queues?.data || !stats?.data) {
    return { kind: "", text: "Waiting for data…" };
  }
  const waiting = PRIORITIES.map((priority) => ({ priority, ...queues.data.queues[priority] })).filter((queue) => queue.size > 0);
  const later = waiting.reduce((sum, queue) => sum + Math.min(queue.scheduled, queue.size), 0);
  const total = waiting.reduce((sum, queue) => sum + queue.size, 0) - later;
  const active = stats.data.load_balancer.active_agents;
  if (total === 0 && later > 0) {
    return { kind: "", text: `${tasksWait(later)}, all scheduled for later.` };
  }
  if (total === 0) {
    return { kind: active === 0 ? "warn" : "", text: "No tasks are waiting. " + (active === 0 ? "No agent is active." : count(active) + " agents are active.") };
  }
  const tasks = tasksWait(total) + (later > 0 ? ` (${count(later)} more scheduled for later)` : "");
  const assigned = waiting.reduce((sum, queue) => sum + queue.assigned_per_second, 0);
  const due = waiting.filter((queue) => queue.size > queue.scheduled);
  const open = due.filter((queue) => !queue.paused);
  const full = stats.data.load_balancer.avg_capacity_used >= 0.999;
  if (open.length === 0) {
    return { kind: "warn", text: `${tasks}, all in paused queues: ${due.map((queue) => queue.priority).join(", ")}.` };
  }
  const held = open.filter((queue) => queue.held_back > 0);
  if (held.length > 0) {
    return {
      kind: "bad",
      text: `${tasks}. ` + held.map((queue) => `In ${queue.priority}, ${count(queue.held_back)} ${queue.held_back === 1 ? "record" : "records"} cannot be read until a transaction of ${queue.held_back_by} ends`).join(". ") + ".",
    };
  }
  if (active === 0) {
    return { kind: "bad", text: `Stuck: ${tasks} and no agent is active.` };
  }
  const oldest = open.reduce((a, b) => ((a.oldest_age_seconds ?? 0) >= (b.oldest_age_seconds ?? 0) ? a : b));
  const age = oldest.oldest_age_seconds ?? 0;
  if (assigned === 0 && full) {
    return { kind: "warn", text: `${tasks}: all agents are at capacity. The oldest, in ${oldest.priority}, has waited for ${duration(age)}.` };
  }
  if (assigned === 0 && age > A_MOMENT_SECONDS) {
    return {
      kind: "bad",
      text: `Stuck: ${tasks} and no task is assigned. The oldest, in ${oldest.priority}, has waited for ${duration(age)}. See "Oldest tasks" below for the reason.`,
    };
  }
  const slow = age > LONG_SECONDS;
  return {
    kind: slow ? "warn" : "",
    text: `${tasks}, ${rate(assigned)} assigned per second.` + (slow ? ` The oldest, in ${oldest.priority}, has waited for ${duration(age)}.` : ""),
  };
}

/** Only what it asks for: the answer names the rest too, as null or empty. */
function demands(requirements) {
  const words = Object.entries(requirements ?? {})
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => name.replaceAll("_", " ") + " " + (Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value));
  return words.join("; ") || "none";
}

function frontOfQueue() {
  const body = h("tbody");
  const empty = h("p", { class: "empty", role: "status" }, "Select a queue to list its oldest tasks.");
  const select = h("select", { id: "front-of", onchange: look }, h("option", { value: "" }, "select"), PRIORITIES.map((one) => h("option", { value: one }, one)));
  const list = table("Oldest tasks", ["Task", { name: "Age", number: true }, { name: "Attempt", number: true }, "Requirements", "Reason"], body);
  list.hidden = true;
  let asked = 0;
  async function look() {
    const number = ++asked;
    list.hidden = true;
    if (!select.value) {
      return;
    }
    try {
      const front = await call("GET", `/tasks/queues/${select.value}?limit=20`);
      if (number !== asked) {
        return;
      }
      list.hidden = front.tasks.length === 0;
      empty.textContent = front.tasks.length === 0 ? "The queue is empty." : `${count(front.tasks.length)} of ${count(front.size)}, oldest first.`;
      fill(body, front.tasks.map((task) => {
        const link = "#/tasks/" + encodeURIComponent(task.task_id);
        return h("tr", {}, h("td", {}, h("a", { href: link }, task.task_id)), h("td", { class: "number" }, duration(since(task.submitted_at))),
          h("td", { class: "number" }, task.attempt), h("td", { class: "text" }, demands(task.requirements)),
          h("td", {}, h("a", { href: link, "aria-label": "Why " + task.task_id + " is waiting" }, "Why is it waiting?")));
      }));
    } catch (failure) {
      empty.textContent = failure.message;
    }
  }
  return h("section", {}, h("h2", {}, "Oldest tasks"),
    h("div", { class: "fields" }, h("label", {}, "Queue ", select), h("button", { onclick: look }, "Refresh")), empty, list);
}
