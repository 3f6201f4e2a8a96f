// Lines over time. Each has a colour and a pattern of its own, and its value stands in the legend.

const SIZE = { height: 170, left: 48, right: 8, top: 8, bottom: 20 };

class Chart {
  // series: [{ name, read(sample) }]; read gives a number, or null where there is none.
  constructor(id, series, format, logarithmic = false) {
    Object.assign(this, { series, format, logarithmic, samples: [], span: 300, end: 0, at: null });
    this.svg = draw("svg", { role: "img", height: SIZE.height });
    this.values = series.map(() => make("b", {}, "–"));
    const entry = ({ name }, at) => {
      const line = draw("line", { class: `line s${at}`, x1: 0, x2: 30, y1: 4, y2: 4 });
      return make("li", {}, draw("svg", { viewBox: "0 0 30 8", "aria-hidden": "true" }, line), `${name} `, this.values[at]);
    };
    find(id).append(this.svg, make("ul", { class: "legend" }, ...series.map(entry)));
    this.title = find(id).querySelector("h2").textContent;
    this.svg.addEventListener("pointermove", (event) => Chart.point(this.timeOf(event)));
    this.svg.addEventListener("pointerleave", () => Chart.point(null));
    Chart.all.push(this);
  }

  // All charts show the values of the moment that is pointed at.
  static point(time) {
    for (const chart of Chart.all) {
      chart.at = time;
      chart.render();
    }
    find("at").textContent = time === null ? "" : `values at ${clock(time)}`;
  }

  timeOf(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - SIZE.left) / (box.width - SIZE.left - SIZE.right);
    return this.end - this.span * (1 - share);
  }

  show(samples, span) {
    this.samples = samples;
    this.span = span;
    this.end = samples.length > 0 ? samples[samples.length - 1].at : Date.now() / 1000;
    this.render();
  }

  render() {
    const { height, left, right, top, bottom } = SIZE;
    // Drawn as wide as it is shown, so that its text is as large on a phone.
    const width = this.svg.clientWidth || 480;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const lines = this.series.map(({ read }) => this.samples.map(read));
    const ticks = this.ticks(lines.flat().filter((value) => value !== null && value > 0));
    const [low, high] = [ticks[0], ticks[ticks.length - 1]];
    const scale = (value) => (this.logarithmic ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : value / high);
    const y = (value) => height - bottom - Math.min(1, scale(value)) * (height - top - bottom);
    const x = (time) => left + (1 - (this.end - time) / this.span) * (width - left - right);

    const parts = [];
    for (const tick of ticks) {
      parts.push(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
      parts.push(draw("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, this.format(tick)));
    }
    for (const share of [0, 0.5, 1]) {
      const time = this.end - this.span * (1 - share);
      const anchor = ["start", "middle", "end"][share * 2];
      parts.push(draw("text", { x: x(time), y: height - 4, "text-anchor": anchor }, clock(time)));
    }
    lines.forEach((line, at) => parts.push(draw("path", { class: `line s${at}`, d: this.path(line, x, y) })));
    const shown = this.pointed();
    if (this.at !== null && shown !== null) {
      const time = x(this.samples[shown].at);
      parts.push(draw("line", { class: "cursor", x1: time, x2: time, y1: top, y2: height - bottom }));
    }
    this.svg.replaceChildren(...parts);

    const value = (line) => (shown === null || line[shown] === null ? "–" : this.format(line[shown]));
    lines.forEach((line, at) => {
      this.values[at].textContent = value(line);
    });
    const said = lines.map((line, at) => `${this.series[at].name} ${value(line)}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${said.join(", ")}`);
  }

  // The sample nearest to the moment that is pointed at, or the last one.
  pointed() {
    const last = this.samples.length - 1;
    if (last < 0) return null;
    if (this.at === null) return last;
    const distance = (at) => Math.abs(this.samples[at].at - this.at);
    let nearest = last;
    for (let at = 0; at < last; at += 1) if (distance(at) < distance(nearest)) nearest = at;
    return nearest;
  }

  // A line that breaks where there is no value, or no sample for long.
  path(line, x, y) {
    let path = "";
    let before = null;
    this.samples.forEach(({ at, seconds }, index) => {
      if (line[index] === null) {
        before = null;
        return;
      }
      const joined = before !== null && at - before < seconds * 1.5 + 1;
      const point = `${x(at).toFixed(1)},${y(line[index]).toFixed(1)}`;
      // A lone point is a dot as wide as the line.
      path += joined ? `L${point}` : `M${point}h1`;
      before = at;
    });
    return path;
  }

  // Round values from the axis to above the greatest one.
  ticks(values) {
    if (this.logarithmic) {
      const low = 10 ** Math.floor(Math.log10(Math.min(...values, 0.001)));
      const high = 10 ** Math.ceil(Math.log10(Math.max(...values, 0.001)) + 1e-9);
      const decades = Math.max(1, Math.round(Math.log10(high / low)));
      return Array.from({ length: decades + 1 }, (_, at) => low * 10 ** at);
    }
    const greatest = Math.max(1, ...values);
    const rough = greatest / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
    const whole = Math.max(step, greatest < 4 ? 1 : step);
    return Array.from({ length: Math.ceil(greatest / whole) + 1 }, (_, at) => at * whole);
  }
}

Chart.all = [];
addEventListener("resize", () => Chart.all.forEach((chart) => chart.render()));
