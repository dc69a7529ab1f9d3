/* SPDX-License-Identifier: MIT */
/*
 * The flame graph of writers, root on top: a frame is as wide as what was written in it
 * and in what it called.  A click shows a frame's part alone.
 */
"use strict";

const flame = { nodes: [], focus: 0, found: null };

/* The nodes come as name, module, parent, self; a parent is before its children. */
function flameRead() {
	const { names, nodes } = report.flame;

	for (let i = 0; i < nodes.length; i += 4)
		flame.nodes.push({ name: names[nodes[i]], module: names[nodes[i + 1]],
				   up: nodes[i + 2], self: nodes[i + 3], total: nodes[i + 3],
				   down: [] });
	for (let i = flame.nodes.length - 1; i > 0; i--) {
		const up = flame.nodes[flame.nodes[i].up];

		up.total += flame.nodes[i].total;
		up.down.push(i);
	}
	for (const node of flame.nodes)
		node.down.sort((a, b) => flame.nodes[b].total - flame.nodes[a].total);
}

/* Warm, and the same colour for the same name. */
function flameColor(name) {
	let hash = 2166136261;

	for (const c of name)
		hash = Math.imul(hash ^ c.codePointAt(0), 16777619) >>> 0;
	return `hsl(${12 + hash % 44} ${70 + (hash >> 8) % 20}% ${62 + (hash >> 16) % 12}%)`;
}

function flameText(node) {
	const whole = flame.nodes[0].total, unit = report.flame.unit;

	return [node.name, node.module,
		`${plural(node.total, unit)}, ${percentText(node.total, whole)} of all`,
		node.self === node.total ? "" : `${countText(node.self)} by itself`]
		.filter(line => line).join("\n");
}

function flameFrame(i, left, width, passed) {
	const node = flame.nodes[i];
	const frame = make("button", { type: "button", className: "frame" }, node.name);

	frame.style.left = 100 * left + "%";
	frame.style.width = 100 * width + "%";
	frame.style.background = i ? flameColor(node.name) : themeColor("line");
	frame.style.color = i ? "" : themeColor("ink");
	frame.classList.toggle("passed", passed);
	frame.classList.toggle("found", Boolean(flame.found) && flame.found(node.name));
	frame.addEventListener("click", () => flameFocus(i));
	frame.addEventListener("pointermove", e => showTip(e.clientX, e.clientY, flameText(node)));
	frame.addEventListener("pointerleave", hideTip);
	frame.addEventListener("focus", () => {
		const box = frame.getBoundingClientRect();

		if (frame.matches(":focus-visible"))
			showTip(box.left, box.bottom, flameText(node));
	});
	frame.addEventListener("blur", hideTip);
	return frame;
}

/* Level by level, because a chain of calls may be deep; frames below half a point are left out. */
function flameDraw() {
	const graph = byId("flame-graph"), rows = [], whole = flame.nodes[flame.focus].total;
	const least = .5 / Math.max(1, graph.clientWidth);
	let level = [[flame.focus, 0]];

	for (let i = flame.focus; i; i = flame.nodes[i].up)
		rows.unshift(make("div", { className: "flame-row" },
				  flameFrame(flame.nodes[i].up, 0, 1, true)));
	while (level.length) {
		const row = make("div", { className: "flame-row" }), next = [];

		for (const [i, left] of level) {
			const width = flame.nodes[i].total / whole;
			let x = left;

			row.append(flameFrame(i, left, width, false));
			for (const child of flame.nodes[i].down) {
				const wide = flame.nodes[child].total / whole;

				if (wide >= least)
					next.push([child, x]);
				x += wide;
			}
		}
		rows.push(row);
		level = next;
	}
	graph.replaceChildren(...rows);
}

function flameFocus(i) {
	flame.focus = i;
	hideTip();
	flameDraw();
}

/* How much is written below what was searched for, a chain counted once. */
function flameFoundShare() {
	let sum = 0, stack = [0];

	while (stack.length) {
		const node = flame.nodes[stack.pop()];

		if (flame.found(node.name))
			sum += node.total;
		else
			stack = stack.concat(node.down);
	}
	return sum;
}

function flameSearch(word, answer) {
	const wanted = word.toLowerCase();

	flame.found = wanted ? name => name.toLowerCase().includes(wanted) : null;
	answer.textContent = wanted ?
		percentText(flameFoundShare(), flame.nodes[0].total) + " below these" : "";
	flameDraw();
}

function flameStart() {
	if (!report.flame) {
		byId("flame").hidden = true;
		return;
	}
	flameRead();
	byId("flame-how").textContent = (report.flame.code ?
		"The chain of calls that led to each write, who began it on top" :
		"Which code wrote is not in this trace; by thread, and what was written") +
		". As wide as what was written below; click a frame to see its part alone.";
	const answer = make("span", { id: "flame-found" });
	const search = make("input", { type: "search", id: "flame-search", placeholder: "Search",
				       autocomplete: "off", spellcheck: false });

	search.ariaLabel = "Search the functions";
	search.addEventListener("input", () => flameSearch(search.value, answer));
	byId("flame-tools").append(search, answer,
		make("button", { type: "button", id: "flame-all", onclick: () => flameFocus(0) },
		     "All"));
	if (report.flame.left_out)
		byId("flame-tools").append(make("span", {},
			plural(report.flame.left_out, "rare frame") + " summed up as (rare)"));
	theme.painters.push(flameDraw);
	addEventListener("resize", flameDraw);
	flameDraw();
}
