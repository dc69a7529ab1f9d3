/* SPDX-License-Identifier: MIT */
/*
 * The data of the report, and how its numbers are written for people.
 *
 * Whatever the watched program has chosen (names of mappings, threads, functions)
 * reaches the page as text of a node, here in make() or by textContent.  Nothing
 * in these scripts ever parses markup.
 */
"use strict";

const report = JSON.parse(document.getElementById("data").textContent);

/* An element with these properties ({className, title, ...}) and children, text included. */
function make(tag, properties, ...children) {
	const element = Object.assign(document.createElement(tag), properties);

	element.append(...children);
	return element;
}

function byId(id) {
	return document.getElementById(id);
}

/* 1234567 -> 1,234,567; the same for every reader, as in the terminal. */
function countText(n) {
	return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

function plural(n, noun) {
	return countText(n) + " " + noun + (n === 1 ? "" : "s");
}

/* Three figures, which is what a picture can show. */
function scaled(n, step, units) {
	let i = 0;

	while (n >= step && i < units.length - 1) {
		n /= step;
		i++;
	}
	return (i ? Number(n.toPrecision(n >= 1000 ? 4 : 3)) : Math.round(n)) + " " + units[i];
}

function bytesText(n) {
	return scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
}

function durationText(ns) {
	if (ns >= 60e9)
		return Math.floor(ns / 60e9) + " min " + Math.round(ns % 60e9 / 1e9) + " s";
	return scaled(ns, 1000, ["ns", "us", "ms", "s"]);
}

/* When, since the begin of the trace, with as many decimals as tell `step` apart. */
function timeText(ns, step) {
	const decimals = Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / 1e9))));

	return (ns / 1e9).toFixed(decimals) + " s";
}

/* A page number times the size of a page is more than a double holds. */
function addressText(page) {
	return "0x" + (BigInt(page) * BigInt(report.trace.page_size)).toString(16);
}

/* The last byte of the page. */
function lastAddressText(page) {
	const size = BigInt(report.trace.page_size);

	return "0x" + (BigInt(page) * size + size - 1n).toString(16);
}

function percentText(part, whole) {
	const share = whole ? 100 * part / whole : 0;

	return (share && share < 10 ? share.toPrecision(2) : Math.round(share)) + " %";
}

/* A colour that the style sheet has for this theme. */
function themeColor(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

/* The one box that follows the pointer: where in the window, and what it says. */
function showTip(x, y, text) {
	const tip = byId("tip");

	tip.textContent = text;
	tip.hidden = false;
	const box = tip.getBoundingClientRect();
	const left = x + 14 + box.width > innerWidth ? x - 14 - box.width : x + 14;
	const top = y + 14 + box.height > innerHeight ? y - 14 - box.height : y + 14;

	tip.style.left = Math.max(4, Math.min(left, innerWidth - box.width - 4)) + "px";
	tip.style.top = Math.max(4, top) + "px";
}

function hideTip() {
	byId("tip").hidden = true;
}
