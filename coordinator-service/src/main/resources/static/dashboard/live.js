/*
 * What changes, over /ws; where that does not open, over server-sent events. Nothing is shown as current that may not be: listeners
 * hear when the connection is lost, and get everything anew when it is back.
 */
const SILENCE_MS = 25_000;
const topics = new Map();
const statusListeners = new Set();
let socket = null;
let source = null;
let failures = 0;
let everOpened = false;
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
      } else if (source) {
        source.close();
        openEvents();
      }
    });
  }
}

function received(text) {
  lastHeard = Date.now();
  tell(true);
  const message = JSON.parse(text);
  const one = topics.get(message.topic);
  if (message.kind === "refused") {
    console.warn(message.detail);
  }
  if (!one) {
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
    failures = 0;
    everOpened = true;
    tell(true);
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
  const useEvents = !everOpened && failures >= 3;
  setTimeout(useEvents ? openEvents : open, useEvents ? 0 : Math.min(5_000, 250 * 2 ** failures));
}

function openEvents() {
  source = null;
  if (topics.size > 0) {
    source = new EventSource("/events?topics=" + [...topics.keys()].map(encodeURIComponent).join(","));
    source.onmessage = (event) => received(event.data);
    source.onerror = () => tell(false);
  }
}

setInterval(() => {
  if (Date.now() - lastHeard > SILENCE_MS && socket) {
    const silent = socket;
    socket = null;
    silent.close();
    again();
  }
}, 1_000);

open();
