/* SPDX-License-Identifier: MIT */
/*
 * The heat map: a strip for each mapping, all over the same time.
 *
 * A part of the time is looked at in all strips at once; a part of the addresses in one.
 */
"use strict";

const heat = {
	strips: [],		/* {map, rows, pageOf, pages_row, cells, canvas, row0, row1...} */
	col0: 0,
	col1: 1,
	cols: 1,
	most: 1,
	colors: null,
	onTime: [],		/* told of the part of time that is looked at, ns */
};

function heatTime(col) {
	return report.heat.t0 + col * report.heat.step;
}

function heatHeight(strip) {
	return Math.round(Math.min(150, Math.max(18, 14 + 12 * Math.log2(1 + strip.rows))));
}

function heatPaint(strip) {
	const canvas = strip.canvas, ratio = devicePixelRatio || 1;
	const w = Math.max(1, Math.round(canvas.clientWidth * ratio));
	const h = Math.max(1, Math.round(canvas.clientHeight * ratio));

	if (canvas.width !== w || canvas.height !== h) {
		canvas.width = w;
		canvas.height = h;
	}
	cellsPaint(canvas.getContext("2d"), strip.cells,
		   { row0: strip.row0, row1: strip.row1, col0: heat.col0, col1: heat.col1 },
		   heat.most, heat.colors);
	heatPaintBlind(strip);
}

/* Where nothing could be seen: an empty cell there does not say that nothing was written. */
function heatPaintBlind(strip) {
	const context = strip.canvas.getContext("2d");
	const perCol = strip.canvas.width / (heat.col1 - heat.col0);
	const perRow = strip.canvas.height / (strip.row1 - strip.row0);

	context.fillStyle = themeColor("bad") + "55";
	for (const { t0, t1, row0, row1 } of strip.blind) {
		const x = ((t0 - report.heat.t0) / report.heat.step - heat.col0) * perCol;
		const w = Math.max(1, (t1 - t0) / report.heat.step * perCol);

		context.fillRect(x, (row0 - strip.row0) * perRow, w,
				 Math.max(1, (row1 - row0) * perRow));
	}
	/* Between rows whose pages do not follow one another nothing ever happened. */
	context.fillStyle = themeColor("fold");
	for (const row of perRow < 4 ? [] : strip.folds)
		context.fillRect(0, Math.round((row - strip.row0) * perRow), strip.canvas.width, 1);
}

function heatPaintAll() {
	heat.colors = rampColors(themeIsDark(), themeColor("panel"));
	for (const strip of heat.strips)
		heatPaint(strip);
	heatPaintLegend();
}

function heatPaintLegend() {
	const context = byId("heat-legend").getContext("2d");

	for (let i = 0; i < context.canvas.width; i++) {
		const at = 4 * (1 + Math.floor(254 * i / context.canvas.width));

		context.fillStyle = `rgb(${heat.colors.slice(at, at + 3).join(" ")})`;
		context.fillRect(i, 0, 1, context.canvas.height);
	}
}

/* A zoom never shows less than a cell, nor what is beyond the edges. */
function heatClamp(low, high, least, all) {
	const width = Math.min(all, Math.max(least, high - low));
	const begin = Math.min(all - width, Math.max(0, (low + high - width) / 2));

	return [begin, begin + width];
}

function heatShowTime(col0, col1) {
	[heat.col0, heat.col1] = heatClamp(col0, col1, Math.min(2, heat.cols), heat.cols);
	for (const strip of heat.strips)
		heatPaint(strip);
	heatAxis();
	for (const tell of heat.onTime)
		tell(heatTime(heat.col0), heatTime(heat.col1));
}

function heatShowRows(strip, row0, row1) {
	[strip.row0, strip.row1] = heatClamp(row0, row1, Math.min(1, strip.rows), strip.rows);
	heatPaint(strip);
	strip.range.textContent = addressText(strip.pageOf[Math.ceil(strip.row1) - 1]) +
		" \u2013 " + lastAddressText(heatLastPage(strip, Math.floor(strip.row0)));
}

function heatLastPage(strip, row) {
	return strip.pageOf[row] + strip.pages_row - 1;
}

function heatReset() {
	for (const strip of heat.strips)
		heatShowRows(strip, 0, strip.rows);
	heatShowTime(0, heat.cols);
}

function heatAxis() {
	const step = (heat.col1 - heat.col0) * report.heat.step / 100;
	const times = [0, .25, .5, .75, 1].map(part =>
		heatTime(heat.col0 + part * (heat.col1 - heat.col0)));

	byId("heat-axis").replaceChildren(...times.map(t => make("span", {}, timeText(t, step))));
}

/* By a factor, around a place of the strip given in parts of its width and height. */
function heatZoom(strip, factor, x, y) {
	const cols = heat.col1 - heat.col0, col = heat.col0 + x * cols;

	if (strip) {
		const rows = strip.row1 - strip.row0, row = strip.row0 + y * rows;

		heatShowRows(strip, row - y * rows / factor, row + (1 - y) * rows / factor);
	}
	heatShowTime(col - x * cols / factor, col + (1 - x) * cols / factor);
}

/* The cells below a point of the canvas; the hottest is the one whose colour shows. */
function heatCellAt(strip, x, y) {
	const w = strip.canvas.clientWidth, h = strip.canvas.clientHeight;
	const perX = (heat.col1 - heat.col0) / w, perY = (strip.row1 - strip.row0) / h;

	function range(low, per, p, all) {
		const first = Math.floor(low + (per > 1 ? p : p + .5) * per);
		const last = per > 1 ? Math.ceil(low + (p + 1) * per) - 1 : first;

		return [first, last].map(i => Math.min(all - 1, Math.max(0, i)));
	}
	return cellsHottest(strip.cells, range(strip.row0, perY, Math.floor(y), strip.rows),
			    range(heat.col0, perX, Math.floor(x), heat.cols));
}

function heatCellText(strip, cell) {
	const first = strip.pageOf[cell.row], last = heatLastPage(strip, cell.row);
	const step = report.heat.step;
	const t0 = heatTime(cell.col), t1 = t0 + step;
	const blind = strip.blind.some(b =>
		b.t0 < t1 && b.t1 > t0 && b.row0 <= cell.row && b.row1 > cell.row);

	return [
		strip.map.name,
		addressText(first) + " \u2013 " + lastAddressText(last) +
			" (" + plural(last - first + 1, "page") + ")",
		plural(cell.n, report.heat.unit),
		timeText(t0, step / 10) + " \u2013 " + timeText(t1, step / 10),
	].concat(blind ? ["a gap: not all was seen here"] : []).join("\n");
}

function heatStart() {
	if (!report.heat.strips.length) {
		byId("heat-tools").append(make("span", {}, "Nothing was told of any mapping."));
		return;
	}
	heat.cols = heat.col1 = report.heat.cols;
	for (const given of report.heat.strips) {
		const map = report.maps[given.map];
		const rows = heatRows(given);
		const cells = cellsUnpack(given.cells, rows.rows, heat.cols);

		heat.most = cells.n.reduce((a, b) => Math.max(a, b), heat.most);
		heat.strips.push({ map, cells, pages_row: given.pages_row, ...rows });
	}
	for (const strip of heat.strips)
		strip.blind = heatBlind(strip);
	heatTools();
	for (const strip of heat.strips)
		byId("heat-strips").append(heatFigure(strip));
	theme.painters.push(heatPaintAll);
	heatPaintAll();
	heatReset();
	addEventListener("resize", heatPaintAll);
	addEventListener("pointerdown", event => {
		if (!event.target.closest(".strip"))
			hideTip();
	});
}

/* Rows come in runs of neighbours, [page of the first, how many]; the highest is on top. */
function heatRows(given) {
	const pageOf = [], folds = [];

	for (const [page, n] of given.rows) {
		if (pageOf.length)
			folds.push(pageOf.length);
		for (let i = 0; i < n; i++)
			pageOf.push(page + i * given.pages_row);
	}
	const rows = pageOf.length;

	return { pageOf: pageOf.reverse(), folds: folds.map(row => rows - row), rows,
		 row0: 0, row1: rows };
}

/* What of the gaps concerns the strip, by its rows. */
function heatBlind(strip) {
	const blind = [];

	for (const [t0, t1, mm, page, npages] of report.blind) {
		if (strip.map.mms && !strip.map.mms.includes(mm))
			continue;
		/* Without a span it is all of the address space. */
		const last = npages ? page + npages - 1 : Infinity;
		const row0 = strip.pageOf.findIndex(p => p <= last);
		const row1 = strip.pageOf.findLastIndex(p => p + strip.pages_row > page) + 1;

		if (row0 >= 0 && row1 > row0)
			blind.push({ t0, t1, row0, row1 });
	}
	return blind;
}
