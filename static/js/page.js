"use strict";
// Small behaviour every page shares: forms that submit themselves, messages that can be dismissed, errors that are said.
(() => {
  document.documentElement.classList.add("scripted");

  /** A sentence above the content (or in the panel, when one is open). */
  function say(sentence) {
    const place = document.querySelector("dialog[open] .notices") || document.getElementById("notices");
    if (!place) return;
    const note = document.createElement("div");
    note.className = "message notice notice-error";
    note.setAttribute("role", "alert");
    note.textContent = sentence;
    place.replaceChildren(note);
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit-on-change]");
    const control = event.target.closest("select[data-submit-on-change]");
    if (form || control) (form || control.form).requestSubmit();
  });

  document.addEventListener("click", (event) => {
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss && !dismiss.closest("dialog > .message")) dismiss.closest(".message").remove();
    if (event.target.closest("[data-go-back]")) window.history.back();
  });

  // A switch that is a link answers to Space as switches do.
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches('a[role="switch"]')) return;
    event.preventDefault();
    event.target.click();
  });

  // A picker searches while one types; Enter there is not meant for the form around it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches(".picker-search input")) event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-go-back]")) button.hidden = window.history.length < 2;
  });

  document.addEventListener("htmx:sendError", () => say("The console cannot be reached. Check the network and try again."));
  document.addEventListener("htmx:timeout", () => say("The console did not answer in time. Try again in a moment."));
})();
