import { count, duration, h, rate, setText } from "./dom.js";

export const PRIORITIES = ["urgent", "critical", "high", "normal", "low"];
const LONG_SECONDS = 300;
/** A task that comes may need a moment. */
export const A_MOMENT_SECONDS = 10;

export const verdictSection = () => h("section", { class: "verdict" }, h("p", {}, "Waiting for data…"), h("p", { class: "unseen", role: "status" }));

/** Shows in a section of verdictSection whether tasks are stuck, where, and since when; where says where the reason is shown, lacking how many tasks no agent can take. */
export function judge(section, queues, stats, where, lacking = 0) {
  let { text, kind } = judgement(queues, stats, where);
  if (kind === "" && lacking > 0) {
    kind = "warn";
    text += ` For ${count(lacking)} of them, there is no agent. ${where}`;
  }
  section.className = "verdict " + kind;
  setText(section.firstChild, text);
  // Rates and ages change each second, which nobody wants to be read to.
  setText(section.lastChild, { "": "The queues are healthy.", warn: "The queues need attention.", bad: "The queues have a problem." }[kind]);
}

const tasksWait = (number) => count(number) + (number === 1 ? " task waits" : " tasks wait");

/** Is it stuck, where, since when. What waits for a time that is still to come is not stuck. */
function judgement(queues, stats, where) {
  const error = queues?.error ?? stats?.error;
  if (error) {
    return { kind: "bad", text: "Status unavailable: " + error };
  }
  if (!queues?.data || !stats?.data) {
    return { kind: "", text: "Waiting for data…" };
  }
  const waiting = PRIORITIES.map((priority) => ({ priority, ...queues.data.queues[priority] })).filter((queue) => queue.size > 0);
  const later = waiting.reduce((sum, queue) => sum + Math.min(queue.scheduled, queue.size), 0);
  const total = waiting.reduce((sum, queue) => sum + queue.size, 0) - later;
  const active = stats.data.load_balancer.active_agents;
  if (total === 0 && later > 0) {
    return { kind: "", text: `${tasksWait(later)}, all scheduled for later.` };
  }
  if (total === 0) {
    return { kind: active === 0 ? "warn" : "", text: "No tasks are waiting. " + (active === 0 ? "No agent is active." : count(active) + " agents are active.") };
  }
  const tasks = tasksWait(total) + (later > 0 ? ` (${count(later)} more scheduled for later)` : "");
  const assigned = waiting.reduce((sum, queue) => sum + queue.assigned_per_second, 0);
  const due = waiting.filter((queue) => queue.size > queue.scheduled);
  const open = due.filter((queue) => !queue.paused);
  const full = stats.data.load_balancer.avg_capacity_used >= 0.999;
  if (open.length === 0) {
    return { kind: "warn", text: `${tasks}, all in paused queues: ${due.map((queue) => queue.priority).join(", ")}.` };
  }
  const held = open.filter((queue) => queue.held_back > 0);
  if (held.length > 0) {
    return {
      kind: "bad",
      text: `${tasks}. ` + held.map((queue) => `In ${queue.priority}, ${count(queue.held_back)} ${queue.held_back === 1 ? "record" : "records"} cannot be read until a transaction of ${queue.held_back_by} ends`).join(". ") + ".",
    };
  }
  if (active === 0) {
    return { kind: "bad", text: `Stuck: ${tasks} and no agent is active.` };
  }
  const oldest = open.reduce((a, b) => ((a.oldest_age_seconds ?? 0) >= (b.oldest_age_seconds ?? 0) ? a : b));
  const age = oldest.oldest_age_seconds ?? 0;
  if (assigned === 0 && full) {
    return { kind: "warn", text: `${tasks}: all agents are at capacity. The oldest, in ${oldest.priority}, has waited for ${duration(age)}.` };
  }
  if (assigned === 0 && age > A_MOMENT_SECONDS) {
    return {
      kind: "bad",
      text: `Stuck: ${tasks} and no task is assigned. The oldest, in ${oldest.priority}, has waited for ${duration(age)}. ${where}`,
    };
  }
  const slow = age > LONG_SECONDS;
  return {
    kind: slow ? "warn" : "",
    text: `${tasks}, ${rate(assigned)} assigned per second.` + (slow ? ` The oldest, in ${oldest.priority}, has waited for ${duration(age)}.` : ""),
  };
}
