"use strict";
// Writes <time data-time="full"> in the viewer's zone and keeps every other <time> current: how long ago it is.
(() => {
  const ago = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function age(moment) {
    const seconds = (moment - Date.now()) / 1000;
    const unit = units.find(([, length]) => Math.abs(seconds) >= length);
    if (unit) return ago.format(Math.trunc(seconds / unit[1]), unit[0]);
    return seconds > 5 ? "in a moment" : "just now";
  }

  function write(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(element.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      const text = element.dataset.time === "full" ? window.causewayZone.text(moment.valueOf()) : age(moment);
      if (!element.title) element.title = element.dateTime;
      if (element.textContent !== text) element.textContent = text;
    }
  }

  document.addEventListener("DOMContentLoaded", () => write(document));
  document.addEventListener("htmx:load", (event) => write(event.target.parentNode || document));
  document.addEventListener("causeway:refreshed", (event) => write(event.target));
  setInterval(() => document.hidden || write(document), 15000);
})();
