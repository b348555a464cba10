"use strict";
// Writes <time data-time="full"> in the viewer's zone and keeps <time data-time="ago"> current.
(() => {
  const full = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
  const ago = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function age(moment) {
    const seconds = (moment - Date.now()) / 1000;
    const unit = units.find(([, length]) => Math.abs(seconds) >= length);
    if (unit) return ago.format(Math.trunc(seconds / unit[1]), unit[0]);
    return seconds > 5 ? "in a moment" : "just now";
  }

  function write(root) {
    for (const element of root.querySelectorAll("time[data-time]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      const text = element.dataset.time === "ago" ? age(moment) : full.format(moment);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  document.addEventListener("DOMContentLoaded", () => write(document));
  document.addEventListener("htmx:load", (event) => write(event.target.parentNode || document));
  document.addEventListener("causeway:refreshed", (event) => write(event.target));
  setInterval(() => document.hidden || write(document), 15000);
})();
