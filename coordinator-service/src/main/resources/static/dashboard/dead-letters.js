import { listen } from "./live.js";
import { call, command } from "./commands.js";
import { clock, count, fill, h, table } from "./dom.js";
import { errorText } from "./task.js";
import { REASONS, bulk } from "./tasks.js";

const PAGE = 50;
/** What is left of these tasks is not enough to run them. */
const LOST = ["payload_lost", "record_lost"];

export function deadLettersView() {
  const body = h("tbody");
  const summary = h("p", { class: "empty", role: "status" }, "Loading…");
  const list = table("Dead letters", ["Time", "Task or record", "Reason", "Detail", "Actions"], body);
  const older = h("button", { hidden: true, onclick: () => look(false) }, "Older");
  const reasons = h("div", { id: "reasons" }, h("p", { class: "empty" }, "Loading…"));
  let oldest = null;
  let failed = null;

  let asked = 0;
  async function look(reload) {
    const number = ++asked;
    if (reload) {
      showReasons(reasons, () => look(true));
    }
    try {
      const page = await call("GET", `/tasks/dead-letter?limit=${PAGE}` + (reload || oldest === null ? "" : "&before=" + oldest));
      if (number !== asked) {
        return;
      }
      if (reload) {
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
    elements: [
      h("section", {}, h("h2", {}, "Failed tasks by their last failure"), reasons,
        h("p", {}, h("a", { href: "#/statistics?last=24h" }, "By error, in the last 24 hours"))),
      h("section", {}, h("h2", {}, "All, also of tasks that were redriven"), h("div", { class: "fields" }, h("button", { onclick: () => look(true) }, "Refresh")), summary, list, older),
    ],
    end,
  };
}

/** Tasks that are failed now: those that were redriven are not. */
async function showReasons(box, changed) {
  try {
    const found = [];
    // One after the other: searches of others have their turn between them.
    for (const reason of REASONS) {
      const page = await call("GET", `/tasks?status=failed&reason=${reason}&limit=1`);
      if (page.count > 0) {
        found.push({ reason, page });
      }
    }
    const rows = found.map(({ reason, page }) => {
      const filter = new URLSearchParams({ status: "failed", reason });
      const redrive = h("button", { "aria-label": "Redrive all " + reason, onclick: async () => {
        await bulk(redrive, filter);
        changed();
      } }, "Redrive all…");
      return h("tr", {}, h("th", { scope: "row" }, reason),
        h("td", { class: "number" }, h("a", { href: "#/tasks?" + filter }, (page.count_exact ? "" : "about ") + count(page.count))),
        h("td", {}, LOST.includes(reason) ? "Cannot be redriven: submit them again" : redrive));
    });
    fill(box, rows.length === 0 ? h("p", { class: "empty" }, "No task is failed.")
      : table("Failed tasks by reason", ["Last failure", { name: "Tasks", number: true }, "Actions"], h("tbody", {}, rows)));
  } catch (failure) {
    fill(box, h("p", { class: "empty" }, failure.message));
  }
}

function letterRow(letter) {
  const isTask = letter.source_topic === undefined && letter.task_id !== undefined;
  const redrive = h("button", { "aria-label": "Redrive " + letter.task_id, onclick: () =>
    command(redrive, "POST", `/tasks/dead-letter/${encodeURIComponent(letter.task_id)}/redrive`, undefined, letter.task_id + ": ") }, "Redrive");
  return h("tr", {}, h("td", {}, clock(letter.dead_lettered_at)),
    h("td", {}, isTask ? h("a", { href: "#/tasks/" + encodeURIComponent(letter.task_id) }, letter.task_id)
      : `${letter.source_topic}-${letter.source_partition}@${letter.source_offset}`),
    h("td", {}, letter.reason), h("td", { class: "text" }, errorText(letter.detail ?? letter.error),
      letter.text && h("details", {}, h("summary", {}, "Record"), h("pre", { tabindex: "0" }, letter.text))), h("td", {}, isTask ? redrive : ""));
}
