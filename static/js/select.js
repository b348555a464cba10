"use strict";
// Check boxes in a list's rows belong to the form "selection" above it (form="selection"). Without this file they
// work as they are; with it the form says how many are ticked, ticks them all, and waits until there is one.
(() => {
  const form = () => document.getElementById("selection");
  const boxes = () => [...document.querySelectorAll("[form=selection]")];

  function count() {
    const selection = form();
    if (!selection) return;
    const all = selection.querySelector("[data-select-all]");
    const ticked = boxes().filter((box) => box.checked).length;
    const master = all.querySelector("input");
    all.hidden = false;
    all.querySelector("[data-selected]").textContent = String(ticked);
    master.checked = ticked > 0 && ticked === boxes().length;
    master.indeterminate = ticked > 0 && ticked < boxes().length;
    selection.querySelector("button").disabled = ticked === 0;
  }

  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-select-all]")) for (const box of boxes()) box.checked = event.target.checked;
    else if (!event.target.matches("[form=selection]")) return;
    count();
  });

  htmx.onLoad(count);
})();
