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
    const drawn = Plotly.newPlot(holder, tinted(figure.data, figure.layout), themed(figure.layout), config);
    return figure.layout.meta?.points ? drawn.then(() => player(holder, figure.layout.meta)) : drawn;
  };

  // The movie: points on their way from one frame to the next, under a button and a slider.
  const player = (holder, movie) => {
    const bytes = Uint8Array.from(atob(movie.points), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const frames = movie.epochs.length, rows = movie.counts.reduce((a, b) => a + b, 0);
    const at = (frame, row, axis) => view.getInt16(2 * (3 * (frame * rows + row) + axis), true) / movie.scale;
    const traces = movie.counts.map((_, k) => movie.first + k);
    const starts = movie.counts.map((_, k) => movie.counts.slice(0, k).reduce((a, b) => a + b, 0));
    const bar = holder.parentNode.querySelector(".player");
    const [button, slider, said] = [bar.querySelector("button"), bar.querySelector("input"), bar.querySelector("output")];
    slider.max = frames - 1;
    const show = (position) => {
      const frame = Math.min(Math.floor(position), frames - 1), next = Math.min(frame + 1, frames - 1);
      const share = position - frame;
      const update = { x: [], y: [], z: [] };
      movie.counts.forEach((count, k) => {
        const moved = [0, 1, 2].map(() => new Float32Array(count));
        for (let i = 0; i < count; i++) {
          const point = [0, 1, 2].map((a) => (1 - share) * at(frame, starts[k] + i, a) + share * at(next, starts[k] + i, a));
          const size = Math.hypot(...point) || 1;
          point.forEach((value, a) => { moved[a][i] = value / size; });
        }
        [update.x, update.y, update.z].forEach((list, a) => list.push(moved[a]));
      });
      say(position);
      return Plotly.restyle(holder, update, traces);
    };
    const say = (position) => {
      const nearest = Math.round(position), loss = movie.losses[nearest], epoch = movie.epochs[nearest];
      slider.value = nearest;
      said.textContent = (epoch ? "epoch " + epoch : "before training") + (loss == null ? "" : " · loss " + loss.toFixed(3));
      slider.setAttribute("aria-valuetext", said.textContent);
    };
    let playing = false, position = frames - 1;
    const stop = () => {
      playing = false;
      button.textContent = "Play";
    };
    const play = async () => {
      if (position >= frames - 1) position = 0;
      playing = true;
      button.textContent = "Pause";
      const speed = frames / Math.min(12, Math.max(4, 0.2 * frames));
      // A frame's time may lie before the click that asked for it: only the times of frames are compared.
      let before = await new Promise(requestAnimationFrame);
      while (playing) {
        await show(position);
        if (position >= frames - 1) { stop(); break; }
        const now = await new Promise(requestAnimationFrame);
        position = Math.min(frames - 1, position + speed * Math.min(0.25, Math.max(0, now - before) / 1000));
        before = now;
      }
    };
    button.addEventListener("click", () => (playing ? stop() : play()));
    slider.addEventListener("input", () => { stop(); position = Number(slider.value); show(position); });
    bar.hidden = false;
    say(position); // the last frame is what the figure was drawn with
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

  // Tables that can be sorted by their heads and filtered by a word; cells may carry a number to sort by.
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const key = (row, k) => {
      const cell = row.cells[k], value = cell.dataset.value;
      return value === undefined ? cell.textContent.trim().toLowerCase() : value === "" ? null : Number(value);
    };
    heads.forEach((head, k) => head.querySelector("button")?.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sign = up ? 1 : -1;
      const sorted = rows.map((row, i) => [key(row, k), i, row]).sort(([a, i], [b, j]) => {
        if (a === null || b === null) return (a === null) - (b === null) || i - j;
        return (a < b ? -sign : a > b ? sign : i - j);
      });
      body.append(...sorted.map(([, , row]) => row));
    }));
    const filter = document.querySelector(`[data-filters="${table.id}"]`);
    filter?.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        count += !row.hidden;
      }
      filter.querySelector("output").textContent = `${count} of ${rows.length}`;
    });
    if (filter) filter.hidden = false;
  }

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
