/** Makes an element; what begins with "on" is listened to, true is an attribute without value, null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...nodes(children));
  return element;
}

/** Replaces what an element holds. Takes nested lists and gaps as h does: the browser's own replaceChildren would print a list as text. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

const nodes = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Changes only what is different, so that what somebody reads or has selected stays as it is. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) {
    element.textContent = wanted;
  }
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const rate = (value) => (value === null || value === undefined ? "–" : one.format(value));
export const percent = (share) => whole.format(100 * share) + " %";

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) {
    return "–";
  }
  if (seconds < 1) {
    return Math.round(seconds * 1000) + " ms";
  }
  if (seconds < 60) {
    return one.format(seconds) + " s";
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return minutes + " min " + Math.floor(seconds % 60) + " s";
  }
  return minutes < 48 * 60
    ? Math.floor(minutes / 60) + " h " + (minutes % 60) + " min"
    : Math.floor(minutes / 1440) + " days";
}

/** Only what is required: some answers name the rest too, as null or empty. */
export function requirementsText(requirements) {
  return Object.entries(requirements ?? {})
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => name.replaceAll("_", " ") + " " + (Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value))
    .join("; ") || "none";
}

let aheadMs = 0;

/** Ages are by the clock of the coordinator: that of this machine may be wrong. */
export function setClock(instant) {
  aheadMs = Date.parse(instant) - Date.now();
}

/** By the clock of the coordinator, in ms. */
export const now = () => Date.now() + aheadMs;
export const since = (instant) => Math.max(0, (now() - Date.parse(instant)) / 1000);
export const clock = (instant) => new Date(instant).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });

/** How a column looks: numbers to the right; what is secondary is left out on a phone. */
export const classOf = (column) => [column.number && "number", column.secondary && "secondary", column.wideOnly && "wide-only"].filter(Boolean).join(" ") || null;

/** A table that scrolls by itself where it is too wide, also by keyboard. */
export function table(label, columns, body) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label },
    h("table", {},
      h("thead", {}, h("tr", {}, columns.map((column) =>
        column instanceof Node ? column : h("th", { scope: "col", class: classOf(column) }, column.name ?? column)))),
      body));
}
