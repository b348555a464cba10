"use strict";
// <div id="…" data-live="URL" data-every="5"> is fetched anew every 5 s and replaced by what comes, an element of the same id.
// 204 and 304 mean: nothing changed. Nothing is asked while the tab is hidden, and nothing is swapped from under the user's hands.
(() => {
  const due = new WeakMap(); // element → when it is to be asked next
  const busy = new WeakSet();
  let failures = 0;

  const inUse = (element) =>
    element.querySelector(":popover-open, [form=selection]:checked") || (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));

  async function refresh(element) {
    busy.add(element);
    try {
      const headers = { "HX-Request": "true", "HX-Target": element.id, "HX-Current-URL": location.href };
      if (element.etag) headers["If-None-Match"] = element.etag;
      const answer = await fetch(element.dataset.live, { headers, credentials: "same-origin", redirect: "manual" });
      failures = 0;
      if (answer.headers.has("HX-Redirect")) location.assign(answer.headers.get("HX-Redirect"));
      else if (answer.status === 286) delete element.dataset.live;
      else if (answer.status === 200) swap(element, await answer.text(), answer.headers.get("ETag"));
    } catch {
      failures = Math.min(failures + 1, 6); // the console cannot be reached: what stands stays, asked ever less often
    } finally {
      busy.delete(element);
    }
  }

  function swap(element, html, etag) {
    if (html === element.lastHtml || !element.isConnected || inUse(element)) return;
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && { id: focused.id, href: focused.getAttribute("href") };
    const scroll = element.querySelector(".table-scroll")?.scrollLeft;
    const id = element.id;
    htmx.swap(element, html, { swapStyle: "outerHTML" });
    const fresh = document.getElementById(id);
    if (!fresh) return;
    fresh.lastHtml = html;
    fresh.etag = etag;
    if (scroll) fresh.querySelector(".table-scroll").scrollLeft = scroll;
    if (mark) {
      const again = mark.id ? document.getElementById(mark.id) : mark.href && fresh.querySelector(`a[href="${CSS.escape(mark.href)}"]`);
      again?.focus({ preventScroll: true });
    }
    fresh.dispatchEvent(new Event("causeway:refreshed", { bubbles: true }));
  }

  function tick() {
    if (document.hidden) return;
    const now = Date.now();
    for (const element of document.querySelectorAll("[data-live]")) {
      const every = 1000 * Math.max(1, Number(element.dataset.every) || 5) * 2 ** failures;
      if (!due.has(element)) due.set(element, now + every);
      else if (now >= due.get(element) && !busy.has(element)) {
        due.set(element, now + every);
        refresh(element);
      }
    }
  }

  setInterval(tick, 500);
})();
