"use strict";
// The zone of all times on the page: the user's setting (<html data-time-zone>), else the browser's, which the server learns by a cookie.
window.causewayZone = (() => {
  const MINUTE = 60000;
  const DAY = 24 * 60 * MINUTE;
  const browser = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const chosen = document.documentElement.dataset.timeZone;

  function known(zone) {
    try {
      return zone ? Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone && zone : "";
    } catch {
      return ""; // a name that this browser does not know yet
    }
  }
  const name = known(chosen) || browser;
  const full = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: name });
  const away = new Intl.DateTimeFormat("en", { timeZoneName: "longOffset", timeZone: name });

  if (!chosen && browser && !document.cookie.split("; ").includes(`time-zone=${browser}`)) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `time-zone=${browser}; path=/; max-age=31536000; samesite=lax${secure}`;
  }

  /** Minutes that the zone's clocks are ahead of UTC at a moment (ms of the epoch). */
  function offset(moment) {
    const found = /GMT([+-])(\d+):(\d+)/.exec(away.format(moment));
    return found ? Number(`${found[1]}1`) * (60 * found[2] + 1 * found[3]) : 0;
  }

  const local = (moment) => moment + offset(moment) * MINUTE;
  const clock = (time) => new Date(time).toISOString().slice(11, 16);

  /** The distance to UTC in words, as `UTC+05:30`. */
  function distance(moment) {
    const minutes = offset(moment);
    return `UTC${minutes < 0 ? "-" : "+"}${clock(Math.abs(minutes) * MINUTE)}`;
  }

  /** Whether clocks show the time of a moment twice. */
  function isTwice(moment) {
    const offsets = new Set([offset(moment - DAY), offset(moment + DAY)]);
    return [...offsets].some((minutes) => {
      const other = local(moment) - minutes * MINUTE;
      return Math.abs(other - moment) > 1000 && offset(other) === minutes;
    });
  }

  /** A moment as the zone's clocks show it; a time that comes twice with its distance to UTC. */
  function text(moment) {
    const words = full.format(moment);
    return isTwice(moment) ? `${words} ${distance(moment)}` : words;
  }

  /** Changes of clocks between two moments: {at, from, to}, the last two as clocks show them just before and after. */
  function changes(begin, end) {
    const found = [];
    for (let low = begin; low < end; low += DAY) {
      let [early, late] = [low, Math.min(low + DAY, end)];
      const before = offset(early);
      if (offset(late) === before) continue;
      while (late - early > 1000) {
        const half = (early + late) / 2;
        if (offset(half) === before) early = half;
        else late = half;
      }
      const at = Math.round(late / MINUTE) * MINUTE;
      found.push({ at, back: offset(at) < before, from: clock(at + before * MINUTE), to: clock(local(at)) });
    }
    return found;
  }

  return { name, offset, local, clock, distance, isTwice, text, changes };
})();
