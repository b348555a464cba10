"use strict";
// Menus are popovers: they open, close and take Escape without a script. This puts them beside their button and adds the arrow keys.
(() => {
  const items = (menu) => [...menu.querySelectorAll("a[href], button, .unavailable")];
  const buttonOf = (menu) => menu.openedBy || document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);

  function place(menu) {
    const button = buttonOf(menu);
    if (!button) return;
    const box = button.getBoundingClientRect();
    menu.dataset.placed = "";
    const below = box.bottom + 4;
    const fits = below + menu.offsetHeight < window.innerHeight || box.top < menu.offsetHeight;
    // On the root, not on the menu: htmx would copy the menu's style attribute to its successor, which the policy refuses.
    const root = document.documentElement.style;
    root.setProperty("--menu-top", `${Math.max(4, fits ? below : box.top - 4 - menu.offsetHeight)}px`);
    root.setProperty("--menu-left", `${Math.max(4, Math.min(box.left, window.innerWidth - menu.offsetWidth - 8))}px`);
  }

  // <a href="…" data-more>: what the address answers becomes the menu beside the link; one such menu at a time.
  async function openFetched(link) {
    document.getElementById("row-menu")?.remove();
    const answer = await fetch(link.href, { headers: { "HX-Request": "true", "HX-Target": "row-menu" }, credentials: "same-origin" });
    const type = answer.headers.get("Content-Type") || "";
    if (answer.status !== 200 || answer.headers.has("HX-Redirect") || !type.startsWith("text/html")) return location.assign(link.href);
    const html = await answer.text();
    if (!link.isConnected) return undefined; // the list was refreshed meanwhile
    const menu = document.createElement("div");
    menu.id = "row-menu";
    menu.className = "menu";
    menu.popover = "auto";
    menu.dataset.menu = "";
    menu.openedBy = link;
    link.after(menu);
    htmx.swap(menu, html, { swapStyle: "innerHTML" });
    menu.showPopover();
    return undefined;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-more]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openFetched(link);
  });

  document.addEventListener("keydown", (event) => {
    const link = event.key === "ArrowDown" && event.target.closest?.("a[data-more]");
    if (!link) return;
    event.preventDefault();
    openFetched(link);
  });

  // "toggle" does not bubble; it is caught on its way down.
  document.addEventListener(
    "toggle",
    (event) => {
      const menu = event.target;
      if (!(menu instanceof HTMLElement) || !menu.matches("[data-menu]")) return;
      menu.openedBy?.setAttribute("aria-expanded", String(event.newState === "open"));
      if (event.newState === "open") {
        place(menu);
        items(menu)[0]?.focus();
      } else {
        delete menu.dataset.placed;
      }
    },
    true,
  );

  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("[data-menu]");
    if (!menu) return;
    const all = items(menu);
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all[(to + all.length) % all.length].focus();
  });

  document.addEventListener("click", (event) => {
    const menu = event.target.closest("[data-menu]");
    if (menu && event.target.closest("a, button")) menu.hidePopover();
  });

  const closeAll = () => document.querySelectorAll("[data-menu]:popover-open").forEach((menu) => menu.hidePopover());
  window.addEventListener("resize", closeAll);
  document.addEventListener("scroll", closeAll, { capture: true, passive: true });
})();
