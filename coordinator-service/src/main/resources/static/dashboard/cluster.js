import { listen } from "./live.js";
import { command } from "./commands.js";
import { bars, chart } from "./charts.js";
import { count, duration, fill, h, percent, rate, setText, since, table } from "./dom.js";

export function clusterView() {
  const facts = h("dl");
  const strategy = h("select", { id: "strategy" });
  const change = h("button", { onclick: () => command(change, "PUT", "/load-balancer/strategy", { strategy: strategy.value }) }, "Apply");
  const load = chart("Agents by share of capacity in use, in tenths", [{ label: "agents", color: "normal", paths: bars, bars: true }],
    { scales: { x: { time: false, range: [-5, 105] }, y: { range: (u, min, max) => [0, Math.max(1, max * 1.05)] } }, legend: { show: false }, steps: [10] });
  const body = h("tbody");
  const empty = h("p", { class: "empty", role: "status" }, "Waiting for data…");
  let inForce = null;
  let shownIds = null;
  let rows = [];
  const ends = [
    listen("stats", ({ data, error }) => {
      if (error) {
        setText(empty, "Coordinator status unavailable: " + error);
      }
      if (!data) {
        return;
      }
      const balance = data.load_balancer;
      if (strategy.options.length === 0) {
        fill(strategy, balance.strategies.map((one) => h("option", { value: one }, one.replaceAll("_", " "))));
      }
      if (balance.strategy !== inForce) {
        inForce = balance.strategy;
        strategy.value = inForce;
      }
      fill(facts, [
        ["Strategy in use", inForce.replaceAll("_", " ")],
        ["Active agents", count(balance.active_agents)],
        ["Mean capacity in use", percent(balance.avg_capacity_used)],
        ["Successful attempts, last 5 minutes", balance.recent_success_rate === null ? "none ended" : percent(balance.recent_success_rate)],
        ["Mean time to assignment, last 5 minutes", data.tasks.avg_distribution_time === 0 ? "none assigned" : duration(data.tasks.avg_distribution_time)],
        ["Tasks", ["distributed", "completed", "failed", "cancelled", "expired", "retried"].map((one) => count(data.tasks["tasks_" + one]) + " " + one).join(", ")],
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
      const coordinators = Object.entries(data.coordinators).sort(([a], [b]) => (a < b ? -1 : 1));
      const ids = coordinators.map(([id]) => id).join();
      if (ids !== shownIds) {
        shownIds = ids;
        rows = coordinators.map(([id]) => coordinatorRow(id, id === data.told_by));
        fill(body, rows.map((row) => row.element));
      }
      coordinators.forEach(([, lane], i) => rows[i].show(lane));
      setText(empty, coordinators.length === 0 ? "No coordinator has reported in the last ten seconds." : "");
    }),
    listen("agents", ({ data }) => {
      if (data) {
        const tenths = Array(11).fill(0);
        data.agents.forEach((agent) => {
          if (agent.status === "active") {
            tenths[Math.min(10, Math.floor((10 * agent.inflight) / agent.capacity))]++;
          }
        });
        load.show([tenths.map((_, i) => i * 10), tenths], tenths.map((number, i) => `${number} at ${i * 10} %`).filter((text) => !text.startsWith("0 ")).join(", "));
      }
    }),
  ];
  return {
    title: "Cluster",
    elements: [
      h("section", {}, h("h2", {}, "Load balancer"), h("div", { class: "fields" }, h("label", {}, "Strategy ", strategy), change), facts,
        h("h3", {}, "Active agents by share of capacity in use, %"), load.box),
      h("section", {}, h("h2", {}, "Coordinators"), empty, table("Coordinators", ["Coordinator", { name: "Partitions", number: true },
        { name: "Waiting", number: true }, { name: "Received/s", number: true }, { name: "Assigned/s", number: true }, "Yields to",
        { name: "Last report", number: true }], body)),
    ],
    end: () => [...ends, load.end].forEach((one) => one()),
  };
}

function coordinatorRow(id, isThisOne) {
  const sum = (rates) => Object.values(rates).reduce((a, b) => a + b, 0);
  const cells = [true, true, true, true, false, true].map((number) => h("td", { class: number ? "number" : null }));
  return {
    element: h("tr", {}, h("th", { scope: "row" }, id, isThisOne ? h("span", { class: "soft" }, " (this one)") : ""), cells),
    show(lane) {
      [lane.partitions, count(lane.waiting) + (lane.backlog_full ? ", full" : ""), rate(sum(lane.received_per_second)), rate(sum(lane.assigned_per_second)),
        lane.yields_to ? lane.yields_to + " tasks elsewhere" : "none", duration(Math.round(since(lane.at))) + " ago"]
        .forEach((text, i) => setText(cells[i], text));
    },
  };
}
