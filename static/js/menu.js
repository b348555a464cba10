"use strict";
// Menus are popovers: they open, close and take Escape without a script. This puts them beside their button and adds the arrow keys.
(() => {
  const items = (menu) => [...menu.querySelectorAll("a[href], button, .unavailable")];
  const buttonOf = (menu) => document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);

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

  // "toggle" does not bubble; it is caught on its way down.
  document.addEventListener(
    "toggle",
    (event) => {
      const menu = event.target;
      if (!(menu instanceof HTMLElement) || !menu.matches("[data-menu]")) return;
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
