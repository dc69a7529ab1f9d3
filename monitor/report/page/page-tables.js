/* SPDX-License-Identifier: MIT */
/* Totals, losses, and everything that is a table. */
"use strict";

function lossesStart() {
	const place = byId("losses");

	if (!report.losses.length) {
		place.append(make("p", { className: "fine" },
				  "Nothing was lost, and there are no gaps" +
				  (report.trace.part ? " in what is shown." : ".")));
		return;
	}
	place.append(make("div", { className: "alert" },
		make("ul", {}, ...report.losses.map(words => make("li", {}, words)))));
}

function totalsStart() {
	byId("totals").append(...report.totals.map(([words, value]) =>
		make("div", { className: "total" },
		     make("b", {}, value), make("span", {}, words))));
}

/* Columns are [heading, class, cell of a row]. */
function table(columns, rows) {
	const head = make("tr", {}, ...columns.map(([words, kind]) =>
		make("th", { className: kind === "n" ? "n" : "", scope: "col" }, words)));
	const body = rows.map(row => make("tr", { className: row.bad ? "bad" : "" },
		...columns.map(([, kind, cell]) => make("td", { className: kind }, cell(row)))));

	return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

function tableSection(title, columns, rows, leftOut, noun) {
	const place = byId("tables");

	if (!rows.length)
		return;
	place.append(make("h3", {}, title),
		     make("div", { className: "wide" }, table(columns, rows)));
	if (leftOut)
		place.append(make("p", { className: "how" },
				  `${plural(leftOut, noun)} with less left out`));
}

function tablesStart() {
	const count = key => row => countText(row[key]);
	const process = row => row.process;

	tableSection("Mappings", [
		["mapping", "name", row => row.path || row.name],
		["kind", "", row => row.kind],
		["process", "", process],
		["mappings", "n", count("mappings")],
		["writes", "n", count("written")],
		["faults", "n", count("faults")],
		["different pages", "n", count("pages")],
		["gaps", "n", count("gaps")],
	], report.maps, report.maps_left_out, "mapping");
	tableSection("Threads", [
		["thread", "name", row => row.name],
		["tid", "n", row => String(row.tid)],
		["process", "", process],
		["writes", "n", count("writes")],
		["faults", "n", count("faults")],
		["stood still", "n", row => durationText(row.stop_ns)],
	], report.threads, report.threads_left_out, "thread");
}

function eventsStart() {
	const { list, left_out: leftOut } = report.events;
	const place = byId("events-table");
	const rows = list.map(([ts, process, kind, words, bad]) =>
		({ ts, process, kind, words, bad }));
	const span = rows.length ? rows[rows.length - 1].ts - rows[0].ts : 0;
	const step = Math.max(1e3, Math.min(1e6, span / 1e3));
	const kinds = [...new Set(rows.map(row => row.kind))].sort();
	const choose = make("select", { id: "events-kind" },
		make("option", { value: "" }, "all kinds"),
		...kinds.map(kind => make("option", { value: kind }, kind)));

	function show() {
		place.replaceChildren(table([
			["time", "n", row => timeText(row.ts, step)],
			["process", "", row => row.process],
			["what", "", row => row.kind],
			["", "name", row => row.words],
		], rows.filter(row => !choose.value || row.kind === choose.value)));
	}
	choose.ariaLabel = "Kind of event";
	choose.addEventListener("change", show);
	byId("events-tools").append(choose, make("span", { id: "events-left" }, leftOut ?
		`${plural(leftOut, "event")} left out, of each kind those in the middle` :
		plural(rows.length, "event")));
	show();
}
