import { listen } from "./live.js";
import { call, command, confirm, notify } from "./commands.js";
import { chart } from "./charts.js";
import { count, duration, fill, h, rate, requirementsText, setText, since, table } from "./dom.js";
import { limitsSection } from "./limits.js";
import { PRIORITIES, judge, verdictSection } from "./verdict.js";

const MAX_KEYS = 50;
const KEYS_REFRESH_MS = 5_000;

export function queuesView() {
  const verdict = verdictSection();
  const rows = Object.fromEntries(PRIORITIES.map((priority) => [priority, row(priority)]));
  const size = chart("Queued tasks by priority, last 15 minutes",
    PRIORITIES.map((priority) => ({ label: priority, color: priority, width: 1 })), { stacked: true });
  const flow = chart("Tasks received and assigned per second, last 15 minutes",
    [{ label: "received per second", color: "normal", width: 2, area: true }, { label: "assigned per second", color: "good", width: 2 }]);
  const front = frontOfQueue();
  const keys = fairnessKeys();
  const limits = limitsSection();
  let queues = null;
  let stats = null;
  const show = () => judge(verdict, queues, stats, 'Choose the queue below, under "Oldest tasks", to see the reason.');
  const ends = [
    listen("queues", (state) => {
      queues = state;
      if (state.data) {
        PRIORITIES.forEach((priority) => rows[priority].show(state.data.queues[priority]));
      }
      show();
    }),
    listen("stats", (state) => { stats = state; show(); }),
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
      keys.element,
      limits.element,
      front,
    ],
    end: () => [...ends, size.end, flow.end, keys.end, limits.end].forEach((one) => one()),
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

/** Tenants and the like, shown once a task or a weight has a key. */
function fairnessKeys() {
  const body = h("tbody");
  const element = h("section", { hidden: true }, h("h2", {}, "Fairness keys"),
    h("p", {}, "They share agents in proportion to their weights, within a priority. Those with the most waiting tasks are first."),
    table("Fairness keys", ["Key", { name: "Waiting", number: true }, { name: "Oldest", number: true }, { name: "Weight", number: true }, "Actions"], body));
  let asked = 0;
  let left = false;
  async function look() {
    const number = ++asked;
    try {
      const { keys } = await call("GET", "/fairness");
      // A weight that is being typed is not replaced.
      if (!left && number === asked && !body.contains(document.activeElement)) {
        element.hidden = keys.length === 0;
        fill(body, keys.slice(0, MAX_KEYS).map((key) => keyRow(key, look)));
      }
    } catch (failure) {
      if (!left && number === asked) {
        element.hidden = true;
      }
    }
  }
  look();
  const timer = setInterval(() => !document.hidden && look(), KEYS_REFRESH_MS);
  return { element, end: () => { left = true; clearInterval(timer); } };
}

function keyRow(key, look) {
  const name = key.fairness_key;
  const path = "/fairness/" + name.split("/").map(encodeURIComponent).join("/");
  const weight = h("input", { type: "number", min: "0.001", max: "1000", step: "any", value: key.weight ?? "", placeholder: "of tasks", "aria-label": "Weight of " + name });
  const change = async (button, method, body) => {
    await command(button, method, path, body);
    button.blur();
    look();
  };
  const set = h("button", { "aria-label": "Set the weight of " + name, onclick: () => change(set, "PUT", { weight: Number(weight.value) }) }, "Set");
  const remove = h("button", { "aria-label": "Remove the weight of " + name, onclick: () => change(remove, "DELETE") }, "Remove");
  remove.hidden = key.weight === undefined;
  // The browser would name another key.
  const isNamed = name !== "" && !/[;%\\]/.test(name) && name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  return h("tr", {},
    h("th", { scope: "row" }, name === "" ? "tasks without a key" : h("a", { href: "#/tasks?status=queued&fairness_key=" + encodeURIComponent(name) }, name)),
    h("td", { class: "number" }, key.waiting === undefined ? "–" : count(key.waiting)),
    h("td", { class: "number" }, key.oldest_age_seconds === undefined ? "–" : duration(key.oldest_age_seconds)),
    h("td", { class: "number" }, isNamed ? weight : ""),
    h("td", {}, !isNamed ? "" : h("div", { class: "actions" }, set, remove)));
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
          h("td", { class: "number" }, task.attempt), h("td", { class: "text" }, requirementsText(task.requirements)),
          h("td", {}, h("a", { href: link, "aria-label": "Why " + task.task_id + " is waiting" }, "Why is it waiting?")));
      }));
    } catch (failure) {
      empty.textContent = failure.message;
    }
  }
  return h("section", {}, h("h2", {}, "Oldest tasks"),
    h("div", { class: "fields" }, h("label", {}, "Queue ", select), h("button", { onclick: look }, "Refresh")), empty, list);
}
