// SPDX-License-Identifier: Apache-2.0
// Stacked bars by day, with a table beside them that says the same.
import { el, t, time } from "./common.js";

const WIDEST = 48;

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A day is a bar from its begin to its end; the library stacks the points and we draw down to the ground.
function barPlotter(e) {
	const ctx = e.drawingContext;
	const ground = e.dygraph.toDomYCoord(0);
	const width = Math.min(WIDEST, Math.max(1, (e.plotArea.w / Math.max(1, e.points.length)) * 0.72));
	ctx.fillStyle = e.color;
	for (const p of e.points)
		ctx.fillRect(p.canvasx - width / 2, p.canvasy, width, ground - p.canvasy);
}

// Days have no zone here: noon of UTC is the day itself for everybody.
function noon(day) {
	return new Date(`${day}T12:00:00Z`);
}

function dayText(value, options = { month: "short", day: "numeric" }) {
	return time(value, options, "UTC");
}

function libraryPlain() {
	const { Dygraph } = window;
	Dygraph.PLUGINS = Dygraph.PLUGINS.filter((p) => p !== Dygraph.Plugins.Legend);
	return Dygraph;
}

export class Bars {
	// spec: names of series, days: Map of "2026-03-01" to a value of each, format, caption
	constructor(place, spec) {
		this.spec = spec;
		this.legend = el("p", { class: "legend" });
		this.canvas = el("div", { class: "canvas", "aria-hidden": "true" });
		place.replaceChildren(el("figure", { class: "chart bars" }, this.legend, this.canvas,
			el("details", {}, el("summary", {}, t("chart.table")), el("div", { class: "twin" }, this.twin()))));
	}

	days() {
		return [...this.spec.days.keys()].sort();
	}

	twin() {
		const { names, days, format, caption } = this.spec;
		return el("table", {}, el("caption", {}, caption),
			el("thead", {}, el("tr", {}, [t("costs.by.day"), ...names].map((h, i) => el("th", { scope: "col", class: i ? "number" : null }, h)))),
			el("tbody", {}, this.days().map((day) => el("tr", {}, el("th", { scope: "row" }, day),
				days.get(day).map((v) => el("td", { class: "number" }, format(v)))))));
	}

	label(x) {
		const values = x === undefined ? null : this.spec.days.get(new Date(x).toISOString().slice(0, 10));
		this.legend.replaceChildren(...this.spec.names.map((name, i) => el("span", { class: `c${i}` }, name,
			values ? ` ${this.spec.format(values[i])}` : "")),
		values ? el("span", {}, dayText(x, { dateStyle: "medium" })) : "");
	}

	draw() {
		const { names, days, format } = this.spec;
		const list = this.days();
		const rows = list.map((day) => [noon(day), ...days.get(day)]);
		const half = 12 * 3600 * 1000;
		const most = Math.max(0, ...list.map((day) => days.get(day).reduce((a, b) => a + Math.max(0, b), 0)));
		this.label();
		this.graph = new (libraryPlain())(this.canvas, rows, {
			labels: [t("costs.by.day"), ...names], colors: names.map((_, i) => colour(`--c${i}`)), stackedGraph: true, plotter: barPlotter,
			dateWindow: [noon(list[0]) - half, Number(noon(list.at(-1))) + half], valueRange: [0, most > 0 ? most * 1.08 : 1], labelsUTC: true,
			gridLineColor: colour("--line"), axisLineColor: colour("--line"), axisLabelFontSize: 12, rightGap: 8, animatedZooms: false,
			highlightCircleSize: 0, highlightCallback: (event, x) => this.label(x), unhighlightCallback: () => this.label(),
			axes: { x: { drawGrid: false, axisLabelFormatter: (d) => dayText(d), valueFormatter: (ms) => dayText(ms) },
				y: { axisLabelFormatter: format, valueFormatter: format, axisLabelWidth: 84 } },
		});
	}
}
