"use strict";
// <div class="chart" data-chart="URL" data-every="10" data-label="Bandwidth"> shows the Plotly figure (JSON: data, layout, config) of the URL.
// Colours and type come from the style sheet; a trace names its colour by meta.color: receive, send, 3 or 4.
(() => {
  const states = new WeakMap();
  let library = null;

  function plotly() {
    library ??= new Promise((resolve, reject) => {
      // Plotly would bring the style sheet of its maps, which the policy refuses; an element of that id tells it to leave it.
      const maps = document.createElement("meta");
      maps.id = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
      const script = document.createElement("script");
      script.src = document.querySelector('meta[name="plotly-url"]').content;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        library = null;
        reject(new Error("Plotly could not be loaded"));
      };
      document.head.append(maps, script);
    });
    return library;
  }

  /** A colour of the theme in force: the property itself only says which two there are to choose from. */
  function token(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name}, transparent)`;
    document.body.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }

  function axis(own) {
    const line = token("--chart-grid");
    return { gridcolor: line, linecolor: token("--line"), zerolinecolor: line, automargin: true, ...own };
  }

  /** A trace of its own for the area under a line: Plotly's own filling would run across the gaps. */
  function area(trace, fillcolor) {
    const x = [];
    const y = [];
    let from = 0;
    for (let at = 0; at <= trace.y.length; at += 1) {
      if (at < trace.y.length && trace.y[at] !== null) continue;
      if (at > from) {
        x.push(...trace.x.slice(from, at), trace.x[at - 1], trace.x[from], null);
        y.push(...trace.y.slice(from, at), 0, 0, null);
      }
      from = at + 1;
    }
    const line = { width: 0 };
    return { type: "scatter", mode: "lines", fill: "toself", fillcolor, line, x, y, hoverinfo: "skip", showlegend: false, legendgroup: trace.name };
  }

  /** A value between two gaps would be a line of no length: it gets a dot. */
  function showLone(line) {
    const empty = (value) => value === null || value === undefined;
    const size = line.y.map((value, at) => (!empty(value) && empty(line.y[at - 1]) && empty(line.y[at + 1]) ? 4 : 0));
    if (!size.some(Boolean)) return;
    line.mode = "lines+markers";
    line.marker = { ...line.marker, size, line: { width: 0 } };
  }

  /** What lies behind an element: a picture of the chart has no page to shine through. */
  function ground(element) {
    const color = getComputedStyle(element).backgroundColor;
    return color !== "rgba(0, 0, 0, 0)" || !element.parentElement ? color : ground(element.parentElement);
  }

  /** The picture's name says of what it is and of which time. The same at every update: another one would draw all anew. */
  function pictureName(element) {
    const { searchParams } = new URL(element.dataset.chart, location.href);
    return [element.dataset.label || "Chart", ...searchParams.values()].join(" ").replace(/[^\p{L}\p{N}.]+/gu, "-");
  }

  function dressed(element, figure) {
    const data = figure.data.flatMap((trace, index) => {
      const name = trace.meta?.color || ["receive", "send", "3", "4"][index % 4];
      const color = token(`--chart-${name}`);
      const { fill, ...rest } = trace;
      const line = { connectgaps: false, legendgroup: trace.name, ...rest, line: { width: 1.5, ...trace.line, color }, marker: { ...trace.marker, color } };
      if (trace.mode === "lines") showLone(line);
      return fill === "tozeroy" ? [area(trace, token(`--chart-${name}-fill`)), line] : [line];
    });
    const own = figure.layout || {};
    const text = token("--text-secondary");
    const layout = {
      hovermode: "x unified",
      showlegend: true,
      ...own,
      autosize: true,
      paper_bgcolor: ground(element),
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: text },
      margin: { l: 48, r: 12, t: 28, b: 32, ...own.margin },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", ...own.legend },
      hoverlabel: { bgcolor: token("--ground-raised"), bordercolor: token("--line"), font: { color: token("--text"), size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: token("--text-muted"), activecolor: token("--link") },
      uirevision: "kept", // a live update does not undo the user's zoom
    };
    for (const key of Object.keys(layout)) if (/^[xy]axis\d*$/.test(key)) layout[key] = axis(layout[key]);
    layout.xaxis ??= axis({});
    layout.yaxis ??= axis({});
    layout.yaxis.rangemode ??= "tozero";
    // Named one by one: Plotly's own choice has a button that sends the data to its maker's cloud.
    const modeBarButtons = [["zoom2d", "pan2d", "resetScale2d", "toImage"]];
    const toImageButtonOptions = { filename: pictureName(element), scale: 2 };
    const config = { responsive: true, displaylogo: false, modeBarButtons, toImageButtonOptions, ...figure.config };
    return [data, layout, config];
  }

  const isEmpty = (figure) => !figure.data?.some((trace) => (trace.y || trace.values || trace.z || []).some((value) => value !== null));

  function sentence(element, text, css) {
    if (element.querySelector(".js-plotly-plot")) window.Plotly.purge(element.querySelector(".js-plotly-plot"));
    const p = document.createElement("p");
    p.textContent = text;
    if (css) p.className = css;
    element.replaceChildren(p);
  }

  async function draw(element) {
    const state = states.get(element);
    if (isEmpty(state.figure)) return sentence(element, element.dataset.empty || "Nothing was measured in this time yet.");
    const library = await plotly();
    const { figure, even, said } = window.causewayChartClock.localised(state.figure);
    const [data, layout, config] = dressed(element, figure);
    element.setAttribute("aria-label", [element.dataset.label || "Chart", said].filter(Boolean).join(". "));
    let canvas = element.querySelector(".chart-canvas");
    const known = Boolean(canvas);
    if (!known) {
      canvas = document.createElement("div");
      canvas.className = "chart-canvas";
      element.replaceChildren(canvas);
    }
    state.even = even;
    if (known && even) window.causewayChartClock.keep(canvas, layout);
    await (known ? library.react(canvas, data, layout, config) : library.newPlot(canvas, data, layout, config));
    if (even) window.causewayChartClock.follow(library, canvas);
    if (!known) canvas.on("plotly_relayout", () => state.even && window.causewayChartClock.follow(library, canvas));
  }

  async function load(element) {
    const state = states.get(element);
    if (state.busy) return;
    state.busy = true;
    try {
      const answer = await fetch(element.dataset.chart, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      state.figure = await answer.json();
      await draw(element);
      element.dataset.drawn = "";
    } catch {
      // What is drawn stays; only a chart that never came says so.
      if (!state.figure) sentence(element, "The chart could not be loaded. It is tried again with the next visit.", "chart-error");
    } finally {
      state.busy = false;
      state.due = Date.now() + 1000 * Number(element.dataset.every || 0);
    }
  }

  function start(root) {
    for (const element of root.querySelectorAll("[data-chart]")) {
      if (states.has(element)) continue;
      states.set(element, { figure: null, busy: false, due: 0 });
      element.setAttribute("role", "figure");
      element.setAttribute("aria-label", element.dataset.label || "Chart");
      load(element);
    }
  }

  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("htmx:load", () => start(document));
  document.addEventListener("causeway:theme", () => {
    for (const element of document.querySelectorAll("[data-chart]")) if (states.get(element)?.figure) draw(element);
  });
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-chart][data-every]")) {
      const state = states.get(element);
      if (state && !state.busy && Date.now() >= state.due) load(element);
    }
  }, 1000);
})();
