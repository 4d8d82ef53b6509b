import uPlot from "../webjars/uplot/dist/uPlot.esm.js";
import { h } from "./dom.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

/**
 * A chart over time that fills its box and takes its colours from the page.
 *
 * @param label what it shows, for those who do not see it
 * @param series [{label, color, width}]
 */
export function chart(label, series, extra = {}) {
  const box = h("div", { class: "chart", role: "img", "aria-label": label });
  let plot = null;
  let data = [[], ...series.map(() => [])];
  const draw = () => {
    plot?.destroy();
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
    plot = new uPlot({
      width: Math.max(200, box.clientWidth),
      height: Math.max(120, box.clientHeight - (extra.legend ? 0 : 40)),
      series: [{}, ...series.map((one) => ({ ...one, stroke: color(one.color), fill: one.bars ? color(one.color) : undefined, points: { show: false } }))],
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
      data = newer;
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

export const bars = uPlot.paths.bars({ size: [0.8, 60] });
