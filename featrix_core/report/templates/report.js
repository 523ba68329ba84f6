(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 640px)");
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Figures come without colours for text, grid and surfaces; these follow the page's own.
  const themed = (layout) => {
    const ink = colour("--ink-soft"), grid = colour("--grid"), card = colour("--card");
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: colour("--ink") },
      hoverlabel: { bgcolor: card, bordercolor: ink, font: { color: colour("--ink"), size: 12 }, align: "left" },
    });
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) Object.assign(layout[key], { gridcolor: grid, linecolor: grid });
    }
    if (layout.coloraxis) {
      layout.coloraxis.colorscale = [0, 1, 2, 3, 4].map((k) => [k / 4, colour("--scale-" + k)]);
    }
    if (layout.scene) layout.scene.bgcolor = "rgba(0,0,0,0)";
    return layout;
  };
  const tinted = (data, layout) => {
    for (const trace of data) {
      if (trace.meta === "globe") trace.colorscale = [[0, colour("--globe")], [1, colour("--globe")]];
      // On a telephone a cell of a larger map has no room for its figure; touching it shows it.
      const crowded = trace.type === "heatmap" && layout.xaxis.tickvals.length > 6;
      if (crowded && narrow.matches) delete trace.texttemplate;
    }
    return data;
  };

  const plots = [];
  const draw = (holder) => {
    const figure = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
    const spatial = Boolean(figure.layout.scene);
    const config = {
      responsive: true, displaylogo: false, scrollZoom: false,
      displayModeBar: spatial ? "hover" : false,
      // Named one by one: the buttons that come by default include one that uploads the chart.
      modeBarButtons: [["toImage", "resetCameraDefault3d"]],
    };
    plots.push([holder, figure, config]);
    return Plotly.newPlot(holder, tinted(figure.data, figure.layout), themed(figure.layout), config);
  };
  dark.addEventListener("change", () => {
    for (const [holder, figure, config] of plots) {
      Plotly.react(holder, tinted(figure.data, figure.layout), themed(figure.layout), config);
    }
  });

  // One figure per frame, so that the page can be read and scrolled while the others are drawn.
  const holders = [...document.querySelectorAll("[data-figure]")];
  const next = async () => {
    const holder = holders.shift();
    if (!holder) { root.dataset.figures = "drawn"; return; }
    try {
      await draw(holder);
    } catch (error) {
      holder.textContent = "This figure cannot be drawn here: " + error.message;
      console.error(error);
    }
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);

  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !links.has(entry.target.id)) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entry.target.id);
      link.setAttribute("aria-current", "true");
      const list = link.closest("ol");
      if (list.scrollWidth > list.clientWidth) list.scrollLeft = link.offsetLeft - 16;
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section[id]").forEach((section) => seen.observe(section));
})();
