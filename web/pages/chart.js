// SPDX-License-Identifier: Apache-2.0
// Graphs of one VM or host by dygraphs, each with a table beside it that says the same.
import { api, badge, bytes, el, number, session, t, time } from "./common.js";
import { GuestLine } from "./guest.js";

const RANGES = [["1h", 3600, 10], ["6h", 21600, 60], ["24h", 86400, 60], ["7d", 604800, 300]];
const TABLE_ROWS = 24;
const SHORTEST_MS = 300000;
const LONG_MS = 2 * 86400000;   // from here on days say more than hours
const POINTS = 600;

const percent = (v) => `${number(v, 1)} %`;
const rate = (v) => `${bytes(v)}/s`;
// least: the scale reaches at least this far, so that a quiet guest looks quiet.
const CHARTS = [
	{ key: "cpu", series: ["cpu"], format: percent, least: 10 },
	{ key: "net", series: ["rx", "tx"], format: rate, least: 1024 },
	{ key: "disk", series: ["rd", "wr"], format: rate, least: 1024 },
];

// Graphs lie where the collector of their host runs.
function elsewhere(answer) {
	if (answer.collector === undefined)
		return undefined;
	const where = answer.machine ? t("chart.elsewhere.at", { machine: answer.machine }) : "";
	return t("chart.elsewhere", { collector: answer.collector, where });
}

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Columns to rows of [Date, value, ...]; what is not known stays null: a gap, not a zero.
function rowsOf(data, names) {
	const length = data.series[names[0]].length;
	return Array.from({ length }, (_, i) => [new Date((data.start + i * data.step) * 1000),
		...names.map((n) => data.series[n][i] ?? null)]);
}

// What was and is to be expected of each series: [low, expected, high] beside each row.
function bandsOf(data, names) {
	const bands = names.map((n) => data.forecast?.series?.[n]).filter(Boolean);
	return bands.length === names.length
		? (i) => bands.map((b) => [b.low[i] ?? null, b.expected[i] ?? null, b.high[i] ?? null]) : null;
}

function isKnown(row) {
	return row.slice(1).some((v) => v !== null);
}

// Nobody wants to look at the time before the first sample; five minutes always stay.
function withoutFore(rows) {
	const first = rows.findIndex(isKnown);
	if (first <= 0)
		return rows;
	const least = rows.findLastIndex((r) => rows.at(-1)[0] - r[0] >= SHORTEST_MS);
	return rows.slice(Math.max(0, Math.min(first, least)));
}

// The library's legend writes style attributes, which the page's policy refuses; ours has
// classes.
function withoutItsLegend() {
	const { Dygraph } = window;
	Dygraph.PLUGINS = Dygraph.PLUGINS.filter((p) => p !== Dygraph.Plugins.Legend);
	return Dygraph;
}

class Chart {
	constructor(spec) {
		this.spec = spec;
		this.legend = el("p", { class: "legend" });
		this.canvas = el("div", { class: "canvas", "aria-hidden": "true" });
		this.summary = el("p", { class: "hint" });
		this.body = el("div", { class: "twin" });
		this.node = el("figure", { class: "chart" }, el("figcaption", {}, t(`chart.${spec.key}`)), this.legend,
			this.canvas, this.summary,
			el("details", {}, el("summary", {}, t("chart.table")), this.body));
	}

	// bandsAt: of a row's place, or null without a forecast.
	options(rows, bandsAt) {
		const format = this.spec.format;
		const long = rows.length > 0 && rows.at(-1)[0] - rows[0][0] > LONG_MS;
		const names = this.spec.series.map((s) => t(`series.${s}`));
		const ahead = bandsAt ? names.map((name) => t("series.forecast", { name })) : [];
		const colours = names.map((_, i) => colour(`--c${i}`));
		const bands = rows.map((_, i) => bandsAt ? bandsAt(i) : []);
		const most = Math.max(0, ...rows.map((r, i) => Math.max(...r.slice(1).map((v) => v ?? 0), ...bands[i].map((b) => b[2] ?? 0))));
		return {
			file: bandsAt ? rows.map((r, i) => [r[0], ...r.slice(1).map((v) => [v, v, v]), ...bands[i]]) : rows,
			labels: [t("chart.time"), ...names, ...ahead],
			colors: bandsAt ? [...colours, ...colours] : colours,
			customBars: Boolean(bandsAt), series: Object.fromEntries(ahead.map((name) => [name, { strokePattern: [5, 4], strokeWidth: 1 }])),
			strokeWidth: 1.6, fillGraph: this.spec.series.length === 1 && !bandsAt,
			fillAlpha: 0.14, includeZero: true, xRangePad: 10, valueRange: [0, most < this.spec.least ? this.spec.least : most * 1.1],
			gridLineColor: colour("--line"), axisLineColor: colour("--line"),
			axisLabelFontSize: 12, rightGap: 8, highlightCircleSize: 3, animatedZooms: false,
			highlightCallback: (event, x, points) => this.label(x, points),
			unhighlightCallback: () => this.label(),
			axes: {
				x: { axisLabelFormatter: (d) => time(d, long ? { month: "short", day: "numeric" }
					: { hour: "2-digit", minute: "2-digit", hour12: false }),
				valueFormatter: (ms) => time(ms, { timeStyle: "medium" }) },
				y: { axisLabelFormatter: format, valueFormatter: format, axisLabelWidth: 76 },
			},
		};
	}

	label(x, points = []) {
		const valueOf = (name) => points.find((p) => p.name === name)?.yval;
		this.legend.replaceChildren(...this.spec.series.map((s, i) => {
			const value = valueOf(t(`series.${s}`));
			return el("span", { class: `c${i}` }, t(`series.${s}`), value === undefined ? "" : ` ${this.spec.format(value)}`);
		}), x === undefined ? "" : el("span", {}, time(x, { timeStyle: "medium" })));
	}

	// Whether it has a place: of all charts first, for their widths depend on how many there are.
	place(data) {
		this.node.hidden = !this.spec.series.every((n) => data?.series?.[n]);
	}

	draw(data) {
		const names = this.spec.series;
		if (this.node.hidden)
			return;
		const all = rowsOf(data, names);
		const rows = withoutFore(all);
		const bandsAt = bandsOf(data, names);
		const options = this.options(rows, bandsAt && ((i) => bandsAt(i + all.length - rows.length)));
		if (this.graph) {
			this.graph.updateOptions(options);
			this.graph.resize();
		} else {
			const { file, ...rest } = options;
			this.graph = new (withoutItsLegend())(this.canvas, file, rest);
			this.label();
		}
		this.tell(rows.filter(isKnown));
	}

	tell(rows) {
		const format = this.spec.format;
		const last = rows.at(-1);
		if (!last) {
			this.summary.textContent = t("chart.nothing");
			this.body.replaceChildren();
			return;
		}
		this.summary.textContent = this.spec.series.map((s, i) => t("chart.summary", { name: t(`series.${s}`),
			now: format(last[i + 1] ?? 0), most: format(Math.max(...rows.map((r) => r[i + 1] ?? 0))) })).join("  ");
		this.body.replaceChildren(el("table", {},
			el("caption", {}, t("chart.table.caption", { name: t(`chart.${this.spec.key}`) })),
			el("thead", {}, el("tr", {}, [t("chart.time"), ...this.spec.series.map((s) => t(`series.${s}`))]
				.map((h) => el("th", { scope: "col" }, h)))),
			el("tbody", {}, rows.slice(-TABLE_ROWS).reverse().map((r) => el("tr", {},
				el("th", { scope: "row" }, time(r[0], { timeStyle: "medium" })),
				r.slice(1).map((v) => el("td", { class: "number" }, v === null ? "–" : format(v))))))));
	}
}

export class Graphs {
	constructor(place) {
		this.place = place;
		this.range = RANGES[0];
		this.forecast = false;
		this.shown = null;
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.refresh(true));
	}

	frame() {
		const row = this.shown.row;
		this.charts = CHARTS.map((spec) => new Chart(spec));
		this.nothing = el("p", { class: "hint", hidden: true }, t("chart.none"));
		this.guest = this.shown.kind === "vm" ? new GuestLine() : null;
		const ranges = el("div", { class: "segments", role: "group", "aria-label": t("chart.range") },
			RANGES.map((r) => el("button", { type: "button", "aria-pressed": String(r === this.range), "data-range": r[0],
				onclick: () => this.choose(r) }, t(`range.${r[0]}`))),
			el("button", { type: "button", "aria-pressed": String(this.forecast), "data-forecast": "yes",
				onclick: () => this.foresee() }, t("chart.forecast")));
		this.place.replaceChildren(
			el("div", { class: "head" },
				el("h2", { id: "graph-title" }, t("chart.title", { name: row.name }), " ",
					row.simulated ? badge("simulated", t("simulated")) : null), ranges),
			...this.guest ? [this.guest.node] : [], this.nothing, el("div", { class: "charts" }, this.charts.map((c) => c.node)));
	}

	choose(range) {
		this.range = range;
		for (const button of this.place.querySelectorAll("[data-range]"))
			button.setAttribute("aria-pressed", String(button.dataset.range === range[0]));
		return this.refresh(false);
	}

	// A third of the time shown is then ahead of now.
	foresee() {
		this.forecast = !this.forecast;
		this.place.querySelector("[data-forecast]").setAttribute("aria-pressed", String(this.forecast));
		return this.refresh(false);
	}

	// kind: vm or host; the same again only refreshes.
	show(kind, row) {
		const same = this.shown?.row.id === row.id;
		this.shown = { kind, row };
		this.place.hidden = false;
		if (!same)
			this.frame();
		return this.refresh(same);
	}

	// A VM in a time that is over; without a graph of it nothing is shown.
	async past(row, start, end) {
		const seconds = (new Date(end) - new Date(start)) / 1000;
		const query = new URLSearchParams({ startdate: start, enddate: end,
			step: String(Math.min(86400, Math.max(10, Math.ceil(seconds / POINTS / 10) * 10))) });
		let answer;
		try {
			answer = await api("GET", `metrics/vm/${row.id}?${query}`);
		} catch (problem) {
			if (problem.status === 404 || problem.status === 400)
				return; // what is charged is no VM
			throw problem;
		}
		const charts = CHARTS.map((spec) => new Chart(spec));
		this.place.hidden = false;
		this.place.replaceChildren(el("div", { class: "head" }, el("h2", { id: "graph-title" }, t("chart.title", { name: row.name })),
			el("p", { class: "hint" }, `${time(start)} – ${time(end)}`)),
		answer.data === null ? el("p", { class: "hint" }, elsewhere(answer) ?? t("why.nograph")) : el("div", { class: "charts" }, charts.map((c) => c.node)));
		for (const chart of answer.data === null ? [] : charts)
			chart.place(answer.data);
		for (const chart of answer.data === null ? [] : charts)
			chart.draw(answer.data);
	}

	hide() {
		this.shown = null;
		this.place.hidden = true;
	}

	async refresh(auto) {
		if (!this.shown || !session)
			return;
		const { kind, row } = this.shown;
		const [, seconds, step] = this.range;
		const end = Math.floor(Date.now() / 1000);
		const iso = (s) => new Date(s * 1000).toISOString();
		const query = new URLSearchParams({ startdate: iso(end - seconds),
			enddate: iso(this.forecast ? end + Math.floor(seconds / 3) : end), step,
			...this.forecast ? { forecast: "true" } : {} });
		let answer;
		try {
			await this.guest?.refresh(row.id, auto);
			answer = await api("GET", `metrics/${kind}/${row.id}?${query}`, undefined, auto);
		} catch (problem) {
			this.nothing.textContent = problem.message;
			this.nothing.hidden = false;
			return;
		}
		if (this.shown?.row.id !== row.id)
			return;
		const blind = answer.data?.forecast?.why !== undefined;
		this.nothing.textContent = elsewhere(answer) ?? t(blind ? "chart.noforecast" : "chart.none");
		this.nothing.hidden = answer.data !== null && !blind && answer.collector === undefined;
		for (const chart of this.charts)
			chart.place(answer.data);
		for (const chart of this.charts)
			chart.draw(answer.data);
	}
}
