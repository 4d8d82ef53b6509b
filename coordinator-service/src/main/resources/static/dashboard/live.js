/*
 * What changes, over /ws; where that does not open, over server-sent events. Nothing is shown as current that may not be: listeners
 * hear when the connection is lost, and get everything anew when it is back.
 */
import { setClock } from "./dom.js";

const SILENCE_MS = 25_000;
const topics = new Map();
const statusListeners = new Set();
let socket = null;
let source = null;
let failures = 0;
let everOpened = false;
let usesEvents = false;
let lastHeard = Date.now();
let connected = null;

function topic(name) {
  if (!topics.has(name)) {
    topics.set(name, { state: { data: null, error: null, at: null }, listeners: new Set() });
  }
  return topics.get(name);
}

/** Listens to a topic; gives a function that ends it. */
export function listen(name, listener) {
  const one = topic(name);
  const first = one.listeners.size === 0;
  one.listeners.add(listener);
  if (one.state.data || one.state.error) {
    listener(one.state);
  }
  if (first) {
    ask();
  }
  return () => {
    one.listeners.delete(listener);
    if (one.listeners.size === 0) {
      topics.delete(name);
      if (usesEvents) {
        ask();
      }
      if (socket?.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ unsubscribe: [name] }));
      }
    }
  };
}

export function onConnection(listener) {
  statusListeners.add(listener);
  listener(connected);
}

function tell(now) {
  if (connected !== now) {
    connected = now;
    statusListeners.forEach((listener) => listener(now));
  }
}

/** Whatever is asked for in one go is asked for at once. */
let asking = false;
function ask() {
  if (!asking) {
    asking = true;
    queueMicrotask(() => {
      asking = false;
      if (socket?.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ subscribe: [...topics.keys()] }));
      } else if (usesEvents) {
        openEvents();
      }
    });
  }
}

function received(text) {
  lastHeard = Date.now();
  failures = 0;
  tell(true);
  const message = JSON.parse(text);
  if (message.at) {
    setClock(message.at);
  }
  const one = topics.get(message.topic);
  if (!one) {
    return;
  }
  if (message.kind === "refused") {
    one.state = { ...one.state, error: message.detail };
    one.listeners.forEach((listener) => listener(one.state));
    return;
  }
  if (message.kind === "change" && one.state.data === null) {
    // Of the time before this page asked anew: the whole follows.
    return;
  }
  if (message.kind === "unavailable") {
    one.state = { ...one.state, error: message.detail, at: message.at };
  } else {
    const data = message.kind === "change" ? changed(message.topic, one.state.data, message.data) : fresh(message.topic, message.data);
    one.state = { data, error: null, at: message.at };
  }
  one.listeners.forEach((listener) => listener(one.state));
}

const byId = (rows) => new Map(rows.map((row) => [row.agent_id, row]));

function fresh(name, data) {
  return name === "agents" ? { agents: byId(data.agents) } : data;
}

function changed(name, before, change) {
  if (name === "agents") {
    change.gone.forEach((id) => before.agents.delete(id));
    change.changed.forEach((row) => before.agents.set(row.agent_id, row));
    return before;
  }
  return { points: [...before.points, ...change.points].slice(-180) };
}

function open() {
  const opened = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
  socket = opened;
  lastHeard = Date.now();
  opened.onopen = () => {
    everOpened = true;
    ask();
  };
  opened.onmessage = (event) => received(event.data);
  opened.onclose = () => {
    if (socket === opened) {
      again();
    }
  };
}

function again() {
  tell(false);
  socket = null;
  failures++;
  usesEvents = !everOpened && failures >= 3;
  setTimeout(usesEvents ? openEvents : open, Math.min(5_000, 250 * 2 ** failures));
}

/** For other topics another is opened. */
function openEvents() {
  source?.close();
  source = null;
  if (topics.size > 0) {
    const opened = new EventSource("/events?topics=" + [...topics.keys()].map(encodeURIComponent).join(","));
    source = opened;
    lastHeard = Date.now();
    opened.onmessage = (event) => received(event.data);
    opened.onerror = () => {
      tell(false);
      if (source === opened && opened.readyState === EventSource.CLOSED) {
        source = null;
        failures++;
        setTimeout(openEvents, Math.min(10_000, 500 * 2 ** failures));
      }
    };
  }
}

setInterval(() => {
  if (Date.now() - lastHeard > SILENCE_MS && (socket || source)) {
    lastHeard = Date.now();
    if (source) {
      tell(false);
      openEvents();
    } else {
      const silent = socket;
      socket = null;
      silent.close();
      again();
    }
  }
}, 1_000);

/** Called once nobody has to sign in. */
export const connect = open;
