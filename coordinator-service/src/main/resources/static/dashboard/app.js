import { connect, listen, onConnection } from "./live.js";
import { notify } from "./commands.js";
import { signedIn } from "./session.js";
import { overviewView } from "./overview.js";
import { queuesView } from "./queues.js";
import { agentsView, agentView } from "./agents.js";
import { tasksView } from "./tasks.js";
import { taskView } from "./task.js";
import { statisticsView } from "./statistics.js";
import { deadLettersView } from "./dead-letters.js";
import { clusterView } from "./cluster.js";
import { fill, h } from "./dom.js";

const VIEWS = [
  [/^\/overview$/, overviewView],
  [/^\/queues$/, queuesView],
  [/^\/agents(?:\?(.*))?$/, agentsView],
  [/^\/agents\/(.+)$/, agentView],
  [/^\/tasks(?:\?(.*))?$/, tasksView],
  [/^\/tasks\/(.+)$/, taskView],
  [/^\/statistics(?:\?(.*))?$/, statisticsView],
  [/^\/dead-letters$/, deadLettersView],
  [/^\/cluster$/, clusterView],
];

const main = document.getElementById("main");
const connection = document.getElementById("connection");
let end = () => {};

/** A view is a title, elements, and what to do when it is left. */
function show() {
  const path = location.hash.slice(1) || "/overview";
  if (!path.startsWith("/")) {
    return;
  }
  end();
  notify("");
  // What it asks belongs to the view that is left.
  document.getElementById("question").close();
  const found = VIEWS.map(([pattern, view]) => [pattern.exec(path), view]).find(([match]) => match);
  const view = found
    ? found[1](...found[0].slice(1).map((part) => (part === undefined || path.includes("?") ? part ?? "" : decoded(part))))
    : { title: "Page not found", elements: [h("p", {}, h("a", { href: "#/overview" }, "Go to the overview"))], end: () => {} };
  end = view.end;
  document.title = view.title + " – Agent Coordinator";
  fill(main, h("h1", {}, view.title), view.elements);
  document.querySelectorAll("nav a").forEach((link) => {
    const here = path.split("?")[0] === link.hash.slice(1) || path.startsWith(link.hash.slice(1) + "/");
    here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  });
  window.scrollTo(0, 0);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

onConnection((connected) => {
  connection.textContent = connected === null ? "Connecting…" : connected ? "Live" : "Connection lost. Showing outdated data; reconnecting…";
  connection.classList.toggle("lost", connected === false);
  main.classList.toggle("stale", connected === false);
});

window.addEventListener("hashchange", () => {
  show();
  main.focus();
});
await signedIn(main);
// Also views that listen to nothing show whether the page is connected, and have the coordinator's clock.
listen("stats", () => {});
connect();
show();
