import { call } from "./commands.js";
import { fill, h } from "./dom.js";

/** Resolves once the user is signed in; at once while security is off. */
export async function signedIn(main) {
  // Without an answer, the views say that the connection is lost.
  const session = await call("GET", "/auth/session").catch(() => ({ security: "off" }));
  if (session.security === "on") {
    showCaller(session.name ? session : await signIn(main));
  }
}

function signIn(main) {
  document.title = "Sign in – Agent Coordinator";
  document.getElementById("connection").textContent = "";
  return new Promise((done) => {
    const key = h("input", { id: "credential", type: "password", autocomplete: "current-password", required: true });
    const failure = h("p", { class: "bad-text", role: "alert", id: "sign-in-failure" });
    const form = h("form", {
      id: "sign-in",
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          done(await call("POST", "/auth/session", { credential: key.value.trim() }));
        } catch (e) {
          failure.textContent = e.message;
          key.select();
        }
      },
    }, h("label", { for: "credential" }, "API key or token"), " ", key, " ", h("button", {}, "Sign in"));
    fill(main, h("h1", {}, "Sign in"), h("section", {}, form, failure));
    key.focus();
  });
}

function showCaller({ name, role }) {
  const leave = async () => {
    await call("DELETE", "/auth/session");
    location.reload();
  };
  fill(document.getElementById("caller"), name + " (" + role + ") ", h("button", { onclick: leave }, "Sign out"));
}
