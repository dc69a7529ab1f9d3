/* SPDX-License-Identifier: MIT */
/*
 * The cells of a heat map: unpacked, looked up, painted.
 *
 * A strip is `rows` by `cols` cells.  They come in base64, row after row: for each cell
 * that is not empty how many empty ones are before it, then its count, both LEB128.  The
 * first row has the lowest addresses, and is the last one here: they are at the bottom.
 */
"use strict";

function cellsUnpack(packed, rows, cols) {
	const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
	const cells = { at: [], n: [], index: new Map(), cols };
	let where = -1, i = 0;

	function number() {
		let n = 0, unit = 1, byte;

		do {
			byte = bytes[i++];
			n += (byte & 127) * unit;
			unit *= 128;
		} while (byte > 127 && i < bytes.length);
		return n;
	}
	while (i < bytes.length) {
		where += number() + 1;
		const col = where % cols, at = (rows - 1) * cols - (where - col) + col;

		cells.index.set(at, cells.at.length);
		cells.at.push(at);
		cells.n.push(number());
	}
	return cells;
}

function cellsCount(cells, row, col) {
	const i = cells.index.get(row * cells.cols + col);

	return i === undefined ? 0 : cells.n[i];
}

/* The hottest cell among these, where several share a point of the screen. */
function cellsHottest(cells, rows, cols) {
	let best = { row: rows[0], col: cols[0], n: -1 };

	for (let row = rows[0]; row <= rows[1]; row++)
		for (let col = cols[0]; col <= cols[1]; col++) {
			const n = cellsCount(cells, row, col);

			if (n > best.n)
				best = { row, col, n };
		}
	return best;
}

/* From few to many; colours that differ in lightness, so that print and eyes of all kinds do. */
const rampLight = ["#f7dfa9", "#f6b25f", "#ea7a35", "#c73a32", "#84194f", "#3b0f4f"];
const rampDark = ["#5a3a8c", "#8f2f78", "#bf3a55", "#ee7138", "#fbb54a", "#fdf3a8"];

/* 256 colours, packed as ImageData wants them; 0 stands for an empty cell. */
function rampColors(dark, empty) {
	const stops = dark ? rampDark : rampLight;
	const colors = new Uint8ClampedArray(256 * 4);

	function channel(color, k) {
		return parseInt(color.slice(1 + 2 * k, 3 + 2 * k), 16);
	}
	for (let i = 0; i < 256; i++) {
		const at = (i - 1) / 254 * (stops.length - 1);
		const low = Math.min(stops.length - 2, Math.max(0, Math.floor(at)));

		for (let k = 0; k < 3; k++) {
			const a = channel(stops[low], k), b = channel(stops[low + 1], k);

			colors[4 * i + k] = i ? a + (b - a) * (at - low) : channel(empty, k);
		}
		colors[4 * i + 3] = 255;
	}
	return colors;
}

/* Counts differ by powers of ten. */
function rampIndex(n, most) {
	return n ? 1 + Math.round(254 * Math.log(n) / Math.log(Math.max(2, most))) : 0;
}

/* The points of a cell, whose middles lie in it: at least one, on the canvas. */
function cellsPoints(cell, per, all) {
	const first = Math.min(all - 1, Math.max(0, Math.ceil(cell * per - .5)));

	return [first, Math.min(all, Math.max(first + 1, Math.ceil((cell + 1) * per - .5)))];
}

/*
 * Those of the view ({row0, row1, col0, col1}, upper bounds excluded) over the whole of
 * the context's canvas.  Where cells are smaller than a point the hottest one shows.
 */
function cellsPaint(context, cells, view, most, colors) {
	const w = context.canvas.width, h = context.canvas.height;
	const image = context.createImageData(w, h);
	const heat = new Uint8Array(w * h);
	const perCol = w / (view.col1 - view.col0), perRow = h / (view.row1 - view.row0);

	for (let i = 0; i < cells.at.length; i++) {
		const col = cells.at[i] % cells.cols, row = (cells.at[i] - col) / cells.cols;

		if (col + 1 <= view.col0 || col >= view.col1 ||
		    row + 1 <= view.row0 || row >= view.row1)
			continue;
		const [x0, x1] = cellsPoints(col - view.col0, perCol, w);
		const [y0, y1] = cellsPoints(row - view.row0, perRow, h);
		const warmth = rampIndex(cells.n[i], most);

		for (let y = y0; y < y1; y++)
			for (let at = y * w + x0; at < y * w + x1; at++)
				if (heat[at] < warmth)
					heat[at] = warmth;
	}
	for (let at = 0; at < heat.length; at++)
		for (let k = 0; k < 4; k++)
			image.data[4 * at + k] = colors[4 * heat[at] + k];
	context.putImageData(image, 0, 0);
}
