import { call, confirm, notify } from "./commands.js";
import { classOf, clock, count, duration, fill, h, now, since, table } from "./dom.js";
import { copy, curl, jsonForm } from "./forms.js";
import { errorText, seen, statusTag, took } from "./task.js";
import { PRIORITIES } from "./verdict.js";

const STATUSES = ["queued", "assigned", "completed", "failed", "cancelled", "expired"];
/** Why a task failed. */
export const REASONS = ["failed", "rejected", "overdue", "agent_lost", "over_limit", "payload_lost", "record_lost"];
const AGES = { "": "any time", "900": "15 minutes", "3600": "hour", "86400": "24 hours", "604800": "7 days", "2592000": "30 days" };
const SORTS = { "-submitted_at": "newest first", "submitted_at": "oldest first", "-finished_at": "ended last first", "finished_at": "ended first first" };
const PAGE = 50;
const EXPORT_PAGE = 1_000;
const MAX_EXPORTED = 100_000;
const REFRESH_MS = 3_000;
/** Until then, the browser has saved a file. */
const FILE_MS = 60_000;
const CHOSEN = "agent-coordinator.task-columns";

const COLUMNS = {
  status: { name: "Status", cell: (task) => statusTag(task.status) },
  priority: { name: "Priority", cell: (task) => task.priority && h("span", { class: "priority " + task.priority }, task.priority), isExtra: true },
  attempt: { name: "Attempt", number: true, secondary: true, cell: (task) => task.attempt },
  agent: { name: "Agent", cell: (task) => (task.agent_id ? h("a", { href: "#/agents/" + encodeURIComponent(task.agent_id) }, task.agent_id) : "–") },
  type: { name: "Type", secondary: true, cell: (task) => task.task_type ?? "–" },
  key: { name: "Fairness key", secondary: true, cell: (task) => task.fairness_key ?? "–", isExtra: true },
  labels: { name: "Labels", secondary: true, cell: (task) => Object.entries(task.labels ?? {}).map((label) => label.join("=")).join(", ") || "–", isExtra: true },
  submitted: { name: "Submitted", cell: (task) => ago(task.submitted_at) },
  ended: { name: "Ended", secondary: true, cell: (task) => (task.finished_at ? ago(task.finished_at) : "–"), isExtra: true },
  waited: { name: "Waited", number: true, secondary: true, cell: (task) => between(task.submitted_at, task.assigned_at), isExtra: true },
  took: { name: "Took", number: true, secondary: true, cell: took },
  reason: { name: "Reason", secondary: true, cell: (task) => task.reason ?? "–", isExtra: true },
  error: { name: "Error", isText: true, cell: (task) => errorText(task.error) },
};

const ago = (instant) => h("time", { datetime: instant, title: clock(instant) }, duration(Math.floor(since(instant))) + " ago");
const between = (from, to) => (from && to ? duration(Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000)) : "–");

function chosenColumns() {
  const chosen = localStorage.getItem(CHOSEN)?.split(",").filter((name) => COLUMNS[name]);
  return new Set(chosen ?? Object.keys(COLUMNS).filter((name) => !COLUMNS[name].isExtra));
}

/** The filter is in the address, so that it can be shared. An age is kept as such: "the last hour" is another hour tomorrow. */
export function tasksView(query) {
  const filter = new URLSearchParams(query);
  const columns = chosenColumns();
  const selected = new Map();
  let tasks = [];
  let next = null;
  let pages = 0;
  let asked = 0;
  let open = 0;
  let left = false;

  const body = h("tbody");
  const list = h("div", {});
  const summary = h("p", { class: "empty", role: "status", id: "found" }, "Loading…");
  const more = h("button", { hidden: true, onclick: () => look(next) }, "More");
  const kind = filter.get("status") === "failed" ? "redrive" : "cancel";
  const forAll = h("button", { hidden: true, class: kind === "redrive" ? null : "danger", onclick: () => bulk(forAll, filter) }, kind === "redrive" ? "Redrive all…" : "Cancel all…");
  const redrive = h("button", { hidden: true, onclick: () => forSelected(redrive, "redrive") });
  const cancel = h("button", { hidden: true, class: "danger", onclick: () => forSelected(cancel, "cancel") });
  const exports = h("span", { class: "actions", hidden: true },
    ["CSV", "NDJSON"].map((format) => h("button", { onclick: (event) => exported(event.currentTarget, filter, format) }, "Export " + format)));
  /** A task that is not in the history yet, or if there is none, is found by its id. */
  const direct = () => filter.get("id") && h("a", { href: "#/tasks/" + encodeURIComponent(filter.get("id")) }, "Open task " + filter.get("id"));

  function show() {
    const shown = Object.keys(COLUMNS).filter((name) => columns.has(name));
    fill(body, tasks.map((task) => row(task, shown)));
    const all = h("input", { type: "checkbox", "aria-label": "Select all shown", checked: tasks.length > 0 && tasks.every((task) => selected.has(task.task_id)),
      onchange: () => {
        tasks.forEach((task) => choose(task, all.checked));
        body.querySelectorAll("input").forEach((box) => { box.checked = all.checked; });
        showSelected();
      } });
    fill(list, tasks.length > 0 && table("Tasks", [h("th", { scope: "col" }, all), "Task", ...shown.map((name) => COLUMNS[name])], body));
    more.hidden = !next;
    exports.hidden = tasks.length === 0;
    forAll.hidden = tasks.length === 0 || !["failed", "queued", "assigned"].includes(filter.get("status"));
    showSelected();
  }

  function choose(task, isChosen) {
    isChosen ? selected.set(task.task_id, task) : selected.delete(task.task_id);
  }

  const isFailed = (task) => task.status === "failed";
  const isLive = (task) => ["queued", "assigned"].includes(task.status);

  function showSelected() {
    // As they are now; those that are not listed any more are not selected.
    const listed = tasks.filter((task) => selected.has(task.task_id));
    selected.clear();
    listed.forEach((task) => selected.set(task.task_id, task));
    [[redrive, "Redrive", isFailed], [cancel, "Cancel", isLive]].forEach(([button, name, suits]) => {
      const number = [...selected.values()].filter(suits).length;
      button.hidden = number === 0;
      button.textContent = `${name} ${count(number)} selected…`;
    });
  }

  function row(task, shown) {
    const box = h("input", { type: "checkbox", "aria-label": "Select " + task.task_id, checked: selected.has(task.task_id),
      onchange: () => { choose(task, box.checked); showSelected(); } });
    return h("tr", {}, h("td", {}, box),
      h("th", { scope: "row", class: "id" }, h("a", { href: "#/tasks/" + encodeURIComponent(task.task_id) }, task.task_id)),
      shown.map((name) => h("td", { class: COLUMNS[name].isText ? "text" : classOf(COLUMNS[name]) }, COLUMNS[name].cell(task))));
  }

  async function forSelected(button, action) {
    const chosen = [...selected.values()].filter(action === "redrive" ? isFailed : isLive);
    const number = count(chosen.length) + (chosen.length === 1 ? " task" : " tasks");
    const verb = action === "redrive" ? "Redrive" : "Cancel";
    if (!(await confirm(`${verb} ${number}?`, `${verb} ${number}`, "Keep them as they are"))) {
      return;
    }
    button.disabled = true;
    let done = 0;
    let problem = "";
    for (const { task_id } of chosen) {
      try {
        await call("POST", action === "redrive" ? `/tasks/dead-letter/${encodeURIComponent(task_id)}/redrive` : `/tasks/${encodeURIComponent(task_id)}/cancel`);
        done++;
      } catch (failure) {
        // It may have ended meanwhile: the others are not affected.
        problem = ` ${task_id}: ${failure.message}`;
      }
      if (left) {
        return;
      }
    }
    chosen.forEach(({ task_id }) => selected.delete(task_id));
    button.disabled = false;
    const past = action === "redrive" ? "redriven" : "cancelled";
    notify(problem ? `${count(done)} of ${number} ${past}.${problem}` : `${number} ${past}.`, problem !== "");
    look(null);
  }

  async function look(cursor) {
    const number = ++asked;
    open++;
    try {
      const page = await call("GET", "/tasks?" + parameters(filter, cursor));
      if (number !== asked) {
        return;
      }
      tasks = cursor ? [...tasks, ...page.tasks] : page.tasks;
      pages = cursor ? pages + 1 : 1;
      next = page.next_cursor;
      show();
      fill(summary, tasks.length === 0 ? ["No tasks found. ", direct()]
        : (page.count_exact ? "" : "About ") + count(page.count) + (page.count === 1 ? " task" : " tasks")
          + (page.live ? "" : ". Redis does not respond: these states may be outdated."));
    } catch (failure) {
      if (number === asked) {
        // What is shown stays: a coordinator may be restarting.
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
      h("section", {}, filterForm(filter), columnChoice(columns, show), summary,
        h("div", { class: "actions above" }, redrive, cancel, forAll, exports), list, h("div", { class: "actions" }, more)),
      submission(),
      before.length > 0 && h("section", {}, h("h2", {}, "Recently viewed"),
        h("ul", {}, before.map((id) => h("li", {}, h("a", { href: "#/tasks/" + encodeURIComponent(id) }, id))))),
    ],
    end: () => {
      left = true;
      clearInterval(timer);
    },
  };
}

function filterForm(filter) {
  const field = (name, label, size, placeholder) =>
    h("label", {}, label + " ", h("input", { name, id: "filter-" + name, autocomplete: "off", size, placeholder, value: filter.get(name) ?? "" }));
  const choice = (name, label, choices, chosen) => h("label", {}, label + " ", h("select", { name, id: "filter-" + name },
    Object.entries(choices).map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
  const any = (name, label, values) => choice(name, label, { "": "any", ...Object.fromEntries(values.map((one) => [one, one])) }, filter.get(name) ?? "");
  const extra = ["priority", "reason", "agent_type", "capability", "fairness_key", "min_duration"];
  const form = h("form", { id: "filter", onsubmit: (event) => {
    event.preventDefault();
    const asked = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, value.trim()])
      .filter(([name, value]) => value && !(name === "sort" && value === "-submitted_at")));
    location.hash = "#/tasks" + (asked.size ? "?" + asked : "");
  } },
  h("div", { class: "fields" },
    any("status", "Status", STATUSES),
    field("agent_id", "Agent", 14), field("task_type", "Type", 10), field("error", "Error has", 14),
    field("label", "Label", 14, "team=search"), field("id", "Id begins with", 18),
    choice("within", "Submitted in the last", AGES, filter.get("within") ?? ""),
    choice("ended", "Ended in the last", AGES, filter.get("ended") ?? ""),
    choice("sort", "Order", SORTS, filter.get("sort") ?? "-submitted_at"),
    h("button", {}, "Search")),
  h("details", { id: "more-filters", open: extra.some((name) => filter.get(name)) }, h("summary", {}, "More conditions"), h("div", { class: "fields" },
    any("priority", "Priority", PRIORITIES), any("reason", "Failed because", REASONS),
    field("agent_type", "Requires type", 10), field("capability", "Requires capability", 10, "gpu"), field("fairness_key", "Fairness key", 10), field("min_duration", "Took at least", 6, "90s"))));
  return form;
}

/** Kept in this browser. */
function columnChoice(columns, show) {
  return h("details", { id: "columns" }, h("summary", {}, "Columns"), h("div", { class: "fields" }, Object.entries(COLUMNS).map(([name, column]) => {
    const box = h("input", { type: "checkbox", checked: columns.has(name), onchange: () => {
      box.checked ? columns.add(name) : columns.delete(name);
      localStorage.setItem(CHOSEN, [...columns].join());
      show();
    } });
    return h("label", {}, box, column.name);
  })));
}

/** Redrives or cancels all tasks of a search, after a confirmation that names their number, and shows the progress. */
export async function bulk(button, filter) {
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

const CSV_FIELDS = ["task_id", "status", "priority", "task_type", "fairness_key", "labels", "agent_id", "attempt", "submitted_at", "assigned_at", "finished_at", "reason", "error"];

/** Reads all pages of a search, and has the browser save them as a file. */
async function exported(button, filter, format) {
  button.disabled = true;
  const lines = format === "CSV" ? [CSV_FIELDS.join(",")] : [];
  const head = lines.length;
  try {
    let cursor = null;
    do {
      const query = parameters(filter, cursor);
      query.set("limit", EXPORT_PAGE);
      const page = await call("GET", "/tasks?" + query);
      lines.push(...page.tasks.map((task) => (format === "CSV" ? CSV_FIELDS.map((name) => csv(task[name])).join(",") : JSON.stringify(task))));
      cursor = page.next_cursor;
      notify(`${count(lines.length - head)} tasks read…`);
    } while (cursor && lines.length - head < MAX_EXPORTED && button.isConnected);
    if (!button.isConnected) {
      return;
    }
    const file = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: format === "CSV" ? "text/csv" : "application/x-ndjson" }));
    h("a", { href: file, download: `tasks-${new Date().toISOString().replace(/\D/g, "").slice(0, 14)}.${format.toLowerCase()}` }).click();
    setTimeout(() => URL.revokeObjectURL(file), FILE_MS);
    notify(`${count(lines.length - head)} tasks exported.` + (cursor ? ` There are more: narrow the search, or use agentctl tasks list.` : ""));
  } catch (failure) {
    notify(failure.message, true);
  } finally {
    button.disabled = false;
  }
}

/** Spreadsheets take a text that begins like a formula for one. */
function csv(value) {
  const text = value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\n\r]|^[=+\-@\t]/.test(text) ? '"' + text.replace(/^(?=[=+\-@\t])/, "'").replaceAll('"', '""') + '"' : text;
}

const EXAMPLES = {
  "Echo": { priority: "normal", task_data: { task_type: "echo", text: "hello" }, requirements: { capabilities: ["echo"] } },
  "With labels, a deadline and few attempts": { priority: "high", task_data: { task_type: "echo", text: "soon" }, requirements: { capabilities: ["echo"] },
    labels: { team: "search" }, timeout_seconds: 60, max_attempts: 2 },
  "For one agent": { task_data: { task_type: "echo", text: "you" }, requirements: { agent_id: "agent-1" } },
  "In ten minutes": () => ({ task_data: { task_type: "echo", text: "later" }, requirements: { capabilities: ["echo"] }, not_before: new Date(now() + 600_000).toISOString() }),
};

function submission() {
  const form = jsonForm("new-task", "Submit", EXAMPLES.Echo, (json) => ["/tasks/submit?strict=true", json]);
  const example = h("select", { id: "example", onchange: () => {
    const chosen = EXAMPLES[example.value];
    form.querySelector("textarea").value = JSON.stringify(typeof chosen === "function" ? chosen() : chosen, null, 2);
  } }, Object.keys(EXAMPLES).map((name) => h("option", {}, name)));
  const asCurl = h("button", { type: "button", onclick: () => copy(curl(form.querySelector("textarea").value)) }, "Copy as curl");
  form.querySelector(".actions").append(asCurl);
  return h("section", {}, h("details", { id: "submission" }, h("summary", {}, "Submit a task"),
    h("div", { class: "fields" }, h("label", {}, "Example ", example)), form));
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
