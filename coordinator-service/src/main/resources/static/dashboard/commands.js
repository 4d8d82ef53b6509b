const notice = document.getElementById("notice");
const question = document.getElementById("question");

export function notify(text, bad = false) {
  notice.textContent = text;
  notice.classList.toggle("bad", bad);
}

/** Proves that this page sends the request, not another site: that cannot read the cookie. */
function csrf() {
  const token = /(?:^|; )XSRF-TOKEN=([^;]*)/.exec(document.cookie);
  return token ? { "X-XSRF-TOKEN": decodeURIComponent(token[1]) } : {};
}

/** The answer of the coordinator; what goes wrong is one sentence. */
export async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { ...(body ? { "Content-Type": "application/json" } : {}), ...csrf() },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new Error("The coordinator does not respond.");
  }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(json.detail ?? "The coordinator responded with status " + answer.status + ".");
  }
  return json;
}

/** Does something and says what came of it; a failure after a prefix, which names what it is about. */
export async function command(button, method, path, body, prefix = "") {
  if (button.getAttribute("aria-disabled")) {
    return null;
  }
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await call(method, path, body);
    notify(answer.message + ".");
    return answer;
  } catch (failure) {
    notify(prefix + failure.message, true);
    return null;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

export function confirm(text, yes, no) {
  document.getElementById("question-text").textContent = text;
  document.getElementById("question-yes").textContent = yes;
  document.getElementById("question-no").textContent = no;
  question.returnValue = "no";
  question.showModal();
  return new Promise((answered) => {
    question.addEventListener("close", () => answered(question.returnValue === "yes"), { once: true });
  });
}
