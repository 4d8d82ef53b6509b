import { listen } from "./live.js";
import { call, command, notify } from "./commands.js";
import { classOf, clock, count, duration, fill, h, percent, setText, since, table } from "./dom.js";

const PAGE = 50;
const STATUS_CLASS = { active: "good", busy: "warn-text", maintenance: "warn-text", stale: "bad-text", error: "bad-text", inactive: "soft" };

const COLUMNS = [
  { name: "Agent", value: (agent) => agent.agent_id },
  { name: "Type", value: (agent) => agent.agent_type, secondary: true },
  { name: "Status", value: (agent) => agent.status },
  { name: "Health", value: (agent) => agent.health },
  { name: "Load", value: (agent) => agent.inflight / agent.capacity },
  { name: "CPU", value: (agent) => agent.cpu, number: true, secondary: true },
  { name: "Memory", value: (agent) => agent.memory, number: true, secondary: true },
  { name: "Region", value: (agent) => agent.region ?? "", secondary: true },
  { name: "Last heartbeat", value: (agent) => -Date.parse(agent.last_heartbeat), number: true },
];

export function agentsView() {
  let state = { data: null, error: null };
  let sort = { column: COLUMNS[0], descending: false };
  let page = 0;
  let scheduled = false;
  let sorted = null;
  const rows = new Map();
  const summary = h("p", { class: "empty", role: "status" }, "Waiting for agents…");
  const search = h("input", { type: "search", id: "agent-search", placeholder: "id, type or region", oninput: () => { page = 0; show(); } });
  const status = h("select", { id: "agent-status", onchange: () => { page = 0; show(); } },
    h("option", { value: "" }, "any"), Object.keys(STATUS_CLASS).map((one) => h("option", { value: one }, one)));
  const headers = COLUMNS.map((column) => h("th", { scope: "col", class: classOf(column) },
    h("button", { onclick: () => { sort = { column, descending: sort.column === column && !sort.descending }; show(); } }, column.name)));
  const body = h("tbody");
  const back = h("button", { onclick: () => { page--; show(); } }, "Previous");
  const forth = h("button", { onclick: () => { page++; show(); } }, "Next");
  const where = h("span", { class: "soft" });

  function wanted(agent) {
    const text = search.value.trim().toLowerCase();
    return (!status.value || agent.status === status.value) &&
      (!text || [agent.agent_id, agent.agent_type, agent.region ?? ""].some((one) => one.toLowerCase().includes(text)));
  }

  function compare(a, b) {
    const x = sort.column.value(a);
    const y = sort.column.value(b);
    const order = x < y ? -1 : x > y ? 1 : a.agent_id < b.agent_id ? -1 : 1;
    return sort.descending ? -order : order;
  }

  /** While somebody is at the rows they stay where they are: whoever aims at one shall not hit another. */
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
        : found.length === 0 ? "None of " + count(all.length) + " agents match." : countByStatus(all));
    }
    const ids = new Set(shown.map((agent) => agent.agent_id));
    [...rows.keys()].filter((id) => !ids.has(id)).forEach((id) => { rows.get(id).element.remove(); rows.delete(id); });
    shown.forEach((agent, i) => {
      if (!rows.has(agent.agent_id)) {
        rows.set(agent.agent_id, agentRow(agent.agent_id));
      }
      const row = rows.get(agent.agent_id);
      row.show(agent);
      if (body.children[i] !== row.element) {
        body.insertBefore(row.element, body.children[i] ?? null);
      }
    });
    setText(where, found.length === 0 ? "" : `${count(page * PAGE + 1)}–${count(page * PAGE + shown.length)} of ${count(found.length)}`);
    back.disabled = page === 0;
    forth.disabled = (page + 1) * PAGE >= found.length;
  }

  const schedule = () => {
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(show);
    }
  };
  const end = listen("agents", (newer) => { state = newer; schedule(); });
  const ticking = setInterval(schedule, 5_000);
  return {
    title: "Agents",
    elements: [h("section", {},
      h("div", { class: "fields" }, h("label", {}, "Search ", search), h("label", {}, "Status ", status)),
      summary, table("Agents", [...headers, "Actions"], body),
      h("div", { class: "actions" }, back, where, forth))],
    end: () => { end(); clearInterval(ticking); },
  };
}

function countByStatus(agents) {
  const counts = {};
  agents.forEach((agent) => { counts[agent.status] = (counts[agent.status] ?? 0) + 1; });
  return Object.keys(STATUS_CLASS).filter((one) => counts[one]).map((one) => count(counts[one]) + " " + one).join(", ");
}

function agentRow(id) {
  const [, type, , , , cpu, memory, region, heard] = COLUMNS.map((column) => h("td", { class: classOf(column) }));
  const status = h("span", { class: "tag" });
  const health = h("meter", { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, "aria-label": "health" });
  const healthText = h("span");
  const load = h("meter", { min: 0, max: 1, "aria-label": "share of capacity in use" });
  const loadText = h("span");
  const drain = drainButton(id);
  return {
    element: h("tr", {}, h("th", { scope: "row" }, h("a", { href: "#/agents/" + encodeURIComponent(id) }, id)), type, h("td", {}, status),
      h("td", {}, health, " ", healthText), h("td", {}, load, " ", loadText), cpu, memory, region, heard, h("td", {}, drain.element)),
    show(agent) {
      setText(type, agent.agent_type);
      const unreached = agent.not_reached && agent.status === "active";
      setText(status, unreached ? "not reached" : agent.status);
      status.className = "tag " + (unreached ? "bad-text" : STATUS_CLASS[agent.status] ?? "");
      status.title = agent.not_reached ?? "";
      health.value = agent.health;
      setText(healthText, agent.health.toFixed(2));
      health.title = `regularity ${agent.regularity} × load ${agent.load} × results ${agent.results} × status`;
      load.value = agent.inflight / agent.capacity;
      setText(loadText, count(agent.inflight) + " of " + count(agent.capacity));
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
  const drain = drainButton(id);
  let shown = null;
  async function look() {
    try {
      const { agent } = await call("GET", "/agents/" + encodeURIComponent(id));
      drain.show(agent);
      fill(details, description(agent));
      const page = await call("GET", `/agents/${encodeURIComponent(id)}/assignments?limit=50`);
      fill(held, page.count === 0 ? h("p", { class: "empty" }, "No assignments.") : heldTable(page));
    } catch (failure) {
      fill(details, h("p", { class: "empty" }, failure.message));
      notify(failure.message, true);
    }
  }
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
    ],
    end,
  };
}

function description(agent) {
  const facts = [
    ["Status", h("span", { class: "tag " + (STATUS_CLASS[agent.status] ?? "") }, agent.status)],
    ["Health", `${agent.health_score}: regularity ${agent.health.regularity} × load ${agent.health.load} × results ${agent.health.results} × status ${agent.health.status}`],
    ["Health penalties", agent.health.costs.length === 0 ? "none" : agent.health.costs.join("; ")],
    ["Load", `${count(agent.inflight)} of ${count(agent.capacity)}`],
    ["Type", agent.agent_type],
    ["Delivery", agent.delivery + ": " + (agent.assignments_topic ?? agent.claim_path ?? agent.push_url)],
    ["Capabilities", agent.capabilities.join(", ") || "none"],
    ["Services", agent.services.join(", ") || "none"],
    ["Tags", agent.tags.join(", ") || "none"],
    ["Region", agent.region ?? "none"],
    ["Weight", agent.weight],
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
