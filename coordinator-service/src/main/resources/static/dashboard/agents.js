import { listen } from "./live.js";
import { call, command, confirm, notify } from "./commands.js";
import { classOf, clock, count, duration, fill, h, percent, setText, since, table } from "./dom.js";

const PAGE = 50;
const STATUS_CLASS = { active: "good", busy: "warn-text", maintenance: "warn-text", stale: "bad-text", error: "bad-text", inactive: "soft" };
/** What agents offer changes seldom. */
const OFFERS_MS = 60_000;
const FIGURES_MS = 15_000;

const COLUMNS = [
  { name: "Agent", value: (agent) => agent.agent_id },
  { name: "Type", value: (agent) => agent.agent_type, secondary: true },
  { name: "Version", value: (agent) => agent.version ?? "", secondary: true },
  { name: "Status", value: (agent) => agent.status },
  { name: "Health", value: (agent) => agent.health },
  { name: "Load", value: (agent) => agent.inflight / agent.capacity },
  { name: "Tasks, last hour", value: (agent, figures) => figures?.count ?? 0, number: true, secondary: true },
  { name: "Succeeded", value: (agent, figures) => (figures ? 1 - figures.failed / figures.count : 2), number: true, secondary: true },
  { name: "Ran, p95", value: (agent, figures) => figures?.running_seconds.p95 ?? -1, number: true, secondary: true },
  { name: "CPU", value: (agent) => agent.cpu, number: true, secondary: true, wideOnly: true },
  { name: "Memory", value: (agent) => agent.memory, number: true, secondary: true, wideOnly: true },
  { name: "Region", value: (agent) => agent.region ?? "", secondary: true, wideOnly: true },
  { name: "Last heartbeat", value: (agent) => -Date.parse(agent.last_heartbeat), number: true },
];

/** @param query search and status, which are in the address so that they can be shared */
export function agentsView(query) {
  const asked = new URLSearchParams(query);
  let state = { data: null, error: null };
  let sort = { column: COLUMNS[0], descending: false };
  let page = 0;
  let scheduled = false;
  let sorted = null;
  let figures = new Map();
  /** Agent → what it offers, in lower case; null until the first search. */
  let offers = null;
  let offersAt = 0;
  let left = false;
  const selected = new Set();
  const rows = new Map();
  const summary = h("p", { class: "empty", role: "status" }, "Waiting for agents…");
  const versions = h("p", { class: "soft", id: "versions" });
  const changed = () => {
    page = 0;
    const now = new URLSearchParams([["search", search.value.trim()], ["status", status.value]].filter(([, value]) => value));
    history.replaceState(null, "", "#/agents" + (now.size ? "?" + now : ""));
    lookUpOffers();
    show();
  };
  const search = h("input", { type: "search", id: "agent-search", placeholder: "id, type, capability, tag…", value: asked.get("search") ?? "", oninput: changed });
  const status = h("select", { id: "agent-status", onchange: changed },
    h("option", { value: "" }, "any"), Object.keys(STATUS_CLASS).map((one) => h("option", { value: one, selected: one === asked.get("status") }, one)));
  const headers = COLUMNS.map((column) => h("th", { scope: "col", class: classOf(column) },
    h("button", { onclick: () => { sort = { column, descending: sort.column === column && !sort.descending }; sorted = null; show(); } }, column.name)));
  const body = h("tbody");
  const back = h("button", { onclick: () => { page--; show(); } }, "Previous");
  const forth = h("button", { onclick: () => { page++; show(); } }, "Next");
  const where = h("span", { class: "soft" });
  const drain = h("button", { hidden: true, onclick: () => setStatus(drain, drainable(), "maintenance") });
  const resume = h("button", { hidden: true, onclick: () => setStatus(resume, drained(), "active") });

  /** Selected agents to which an action applies. To set the status of a stale or inactive agent would count as its heartbeat. */
  const drainable = () => chosen((agent) => ["active", "busy"].includes(agent.status));
  const drained = () => chosen((agent) => agent.status === "maintenance");
  const chosen = (suits) => [...selected].filter((id) => suits(state.data.agents.get(id)));

  async function setStatus(button, ids, wanted) {
    const agents = count(ids.length) + (ids.length === 1 ? " agent" : " agents");
    const question = wanted === "maintenance" ? [`Drain ${agents}? They finish the tasks they hold, and are given no new ones.`, "Drain " + agents]
      : [`Resume dispatch to ${agents}?`, "End drain of " + agents];
    if (!(await confirm(...question, "Keep"))) {
      return;
    }
    const failures = [];
    button.disabled = true;
    for (const id of ids) {
      try {
        await call("PUT", `/agents/${encodeURIComponent(id)}/status`, { status: wanted });
        selected.delete(id);
      } catch (failure) {
        failures.push(id + ": " + failure.message);
      }
      if (left) {
        return;
      }
    }
    button.disabled = false;
    notify(failures.length === 0 ? `Status of ${agents} is now ${wanted}.`
      : `Status of ${count(ids.length - failures.length)} of ${agents} is now ${wanted}. ${failures[0]}`, failures.length > 0);
    show();
  }

  /** The list of live updates does not have them: they would be most of it. */
  async function lookUpOffers() {
    if (!search.value.trim() || Date.now() - offersAt < OFFERS_MS) {
      return;
    }
    offersAt = Date.now();
    try {
      const all = await call("GET", "/agents?limit=10000");
      offers = new Map(all.agents.map((agent) => [agent.agent_id, [...agent.capabilities, ...agent.services, ...agent.tags].join("\n").toLowerCase()]));
      schedule();
    } catch (failure) {
      if (!left) {
        notify(failure.message, true);
      }
    }
  }

  async function lookUpFigures() {
    try {
      const report = await call("GET", "/stats/tasks?group_by=agent_id&last=1h&limit=10000");
      figures = new Map(report.groups.map((group) => [group.value, group]));
      schedule();
    } catch {
      // Without a history, these columns have no values.
    }
  }

  function wanted(agent) {
    const text = search.value.trim().toLowerCase();
    return (!status.value || agent.status === status.value) &&
      (!text || [agent.agent_id, agent.agent_type, agent.version ?? "", agent.region ?? "", offers?.get(agent.agent_id) ?? ""].some((one) => one.toLowerCase().includes(text)));
  }

  function compare(a, b) {
    const x = sort.column.value(a, figures.get(a.agent_id));
    const y = sort.column.value(b, figures.get(b.agent_id));
    const order = x < y ? -1 : x > y ? 1 : a.agent_id < b.agent_id ? -1 : 1;
    return sort.descending ? -order : order;
  }

  /** While the pointer or the focus is in the rows, they keep their order, so that a click does not hit another agent. */
  function inOrder(found) {
    if (sorted !== null && body.matches(":hover, :focus-within")) {
      const place = new Map(sorted.map((id, i) => [id, i]));
      return found.sort((a, b) => (place.get(a.agent_id) ?? Infinity) - (place.get(b.agent_id) ?? Infinity) || compare(a, b));
    }
    found.sort(compare);
    sorted = found.map((agent) => agent.agent_id);
    return found;
  }

  function show() {
    scheduled = false;
    headers.forEach((header, i) => header.setAttribute("aria-sort", COLUMNS[i] !== sort.column ? "none" : sort.descending ? "descending" : "ascending"));
    if (state.error) {
      setText(summary, "Agent status unavailable: " + state.error);
    }
    if (!state.data) {
      return;
    }
    const all = [...state.data.agents.values()];
    const found = inOrder(all.filter(wanted));
    page = Math.max(0, Math.min(page, Math.ceil(found.length / PAGE) - 1));
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    if (!state.error) {
      setText(summary, all.length === 0
        ? "No agent has registered. An agent registers with its first heartbeat on agents.heartbeat, or with POST /agents/register."
        : found.length === 0 ? "None of " + count(all.length) + " agents match." : countByStatus(found));
    }
    setText(versions, countByVersion(found));
    const ids = new Set(shown.map((agent) => agent.agent_id));
    [...rows.keys()].filter((id) => !ids.has(id)).forEach((id) => { rows.get(id).element.remove(); rows.delete(id); });
    // What is not listed cannot be seen to be selected.
    const listed = new Set(found.map((agent) => agent.agent_id));
    [...selected].filter((id) => !listed.has(id)).forEach((id) => selected.delete(id));
    shown.forEach((agent, i) => {
      if (!rows.has(agent.agent_id)) {
        rows.set(agent.agent_id, agentRow(agent.agent_id, (chosen) => {
          chosen ? selected.add(agent.agent_id) : selected.delete(agent.agent_id);
          show();
        }));
      }
      const row = rows.get(agent.agent_id);
      row.show(agent, figures.get(agent.agent_id), selected.has(agent.agent_id));
      if (body.children[i] !== row.element) {
        body.insertBefore(row.element, body.children[i] ?? null);
      }
    });
    setText(where, found.length === 0 ? "" : `${count(page * PAGE + 1)}–${count(page * PAGE + shown.length)} of ${count(found.length)}`);
    back.disabled = page === 0;
    forth.disabled = (page + 1) * PAGE >= found.length;
    const [toDrain, toResume] = [drainable().length, drained().length];
    drain.hidden = toDrain === 0;
    resume.hidden = toResume === 0;
    setText(drain, `Drain ${count(toDrain)} selected…`);
    setText(resume, `End drain of ${count(toResume)} selected…`);
  }

  const schedule = () => {
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(show);
    }
  };
  const end = listen("agents", (newer) => { state = newer; schedule(); });
  lookUpFigures();
  lookUpOffers();
  const timers = [[schedule, 5_000], [lookUpFigures, FIGURES_MS], [lookUpOffers, OFFERS_MS]]
    .map(([action, ms]) => setInterval(() => !document.hidden && action(), ms));
  return {
    title: "Agents",
    elements: [h("section", {},
      h("div", { class: "fields" }, h("label", {}, "Search ", search), h("label", {}, "Status ", status)),
      summary, versions, table("Agents", [h("th", { scope: "col" }, h("span", { class: "unseen" }, "Select")), ...headers, "Actions"], body),
      h("div", { class: "actions" }, back, where, forth, drain, resume))],
    end: () => { left = true; end(); timers.forEach(clearInterval); },
  };
}

function countByStatus(agents) {
  const counts = {};
  agents.forEach((agent) => { counts[agent.status] = (counts[agent.status] ?? 0) + 1; });
  return statusText(counts);
}

/** Such as "2 active, 1 stale". */
export const statusText = (counts) => Object.keys(STATUS_CLASS).filter((one) => counts[one]).map((one) => count(counts[one]) + " " + one).join(", ") || "none";

/** Agents that have left are of no interest. */
function countByVersion(agents) {
  const counts = new Map();
  agents.filter((agent) => agent.status !== "inactive").forEach((agent) => counts.set(agent.version ?? "unknown", (counts.get(agent.version ?? "unknown") ?? 0) + 1));
  const most = [...counts].sort(([, a], [, b]) => b - a);
  return most.length === 0 ? "" : "Versions: " + most.slice(0, 5).map(([version, number]) => `${version} (${count(number)})`).join(", ") + (most.length > 5 ? ", …" : "");
}

function agentRow(id, select) {
  const [, type, version, , , , ended, success, ran, cpu, memory, region, heard] = COLUMNS.map((column) => h("td", { class: classOf(column) }));
  const chosen = h("input", { type: "checkbox", "aria-label": "Select " + id, onchange: () => select(chosen.checked) });
  const status = h("span", { class: "tag" });
  const health = h("meter", { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, "aria-label": "health" });
  const healthText = h("span");
  const load = h("meter", { min: 0, max: 1, "aria-label": "share of capacity in use" });
  const loadText = h("span");
  const drain = drainButton(id);
  return {
    element: h("tr", {}, h("td", {}, chosen), h("th", { scope: "row" }, h("a", { href: "#/agents/" + encodeURIComponent(id) }, id)), type, version, h("td", {}, status),
      h("td", {}, health, " ", healthText), h("td", {}, load, " ", loadText), ended, success, ran, cpu, memory, region, heard, h("td", {}, drain.element)),
    show(agent, figures, isSelected) {
      chosen.checked = isSelected;
      setText(type, agent.agent_type);
      setText(version, agent.version ?? "–");
      const unreached = agent.not_reached && agent.status === "active";
      setText(status, unreached ? "not reached" : agent.status);
      status.className = "tag " + (unreached ? "bad-text" : STATUS_CLASS[agent.status] ?? "");
      status.title = agent.not_reached ?? "";
      health.value = agent.health;
      setText(healthText, agent.health.toFixed(2));
      health.title = `regularity ${agent.regularity} × load ${agent.load} × results ${agent.results} × status`;
      load.value = agent.inflight / agent.capacity;
      setText(loadText, count(agent.inflight) + " of " + count(agent.capacity));
      setText(ended, figures ? count(figures.count) : "–");
      setText(success, figures ? percent(1 - figures.failed / figures.count) : "–");
      setText(ran, duration(figures?.running_seconds.p95));
      setText(cpu, percent(agent.cpu));
      setText(memory, percent(agent.memory));
      setText(region, agent.region ?? "–");
      const silent = Math.floor(since(agent.last_heartbeat));
      setText(heard, silent === 0 ? "now" : duration(silent) + " ago");
      drain.show(agent);
    },
  };
}

function drainButton(id) {
  let draining = false;
  const element = h("button", { onclick: () => command(element, "PUT", `/agents/${encodeURIComponent(id)}/status`, { status: draining ? "active" : "maintenance" }) }, "Drain");
  return {
    element,
    show(agent) {
      draining = agent.status === "maintenance";
      setText(element, draining ? "End drain" : "Drain");
      element.setAttribute("aria-label", (draining ? "Resume dispatch to " : "Drain ") + id);
      element.disabled = agent.status === "inactive";
    },
  };
}

/** What the list does not tell is asked for once, and again when the agent's status changes. */
export function agentView(id) {
  const details = h("div", {}, h("p", { class: "empty" }, "Loading…"));
  const held = h("div");
  const figures = h("div", { id: "agent-figures" }, h("p", { class: "empty" }, "Loading…"));
  const drain = drainButton(id);
  let shown = null;
  async function look() {
    try {
      const { agent } = await call("GET", "/agents/" + encodeURIComponent(id));
      drain.element.hidden = false;
      drain.show(agent);
      fill(details, description(agent));
      const page = await call("GET", `/agents/${encodeURIComponent(id)}/assignments?limit=50`);
      fill(held, page.count === 0 ? h("p", { class: "empty" }, "No assignments.") : heldTable(page));
    } catch (failure) {
      fill(details, h("p", { class: "empty" }, failure.message));
      drain.element.hidden = true;
      notify(failure.message, true);
    }
  }
  lookUpFigures(id, figures);
  const end = listen("agents", ({ data }) => {
    const agent = data?.agents.get(id);
    const now = agent && agent.status + agent.inflight;
    if (now !== shown) {
      shown = now;
      look();
    }
  });
  return {
    title: "Agent " + id,
    elements: [
      h("section", {}, details, h("div", { class: "actions" }, drain.element, h("button", { onclick: look }, "Refresh"))),
      h("section", {}, h("h2", {}, "Assignments"), held),
      h("section", {}, h("h2", {}, "Last hour"), figures, h("p", {}, h("a", { href: "#/tasks?" + new URLSearchParams({ agent_id: id, sort: "-finished_at" }) }, "Tasks of this agent"))),
    ],
    end,
  };
}

async function lookUpFigures(id, box) {
  try {
    const report = await call("GET", "/stats/tasks?group_by=agent_id&last=1h&limit=10000");
    const group = report.groups.find((one) => one.value === id);
    fill(box, group ? h("dl", {}, [["Ended", count(group.count)], ["Succeeded", percent(1 - group.failed / group.count)],
      ["Ran, p50, p95 and p99", ["p50", "p95", "p99"].map((part) => duration(group.running_seconds[part])).join(", ")]]
      .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])) : h("p", { class: "empty" }, "No task of this agent ended."));
  } catch (failure) {
    fill(box, h("p", { class: "empty" }, failure.message));
  }
}

function resources(agent) {
  return Object.entries(agent.resources ?? {})
    .map(([name, amount]) => `${agent.resources_in_use?.[name] ?? 0} of ${amount} ${name}`)
    .join(", ");
}

function description(agent) {
  const facts = [
    ["Status", h("span", { class: "tag " + (STATUS_CLASS[agent.status] ?? "") }, agent.status)],
    ["Health", `${agent.health_score}: regularity ${agent.health.regularity} × load ${agent.health.load} × results ${agent.health.results} × status ${agent.health.status}`],
    ["Health penalties", agent.health.costs.length === 0 ? "none" : agent.health.costs.join("; ")],
    ["Load", `${count(agent.inflight)} of ${count(agent.capacity)}`],
    ["Type", agent.agent_type],
    ["Version", agent.version],
    ["Delivery", agent.delivery + ": " + (agent.assignments_topic ?? agent.claim_path ?? agent.push_url)],
    ["Capabilities", agent.capabilities.join(", ") || "none"],
    ["Services", agent.services.join(", ") || "none"],
    ["Tags", agent.tags.join(", ") || "none"],
    ["Region", agent.region ?? "none"],
    ["Weight", agent.weight],
    ["Resources in use", resources(agent) || "none declared"],
    ["Registered", clock(agent.registration_time)],
    ["Last heartbeat", clock(agent.last_heartbeat)],
  ];
  if (agent.not_reached) {
    facts.push(["Not reached", agent.not_reached]);
  }
  if (agent.contested) {
    facts.push(["Contested", agent.contested.detail]);
  }
  return h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function heldTable(page) {
  return [h("p", { class: "soft" }, `${count(page.count)} of ${count(page.total)}, earliest deadline first`),
    table("Assignments", ["Task", { name: "Attempt", number: true }, "Assigned", "Deadline"], h("tbody", {}, page.assignments.map((one) =>
      h("tr", {}, h("td", {}, h("a", { href: "#/tasks/" + encodeURIComponent(one.task_id) }, one.task_id)), h("td", { class: "number" }, one.attempt),
        h("td", {}, clock(one.assigned_at)), h("td", {}, clock(one.deadline))))))];
}
