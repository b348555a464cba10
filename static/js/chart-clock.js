"use strict";
// Time axes of charts. Plotly knows no zones: times of a figure (UTC) are written as the viewer's clocks show them. Where clocks are changed
// within the chart, that would run backwards or leap: then the axis is UTC, drawn evenly, and its words alone are those of the clocks.
window.causewayChartClock = (() => {
  const zone = window.causewayZone;
  const MINUTE = 60000;
  const HOUR = 60 * MINUTE;
  const DAY = 24 * HOUR;
  const STEPS = [1, 5, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);
  const DAYS = [1, 2, 7, 14, 30, 60, 90, 180];
  const MOST_SAID = 8 * DAY; // in a longer chart nobody sees an hour
  const TICK_PIXELS = 90;

  const moment = (value) => (typeof value === "string" && value.endsWith("Z") ? Date.parse(value) : NaN);
  const plain = (time) => new Date(time).toISOString().slice(0, 19).replace("T", " ");
  const each = (write) => function written(value) {
    if (Array.isArray(value)) return value.map(written);
    const at = moment(value);
    return Number.isNaN(at) ? value : write(at);
  };
  const byClock = each((at) => plain(zone.local(at)));
  const evenly = each(plain);

  /** From the first to the last moment that a figure shows. */
  function span(figure) {
    const found = [...(figure.layout.xaxis.range || []), ...figure.data.flatMap((trace) => [trace.x?.[0], trace.x?.at(-1)])];
    const known = found.map(moment).filter((at) => !Number.isNaN(at));
    return [Math.min(...known), Math.max(...known)];
  }

  /** Moments at which a step of the clocks begins. A time that comes twice is twice among them, one left out is not. */
  function grid(begin, end, pixels) {
    const count = Math.max(2, Math.floor(pixels / TICK_PIXELS));
    const step = STEPS.find((each) => (end - begin) / each <= count);
    const found = [];
    if (step) {
      const pace = Math.min(step, 15 * MINUTE); // by which clocks are set nowhere less
      for (let at = Math.ceil(begin / pace) * pace; at <= end; at += pace) if (zone.local(at) % DAY % step === 0) found.push(at);
      return found;
    }
    const days = DAYS.find((each) => (end - begin) / DAY / each <= count) || DAYS.at(-1);
    for (let day = Math.floor(zone.local(begin) / DAY); day <= zone.local(end) / DAY; day += 1) {
      if (day % days) continue;
      const midnight = day * DAY - zone.offset(day * DAY) * MINUTE;
      const at = day * DAY - zone.offset(midnight) * MINUTE;
      if (at >= begin && at <= end) found.push(at);
    }
    return found;
  }

  /** Ticks of a stretch of an even axis, `pixels` wide; the first of each day names the day. */
  function ticks(begin, end, pixels) {
    const vals = grid(begin, end, pixels);
    let shown = null;
    const words = vals.map((at) => {
      const day = zone.text(at).slice(0, 10);
      const lines = [zone.clock(zone.local(at))];
      if (zone.isTwice(at)) lines.push(zone.distance(at));
      if (day !== shown) lines.push(day);
      shown = day;
      return lines.join("<br>");
    });
    return { tickmode: "array", tickvals: vals.map(plain), ticktext: words };
  }

  const sentence = (change) => `Clocks go ${change.back ? "back" : "forward"} at ${change.from}`;

  /** A dotted line where clocks are changed, with words beside, towards the middle of the chart. */
  function marked(layout, changes, middle) {
    const line = { type: "line", yref: "paper", y0: 0, y1: 1, line: { width: 1, dash: "dot", color: layout.font?.color || "gray" } };
    const words = { yref: "paper", y: 1, yanchor: "top", showarrow: false, align: "left" };
    layout.shapes = [...(layout.shapes || []), ...changes.map((change) => ({ ...line, x0: plain(change.at), x1: plain(change.at) }))];
    layout.annotations = [
      ...(layout.annotations || []),
      ...changes.map((change) => ({ ...words, x: plain(change.at), xanchor: change.at > middle ? "right" : "left", text: `${sentence(change)}<br>to ${change.to}` })),
    ];
  }

  /** A trace on an even axis: what is shown beside the pointer names the time of the clocks itself. */
  function even(trace) {
    const customdata = trace.x?.map((value) => (Number.isNaN(moment(value)) ? "" : zone.text(moment(value))));
    const hovertemplate = trace.hovertemplate && `${trace.hovertemplate} at %{customdata}`;
    return { ...trace, x: evenly(trace.x), ...(hovertemplate ? { customdata, hovertemplate } : {}) };
  }

  /** The figure with its times in the viewer's zone, named on the axis. `said`: what is to be told of changed clocks. */
  function localised(figure) {
    const layout = structuredClone(figure.layout || {});
    if (layout.xaxis?.type !== "date") return { figure, even: false, said: "" };
    const [begin, end] = span(figure);
    const changes = Number.isFinite(begin) ? zone.changes(begin, end) : [];
    const write = changes.length ? evenly : byClock;
    if (layout.xaxis.range) layout.xaxis.range = write(layout.xaxis.range);
    if (layout.xaxis.title?.text === "Time (UTC)") layout.xaxis.title.text = `Time (${zone.name})`;
    for (const shape of layout.shapes || []) [shape.x0, shape.x1] = [write(shape.x0), write(shape.x1)];
    const data = figure.data.map(changes.length ? even : (trace) => ({ ...trace, x: byClock(trace.x) }));
    if (changes.length) layout.xaxis.unifiedhovertitle = { text: zone.name };
    const close = end - begin <= MOST_SAID ? changes : [];
    if (close.length) marked(layout, close, (begin + end) / 2);
    return { figure: { ...figure, layout, data }, even: changes.length > 0, said: close.map((each) => `${sentence(each)} to ${each.to}.`).join(" ") };
  }

  /** Write the words of an even axis for the stretch that is seen, and again whenever it is another one. */
  function follow(library, canvas) {
    const { range, _length: pixels } = canvas._fullLayout.xaxis;
    const [begin, end] = range.map((value) => Date.parse(`${String(value).replace(" ", "T")}Z`));
    const wanted = ticks(begin, end, pixels);
    if (JSON.stringify(wanted.ticktext) === JSON.stringify(canvas.layout.xaxis.ticktext) && JSON.stringify(wanted.tickvals) === JSON.stringify(canvas.layout.xaxis.tickvals)) return;
    library.relayout(canvas, Object.fromEntries(Object.entries(wanted).map(([key, value]) => [`xaxis.${key}`, value])));
  }

  /** Keep the words that an even axis has, so that a live update does not draw others for a moment. */
  function keep(canvas, layout) {
    const { tickmode, tickvals, ticktext } = canvas.layout.xaxis;
    if (ticktext) Object.assign(layout.xaxis, { tickmode, tickvals, ticktext });
  }

  return { localised, follow, keep };
})();
