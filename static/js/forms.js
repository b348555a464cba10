"use strict";
// Forms as they are sent, left and kept: a button is busy while its form runs, a question comes before a filled form is
// closed, and a log-in that has ended is renewed over the page, so that nothing typed is lost.
//
//   causeway:leave     asked of an overlay before it closes; prevented where its form was filled
//   causeway:dismiss   sent to the overlay when its user has chosen to discard
(() => {
  const PLAIN_SECONDS = 8; // a plain form that leads to no other page, such as a download, may be sent again afterwards
  const byId = (id) => document.getElementById(id);

  // --- Busy ------------------------------------------------------------------------------------------------------

  function busy(form, on) {
    const button = form.sentBy || form.querySelector("button:not([type=button])");
    form.toggleAttribute("aria-busy", on);
    if (on) form.setAttribute("aria-busy", "true");
    if (button) button.setAttribute("aria-disabled", on ? "true" : "false");
    if (!on && button) button.removeAttribute("aria-disabled");
  }

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.method !== "post") return;
      if (form.hasAttribute("aria-busy")) {
        event.preventDefault();
        event.stopImmediatePropagation();
        return;
      }
      form.sentBy = event.submitter;
      busy(form, true);
      if (form.hasAttribute("hx-post")) return;
      form.sent = true;
      setTimeout(() => busy(form, false), PLAIN_SECONDS * 1000);
    },
    true,
  );

  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.requestConfig.elt;
    if (form.localName === "form") busy(form, false);
  });

  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[aria-busy]")) busy(form, false);
    for (const form of document.forms) form.sent = false;
  });

  // --- Filled ----------------------------------------------------------------------------------------------------

  const differs = (field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
    return field.type !== "hidden" && field.type !== "search" && field.value !== field.defaultValue;
  };

  /** Whether a form holds what its page did not: typed now, or typed before it was refused. */
  function filled(form) {
    if (form.method !== "post" || form.sent || form.matches("[data-submit-on-change], [data-theme-form]")) return false;
    if (form.querySelector(".error-summary")) return true;
    if (form.touched && form.querySelector(".picker-search")) return true;
    return Boolean(form.touched) && [...form.elements].some(differs);
  }

  document.addEventListener("input", (event) => {
    if (event.target.form && event.target.type !== "search") event.target.form.touched = true;
  });

  const filledIn = (place) => [...place.querySelectorAll("form")].some(filled);

  function ask(discard) {
    const question = byId("leave");
    question.discard = discard;
    question.showModal();
    // After the press that led here, whose end would take the focus away.
    setTimeout(() => question.querySelector("[autofocus]").focus());
  }

  function discarded(place) {
    for (const form of place.querySelectorAll("form")) form.sent = true;
  }

  document.addEventListener("causeway:leave", (event) => {
    const overlay = event.target;
    if (!filledIn(overlay)) return;
    event.preventDefault();
    ask(() => {
      discarded(overlay);
      overlay.dispatchEvent(new CustomEvent("causeway:dismiss", { bubbles: true, detail: event.detail }));
    });
  });

  // A link inside an overlay that would replace the filled form.
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb, target } = event.detail;
    const overlay = elt.closest("#panel, #dialog");
    if (verb !== "get" || !overlay || target !== overlay || !elt.matches("a") || !filledIn(overlay)) return;
    event.preventDefault();
    ask(() => {
      discarded(overlay);
      event.detail.issueRequest(true);
    });
  });

  document.addEventListener("click", (event) => {
    const answer = event.target.closest("#leave [data-answer]");
    if (!answer) return;
    const question = byId("leave");
    question.close();
    if (answer.dataset.answer === "discard") question.discard();
  });

  // Escape is answered here: a browser closes a dialog at the second press, whatever the first one was answered.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || document.querySelector(":popover-open")) return;
    const top = ["leave", "log-in", "dialog", "panel"].map(byId).find((place) => place && place.open);
    if (!top) return;
    event.preventDefault();
    if (top.id === "leave" || top.id === "log-in") top.close();
    else top.dispatchEvent(new CustomEvent("causeway:dismiss", { bubbles: true }));
  });

  window.addEventListener("beforeunload", (event) => {
    if (filledIn(document)) event.preventDefault();
  });

  // --- The end of a log-in ---------------------------------------------------------------------------------------

  let pending = null; // the form whose sending met the end of the log-in

  document.addEventListener("htmx:afterSwap", (event) => {
    const place = event.detail.target;
    if (!place || place.id !== "log-in") return; // live.js swaps without a target
    pending = event.detail.requestConfig.elt.closest("form");
    if (!place.open) place.showModal();
    place.querySelector("input:not([type=hidden])").focus();
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("#log-in form")) return;
    event.preventDefault();
    form.sent = false;
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin" }).catch(() => null);
    busy(form, false);
    const session = answer && answer.ok && answer.headers.get("Content-Type").includes("json") ? await answer.json() : null;
    const complaint = form.querySelector("[data-complaint]");
    if (session) resume(form.closest("dialog"), session);
    else complaint.textContent = answer && answer.status < 500 ? "Username or password is wrong, or this log-in needs more than these." : "The console did not answer. Try again in a moment.";
  });

  function resume(place, session) {
    for (const field of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) field.value = session.csrf;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": session.csrf }));
    const same = session.user === place.dataset.user;
    place.close();
    place.replaceChildren();
    if (same && pending) pending.requestSubmit(pending.sentBy && pending.sentBy.isConnected ? pending.sentBy : undefined);
    else if (pending) pending.querySelector("button:not([type=button])")?.focus();
    pending = null;
  }
})();
