/* SPDX-License-Identifier: MIT */
/* Light or dark: as the system says, until the reader says otherwise. */
"use strict";

const theme = {
	system: matchMedia("(prefers-color-scheme: dark)"),
	chosen: null,
	painters: [],		/* what has to be drawn anew: canvases know no style sheet */
};

function themeIsDark() {
	return theme.chosen === null ? theme.system.matches : theme.chosen === "dark";
}

function themeApply() {
	const dark = themeIsDark();

	document.documentElement.dataset.theme = dark ? "dark" : "light";
	byId("theme").textContent = dark ? "Light" : "Dark";
	for (const paint of theme.painters)
		paint();
}

function themeStart() {
	const button = byId("theme");

	theme.system.addEventListener("change", themeApply);
	button.title = "Switch between light and dark";
	button.hidden = false;
	button.addEventListener("click", () => {
		theme.chosen = themeIsDark() ? "light" : "dark";
		themeApply();
	});
	themeApply();
}
