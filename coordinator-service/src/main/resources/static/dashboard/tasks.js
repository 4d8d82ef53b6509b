import { listen } from "./live.js";
import { call, command, confirm, notify } from "./commands.js";
import { clock, count, duration, fill, h, now, setText, since, table } from "./dom.js";

const STATUS_CLASS = { completed: "good", failed: "bad-text", cancelled: "soft", expired: "bad-text", queued: "warn-text", assigned: "", unknown: "soft", unreadable: "bad-text" };
const SEEN = "agent-coordinator.tasks-seen";
const ENDED = ["completed", "failed", "cancelled", "expired"];

const seen = () => JSON.parse(sessionStorage.getItem(SEEN) ?? "[]");

const STATUSES = ["queued", "assigned", ...ENDED];
const AGES = { "": "any time", "900": "15 minutes", "3600": "hour", "86400": "24 hours", "604800": "7 days", "2592000": "30 days" };
const SORTS = { "-submitted_at": "newest first", "submitted_at": "oldest first", "-finished_at": "ended last first", "finished_at": "ended first first" };
const PAGE = 50;
const REFRESH_MS = 3_000;

/** The filter is in the address, so that it can be shared. An age is kept as such: "the last hour" is another hour tomorrow. */
export function tasksView(query) {
  const filter = new URLSearchParams(query);
  const field = (name, label, size) => {
    const input = h("input", { name, id: "filter-" + name, autocomplete: "off", size, value: filter.get(name) ?? "" });
    return h("label", {}, label + " ", input);
  };
  const choice = (name, label, choices, chosen) => h("label", {}, label + " ", h("select", { name, id: "filter-" + name },
    Object.entries(choices).map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
  const form = h("form", { class: "fields", id: "filter", onsubmit: (event) => {
    event.preventDefault();
    const asked = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, value.trim()])
      .filter(([name, value]) => value && !(name === "sort" && value === "-submitted_at")));
    location.hash = "#/tasks" + (asked.size ? "?" + asked : "");
  } },
  choice("status", "Status", { "": "any", ...Object.fromEntries(STATUSES.map((one) => [one, one])) }, filter.get("status") ?? ""),
  field("agent_id", "Agent", 14), field("task_type", "Type", 10), field("error", "Error has", 14),
  field("label", "Label", 14), field("id", "Id begins with", 18),
  choice("within", "Submitted in the last", AGES, filter.get("within") ?? ""),
  choice("ended", "Ended in the last", AGES, filter.get("ended") ?? ""),
  choice("sort", "Order", SORTS, filter.get("sort") ?? "-submitted_at"),
  h("button", {}, "Search"));
  const body = h("tbody");
  const summary = h("p", { class: "empty", role: "status", id: "found" }, "Loading…");
  const list = table("Tasks", ["Task", "Status", { name: "Attempt", number: true, secondary: true }, "Agent", { name: "Type", secondary: true },
    "Submitted", { name: "Took", number: true, secondary: true }, "Error"], body);
  const more = h("button", { hidden: true, onclick: () => look(next) }, "More");
  const forAll = h("button", { hidden: true, class: filter.get("status") === "failed" ? null : "danger", onclick: () => bulk(forAll, filter) },
    filter.get("status") === "failed" ? "Redrive all…" : "Cancel all…");
  let next = null;
  let pages = 0;
  let asked = 0;
  let open = 0;
  /** A task that is not in the history yet, or if there is none, is found by its id. */
  const direct = () => filter.get("id") && h("a", { href: "#/tasks/" + encodeURIComponent(filter.get("id")) }, "Open task " + filter.get("id"));
  async function look(cursor) {
    const number = ++asked;
    open++;
    try {
      const page = await call("GET", "/tasks?" + parameters(filter, cursor));
      if (number !== asked) {
        return;
      }
      if (cursor) {
        pages++;
        body.append(...page.tasks.map(taskRow));
      } else {
        pages = 1;
        fill(body, page.tasks.map(taskRow));
      }
      next = page.next_cursor;
      more.hidden = !next;
      list.hidden = body.children.length === 0;
      forAll.hidden = body.children.length === 0 || !["failed", "queued", "assigned"].includes(filter.get("status"));
      fill(summary, body.children.length === 0 ? ["No tasks found. ", direct()]
        : (page.count_exact ? "" : "About ") + count(page.count) + (page.count === 1 ? " task" : " tasks")
          + (page.live ? "" : ". Redis does not respond: these states may be outdated."));
    } catch (failure) {
      if (number === asked) {
        list.hidden = true;
        more.hidden = true;
        fill(summary, failure.message + " ", direct());
      }
    } finally {
      open--;
    }
  }
  look(null);
  const timer = setInterval(() => {
    // The list stays as it is while it has the focus, or more than its first page is shown.
    if (pages <= 1 && open === 0 && !document.hidden && !list.contains(document.activeElement)) {
      look(null);
    }
  }, REFRESH_MS);
  const before = seen();
  return {
    title: "Tasks",
    elements: [
      h("section", {}, form, summary, list, h("div", { class: "actions" }, more, forAll)),
      submission(),
      before.length > 0 && h("section", {}, h("h2", {}, "Recently viewed"),
        h("ul", {}, before.map((id) => h("li", {}, h("a", { href: "#/tasks/" + encodeURIComponent(id) }, id))))),
    ],
    end: () => clearInterval(timer),
  };
}

/** Redrives or cancels all tasks of a search, after a confirmation that names their number, and shows the progress. */
async function bulk(button, filter) {
  const kind = filter.get("status") === "failed" ? "redrive" : "cancel";
  const query = parameters(filter, null);
  ["limit", "sort"].forEach((name) => query.delete(name));
  const request = { filter: Object.fromEntries(query) };
  try {
    const preview = await call("POST", "/tasks/bulk/" + kind, { ...request, dry_run: true });
    const number = (preview.count_exact ? "" : "about ") + count(preview.count) + (preview.count === 1 ? " task" : " tasks");
    if (!(await confirm(`${preview.message}.`, `${kind === "redrive" ? "Redrive" : "Cancel"} ${number}`, "Keep them as they are"))) {
      return;
    }
    button.disabled = true;
    let now = await call("POST", "/tasks/bulk/" + kind, { ...request, bulk_id: crypto.randomUUID?.() });
    while (["waiting", "running"].includes(now.state) && button.isConnected) {
      notify(`${count(now.done)} of ${number} ${kind === "redrive" ? "redriven" : "cancelled"}…` + (now.error ? " It does not proceed: " + now.error : ""), Boolean(now.error));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      now = await call("GET", "/tasks/bulk/" + now.bulk_id);
    }
    if (now.state === "done") {
      notify(`${count(now.done)} ${now.done === 1 ? "task" : "tasks"} ${kind === "redrive" ? "redriven" : "cancelled"}` +
        (now.skipped > 0 ? `; ${count(now.skipped)} had ended or changed before.` : "."));
    }
  } catch (failure) {
    notify(failure.message, true);
  } finally {
    button.disabled = false;
  }
}

const EXAMPLE = { priority: "normal", task_data: { task_type: "echo", text: "hello" }, requirements: { capabilities: ["echo"] } };

/** A form for the JSON of a task; shows the new task. */
function jsonForm(id, label, value, send) {
  const input = h("textarea", { id, rows: 10, cols: 70, spellcheck: "false" }, JSON.stringify(value, null, 2));
  const button = h("button", {}, label);
  return h("form", { onsubmit: async (event) => {
    event.preventDefault();
    let json;
    try {
      json = JSON.parse(input.value);
    } catch (failure) {
      notify("This is not valid JSON: " + failure.message, true);
      return;
    }
    const answer = await command(button, "POST", ...send(json));
    if (answer) {
      location.hash = "#/tasks/" + encodeURIComponent(answer.task_id);
    }
  } }, h("label", { for: id }, "JSON"), input, h("div", { class: "actions" }, button));
}

function submission() {
  return h("section", {}, h("details", { id: "submission" }, h("summary", {}, "Submit a task"),
    jsonForm("new-task", "Submit", EXAMPLE, (json) => ["/tasks/submit?strict=true", json])));
}

/** Those of GET /tasks. */
function parameters(filter, cursor) {
  const query = new URLSearchParams({ limit: PAGE });
  for (const [name, value] of filter) {
    if (name === "within" || name === "ended") {
      query.set(name === "ended" ? "finished_after" : "submitted_after", new Date(now() - 1000 * value).toISOString());
    } else if (name === "label") {
      const [key, ...rest] = value.split("=");
      query.set("label." + key, rest.join("="));
    } else {
      query.set(name, value);
    }
  }
  if (cursor) {
    query.set("cursor", cursor);
  }
  return query;
}

function taskRow(task) {
  return h("tr", {},
    h("th", { scope: "row", class: "id" }, h("a", { href: "#/tasks/" + encodeURIComponent(task.task_id) }, task.task_id)),
    h("td", {}, h("span", { class: "tag " + (STATUS_CLASS[task.status] ?? "") }, task.status)),
    h("td", { class: "number secondary" }, task.attempt),
    h("td", {}, task.agent_id ? h("a", { href: "#/agents/" + encodeURIComponent(task.agent_id) }, task.agent_id) : "–"),
    h("td", { class: "secondary" }, task.task_type ?? "–"),
    h("td", {}, h("time", { datetime: task.submitted_at, title: clock(task.submitted_at) }, duration(Math.floor(since(task.submitted_at))) + " ago")),
    h("td", { class: "number secondary" }, took(task)),
    h("td", { class: "text" }, text(task.error)));
}

const took = (attempt) => (attempt.assigned_at && attempt.finished_at
  ? duration((Date.parse(attempt.finished_at) - Date.parse(attempt.assigned_at)) / 1000) : "–");
const text = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

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
  const kept = h("div", { id: "kept" });
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
    if (data.status !== "unknown" && data.status !== shown) {
      lookUp(id, kept);
    }
    shown = data.status;
  });
  return {
    title: "Task " + id,
    elements: [
      h("section", {}, summary, life, h("div", { class: "actions" }, cancel, redrive)),
      whySection,
      h("section", {}, h("h2", {}, "Details"), facts),
      kept,
    ],
    end,
  };
}

const changeable = ({ priority, task_data, requirements, max_attempts, timeout_seconds }) => ({ priority, task_data, requirements, max_attempts, timeout_seconds });

/** Only what was edited: a number that JavaScript cannot hold stays as it was. */
const changed = (before, after) => Object.fromEntries(Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));

/** What the history adds. It lags a little behind, so that it is asked again. */
async function lookUp(id, box, again = true) {
  const task = await call("GET", "/tasks/" + encodeURIComponent(id)).catch(() => ({}));
  const ended = ENDED.includes(task.status);
  const missing = !task.attempts || (ended && task.attempts.some((one) => !one.outcome));
  if (box.querySelector("details[open]")) {
    return;
  }
  fill(box, [
    task.attempts?.length > 0 && h("section", {}, h("h2", {}, "Attempts"),
      table("Attempts", [{ name: "Attempt", number: true }, "Agent", "Outcome", "Assigned", { name: "Took", number: true }, "Error"],
        h("tbody", {}, task.attempts.map((one) => h("tr", {}, h("td", { class: "number" }, one.attempt),
          h("td", {}, h("a", { href: "#/agents/" + encodeURIComponent(one.agent_id) }, one.agent_id)),
          h("td", {}, h("span", { class: "tag " + (one.outcome === "completed" ? "good" : one.outcome ? "bad-text" : "") }, one.outcome ?? "running")),
          h("td", {}, one.assigned_at ? clock(one.assigned_at) : "–"), h("td", { class: "number" }, took(one)),
          h("td", { class: "text" }, text(one.error))))))),
    ended && task.task_data !== undefined && !task.task_data_truncated && h("section", {}, h("details", { id: "retry" },
      h("summary", {}, "Retry as a new task, with changes"),
      jsonForm("retry-task", "Retry", changeable(task), (json) => [`/tasks/${encodeURIComponent(id)}/retry`, changed(changeable(task), json)]))),
    task.task_data !== undefined && h("section", {}, h("h2", {}, task.task_data_truncated ? "Input, cut" : "Input"),
      h("pre", { tabindex: "0" }, typeof task.task_data === "string" ? task.task_data : JSON.stringify(task.task_data, null, 2))),
  ]);
  if (again && missing) {
    setTimeout(() => box.isConnected && lookUp(id, box, false), 2_000);
  }
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
