import { chart } from "./charts.js";
import { call } from "./commands.js";
import { count, duration, fill, h, percent, table } from "./dom.js";

const LAST = { "15m": "15 minutes", "1h": "hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days" };
/** Seconds of each, for links to the list of tasks. */
const SECONDS = { "15m": "900", "1h": "3600", "24h": "86400", "7d": "604800", "30d": "2592000" };
const GROUPS = { task_type: "type", agent_id: "agent", fairness_key: "fairness key" };
const REFRESH_MS = 15_000;

/** What ended lately: how much, how fast, and what failed. From the history; the choices are in the address. */
export function statisticsView(query) {
  const chosen = new URLSearchParams(query);
  const last = LAST[chosen.get("last")] ? chosen.get("last") : "1h";
  const group = GROUPS[chosen.get("by")] ? chosen.get("by") : "task_type";
  const choice = (name, label, choices, value) => {
    const select = h("select", { id: "statistics-" + name, onchange: () => {
      location.hash = "#/statistics?" + new URLSearchParams({ last, by: group, [name]: select.value });
    } }, Object.entries(choices).map(([one, text]) => h("option", { value: one, selected: one === value }, text)));
    return h("label", {}, label + " ", select);
  };
  const summary = h("p", { class: "empty", role: "status", id: "ended" }, "Loading…");
  const ended = chart(`Tasks that ended, last ${LAST[last]}`, [
    { label: "ended", color: "normal", width: 2, area: true }, { label: "failed", color: "urgent", width: 2 }]);
  const groups = h("div", { id: "groups" });
  const errors = h("div", { id: "errors" });
  let left = false;
  async function look() {
    try {
      const [report, failures] = await Promise.all([
        call("GET", `/stats/tasks?group_by=${group}&last=${last}`),
        call("GET", `/stats/tasks?group_by=error&last=${last}&limit=10`),
      ]);
      if (left) {
        return;
      }
      const all = report.all;
      fill(summary, all.count === 0 ? "No task ended."
        : `${count(all.count)} ended, ${count(all.failed)} of them failed (${percent(all.failed / all.count)}). ` +
          `Waited ${times(all.waiting_seconds)}; ran ${times(all.running_seconds)} (p50, p99).`);
      ended.show(steps(report).slice(0, 3), all.count === 0 ? "none" : count(all.count) + " tasks");
      fill(groups, report.groups.length === 0 ? h("p", { class: "empty" }, "None.") : groupTable(report.groups, group, last));
      fill(errors, failures.groups.length === 0 ? h("p", { class: "empty" }, "None.") : errorTable(failures.groups, last));
    } catch (failure) {
      fill(summary, failure.message);
    }
  }
  look();
  const timer = setInterval(() => !document.hidden && look(), REFRESH_MS);
  return {
    title: "Statistics",
    elements: [
      h("section", {}, h("div", { class: "fields" }, choice("last", "Last", LAST, last), choice("by", "By", GROUPS, group)), summary, ended.box),
      h("section", {}, h("h2", {}, "By " + GROUPS[group]), groups),
      h("section", {}, h("h2", {}, "Errors of failed tasks"), errors),
    ],
    end: () => {
      left = true;
      clearInterval(timer);
      ended.end();
    },
  };
}

/** The median and the 99th percentile. */
export const times = (one) => `${duration(one.p50)}, ${duration(one.p99)}`;

/** Times in seconds, tasks that ended, those that failed, and the waiting and running ones, null where there is no sample. */
export const steps = ({ steps: all }) => [all.map((one) => Date.parse(one.at) / 1000),
  ...["count", "failed", "waiting", "running"].map((name) => all.map((one) => one[name] ?? null))];

function tasks(filter, last) {
  return "#/tasks?" + new URLSearchParams({ ...filter, ended: SECONDS[last], sort: "-finished_at" });
}

function groupTable(groups, by, last) {
  const number = (name, secondary) => ({ name, number: true, secondary });
  return table("Tasks by " + GROUPS[by], [GROUPS[by].charAt(0).toUpperCase() + GROUPS[by].slice(1), number("Ended"), number("Failed"), ...["Waited", "Ran"].flatMap((what) => [number(what + ", p50", true), number(what + ", p95", true), number(what + ", p99")])], h("tbody", {}, groups.map((one) => h("tr", {},
    h("th", { scope: "row" }, one.value === undefined ? "–" : by === "agent_id"
      ? h("a", { href: "#/agents/" + encodeURIComponent(one.value) }, one.value) : one.value),
    h("td", { class: "number" }, count(one.count)),
    h("td", { class: "number" }, one.failed === 0 || one.value === undefined ? count(one.failed)
      : h("a", { href: tasks({ [by]: one.value, status: "failed" }, last) }, count(one.failed))),
    ...["waiting_seconds", "running_seconds"].flatMap((what) => ["p50", "p95", "p99"].map((part) =>
      h("td", { class: part === "p99" ? "number" : "number secondary" }, duration(one[what][part]))))))));
}

/** Errors with links to the tasks behind them. */
export function errorTable(groups, last) {
  return table("Errors of failed tasks", [{ name: "Tasks", number: true }, "Error"], h("tbody", {}, groups.map((one) => h("tr", {},
    h("td", { class: "number" }, count(one.count)),
    h("td", { class: "text" }, one.value === undefined ? "–" : h("a", { href: tasks({ status: "failed", error: words(one.value) }, last) }, plain(one.value)))))));
}

/** An error is any JSON, and may be cut. */
function plain(error) {
  return error.startsWith('"') ? error.replace(/^"|"$/g, "").replace(/\\(["\\/])/g, "$1") : error;
}

/** Searchable: without what has a meaning in a search, and the last word, which may be cut. */
function words(error) {
  const all = plain(error).replace(/[^\p{L}\p{N}]+/gu, " ").trim().split(" ");
  return (error.length >= 200 ? all.slice(0, -1) : all).slice(0, 12).join(" ");
}
