"use strict";
// <button data-copy="text"> copies the text; <button data-copy-from="id"> copies what an element shows.
// <code class="object-id"> gets such a button here, because fifty of them would outweigh a list.
(() => {
  async function write(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Over plain HTTP the clipboard is only reachable through a selection. It must lie in the open dialog to take focus.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr-only";
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("not copied");
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    const from = button.dataset.copyFrom;
    const label = button.getAttribute("aria-label");
    const use = button.querySelector("use");
    const picture = use && use.getAttribute("href");
    let answer = "Copied";
    try {
      await write(from ? document.getElementById(from).textContent.trim() : button.dataset.copy);
    } catch {
      answer = "Copying is not possible here; select the text instead";
    }
    button.focus();
    button.dataset.copied = "";
    button.setAttribute("aria-label", answer);
    button.title = answer;
    if (use) use.setAttribute("href", picture.replace(/#.*/, "#check"));
    setTimeout(() => {
      delete button.dataset.copied;
      button.removeAttribute("title");
      if (label) button.setAttribute("aria-label", label);
      else button.removeAttribute("aria-label");
      if (use) use.setAttribute("href", picture);
    }, 1500);
  });

  const icons = () => document.querySelector('use[href*="icons"]').getAttribute("href").replace(/#.*/, "");

  function equip(id) {
    const text = id.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.dataset.copy = text;
    button.setAttribute("aria-label", `Copy ${text}`);
    button.innerHTML = `<svg class="icon" aria-hidden="true"><use href="${icons()}#copy"/></svg>`;
    id.append(button);
  }

  htmx.onLoad((content) => {
    const ids = [...content.querySelectorAll("code.object-id:not(:has(.copy))")];
    if (content.matches("code.object-id:not(:has(.copy))")) ids.push(content);
    ids.forEach(equip);
  });
})();
