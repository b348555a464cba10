"use strict";
// The panel, the dialog, and the history that belongs to them. Links and forms work without this file; it loads
// what they lead to into <dialog id="panel"> or <dialog id="dialog"> and keeps the address bar true.
//
//   <a href="…" data-panel>   opens the page in the panel and puts its address into the address bar
//   <a href="…" data-dialog>  opens it in the dialog; the address bar stays
//   <form data-leave>         after success the panel closes even when it stood under the dialog
//
// htmx's own history is switched off: it would keep copies of pages, with whatever stood on them, in the browser's storage.
(() => {
  const overlays = ["panel", "dialog"];
  const byId = (id) => document.getElementById(id);
  const here = () => location.pathname + location.search;

  let shown = here(); // the address whose content #page holds
  let pageTitle = document.title;
  let stale = false; // something changed that the page under the panel shows
  let opener = null;
  let following = Promise.resolve(); // the page loads that going back and forth has asked for
  let quietly = false; // the next popstate only tidies up
  const closings = { panel: 0, dialog: 0 }; // so that a late answer does not open again what its user has closed

  history.replaceState({ overlay: false, depth: 0 }, "");

  // --- Links and forms become htmx requests, declared here once --------------------------------------------------

  function boost(element, target) {
    element.setAttribute("hx-boost", "true");
    element.setAttribute("hx-target", `#${target}`);
    element.setAttribute("hx-swap", "innerHTML");
    element.setAttribute("hx-push-url", "false");
    htmx.process(element);
  }

  htmx.onLoad((content) => {
    for (const name of overlays) {
      const links = [...content.querySelectorAll(`a[data-${name}]`)];
      if (content.matches(`a[data-${name}]`)) links.push(content);
      links.forEach((link) => boost(link, name));
    }
    document.documentElement.dataset.ready = ""; // from here on a click is answered by these scripts
    const overlay = content.closest("dialog");
    if (!overlay) return;
    for (const form of overlay.querySelectorAll('form[method="post"]:not([hx-post], [data-plain])')) {
      // Not hx-boost: that would hold for every link inside the form. An empty action means the overlay's own address,
      // which for a dialog is not the one in the address bar.
      form.setAttribute("hx-post", form.getAttribute("action") || overlay.dataset.url);
      form.setAttribute("hx-target", `#${overlay.id}`);
      form.setAttribute("hx-swap", "innerHTML");
      htmx.process(form);
    }
  });

  // --- Opening ---------------------------------------------------------------------------------------------------

  function asOverlay(event) {
    const target = event.detail.target;
    return target && overlays.includes(target.id) ? target : null;
  }

  function closedSince(event, id) {
    const then = event.detail.requestConfig.closings;
    return Boolean(then) && then[id] !== closings[id];
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    event.detail.requestConfig.closings = { ...closings };
    const overlay = asOverlay(event);
    if (!overlay) return;
    if (!overlay.open) opener = opener && byId("panel").open ? opener : document.activeElement;
    if (overlay.id === "dialog") overlay.opener = document.activeElement;
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const overlay = asOverlay(event);
    if (overlay && closedSince(event, overlay.id)) {
      event.detail.shouldSwap = false;
      return;
    }
    // A whole page is no content for a panel: go there instead.
    if (overlay && /^\s*<(!doctype|html)/i.test(event.detail.serverResponse)) {
      event.detail.shouldSwap = false;
      location.assign(event.detail.pathInfo.responsePath || event.detail.pathInfo.finalRequestPath);
    }
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const overlay = asOverlay(event);
    if (!overlay) return;
    const { requestConfig, pathInfo } = event.detail;
    if (requestConfig.verb === "get") {
      overlay.dataset.url = pathInfo.responsePath || pathInfo.finalRequestPath;
      if (overlay.id === "panel") remember(overlay.dataset.url);
    }
    if (!overlay.open) {
      // The page is held still while something is open; what its scrollbar took stays free, so that nothing moves.
      const root = document.documentElement;
      if (!document.querySelector("dialog[open]")) root.style.setProperty("--scrollbar", `${window.innerWidth - root.clientWidth}px`);
      overlay.showModal();
    }
    focusInto(overlay, event.detail.successful === false || requestConfig.verb !== "get");
  });

  function remember(url) {
    if (url === here()) return;
    const depth = (history.state && history.state.depth) || 0;
    history.pushState({ overlay: true, depth: depth + 1 }, "", url);
  }

  /** First what is wrong, then the first field, then the heading. */
  function focusInto(overlay, answered) {
    const error = answered && overlay.querySelector(".error-summary");
    const field = overlay.querySelector(
      "[autofocus], .field input:not([type=hidden], :disabled), .field select:not(:disabled), .field textarea:not(:disabled)",
    );
    (error || field || overlay.querySelector("h2") || overlay).focus({ preventScroll: !error });
  }

  // --- Closing ---------------------------------------------------------------------------------------------------

  function shut(overlay) {
    if (!overlay.open) return;
    closings[overlay.id] += 1;
    overlay.close();
    overlay.replaceChildren();
    delete overlay.dataset.url;
  }

  /** The user closes, unless forms.js has to ask first because a form was filled: back to where the overlay was opened from. */
  function dismiss(overlay) {
    if (!overlay.dispatchEvent(new CustomEvent("causeway:leave", { bubbles: true, cancelable: true }))) return;
    if (overlay.id === "dialog") {
      const back = overlay.opener;
      shut(overlay);
      refocus(back);
      return;
    }
    const depth = (history.state && history.state.depth) || 0;
    if (depth) history.go(-depth); // popstate closes it
    else closePanel();
  }

  function closePanel() {
    overlays.forEach((id) => shut(byId(id)));
    document.title = pageTitle;
    refocus(opener);
    opener = null;
    if (stale) {
      stale = false;
      loadPage(shown);
    }
  }

  /** Focus what opened the overlay, or what took its place when the page was drawn anew. */
  function refocus(element) {
    if (!element || element === document.body) return;
    let again = element;
    if (!element.isConnected) {
      const href = element.getAttribute("href");
      again = (element.id && byId(element.id)) || (href && document.querySelector(`#page a[href="${CSS.escape(href)}"]`));
    }
    const popover = again && again.closest("[popover]");
    if (popover && !popover.matches(":popover-open")) again = byId(`${popover.id}-button`) || again;
    (again || byId("main")).focus({ preventScroll: true });
  }

  document.addEventListener("causeway:dismiss", (event) => dismiss(event.target));

  document.addEventListener("click", (event) => {
    const overlay = event.target.closest("dialog");
    if (!overlay || !overlays.includes(overlay.id)) return;
    const close = event.target.closest("[data-close]");
    if (close) event.preventDefault();
    if (close) dismiss(overlay);
  });

  document.addEventListener("pointerdown", (event) => {
    // On the backdrop: the target is the dialog itself. A press that begins inside and ends outside does not count.
    const overlay = event.target;
    if (overlay instanceof HTMLDialogElement && overlays.includes(overlay.id)) {
      const box = overlay.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) dismiss(overlay);
    }
  });

  for (const id of overlays) {
    byId(id).addEventListener("cancel", (event) => {
      event.preventDefault();
      dismiss(event.target);
    });
  }

  // --- After a successful form: HX-Location ----------------------------------------------------------------------

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const header = event.detail.xhr.getResponseHeader("HX-Location");
    if (!header) return;
    const there = JSON.parse(header);
    const source = event.detail.elt;
    event.preventDefault();
    if (there.target === "#panel" && closedSince(event, "panel")) {
      shut(byId("dialog"));
      loadPage(shown);
    } else if (there.target === "#panel") {
      stale = true;
      shut(byId("dialog"));
      loadPanel(there.path);
    } else if (source.closest("#dialog") && byId("panel").open && !source.closest("[data-leave]")) {
      stale = true;
      shut(byId("dialog"));
      loadPanel(byId("panel").dataset.url);
    } else {
      visit(there.path);
    }
  });

  /** Show the page at ``path``; the list it was opened from keeps its page, order and search. */
  async function visit(path) {
    const base = new URL(shown, location.href);
    const wanted = new URL(path, location.href);
    const target = wanted.pathname === base.pathname && !wanted.search ? shown : wanted.pathname + wanted.search;
    const depth = (history.state && history.state.depth) || 0;
    await loadPage(target);
    if (target !== here() && depth && target === base.pathname + base.search) {
      quietly = true;
      history.go(-depth);
    } else if (target !== here()) {
      history[depth ? "replaceState" : "pushState"]({ overlay: false, depth: 0 }, "", target);
    }
    overlays.forEach((id) => shut(byId(id)));
    refocus(opener || byId("main"));
    opener = null;
  }

  async function loadPage(path) {
    stale = false;
    await htmx.ajax("GET", path, { target: "#page", select: "#page", swap: "outerHTML" });
    shown = path;
    pageTitle = document.title;
  }

  function loadPanel(path) {
    return htmx.ajax("GET", path, { target: "#panel", swap: "innerHTML" });
  }

  // --- The address bar -------------------------------------------------------------------------------------------

  // Tables: their links are boosted, htmx says where they lead.
  document.addEventListener("htmx:beforeHistoryUpdate", (event) => {
    const path = event.detail.history.path;
    const overlay = event.detail.target.closest("dialog");
    if (!overlay) {
      history.pushState({ overlay: false, depth: 0 }, "", path);
      shown = path;
    } else if (overlay.id === "panel" && overlay !== event.detail.target) {
      history.replaceState(history.state, "", path);
      overlay.dataset.url = path;
    }
  });

  window.addEventListener("popstate", (event) => {
    if (quietly) {
      quietly = false;
      return;
    }
    const state = event.state || {};
    const panel = byId("panel");
    if (panel.open && !state.overlay && !panel.dispatchEvent(new CustomEvent("causeway:leave", { bubbles: true, cancelable: true }))) {
      quietly = true; // the address comes back while the question is asked
      history.go(1);
      return;
    }
    if (state.overlay) loadPanel(here());
    else if (here() !== shown) {
      overlays.forEach((id) => shut(byId(id)));
      opener = null;
      // One after the other: a second answer must not go where the first one has replaced the page.
      following = following.then(() => here() !== shown && loadPage(here())).catch(() => {});
    } else closePanel();
  });
})();
