/* SPDX-License-Identifier: MIT */
/* The heat map under the pointer, under fingers and under the keyboard. */
"use strict";

function heatTools() {
	const half = (factor) => () => heatZoom(null, factor, .5, .5);
	const tools = [
		make("button", { type: "button", id: "heat-in", onclick: half(2) }, "+"),
		make("button", { type: "button", id: "heat-out", onclick: half(.5) }, "\u2212"),
		make("button", { type: "button", id: "heat-all", onclick: heatReset }, "All"),
		make("span", {}, "1 " + report.heat.unit),
		make("canvas", { id: "heat-legend", width: 128, height: 8 }),
		make("span", {}, countText(heat.most) + " a cell"),
	];

	if (report.blind.length)
		tools.push(make("span", { className: "alert-word" }, "red: not all was seen"));
	if (report.heat.left_out)
		tools.push(make("span", {}, plural(report.heat.left_out, "mapping") +
			" with less are left out"));
	byId("heat-tools").append(...tools);
	tools[0].ariaLabel = "Zoom in";
	tools[1].ariaLabel = "Zoom out";
}

function heatFigure(strip) {
	const box = make("div", { className: "strip-box" });

	strip.canvas = make("canvas", { tabIndex: 0 });
	strip.canvas.setAttribute("role", "img");
	strip.canvas.ariaLabel = "Heat map of " + strip.map.name;
	strip.canvas.style.height = heatHeight(strip) + "px";
	strip.range = make("span", { className: "range" });
	strip.rubber = make("div", { className: "rubber", hidden: true });
	strip.cursor = { row: 0, col: 0 };
	box.append(strip.canvas, strip.rubber);
	heatPointer(strip);
	heatKeys(strip);
	return make("figure", { className: "strip" },
		make("figcaption", {}, make("b", {}, strip.map.name),
			make("span", {}, heatProcess(strip.map)), strip.range,
			make("span", {}, bytesText(strip.rows * strip.pages_row *
				report.trace.page_size)),
			make("span", {}, plural(strip.map.n, report.heat.unit))), box);
}

/* Which process: said where there are several. */
function heatProcess(map) {
	const names = report.maps.map(m => m.process).filter(name => name);
	const several = new Set(names).size > 1;

	return several ? map.process : "";
}

function heatPointer(strip) {
	const canvas = strip.canvas;
	let from = null;

	function place(event) {
		const box = canvas.getBoundingClientRect();

		return { x: Math.min(box.width, Math.max(0, event.clientX - box.left)),
			 y: Math.min(box.height, Math.max(0, event.clientY - box.top)) };
	}
	function rubber(to) {
		Object.assign(strip.rubber.style, {
			left: Math.min(from.x, to.x) + "px", width: Math.abs(to.x - from.x) + "px",
			top: Math.min(from.y, to.y) + "px", height: Math.abs(to.y - from.y) + "px",
		});
		strip.rubber.hidden = false;
	}
	function tell(event) {
		const { x, y } = place(event);

		showTip(event.clientX, event.clientY,
			heatCellText(strip, heatCellAt(strip, x, y)));
	}
	canvas.addEventListener("pointerdown", event => {
		if (event.button)
			return;
		from = place(event);
		canvas.setPointerCapture(event.pointerId);
		tell(event);
	});
	canvas.addEventListener("pointermove", event => {
		if (from)
			rubber(place(event));
		tell(event);
	});
	canvas.addEventListener("pointerup", event => {
		if (from)
			heatSelect(strip, from, place(event));
		from = null;
		strip.rubber.hidden = true;
	});
	canvas.addEventListener("pointercancel", () => {
		from = null;
		strip.rubber.hidden = true;
	});
	/* A finger covers what it points at: the words stay until it points elsewhere. */
	canvas.addEventListener("pointerleave", event => {
		if (event.pointerType !== "touch")
			hideTip();
	});
	canvas.addEventListener("dblclick", heatReset);
	canvas.addEventListener("wheel", event => {
		const at = place(event);

		if (!event.ctrlKey)
			return;		/* the page scrolls */
		event.preventDefault();
		heatZoom(strip, event.deltaY < 0 ? 1.5 : 1 / 1.5,
			 at.x / canvas.clientWidth, at.y / canvas.clientHeight);
	}, { passive: false });
}

/* A drag in one direction means that direction alone. */
function heatSelect(strip, a, b) {
	const cols = (heat.col1 - heat.col0) / strip.canvas.clientWidth;
	const rows = (strip.row1 - strip.row0) / strip.canvas.clientHeight;
	const col0 = heat.col0, row0 = strip.row0;

	if (Math.abs(a.y - b.y) >= 6)
		heatShowRows(strip, row0 + Math.min(a.y, b.y) * rows,
			     row0 + Math.max(a.y, b.y) * rows);
	if (Math.abs(a.x - b.x) >= 6)
		heatShowTime(col0 + Math.min(a.x, b.x) * cols,
			     col0 + Math.max(a.x, b.x) * cols);
}

function heatKeys(strip) {
	const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0],
			ArrowDown: [1, 0] };

	/* The place of the cursor's cell, in parts of the canvas. */
	function part() {
		return [(strip.cursor.col + .5 - heat.col0) / (heat.col1 - heat.col0),
			(strip.cursor.row + .5 - strip.row0) / (strip.row1 - strip.row0)];
	}
	function bound(n, low, high) {
		return Math.min(Math.ceil(high) - 1, Math.max(Math.floor(low), n));
	}
	function show() {
		const box = strip.canvas.getBoundingClientRect();
		const { row, col } = strip.cursor;
		const [x, y] = part();

		const n = cellsCount(strip.cells, row, col);

		showTip(box.left + x * box.width, box.top + y * box.height,
			heatCellText(strip, { row, col, n }));
	}
	strip.canvas.addEventListener("keydown", event => {
		const move = moves[event.key];

		if (move) {
			const { row, col } = strip.cursor;

			strip.cursor = { row: bound(row + move[0], strip.row0, strip.row1),
					 col: bound(col + move[1], heat.col0, heat.col1) };
		} else if (event.key === "+" || event.key === "-") {
			heatZoom(strip, event.key === "+" ? 2 : .5, ...part());
		} else if (event.key === "Escape") {
			heatReset();
		} else {
			return;
		}
		event.preventDefault();
		show();
	});
	strip.canvas.addEventListener("blur", hideTip);
}
