import { listen } from "./live.js";
import { call } from "./commands.js";
import { chart } from "./charts.js";
import { count, duration, fill, h, rate, requirementsText, setText, table } from "./dom.js";
import { A_MOMENT_SECONDS, PRIORITIES, judge, verdictSection } from "./verdict.js";
import { errorTable, steps, times } from "./statistics.js";
import { statusText } from "./agents.js";

const LAST = { live: "15 minutes", "1h": "hour", "24h": "24 hours", "7d": "7 days" };
const CHOSEN = "agent-coordinator.overview";
const REFRESH_MS = 5_000;
const SLOW_REFRESH_MS = 30_000;

/** Is it healthy, how much is there to do, what holds it up, and what failed. */
export function overviewView() {
  const verdict = verdictSection();
  const health = h("div", { id: "health" });
  const facts = Object.fromEntries([["waiting", "Waiting"], ["running", "Running"], ["assigned", "Assigned/s"], ["completed", "Completed/s"],
    ["failed", "Failed/s"], ["waited", "Waited, p50 and p99"], ["ran", "Ran, p50 and p99"], ["agents", "Agents"]].map(([name, title]) => [name, fact(name, title)]));
  const load = chart("Tasks waiting and running", [{ label: "waiting", color: "normal", width: 2, area: true }, { label: "running", color: "good", width: 2 }]);
  const flow = chart("Tasks that ended, per second", [{ label: "ended/s", color: "normal", width: 2, area: true }, { label: "failed/s", color: "urgent", width: 2 }]);
  const last = h("select", { id: "overview-last", onchange: () => { sessionStorage.setItem(CHOSEN, last.value); showCharts(); } },
    Object.entries(LAST).map(([value, text]) => h("option", { value, selected: value === sessionStorage.getItem(CHOSEN) }, text)));
  const note = h("p", { class: "empty", role: "status" });
  const blocked = h("div", { id: "blocked" }, h("p", { class: "empty" }, "Loading…"));
  const failures = h("div", { id: "failures" }, h("p", { class: "empty" }, "Loading…"));
  let queues = null;
  let stats = null;
  let lacking = 0;
  let points = [];
  let left = false;

  const showVerdict = () => {
    judge(verdict, queues, stats, "The reason is below.", lacking);
    if (queues?.data) {
      setText(facts.waiting.value, count(PRIORITIES.reduce((sum, one) => sum + (queues.data.queues[one].size ?? 0), 0)));
      setText(facts.assigned.value, rate(PRIORITIES.reduce((sum, one) => sum + queues.data.queues[one].assigned_per_second, 0)));
    }
  };
  function showPoints() {
    const newest = points.at(-1);
    if (newest) {
      setText(facts.running.value, count(newest.running));
    }
    const [before, now] = points.slice(-2);
    if (now) {
      setText(facts.completed.value, rate(perSecond(before, now, "completed")));
      setText(facts.failed.value, rate(perSecond(before, now, "failed")));
    }
    if (last.value === "live") {
      showCharts();
    }
  }
  let asked = 0;
  async function showCharts() {
    const number = ++asked;
    if (last.value === "live") {
      setText(note, "");
      const at = points.map((point) => Date.parse(point.at) / 1000);
      load.show([at, points.map((point) => PRIORITIES.reduce((sum, one) => sum + (point.size[one] ?? 0), 0)), points.map((point) => point.running ?? null)]);
      const after = points.slice(1);
      flow.show([at.slice(1), ...["ended", "failed"].map((counter) => after.map((point, i) => perSecond(points[i], point, counter)))]);
      return;
    }
    try {
      const report = await call("GET", `/stats/tasks?last=${last.value}&limit=1`);
      if (!left && number === asked) {
        const [at, ended, failed, waiting, running] = steps(report);
        const seconds = at[1] - at[0];
        load.show([at, waiting, running]);
        flow.show([at, ended.map((one) => one / seconds), failed.map((one) => one / seconds)]);
        setText(note, "");
      }
    } catch (failure) {
      if (!left && number === asked) {
        load.show([[], [], []]);
        flow.show([[], [], []]);
        setText(note, failure.message);
      }
    }
  }
  async function look() {
    showHealth(health);
    try {
      const report = await call("GET", "/stats/blocked");
      // A task that was just submitted may be read before its agent.
      lacking = report.blocked.filter((group) => group.agents === 0 && group.oldest_age_seconds > A_MOMENT_SECONDS).reduce((sum, group) => sum + group.tasks, 0);
      showVerdict();
      fill(blocked, report.blocked.length === 0 ? h("p", { class: "empty" }, "No task waits for an agent.") : blockedTable(report.blocked));
    } catch (failure) {
      fill(blocked, h("p", { class: "empty" }, failure.message));
    }
  }
  async function lookAtHistory() {
    call("GET", "/registry/stats").then(({ stats: agents }) => setText(facts.agents.value, statusText(agents.status_counts)), () => {});
    try {
      const [report, errors] = await Promise.all([call("GET", "/stats/tasks?last=15m&limit=1"), call("GET", "/stats/tasks?group_by=error&last=1h&limit=5")]);
      setText(facts.waited.value, times(report.all.waiting_seconds));
      setText(facts.ran.value, times(report.all.running_seconds));
      fill(failures, errors.groups.length === 0 ? h("p", { class: "empty" }, "No task failed.") : errorTable(errors.groups, "1h"));
    } catch (failure) {
      fill(failures, h("p", { class: "empty" }, failure.message));
    }
    if (last.value !== "live") {
      showCharts();
    }
  }
  look();
  lookAtHistory();
  showCharts();
  const timers = [[look, REFRESH_MS], [lookAtHistory, SLOW_REFRESH_MS]].map(([action, ms]) => setInterval(() => !document.hidden && action(), ms));
  const ends = [
    listen("queues", (state) => { queues = state; showVerdict(); }),
    listen("stats", (state) => { stats = state; showVerdict(); }),
    listen("history", (state) => { points = state.data?.points ?? []; showPoints(); }),
  ];
  return {
    title: "Overview",
    elements: [
      verdict,
      health,
      h("section", {}, h("h2", { class: "unseen" }, "Now"), h("dl", { class: "tiles" }, Object.values(facts).map((one) => one.element)),
        h("p", { class: "soft" }, "Waited and ran: tasks that ended in the last 15 minutes.")),
      h("section", {}, h("h2", {}, "Waiting for a free agent"), blocked),
      h("section", {}, h("div", { class: "fields" }, h("label", {}, "Last ", last)), note,
        h("div", { class: "charts" }, h("div", {}, h("h3", {}, "Waiting and running"), load.box), h("div", {}, h("h3", {}, "Ended per second"), flow.box))),
      h("section", {}, h("h2", {}, "Failed in the last hour"), failures),
    ],
    end: () => {
      left = true;
      timers.forEach(clearInterval);
      [...ends, load.end, flow.end].forEach((one) => one());
    },
  };
}

function fact(name, title) {
  const value = h("dd", { id: "now-" + name }, "–");
  return { value, element: h("div", {}, h("dt", {}, title), value) };
}

/** Redis may have been emptied in between. */
const perSecond = (before, now, counter) => Math.max(0, (now[counter] - before[counter]) * 1000 / (Date.parse(now.at) - Date.parse(before.at)));

/** Says what is down. Without an answer, the page says that the connection is lost. */
async function showHealth(box) {
  const health = await fetch("/health").then((answer) => answer.json()).catch(() => null);
  const problems = Object.entries(health ?? {}).filter(([, one]) => one?.state === "down" || one?.detail && one.state !== "off");
  fill(box, problems.length > 0 && h("section", { class: "verdict " + (health.status === "healthy" ? "warn" : "bad") },
    problems.map(([name, one]) => h("p", {}, h("strong", {}, name), one.state === "down" ? ": down" : "", one.detail ? (one.state === "down" ? ", " : ": ") + one.detail : ""))));
}

function blockedTable(groups) {
  return table("Tasks that wait for a free agent", [{ name: "Tasks", number: true }, { name: "Oldest", number: true }, "Reason", { name: "Requirements", secondary: true }],
    h("tbody", {}, groups.map((group) => h("tr", {},
      h("td", { class: "number" }, tasksOf(group)),
      h("td", { class: "number" }, duration(group.oldest_age_seconds)),
      h("td", { class: "text" }, group.explanation.charAt(0).toUpperCase() + group.explanation.slice(1)),
      h("td", { class: "text secondary" }, requirementsText(group.requirements))))));
}

/** Their number, with a link to them if a search can say what they require. */
function tasksOf({ tasks, requirements }) {
  const { agent_type, capabilities = [], ...others } = requirements;
  const isFound = capabilities.length <= 1 && (agent_type || capabilities.length === 1) && Object.keys(others).length === 0;
  return isFound ? h("a", { href: "#/tasks?" + new URLSearchParams({ status: "queued", ...(agent_type && { agent_type }),
    ...(capabilities.length === 1 && { capability: capabilities[0] }), sort: "submitted_at" }) }, count(tasks)) : count(tasks);
}
