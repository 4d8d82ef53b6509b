import { command, notify } from "./commands.js";
import { h } from "./dom.js";

/** A form for the JSON of a task; shows the new task. */
export function jsonForm(id, label, value, send) {
  const input = h("textarea", { id, rows: 10, cols: 70, spellcheck: "false" }, JSON.stringify(value, null, 2));
  const button = h("button", {}, label);
  return h("form", { onsubmit: async (event) => {
    event.preventDefault();
    let json;
    try {
      json = JSON.parse(input.value);
    } catch (failure) {
      notify("This is not valid JSON: " + failure.message, true);
      return;
    }
    const answer = await command(button, "POST", ...send(json));
    if (answer) {
      location.hash = "#/tasks/" + encodeURIComponent(answer.task_id);
    }
  } }, h("label", { for: id }, "JSON"), input, h("div", { class: "actions" }, button));
}

/** Where a browser has no clipboard, as over plain HTTP from another machine, the text is shown instead. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied.");
  } catch {
    notify(text);
  }
}

/** A command that submits a task, for a shell. */
export function curl(json) {
  const credential = document.getElementById("caller").textContent ? ' -H "Authorization: Bearer $AITBC_API_KEY"' : "";
  return `curl -s ${location.origin}/tasks/submit${credential} -H 'Content-Type: application/json' -d '${json.replaceAll("'", "'\\''")}'`;
}
