import uPlot from "../webjars/uplot/dist/uPlot.esm.js";
import { h } from "./dom.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
/** Of the area below a line, as two hexadecimal digits. */
const OPACITY = "30";

/**
 * A chart over time that fills its box and takes its colours from the page.
 *
 * @param label what it shows, for those who do not see it
 * @param series [{label, color, width}]; with area: true, also the area below the line has its colour
 * @param extra options of uPlot; with stacked: true, each series stands on those behind it, so that none hides another
 */
export function chart(label, series, { stacked = false, ...extra } = {}) {
  const box = h("div", { class: "chart", role: "img", "aria-label": label });
  let plot = null;
  let data = [[], ...series.map(() => [])];
  let values = data;
  const draw = () => {
    plot?.destroy();
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
    const opacity = stacked ? "" : OPACITY;
    plot = new uPlot({
      width: Math.max(200, box.clientWidth),
      height: Math.max(120, box.clientHeight - (extra.legend ? 0 : 40)),
      series: [{}, ...series.map(({ area, bars: isBars, ...one }, i) => ({
        ...one,
        stroke: color(one.color),
        fill: isBars ? color(one.color) : area || stacked ? color(one.color) + opacity : undefined,
        // A lone value between gaps would be no line.
        points: { show: false, size: 5, filter: (u, series) => lone(u.data[series]) },
        ...(stacked && { value: (u, value, index, at) => values[i + 1]?.[at] ?? "–" }),
      }))],
      axes: [{ ...axis, incrs: extra.steps }, { ...axis, size: 60 }],
      scales: { y: { range: (u, min, max) => [0, Math.max(1, max * 1.05)] } },
      ...extra,
    }, data, box);
  };
  const resized = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, box.clientWidth), height: Math.max(120, box.clientHeight - (extra.legend ? 0 : 40)) }));
  resized.observe(box);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw);
  return {
    box,
    show(newer, summary) {
      values = newer;
      data = stacked ? onEachOther(newer) : newer;
      box.setAttribute("aria-label", label + (summary ? ": " + summary : ""));
      plot ? plot.setData(data) : draw();
    },
    end() {
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      plot?.destroy();
    },
  };
}

/** The indices of values without neighbours. */
const lone = (values) => values.map((value, i) => (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? i : -1)).filter((i) => i >= 0);

/** The last series is at the bottom: it is drawn last, in front of the sums. */
function onEachOther([times, ...series]) {
  const sums = times.map(() => 0);
  return [times, ...series.reverse().map((one) => one.map((value, i) => (sums[i] += value ?? 0))).reverse()];
}

export const bars = uPlot.paths.bars({ size: [0.8, 60] });
