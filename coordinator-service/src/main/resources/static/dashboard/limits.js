import { call, command, confirm, notify } from "./commands.js";
import { chart } from "./charts.js";
import { clock, count, duration, fill, h, setText, table } from "./dom.js";

const MAX_LIMITS = 100;
const REFRESH_MS = 5_000;

/** Limits, what is used of them, and of the selected one what was used over time. */
export function limitsSection() {
  const body = h("tbody");
  const detail = h("div", { hidden: true });
  const heading = h("h3");
  const said = h("p", { role: "status" });
  const holders = h("tbody");
  const used = chart("Units in use and tasks waiting, last 15 minutes",
    [{ label: "in use", color: "normal", width: 2, area: true }, { label: "waiting", color: "warn", width: 2 }]);
  const spent = chart("Units spent of the budget, last 15 minutes", [{ label: "spent", color: "normal", width: 2, area: true }]);
  fill(detail, heading, said, h("div", { class: "charts" }, used.box, spent.box),
    table("Tasks that hold units", ["Task", { name: "Units", number: true }, "Agent", "Since"], holders));
  const element = h("section", { hidden: true }, h("h2", {}, "Limits"),
    h("p", {}, "What attempts may use together, in the whole cluster. They are defined with agentctl limits, or PUT /limits."),
    table("Limits", ["Limit", "Allows", { name: "In use", number: true }, { name: "Spent", number: true }, { name: "Waiting", number: true },
      { name: "Oldest", number: true, secondary: true }, "Actions"], body),
    detail);
  let asked = 0;
  let left = false;
  let selected = null;

  async function look() {
    const number = ++asked;
    try {
      const { limits } = await call("GET", "/limits");
      const isThere = limits.some((limit) => limit.name === selected);
      const one = isThere ? await call("GET", path(selected)) : null;
      if (left || number !== asked) {
        return;
      }
      element.hidden = limits.length === 0;
      if (!body.contains(document.activeElement)) {
        fill(body, limits.slice(0, MAX_LIMITS).map(limitRow));
      }
      detail.hidden = one === null;
      if (one !== null) {
        showOne(one);
      }
    } catch (failure) {
      if (!left && number === asked) {
        element.hidden = true;
      }
    }
  }

  function limitRow(limit) {
    const isFamily = limit.name.endsWith("*");
    const select = h("button", { "aria-label": "Show " + limit.name, onclick: () => { selected = limit.name; select.blur(); look(); } }, "Show");
    const remove = h("button", { class: "danger", "aria-label": "Remove " + limit.name, onclick: () => askToRemove(limit.name, remove) }, "Remove…");
    remove.hidden = limit.defined_by !== undefined;
    select.hidden = isFamily;
    return h("tr", {},
      h("th", { scope: "row" }, limit.name, limit.closed_until === undefined ? "" : h("span", { class: "warn-text" }, " closed until " + clock(limit.closed_until))),
      h("td", {}, allows(limit.limit)),
      h("td", { class: "number" }, count(limit.in_use)),
      h("td", { class: "number" }, count(limit.budget?.spent)),
      h("td", { class: "number" }, count(limit.waiting)),
      h("td", { class: "number secondary" }, limit.oldest_age_seconds === undefined ? "–" : duration(limit.oldest_age_seconds)),
      h("td", {}, h("div", { class: "actions" }, select, remove)));
  }

  function showOne({ limit, samples }) {
    const times = samples.map((sample) => Date.parse(sample.at) / 1000);
    setText(heading, limit.name);
    setText(said, limit.room > 0 ? count(limit.room) + " units may be used now"
      : limit.next_unit_at === undefined ? "All units are in use" : "The next unit is due at " + clock(limit.next_unit_at));
    used.show([times, samples.map((sample) => sample.in_use), samples.map((sample) => sample.waiting)], count(limit.in_use) + " in use");
    spent.box.hidden = limit.budget === undefined;
    if (limit.budget !== undefined) {
      spent.show([times, samples.map((sample) => sample.spent)], count(limit.budget.spent) + " of " + count(limit.budget.units));
    }
    fill(holders, limit.holders.map((holder) => h("tr", {},
      h("th", { scope: "row" }, h("a", { href: "#/tasks/" + encodeURIComponent(holder.task_id) }, holder.task_id)),
      h("td", { class: "number" }, count(holder.units)),
      h("td", {}, holder.agent_id ?? "–"),
      h("td", {}, holder.since === undefined ? "–" : clock(holder.since)))));
  }

  async function askToRemove(name, button) {
    if (await confirm(`Remove the limit ${name}? Tasks that it keeps back start at once.`, "Remove " + name, "Keep")) {
      try {
        await command(button, "DELETE", path(name));
        button.blur();
      } catch (failure) {
        notify(failure.message, true);
      }
      look();
    }
  }

  look();
  const timer = setInterval(() => !document.hidden && look(), REFRESH_MS);
  return { element, end: () => { left = true; clearInterval(timer); used.end(); spent.end(); } };
}

const path = (name) => "/limits/" + name.split("/").map(encodeURIComponent).join("/");

function allows({ concurrency, rate, budget }) {
  return [
    concurrency !== undefined && count(concurrency) + " at once",
    rate !== undefined && `${count(rate.units)} per ${count(rate.per_seconds)} s, burst ${count(rate.burst)}`,
    budget !== undefined && `${count(budget.units)} per ${budget.per}`,
  ].filter(Boolean).join("; ");
}
