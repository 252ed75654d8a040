// Charts: uPlot draws, this file says what. A figure carries its data as JSON; the table
// below it is made of the same when it is opened.

// The version in this file's address is the version of all of them.
const version = new URL(import.meta.url).search;
const { say, zone } = await import(`./times.js${version}`);
const { NOTHING, count, duration, percent } = await import(`./figures.js${version}`);

const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif";
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [12, 4], [1, 3], [6, 2, 1, 2]];
/** Pixels that a point needs so that its mark can be told from its neighbour's. */
const ROOM = 14;
const STRIP = 16;
const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
/** From one line of an axis to the next, where its numbers are not decimal: whole units of time. */
const STEPS = {
  instant: [1, 6, 12, 24, 48, 168, 336, 720, 2160, 8760, 43_800].map((hours) => hours * HOUR),
  seconds: [
    ...[0.001, 0.01, 0.1, 1].flatMap((step) => [step, 2 * step, 5 * step]),
    10,
    20,
    30,
    ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE),
    ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
    ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((days) => days * DAY),
  ],
};

/** A value with its unit, as the server writes it. */
function tell(value, unit) {
  if (value === null || value === undefined) return NOTHING;
  if (unit === "instant") return say(new Date(value * 1000));
  return { percent, seconds: duration }[unit]?.(value) ?? count(value);
}

/** The computed value of a colour of the style sheet. */
function palette(figure) {
  const probe = document.createElement("i");
  probe.hidden = true;
  figure.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {};
  for (const name of ["text", "muted", "grid", "panel", "line", "revised", "warning", "critical"]) {
    colours[name] = read(name);
  }
  colours.series = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => read(`c${n}`));
  probe.remove();
  return colours;
}

const colourOf = (colours, style) => colours.series[(style - 1) % colours.series.length];

/** Series as they are drawn: stacked ones summed, those hidden left out. */
function columns(spec, hidden) {
  const shown = spec.series.map((one) => (hidden.has(one.key) ? null : one));
  if (spec.kind !== "stack") return shown.map((one) => one?.values ?? spec.x.map(() => null));
  const sums = spec.x.map(() => 0);
  return shown.map((one) => {
    if (!one) return spec.x.map(() => null);
    return one.values.map((value, i) => (sums[i] += value ?? 0));
  });
}

// Where a point comes from is one letter: l for live, b for backfilled, a capital if revised.
const kind = (spec, i) => (spec.marks[i].toLowerCase() === "l" ? "live" : "backfilled");
const revised = (spec, i) => spec.marks[i] !== spec.marks[i].toLowerCase();
const provenance = (spec, i) => (spec.marks ? `${kind(spec, i)}${revised(spec, i) ? ", revised" : ""}` : "");

/** The provenance of snapshots below the plot: one bar for each stretch, a diamond where revised. */
function strip(spec, colours) {
  return (u) => {
    if (!spec.marks) return;
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const top = u.bbox.top + u.bbox.height + 4 * ratio;
    const height = 6 * ratio;
    const at = spec.x.map((x) => u.valToPos(x, "x", true));
    const left = (i) => (i === 0 ? at[0] - 3 * ratio : (at[i - 1] + at[i]) / 2);
    const right = (i) => (i === at.length - 1 ? at[i] + 3 * ratio : (at[i] + at[i + 1]) / 2);
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.setLineDash([]);
    for (let i = 0; i < at.length; ) {
      let end = i;
      while (end + 1 < at.length && kind(spec, end + 1) === kind(spec, i)) end += 1;
      const x = left(i) + ratio;
      const width = Math.max(2 * ratio, right(end) - left(i) - 2 * ratio);
      if (kind(spec, i) === "live") {
        ctx.fillStyle = colours.muted;
        ctx.fillRect(x, top, width, height);
      } else {
        ctx.strokeStyle = colours.muted;
        ctx.strokeRect(x + ratio / 2, top + ratio / 2, Math.max(ratio, width - ratio), height - ratio);
      }
      i = end + 1;
    }
    for (let i = 0; i < at.length; i += 1) {
      if (revised(spec, i)) diamond(ctx, at[i], top + height / 2, 5 * ratio, colours.revised, colours.panel);
    }
    ctx.restore();
  };
}

function diamond(ctx, x, y, size, fill, edge) {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.strokeStyle = edge;
  ctx.stroke();
}

/** Marks on a line, where there is room: filled where live, hollow where backfilled. */
function points(spec, colours, style) {
  return {
    show: (u) => spec.x.length === 1 || u.bbox.width / devicePixelRatio / spec.x.length >= ROOM,
    size: 6,
    width: 1.5,
    stroke: colourOf(colours, style),
    fill: colours.panel,
    paths: (u, seriesIdx, from, to) => {
      const filled = new Path2D();
      const hollow = new Path2D();
      const radius = 2.6 * devicePixelRatio;
      for (let i = from; i <= to; i += 1) {
        const value = u.data[seriesIdx][i];
        if (value === null || value === undefined) continue;
        const x = u.valToPos(u.data[0][i], "x", true);
        const y = u.valToPos(value, "y", true);
        const path = spec.marks && kind(spec, i) !== "live" ? hollow : filled;
        path.moveTo(x + radius, y);
        path.arc(x, y, radius, 0, 2 * Math.PI);
      }
      const { ctx } = u;
      ctx.save();
      ctx.fillStyle = colourOf(colours, style);
      ctx.fill(filled);
      ctx.restore();
      return { stroke: hollow, fill: hollow, flags: 3 };
    },
  };
}

/** Thresholds: a dashed line across, named at its end. */
function limits(spec, colours) {
  return (u) => {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${11 * ratio}px ${FONT.slice(5)}`;
    ctx.textAlign = "right";
    ctx.textBaseline = "alphabetic";
    for (const limit of spec.limits ?? []) {
      const y = Math.round(u.valToPos(limit.value, "y", true));
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
      ctx.fillStyle = colours[limit.state];
      ctx.strokeStyle = ctx.fillStyle;
      ctx.lineWidth = ratio;
      ctx.setLineDash([5 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(u.bbox.left, y);
      ctx.lineTo(u.bbox.left + u.bbox.width, y);
      ctx.stroke();
      ctx.fillText(limit.label, u.bbox.left + u.bbox.width - 4 * ratio, y - 4 * ratio);
    }
    ctx.restore();
  };
}

/** How far points usually lie apart. */
function usualGap(x) {
  const apart = x.slice(1).map((at, i) => at - x[i]);
  return apart.sort((a, b) => a - b)[apart.length >> 1] ?? 0;
}

/**
 * What the x axis spans: the range that was chosen, or the points where there is none; half a bar
 * more on either side of bars, and a day around a single instant.
 */
function reach(spec) {
  const from = spec.from ?? spec.x[0];
  const to = spec.to ?? spec.x.at(-1);
  if (to <= from) return [from - 12 * HOUR, from + 12 * HOUR];
  const room = spec.kind === "stack" ? Math.min(usualGap(spec.x), to - from) / 2 : 0;
  return [from - room, to + room];
}

/** What all values of a series come to, where they add up; its last one where they do not. */
function whole(spec, one) {
  if (!spec.flow) return one.values.at(-1);
  return one.values.reduce((sum, value) => (value === null ? sum : (sum ?? 0) + value), null);
}

/** What the y axis spans: bars from zero, and a limit only where the figures come near it. */
function span(spec) {
  return (u, low, high) => {
    if (low === null || high === null) return [0, 1];
    if (spec.unit === "instant") {
      const room = Math.max(HOUR, (high - low) * 0.05);
      return [low - room, high + room];
    }
    let top = high;
    for (const limit of spec.limits ?? []) {
      if (limit.value <= high * 2 || limit.state === "warning") top = Math.max(top, limit.value);
    }
    if (spec.kind === "stack" || spec.zero) return [0, top === 0 ? 1 : top * 1.08];
    if (low === high) {
      const room = Math.abs(high) * 0.1 || 1;
      return [Math.max(0, low - room), high + room];
    }
    const [bottom, ceiling] = uPlot.rangeNum(low, high, 0.1, true);
    return [Math.max(0, bottom), ceiling];
  };
}

/** How instants are written on an axis that spans so many seconds. */
function dated(length) {
  const day = { day: "numeric", month: "short" };
  if (length > 300 * 24 * HOUR) return { ...day, year: "numeric" };
  return length < 72 * HOUR ? { ...day, hour: "2-digit", minute: "2-digit" } : day;
}

function axes(spec, colours) {
  const common = { stroke: colours.muted, font: FONT, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
  const clock = (at, options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone(), hourCycle: "h23", ...options }).format(at);
  return [
    {
      ...common,
      grid: { show: false },
      gap: spec.marks ? STRIP : 6,
      size: (spec.marks ? STRIP : 6) + 34,
      space: 62,
      // Day and month are words where the year is not at stake, never 03/04.
      values: (u, splits, axis, space, step) => {
        let before = "";
        return splits.map((split) => {
          // What lies between two seconds would be told by the same words as these.
          if (!Number.isInteger(split)) return null;
          // uPlot's days begin an hour off where the clocks have changed between them.
          const at = new Date((split + (step < 24 * HOUR ? 0 : 2 * HOUR)) * 1000);
          const year = clock(at, { year: "numeric" });
          const day = clock(at, { day: "numeric", month: "short" });
          const second = before.endsWith(year) ? "" : year;
          if (step < 24 * HOUR) {
            const label = clock(at, { hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) });
            const under = before.startsWith(day) ? "" : day;
            before = `${day} ${year}`;
            return under ? `${label}\n${under}` : label;
          }
          before = `${day} ${year}`;
          if (step >= 300 * 24 * HOUR) return year;
          const label = step >= 27 * 24 * HOUR ? clock(at, { month: "short" }) : day;
          return second ? `${label}\n${second}` : label;
        });
      },
    },
    {
      ...common,
      size: (u, values) => {
        if (!values) return 40;
        u.ctx.save();
        u.ctx.font = FONT;
        const widest = Math.max(...values.map((value) => u.ctx.measureText(value ?? "").width));
        u.ctx.restore();
        return Math.ceil(widest) + 14;
      },
      gap: 6,
      space: 38,
      incrs: STEPS[spec.unit],
      values: (u, splits) =>
        splits.map((split) => {
          if (spec.unit === "instant") return clock(new Date(split * 1000), dated(u.scales.y.max - u.scales.y.min));
          if (spec.unit === "percent") return `${count(Math.round(split * 10000) / 100)} %`;
          if (spec.unit === "count" && !Number.isInteger(split)) return "";
          return tell(split, spec.unit);
        }),
    },
  ];
}

/**
 * Bars as wide as points usually lie apart, and narrower where a neighbour is nearer: uPlot's own
 * are all as narrow as the two nearest points ask for.
 */
function bars(u, index, from, to) {
  const ratio = devicePixelRatio;
  const at = u.data[0].map((x) => u.valToPos(x, "x", true));
  const apart = at.slice(1).map((x, i) => x - at[i]);
  const usual = [...apart].sort((a, b) => a - b)[apart.length >> 1] ?? Infinity;
  const zero = Math.round(u.valToPos(0, "y", true));
  const path = new Path2D();
  for (let i = from; i <= to; i += 1) {
    const value = u.data[index][i];
    if (!value) continue;
    const near = Math.min(apart[i - 1] ?? Infinity, apart[i] ?? Infinity);
    // Where most points lie close, those that have room can still be seen.
    const least = Math.max(ratio, Math.min(2 * ratio, near));
    const half = Math.max(least, Math.min(26 * ratio, 0.86 * usual, 0.86 * near)) / 2;
    const left = Math.round(at[i] - half);
    const top = Math.round(u.valToPos(value, "y", true));
    path.rect(left, top, Math.max(1, Math.round(at[i] + half) - left), zero - top);
  }
  return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 1 };
}

/** uPlot's series, in the order that they are drawn: of a stack the highest sum first. */
function series(spec, colours) {
  const stepped = uPlot.paths.stepped({ align: 1 });
  return spec.series.map((one, index) => {
    const colour = colourOf(colours, one.style);
    if (spec.kind === "stack") {
      return { stroke: colour, fill: colour, width: 0, paths: bars, points: { show: false } };
    }
    return {
      stroke: colour,
      width: one.reference ? 1 : 1.75,
      dash: one.reference ? [3, 4] : DASHES[index % DASHES.length],
      paths: spec.kind === "steps" && !one.reference ? stepped : undefined,
      points: one.reference || spec.kind === "steps" ? { show: false } : points(spec, colours, one.style),
      spanGaps: false,
    };
  });
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector(".plot");
    this.spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    this.hidden = new Set(
      new URLSearchParams(location.search)
        .getAll("hide")
        .filter((each) => each.startsWith(`${this.spec.name}.`))
        .map((each) => each.slice(this.spec.name.length + 1)),
    );
    this.buttons = [...figure.querySelectorAll(".legend button")];
    this.outputs = this.buttons.map((button) => button.querySelector("output"));
    this.reading = figure.querySelector(".reading");
    this.order = this.spec.series.map((_, i) => i);
    if (this.spec.kind === "stack") this.order.reverse();
    this.listen();
    this.draw();
  }

  draw() {
    const { spec, plot } = this;
    this.colours = palette(this.figure);
    const data = columns(spec, this.hidden);
    const drawn = series(spec, this.colours);
    this.uplot?.destroy();
    this.uplot = new uPlot(
      {
        width: plot.clientWidth,
        height: plot.clientHeight,
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone() === "UTC" ? "Etc/UTC" : zone()),
        legend: { show: false },
        padding: [10, 22, 0, 0],
        cursor: {
          y: false,
          drag: { x: spec.zoom !== false, y: false, setScale: false },
          sync: spec.sync ? { key: spec.sync, scales: ["x", null], setSeries: false, filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } } : undefined,
          points: {
            show: spec.kind !== "stack",
            size: 8,
            stroke: () => this.colours.panel,
            fill: (u, i) => colourOf(this.colours, spec.series[this.order[i - 1]].style),
            width: 1.5,
          },
        },
        scales: {
          x: { time: true, range: () => reach(spec) },
          y: { range: span(spec) },
        },
        axes: axes(spec, this.colours),
        series: [{}, ...this.order.map((i) => drawn[i])],
        hooks: {
          draw: [strip(spec, this.colours), limits(spec, this.colours)],
          setCursor: [(u) => this.tell(u.cursor.idx)],
          setSelect: [(u) => this.zoom(u)],
        },
      },
      [spec.x, ...this.order.map((i) => data[i])],
      plot,
    );
    this.tell(null);
    this.figure.dataset.drawn = "true";
  }

  /**
   * Say the figures at a place of the x axis; where the pointer is elsewhere the last ones, or the
   * sums of those that add up.
   */
  tell(index) {
    const { spec } = this;
    if (!spec.x.length) return;
    const away = index === null || index === undefined;
    const at = index ?? spec.x.length - 1;
    const point = [say(new Date(spec.x[at] * 1000)), provenance(spec, at)].filter(Boolean).join(" · ");
    const said = away && spec.flow ? "in the whole range" : point;
    this.reading.textContent = `${away && !spec.flow ? "latest: " : ""}${said}`;
    const told = spec.series.map((one, i) => {
      const value = tell(away ? whole(spec, one) : one.values[at], spec.unit);
      if (this.outputs[i]) this.outputs[i].textContent = value;
      return `${one.label} ${value}`;
    });
    this.plot.setAttribute("aria-valuenow", String(at));
    this.plot.setAttribute("aria-valuetext", `${said}: ${told.join(", ")}`);
  }

  listen() {
    const { plot, spec } = this;
    plot.setAttribute("role", "slider");
    plot.tabIndex = 0;
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", String(Math.max(0, spec.x.length - 1)));
    plot.setAttribute("aria-label", `${spec.title}: chart, arrow keys read it point by point`);
    plot.addEventListener("keydown", (event) => {
      const last = spec.x.length - 1;
      const now = this.uplot.cursor.idx ?? last;
      const to = {
        ArrowLeft: now - 1,
        ArrowDown: now - 1,
        ArrowRight: now + 1,
        ArrowUp: now + 1,
        PageDown: now - 10,
        PageUp: now + 10,
        Home: 0,
        End: last,
      }[event.key];
      if (event.key === "Escape") {
        this.uplot.setCursor({ left: -10, top: -10 });
        return;
      }
      if (to === undefined) return;
      event.preventDefault();
      const place = Math.min(last, Math.max(0, to));
      this.uplot.setCursor({ left: this.uplot.valToPos(spec.x[place], "x"), top: 20 }, true, true);
    });
    this.buttons.forEach((button, i) => {
      button.disabled = spec.series.length === 1;
      button.setAttribute("aria-pressed", String(!this.hidden.has(spec.series[i].key)));
      button.addEventListener("click", () => this.toggle(i, button));
    });
    this.figure.querySelector("[data-picture]").addEventListener("click", () => this.save());
    const details = this.figure.querySelector("details[data-table]");
    details.addEventListener("toggle", () => details.open && this.tabulate(details.querySelector(".scroll")));
    new ResizeObserver(() => {
      if (plot.clientWidth && plot.clientWidth !== this.uplot.width) {
        this.uplot.setSize({ width: plot.clientWidth, height: plot.clientHeight });
      }
    }).observe(plot);
  }

  /** The same figures as a table, the newest first. */
  tabulate(region) {
    const { spec } = this;
    const table = document.createElement("table");
    const row = (parent, cells) => {
      const tr = parent.insertRow();
      for (const [tag, text, figure] of cells) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        if (tag === "th") cell.scope = parent.tagName === "THEAD" ? "col" : "row";
        if (figure) cell.className = "n";
        tr.append(cell);
      }
    };
    table.createCaption().textContent = `${spec.title}, times in ${zone()}`;
    table.caption.className = "hidden";
    row(table.createTHead(), [
      ["th", "Time"],
      ...spec.series.map((one) => ["th", one.label, true]),
      ...(spec.marks ? [["th", "Snapshot"]] : []),
    ]);
    const body = table.createTBody();
    for (let i = spec.x.length - 1; i >= 0; i -= 1) {
      row(body, [
        ["th", say(new Date(spec.x[i] * 1000), { seconds: spec.x[i] % 60 !== 0 })],
        ...spec.series.map((one) => ["td", tell(one.values[i], spec.unit), true]),
        ...(spec.marks ? [["td", provenance(spec, i)]] : []),
      ]);
    }
    region.replaceChildren(table);
  }

  toggle(i, button) {
    const { key } = this.spec.series[i];
    if (this.hidden.has(key)) this.hidden.delete(key);
    else this.hidden.add(key);
    button.setAttribute("aria-pressed", String(!this.hidden.has(key)));
    const url = new URL(location.href);
    const others = url.searchParams.getAll("hide").filter((each) => !each.startsWith(`${this.spec.name}.`));
    url.searchParams.delete("hide");
    for (const each of others) url.searchParams.append("hide", each);
    for (const each of this.hidden) url.searchParams.append("hide", `${this.spec.name}.${each}`);
    history.replaceState(null, "", url);
    carry();
    this.draw();
  }

  /** A stretch drawn over with the pointer becomes the range: the server tells it finer. */
  zoom(u) {
    if (u.select.width < 8) return;
    const iso = (left) => new Date(u.posToVal(left, "x") * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    const url = new URL(location.href);
    url.searchParams.delete("range");
    url.searchParams.set("from", iso(u.select.left));
    url.searchParams.set("to", iso(u.select.left + u.select.width));
    location.assign(url);
  }

  save() {
    const { canvas } = this.uplot.ctx;
    const keys = this.spec.series
      .filter((one) => !this.hidden.has(one.key))
      .map((one) => ({ label: one.label, colour: colourOf(this.colours, one.style) }));
    compose(this.spec, this.colours, canvas.width / devicePixelRatio, canvas.height / devicePixelRatio, keys, (ctx, x, y, width, height) =>
      ctx.drawImage(canvas, x, y, width, height),
    );
  }
}

// -- pictures ---------------------------------------------------------------------------

/** Save a picture of a chart: title, legend, the chart, and what it shows of whom and when. */
function compose(spec, colours, width, height, keys, paint, scale = devicePixelRatio) {
  const pad = 16;
  const picture = document.createElement("canvas");
  const ctx = picture.getContext("2d");
  const rows = [[]];
  ctx.font = FONT;
  let x = 0;
  for (const key of keys) {
    const wide = ctx.measureText(key.label).width + 34;
    if (x + wide > width && rows.at(-1).length) {
      rows.push([]);
      x = 0;
    }
    rows.at(-1).push({ ...key, x });
    x += wide;
  }
  const above = 48 + (keys.length ? rows.length * 18 + 8 : 0);
  picture.width = (width + 2 * pad) * scale;
  picture.height = (height + above + 34) * scale;
  ctx.scale(scale, scale);
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, 0, width + 2 * pad, height + above + 34);
  ctx.fillStyle = colours.text;
  ctx.font = `600 15px ${FONT.slice(5)}`;
  ctx.fillText(spec.title, pad, 26, width);
  ctx.font = FONT;
  ctx.fillStyle = colours.muted;
  ctx.fillText(document.querySelector("h1").textContent.trim(), pad, 43, width);
  rows.forEach((row, r) => {
    for (const key of row) {
      ctx.fillStyle = key.colour;
      ctx.fillRect(pad + key.x, 56 + r * 18, 12, 8);
      ctx.fillStyle = colours.text;
      ctx.fillText(key.label, pad + key.x + 18, 64 + r * 18);
    }
  });
  paint(ctx, pad, above, width, height);
  ctx.font = FONT;
  ctx.fillStyle = colours.muted;
  const ends = [spec.from ?? spec.x?.[0], spec.to ?? spec.x?.at(-1)].map((at) => at === undefined ? "" : say(new Date(at * 1000)));
  const from = spec.x?.length ? `${ends.join(" to ")}, ${zone()}` : zone();
  const marks = spec.marks ? " · below: ■ live □ backfilled ◆ revised" : "";
  ctx.fillText(from + marks, pad, height + above + 20, width);
  picture.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${spec.file}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

/** Paint a figure of HTML and SVG, as it stands on the page: texts, boxes and lines. */
function trace(root, ctx, left, top) {
  const origin = root.getBoundingClientRect();
  for (const node of root.querySelectorAll("*")) {
    if (node.closest(".hidden, title")) continue;
    const box = node.getBoundingClientRect();
    const x = left + box.left - origin.left;
    const y = top + box.top - origin.top;
    const style = getComputedStyle(node);
    if (node.tagName === "rect") {
      ctx.fillStyle = style.fill;
      ctx.fillRect(x, y, box.width, box.height);
    } else if (node.tagName === "line") {
      ctx.strokeStyle = style.stroke;
      ctx.setLineDash([4, 3]);
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(x, y + box.height);
      ctx.stroke();
      ctx.setLineDash([]);
    } else if (node.tagName === "circle") {
      ctx.fillStyle = style.fill;
      ctx.beginPath();
      ctx.arc(x + box.width / 2, y + box.height / 2, box.width / 2, 0, 2 * Math.PI);
      ctx.fill();
    } else if (node.tagName === "path") {
      const svg = node.ownerSVGElement.getBoundingClientRect();
      ctx.save();
      ctx.translate(left + svg.left - origin.left, top + svg.top - origin.top);
      ctx.fillStyle = style.fill;
      ctx.fill(new Path2D(node.getAttribute("d")));
      ctx.restore();
    }
    for (const child of node.childNodes) {
      if (child.nodeType !== Node.TEXT_NODE || !child.data.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(child);
      const place = range.getBoundingClientRect();
      ctx.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      ctx.fillStyle = node instanceof SVGElement ? style.fill : style.color;
      ctx.textBaseline = "middle";
      ctx.fillText(child.data.trim(), left + place.left - origin.left, top + place.top - origin.top + place.height / 2);
      ctx.textBaseline = "alphabetic";
    }
  }
}

/** Put into the links what the server does not know of a view: series hidden, times in UTC. */
function carry() {
  const hidden = new URLSearchParams(location.search).getAll("hide");
  for (const link of document.querySelectorAll("a[data-view]")) {
    const url = new URL(link.href);
    url.searchParams.delete("hide");
    url.searchParams.delete("tz");
    for (const each of hidden) url.searchParams.append("hide", each);
    if (zone() === "UTC") url.searchParams.set("tz", "UTC");
    link.href = url.href;
  }
}

// -- the page ------------------------------------------------------------------------------

const charts = [...document.querySelectorAll("figure[data-chart]:has(.plot)")].map((figure) => new Chart(figure));
carry();
for (const event of ["themechange", "zonechange"]) {
  document.addEventListener(event, () => {
    carry();
    for (const chart of charts) {
      chart.draw();
      const details = chart.figure.querySelector("details[data-table]");
      if (details.open) chart.tabulate(details.querySelector(".scroll"));
    }
  });
}
for (const figure of document.querySelectorAll("figure[data-traced]")) {
  figure.querySelector("[data-picture]")?.addEventListener("click", () => {
    const body = figure.querySelector("[data-body]");
    const { width, height } = body.getBoundingClientRect();
    const spec = { title: figure.dataset.title, file: figure.dataset.file };
    const keys = [...figure.querySelectorAll("[data-key]")].map((key) => ({ label: key.textContent.trim(), colour: getComputedStyle(key.querySelector("rect")).fill }));
    compose(spec, palette(figure), width, height, keys, (ctx, x, y) => trace(body, ctx, x, y), Math.max(2, devicePixelRatio));
  });
}
