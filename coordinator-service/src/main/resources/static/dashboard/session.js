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
    const failure = h("p", { class: "bad-text", role: "alert", id: "sign-in-failure" });
    const form = (id, inputs, body) => h("form", {
      id,
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          done(await call("POST", "/auth/session", body()));
        } catch (e) {
          failure.textContent = e.message;
          inputs[inputs.length - 1].select();
        }
      },
    }, inputs.map((input) => [h("label", { for: input.id }, input.title), " ", input, " "]), h("button", {}, "Sign in"));
    const key = h("input", { id: "credential", title: "API key or token", type: "password", autocomplete: "off", required: true });
    const name = h("input", { id: "username", title: "User", autocomplete: "username", required: true });
    const password = h("input", { id: "password", title: "Password", type: "password", autocomplete: "current-password", required: true });
    fill(main, h("h1", {}, "Sign in"), h("section", {},
      form("sign-in", [key], () => ({ credential: key.value.trim() })),
      form("sign-in-user", [name, password], () => ({ username: name.value, password: password.value })),
      failure));
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
