// SPDX-License-Identifier: Apache-2.0
// Costs by day, sku, resource, account, project or tag: rows that add up to statements, and are added up here once more.
import { api, badge, el, empty, fill, money, notice, number, runOnce, session, sum, t, table, tile, time, word } from "./common.js";
import { exact, total, verdict } from "./exact.js";
import { Bars } from "./bars.js";

const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const ROWS_SHOWN = 2000;
const SERIES_MOST = 5;
const DAYS_MOST = 400;
const PAYS = ["credit", "prepaid"];
const FIELDS = ["period", "from", "to", "by", "tagkey", "account", "sku", "tag"];

// ---- what is asked for

// Today by the reader's account, as the API writes days.
function today() {
	return new Intl.DateTimeFormat("en-CA", { timeZone: session?.timezone ?? "UTC", year: "numeric", month: "2-digit",
		day: "2-digit" }).format(new Date());
}

function monthAgo(day, months) {
	const [year, month] = day.split("-").map(Number);
	return new Date(Date.UTC(year, month - 1 - months, 1)).toISOString().slice(0, 10);
}

function dayBefore(day) {
	return new Date(Date.parse(`${day}T00:00:00Z`) - 86400000).toISOString().slice(0, 10);
}

function range() {
	const now = today();
	const period = at("period").value;
	if (period === "open")
		return {};
	if (period === "days")
		return { startdate: at("from").value, enddate: at("to").value };
	if (period === "last")
		return { startdate: monthAgo(now, 1), enddate: dayBefore(monthAgo(now, 0)) };
	return { startdate: monthAgo(now, Number(period) - 1), enddate: now };
}

function asked(by) {
	const params = { ...range(), by, account: session.provider ? at("account").value : "", sku: at("sku").value.trim(), tag: at("tag").value.trim(),
		statement: query.get("statement") ?? "", projects: at("projects").checked ? "true" : "" };
	return new URLSearchParams(Object.entries(params).filter(([, value]) => value !== ""));
}

function chosenBy() {
	const by = at("by").value;
	return by === "tag" ? `tag:${at("tagkey").value.trim()}` : by;
}

function fieldsShow() {
	for (const place of document.querySelectorAll("[data-days]"))
		place.hidden = at("period").value !== "days";
	document.querySelector("[data-tag]").hidden = at("by").value !== "tag";
	at("tagkey").required = at("by").value === "tag";
	for (const id of ["from", "to"])
		at(id).required = at("period").value === "days";
}

// The address holds what is shown, so that it can be kept and sent.
function addressWrite() {
	const words = new URLSearchParams(FIELDS.map((id) => [id, at(id).value]).filter(([, value]) => value !== ""));
	if (at("projects").checked)
		words.set("projects", "true");
	history.replaceState(null, "", `/costs?${words}`);
}

function addressRead() {
	for (const id of FIELDS)
		if (query.get(id) && (at(id).tagName !== "SELECT" || [...at(id).options].some((o) => o.value === query.get(id))))
			at(id).value = query.get(id);
	at("projects").checked = query.get("projects") === "true";
}

// ---- answers

function sumOf(rows) {
	return total(rows.map((r) => r.amount));
}

function tilesOf(sums) {
	const of = (s, key) => money(s[key], s.currency);
	return sums.flatMap((s) => [tile(t("costs.total"), of(s, "total"), t("costs.withtax")),
		tile(t("costs.charges"), of(s, "charge"), t(exact(s.tax_included).n === 0n ? "costs.beforetax" : "costs.withtax")),
		tile(t("bill.tax"), of(s, "tax"), exact(s.tax_included).n === 0n ? null : t("costs.included")),
		tile(t("costs.others"), money(sum([s.adjustment, s.credit_note]), s.currency), t("costs.others.hint"))]);
}

// What a row is about, in the words of the page.
const CELLS = {
	day: (r) => r.day ?? "",
	account: (r) => r.account ?? "",
	project: (r) => r.project || (r.kind === "charge" ? t("costs.noproject") : ""),
	sku: (r) => r.sku ? word("sku", r.sku) : "",
	resource: (r) => r.resourcename ?? (r.kind === "charge" ? t("bill.whole") : ""),
	tag: (r) => r.tag || (r.kind === "charge" ? t("costs.notag") : ""),
};

// What is no charge says so first.
function firstCell(by, r) {
	return r.kind === "charge" ? CELLS[by](r) : [badge("busy", t(`costs.kind.${r.kind}`)), " ", CELLS[by](r)];
}

function rowsTable(answer) {
	const columns = answer.by.map((by, i) => ({ label: by === "tag" ? `${t("costs.by.tag")} ${answer.tagkey}` : t(`costs.by.${by}`),
		cell: i === 0 ? (r) => firstCell(by, r) : CELLS[by] }));
	return table(t("costs.rows"), [...columns,
		{ label: t("bill.amount"), class: "number", cell: (r) => money(r.amount, r.currency) }],
	answer.rows.slice(0, ROWS_SHOWN), (r) => r.kind === "charge" ? {} : { class: "apart" });
}

// Sums below the table: of each currency, by what it is, and whether the rows above make them.
function sumsOf(answer) {
	return answer.sums.map((s) => {
		const rows = answer.rows.filter((r) => r.currency === s.currency);
		const line = (key, text, value, said) => el("div", { class: key }, el("dt", {}, text),
			el("dd", {}, said === undefined ? "" : verdict(said, value), " ", money(value, s.currency)));
		const kinds = ["charge", "adjustment", "credit_note", "tax_included", "tax"].filter((k) => k === "charge" || exact(s[k]).n !== 0n);
		const pays = PAYS.filter((k) => exact(s[k]).n !== 0n);
		return el("dl", { class: "totals" }, kinds.map((k) => line("part", t(`costs.kind.${k}`), s[k], sumOf(rows.filter((r) => r.kind === k)))),
			line("total", t("costs.total"), s.total, sumOf(rows.filter((r) => !PAYS.includes(r.kind)))),
			pays.map((k) => line("part", t(`costs.kind.${k}`), s[k])),
			pays.length > 0 ? line("total", t("statement.due"), s.due, sumOf(rows)) : null);
	});
}

function documentsTable(documents, answer) {
	const several = new Set(documents.map((d) => d.account)).size > 1;
	return table(t("costs.documents"), [
		{ label: t("statement.number"), cell: (d) => d.number ? [el("a", { href: `/statements?id=${d.id}` }, d.number), " ",
			d.kind === "credit_note" ? badge("busy", t("statement.kind.credit_note")) : null] : badge("good", t("costs.open")) },
		...several ? [{ label: t("account"), cell: (d) => d.account }] : [],
		{ label: t("statement.period"), cell: (d) => `${d.firstday} – ${d.lastday}` },
		{ label: t("costs.shown"), class: "number", cell: (d) => money(d.shown, d.currency) },
		{ label: t("costs.leftout"), class: "number", cell: (d) => money(d.leftout, d.currency) },
		{ label: t("costs.documenttotal"), class: "number", cell: (d) => [verdict(total([d.shown, d.leftout]), d.total), " ", money(d.total, d.currency)] },
	], documents.filter((d) => exact(d.total).n !== 0n || answer.documents.length === 1));
}

// The largest skus of a currency by day, and the others together.
function seriesOf(rows) {
	const sums = new Map();
	for (const r of rows)
		sums.set(r.sku, (sums.get(r.sku) ?? 0) + Number(r.amount));
	const names = [...sums].sort((a, b) => b[1] - a[1]).slice(0, SERIES_MOST).map(([sku]) => sku);
	const others = sums.size > names.length;
	const days = new Map();
	for (const r of rows) {
		const day = days.get(r.day) ?? new Array(names.length + (others ? 1 : 0)).fill(0);
		day[names.includes(r.sku) ? names.indexOf(r.sku) : names.length] += Number(r.amount);
		days.set(r.day, day);
	}
	return { names: [...names.map((sku) => word("sku", sku)), ...others ? [t("costs.others.series")] : []], days };
}

function dayAfter(day) {
	return new Date(Date.parse(`${day}T00:00:00Z`) + 86400000).toISOString().slice(0, 10);
}

// Also the days on which nothing was spent, and those that are still to come.
function daysFill(series, documents) {
	const { startdate, enddate } = range();
	const first = documents.map((d) => d.firstday).sort()[0];
	const last = documents.map((d) => d.lastday).sort().at(-1);
	const from = startdate && startdate > first ? startdate : first;
	const to = enddate && enddate < last ? enddate : last;
	for (let day = from, n = 0; day <= to && n < DAYS_MOST; day = dayAfter(day), n++)
		if (!series.days.has(day))
			series.days.set(day, series.names.map(() => 0));
	return series;
}

function drawDays(answer) {
	const rows = answer.rows.filter((r) => r.kind === "charge" && r.day);
	const currency = answer.sums[0]?.currency;
	const place = at("days");
	place.closest("section").hidden = rows.length === 0 || answer.sums.length !== 1;
	at("days-hint").textContent = t("costs.days.hint");
	if (!place.closest("section").hidden)
		new Bars(place, { ...daysFill(seriesOf(rows), answer.documents), format: (v) => money(v, currency), caption: t("costs.days") }).draw();
}

function files() {
	const link = (format) => el("a", { href: `/v1/cost-file?${asked(chosenBy())}&format=${format}`, download: "" }, format.toUpperCase());
	return [link("csv"), link("json")];
}

async function refresh() {
	await choices();
	fieldsShow();
	const by = chosenBy();
	const answer = await api("GET", `costs?${asked(by)}`);
	const days = by.startsWith("account") || by.startsWith("project") ? null : await api("GET", `costs?${asked("day,sku")}`);
	fill(at("tiles"), tilesOf(answer.sums.slice(0, 2)));
	fill(at("rows"), answer.rows.length > 0 ? [rowsTable(answer),
		answer.rows.length > ROWS_SHOWN ? el("p", { class: "hint" }, t("costs.cut", { shown: number(ROWS_SHOWN, 0), count: number(answer.rows.length, 0) })) : ""]
		: empty(t("costs.empty"), t("costs.empty.next")));
	fill(at("sums"), ...sumsOf(answer));
	fill(at("files"), answer.rows.length > 0 ? files() : "");
	at("documents").closest("section").hidden = answer.documents.length === 0;
	fill(at("documents"), documentsTable(answer.documents, answer),
		answer.troubles.map((why) => el("p", { class: "notice warn" }, t("costs.trouble", { why }))));
	if (days)
		drawDays(days);
	else
		at("days").closest("section").hidden = true;
}

// ---- choices

let chosen = false;
async function choices() {
	if (chosen)
		return;
	chosen = true;
	const place = document.querySelector("div[data-provider]");
	place.hidden = !session.provider;
	if (session.provider) {
		const rows = (await api("GET", "accounts?listall=true")).account ?? [];
		at("account").replaceChildren(el("option", { value: "" }, t("costs.all")),
			...rows.map((a) => el("option", { value: a.name }, a.name)));
	}
	const projects = session.provider ? [] : (await api("GET", "projects")).project ?? [];
	document.querySelector("[data-projects]").hidden = projects.length === 0;
	addressRead();
	if (session.provider && !query.get("by"))
		at("by").value = "account";
}

async function again() {
	document.body.dataset.ready = "";
	notice(null);
	addressWrite();
	await runOnce({ refresh });
}

at("asked").addEventListener("submit", (event) => {
	event.preventDefault();
	query.delete("statement");
	again();
});
for (const id of ["period", "by"])
	at(id).addEventListener("change", fieldsShow);
await runOnce({ refresh });
