/* SPDX-License-Identifier: MIT */
/*
 * The page: one report, everything on it out of one JSON object that `pagetap report
 * --html` writes (html-*.c), pagetap.html/1:
 *
 *   trace     {name, page_size, records, part: not all of it is shown}: what was read.  Times
 *             are ns since its base
 *   facts     a sentence on it
 *   losses    sentences: what is missing in the trace.  They come first
 *   totals    [words, value as text]
 *   maps      {name, path, kind, process, mms, mappings, n, written, faults, pages, gaps}:
 *             by n, which is what the heat map counts; mms: the address spaces, null: any;
 *             maps_left_out: so many more
 *   threads   {name, tid, process, writes, faults, stop_ns}; threads_left_out
 *   heat      {t0, step, cols, unit, left_out, strips}; a strip is {map: its index,
 *             pages_row, rows: [page of the first, how many] of neighbours, cells: see
 *             page-cells.js}; a row is pages_row pages, a column begins at t0 + col * step
 *   blind     [t0, t1, mm, page, npages]: the gaps; npages 0: all of mm
 *   curves    {step, times, rates: [{name, n}], sets: [{name, pages}]}
 *   flame     {unit, code: does the trace know it, names, nodes, left_out}, or null; see
 *             page-flame.js
 *   events    {list: [ts, process, kind, words, is it bad], left_out}
 *   made      a sentence for the foot of the page
 */
"use strict";

function start() {
	byId("facts").textContent = report.facts;
	byId("made").textContent = report.made;
	byId("report").hidden = false;
	themeStart();
	lossesStart();
	totalsStart();
	curvesStart();
	heatStart();
	flameStart();
	tablesStart();
	eventsStart();
	/* Whoever waits for the page (a test, a printer) sees that all of it is there. */
	document.documentElement.dataset.ready = "true";
}

start();
