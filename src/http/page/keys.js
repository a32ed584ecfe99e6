// The key: asked for in a dialog once the server wants one, kept in this tab's session storage, nowhere else.

import { byId } from "./element.js";

const PLACE = "verbatim-key";
const dialog = byId("keys");
const secret = byId("keys-secret");
let asking = null;

export function current() {
  return sessionStorage.getItem(PLACE) ?? "";
}

function keep(key) {
  if (key) sessionStorage.setItem(PLACE, key);
  else sessionStorage.removeItem(PLACE);
  byId("key").hidden = !key;
  dispatchEvent(new Event("key-changed"));
}

/** Asks once, however many wait for it; whether there is a key now that `refused` is not. */
export function demand(refused) {
  // Somebody else was told in the meantime.
  if (current() && current() !== refused) return Promise.resolve(true);
  asking ??= open(refused ? "That key is not known to this server." : "").finally(() => (asking = null));
  return asking;
}

/** Opens the dialog; whether a key was given. */
export function open(wrong = "") {
  byId("keys-wrong").textContent = wrong;
  byId("keys-forget").hidden = !current();
  secret.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  secret.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
  });
}

byId("keys-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = secret.value.trim();
  if (!key) return;
  // What cannot stand in a header can be no key, and would fail in a way that says nothing.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    byId("keys-wrong").textContent = "A key has letters, digits and signs, and no spaces.";
    return;
  }
  keep(key);
  dialog.close("given");
});
byId("keys-cancel").addEventListener("click", () => dialog.close(""));
byId("keys-forget").addEventListener("click", () => {
  keep("");
  dialog.close("");
});
byId("key").addEventListener("click", () => open());
byId("give-key").addEventListener("click", () => open());
byId("key").hidden = !current();
