/* SPDX-License-Identifier: MIT */
/* Rates and working set over time, by uPlot.  They and the heat map show the same part of time. */
"use strict";

const curves = { plots: [] };

function curveAxis(values, size, more) {
	const color = (name) => () => themeColor(name);

	const lines = { stroke: color("line"), width: 1 };

	return { stroke: color("faint"), values, size, grid: lines, ticks: lines,
		 ...more };
}

function curveSeries({ label, color, value }) {
	return { label, value: (self, n) => n === null ? "\u2013" : value(n),
		 stroke: () => themeColor(color), width: 1.5, points: { show: false },
		 paths: uPlot.paths.stepped({ align: 1 }) };
}

/* Steps of an axis of bytes. */
const curveBytes = Array.from({ length: 50 }, (_, i) => 2 ** i);

/* A plot: its title, series [{label, color, values, value()}], left axis {text(), more}. */
function curvePlot(place, title, series, axis) {
	const step = report.curves.step;
	/* A window is as long as a step, the last one, too. */
	const closed = values => [...values, values[values.length - 1]];
	const times = [...report.curves.times, report.curves.times.at(-1) + step].map(t => t / 1e9);
	const time = (self, t) => t === null ? "\u2013" : timeText(t * 1e9, step);
	const seconds = (self, splits) => splits.map(t => Number(t.toPrecision(12)) + " s");
	const left = (self, splits) => splits.map(axis.text);
	const fromZero = (self, min, max) => [0, max * 1.05 || 1];
	const options = {
		width: place.clientWidth, height: 190,
		scales: { x: { time: false }, y: { range: fromZero } },
		cursor: { sync: { key: "time", setSeries: false }, drag: { x: true, y: false } },
		series: [{ label: "time", value: time }, ...series.map(curveSeries)],
		axes: [curveAxis(seconds, 36, { space: 90 }),
		       curveAxis(left, 70, axis.more)],
		hooks: { setScale: [curveTell] },
	};

	place.before(make("h3", {}, title));
	const plot = new uPlot(options, [times, ...series.map(s => closed(s.values))], place);

	curves.plots.push({ plot, place });
}

/*
 * A part of the time was chosen here: then everywhere.  The plots tell of it later than
 * they are told, so what the heat map shows already is where that ends.
 */
function curveTell(plot, scale) {
	const { t0, step } = report.heat, { min, max } = plot.scales.x;
	const col0 = (min * 1e9 - t0) / step, col1 = (max * 1e9 - t0) / step;

	if (scale !== "x" || !heat.colors)
		return;
	if (Math.abs(col0 - heat.col0) > 1e-3 || Math.abs(col1 - heat.col1) > 1e-3)
		heatShowTime(col0, col1);
}

function curvesShowTime(t0, t1) {
	for (const { plot } of curves.plots)
		plot.setScale("x", { min: t0 / 1e9, max: t1 / 1e9 });
}

function curvesStart() {
	const { step, times, rates, sets } = report.curves;
	const colors = ["writes", "faults", "set"];
	const seconds = step / 1e9, page = report.trace.page_size;

	if (!times.length) {
		byId("curves").hidden = true;
		return;
	}
	curvePlot(byId("curve-rate"), "Rate", rates.map((r, i) => ({
		label: r.name, color: colors[i], values: r.n.map(n => n / seconds),
		value: n => scaled(n, 1000, ["/s", "k/s", "M/s", "G/s"]),
	})), { text: n => scaled(n, 1000, ["/s", "k/s", "M/s", "G/s"]) });
	curvePlot(byId("curve-set"), "Memory", sets.map((s, i) => ({
		label: s.name, color: colors[2 - i], values: s.pages.map(n => n * page),
		value: bytesText,
	})), { text: bytesText, more: { incrs: curveBytes } });
	heat.onTime.push(curvesShowTime);
	theme.painters.push(() => curves.plots.forEach(({ plot }) => plot.redraw()));
	addEventListener("resize", () => curves.plots.forEach(({ plot, place }) =>
		plot.setSize({ width: place.clientWidth, height: 190 })));
}
