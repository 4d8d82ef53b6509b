import { listen } from "./live.js";
import { call, command } from "./commands.js";
import { clock, count, fill, h, table } from "./dom.js";

const PAGE = 50;

export function deadLettersView() {
  const body = h("tbody");
  const summary = h("p", { class: "empty", role: "status" }, "Loading…");
  const list = table("Dead letters", ["Time", "Task or record", "Reason", "Detail", "Actions"], body);
  const older = h("button", { hidden: true, onclick: () => look(false) }, "Older");
  let oldest = null;
  let failed = null;

  let asked = 0;
  async function look(anew) {
    const number = ++asked;
    try {
      const page = await call("GET", `/tasks/dead-letter?limit=${PAGE}` + (anew || oldest === null ? "" : "&before=" + oldest));
      if (number !== asked) {
        return;
      }
      if (anew) {
        fill(body);
      }
      body.append(...page.dead_letters.map(letterRow));
      oldest = page.dead_letters.at(-1)?.offset ?? oldest;
      older.hidden = page.dead_letters.length < PAGE;
      list.hidden = body.children.length === 0;
      summary.textContent = body.children.length === 0
        ? "No dead letters: no task has failed permanently, and no unreadable record has arrived."
        : count(body.children.length) + " shown, newest first.";
    } catch (failure) {
      summary.textContent = failure.message;
    }
  }

  const end = listen("stats", ({ data }) => {
    if (data && failed !== null && data.tasks.tasks_failed > failed) {
      summary.textContent = "New dead letters have arrived. Refresh to see them.";
    }
    failed = data?.tasks.tasks_failed ?? failed;
  });
  look(true);
  return {
    title: "Dead letters",
    elements: [h("section", {}, h("div", { class: "fields" }, h("button", { onclick: () => look(true) }, "Refresh")), summary, list, older)],
    end,
  };
}

function letterRow(letter) {
  const isTask = letter.source_topic === undefined && letter.task_id !== undefined;
  const redrive = h("button", { "aria-label": "Redrive " + letter.task_id, onclick: () =>
    command(redrive, "POST", `/tasks/dead-letter/${encodeURIComponent(letter.task_id)}/redrive`) }, "Redrive");
  return h("tr", {}, h("td", {}, clock(letter.dead_lettered_at)),
    h("td", {}, isTask ? h("a", { href: "#/tasks/" + encodeURIComponent(letter.task_id) }, letter.task_id)
      : `${letter.source_topic}-${letter.source_partition}@${letter.source_offset}`),
    h("td", {}, letter.reason), h("td", { class: "text" }, letter.detail ?? letter.text ?? ""), h("td", {}, isTask ? redrive : ""));
}
