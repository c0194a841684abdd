// SPDX-License-Identifier: Apache-2.0
// Why a line costs what it does: price, tiers, pieces of time, windows, raw counters, the graph of that time.
// All sums are added up anew from what is shown.
import { api, badge, el, fill, money, number, runOnce, t, table, time, word } from "./common.js";
import { exact, shown, total, verdict } from "./exact.js";
import { unit } from "./bill.js";
import { Graphs } from "./chart.js";

const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const WHEN = { dateStyle: "medium", timeStyle: "medium" };
const SCALE = { "cpu.time": "1000000000" };

function show(id, ...content) {
	at(id).closest("section").hidden = false;
	fill(at(id), content.flat().filter((x) => x !== null));
}

function same(changes) {
	const next = new URLSearchParams(query);
	for (const [key, value] of Object.entries(changes))
		next.set(key, value);
	return `/why?${next}`;
}

// A table whose last row is a sum: cells of the columns that have one.
function summed(caption, columns, rows, sum) {
	return table(caption, columns.map((c, i) => ({ ...c, cell: (r) => r === sum ? sum.cells[i] ?? "" : c.cell(r) })), [...rows, sum],
		(r) => r === sum ? { class: "sum" } : {});
}

// ---- the line

function step(label, value, kind = "") {
	return el("li", { class: kind }, el("p", { class: "label" }, label), el("p", { class: "value" }, value));
}

function drawHead(told, e) {
	const line = told.adjustment ?? e.line;
	const name = line.resource?.name;
	fill(at("line-title"), t("why.of", { what: word("sku", line.sku) + (line.band ? ` (${line.band})` : "") }), name ? ` · ${name}` : "");
	show("line",
		el("p", { class: "hint" }, told.statement
			? [t("why.statement", { number: told.statement, n: line.n }), " ",
				query.get("statement") ? el("a", { href: `/statements?id=${encodeURIComponent(query.get("statement"))}` }, t("why.whole")) : null]
			: t("why.running", { time: time(told.as_of) }),
		` · ${told.account.name} · ${time(told.period.start)} – ${time(told.period.end)}`),
		told.adjustment ? el("p", { class: "notice warn" }, t("why.correction")) : null,
		el("ol", { class: "steps" }, step(t("bill.quantity"), [shown(line.quantity ?? "0", 6), ` ${unit(line.unit ?? "")}`]),
			line.exact === undefined ? null : step(t("why.exact"), shown(line.exact)),
			step(t("bill.amount"), money(line.amount, told.currency), "last")));
}

// ---- what was measured

function usageTable(told, e) {
	const level = e.usage.some((u) => u.kind === "interval");
	const sum = total(e.usage.map((u) => u.units));
	const all = e.usage.length === (e.usage_count ?? e.usage.length);
	const said = e.resources?.find((r) => r.id === query.get("resource"))?.units ?? e.units;
	return summed(t("why.used"), [
		{ label: t("gap.thing"), cell: (u) => [u.name ?? t("bill.whole"), u.records?.length > 0 ? el("span", { class: "why" }, u.records.join(", ")) : null,
			...(u.acts ?? []).map((a) => el("span", { class: "why" }, t("why.act", { by: a.by ?? "–", why: a.reason ?? "" })))] },
		{ label: t("gap.from"), cell: (u) => time(u.from, WHEN) },
		...level ? [{ label: t("gap.to"), cell: (u) => u.to ? time(u.to, WHEN) : "–" }] : [],
		{ label: level ? t("why.alive") : t("why.counted"), class: "number", cell: (u) => shown(u.quantity) },
		{ label: unit(e.line.unit ?? ""), class: "number", cell: (u) => shown(u.units) },
	], e.usage, { cells: [t("why.sum"), "", ...level ? [""] : [], "", [all ? verdict(sum, said) : null, " ", shown(said)]] });
}

function resourceTable(e) {
	return summed(t("why.resources"), [
		{ label: t("why.resources"), cell: (r) => el("a", { href: same({ resource: r.id }) }, r.name ?? r.id) },
		{ label: unit(e.line.unit ?? ""), class: "number", cell: (r) => shown(r.units) },
	], e.resources, { cells: [t("why.sum"), [e.resources.length === (e.resource_count ?? e.resources.length)
		? verdict(total(e.resources.map((r) => r.units)), e.units) : null, " ", shown(e.units)]] });
}

function changedNote(e) {
	if (exact(e.changed ?? "0").n === 0n)
		return null;
	return el("p", { class: "notice warn" }, t("why.changed"), " ", shown(e.changed), ` ${unit(e.line.unit ?? "")}. `,
		t("why.changed.check"), " ", verdict(exact(e.units).add(exact(e.changed).times(exact("-1"))), e.line.quantity));
}

function drawUsed(told, e) {
	const hint = e.usage_count > (e.usage?.length ?? 0) ? t("why.some", { shown: number(e.usage.length, 0), count: number(e.usage_count, 0) }) : "";
	at("used-hint").textContent = hint;
	show("used", e.resources?.length > 0 ? resourceTable(e) : null, e.resources?.length > 0 && e.usage?.length > 0 ? el("h3", {}, t("why.pieces")) : null,
	e.usage?.length > 0 ? el("div", { class: "tall" }, usageTable(told, e)) : null,
		changedNote(e));
}

// ---- what it costs

function partName(p) {
	const name = t(`part.${p.what}`, { tier: p.tier ?? "" });
	return p.percent ? `${name} ${p.percent} %` : name;
}

function partsTable(told, e) {
	const { line, tariff } = e;
	const sum = total(line.parts.map((p) => p.amount));
	const fx = tariff.fx_rate ?? "1";
	const list = tariff.currency;
	const cells = [t("why.exact"), "", tariff.fx_rate ? [shown(String(sum)), " × ", shown(fx)] : "", [verdict(sum.times(exact(fx)), line.exact), " ", shown(line.exact)]];
	return summed(t("why.parts"), [
		{ label: t("why.part"), cell: (p) => partName(p) },
		{ label: t("bill.quantity"), class: "number", cell: (p) => p.quantity === undefined ? "" : shown(p.quantity) },
		{ label: t("why.price", { currency: list }), class: "number", cell: (p) => p.quantity === undefined ? "" : ["× ", shown(p.price)] },
		{ label: t("bill.amount"), class: "number", cell: (p) => [p.quantity === undefined ||
			exact(p.quantity).times(exact(p.price)).equals(exact(p.amount)) ? null : badge("bad", t("adds.not", { sum: "" })), shown(p.amount)] },
	], line.parts, { cells });
}

function drawParts(told, e) {
	if (!e.line.parts)
		return;
	const { tariff, line } = e;
	at("parts-hint").textContent = t("why.tariff", { name: tariff.name, version: tariff.version });
	show("parts", partsTable(told, e), el("p", { class: "hint" },
		tariff.fx_rate ? [t("why.fx", { from: tariff.currency, to: told.currency }), " ", shown(tariff.fx_rate), ". "] : [],
		t("why.rounded", { mode: word("rounding", tariff.rounding), step: tariff.step }), " ", el("strong", {}, money(line.amount, told.currency))),
	e.price ? el("details", { "data-key": "price" }, el("summary", {}, t("why.list")), el("pre", {}, JSON.stringify(e.price, null, 2))) : null);
}

// ---- what else was charged of it

function drawCharged(told) {
	if (!told.charged || told.charged.length < 2 && told.charged_quantity === told.units_now)
		return;
	show("charged", summed(t("why.charged"), [
		{ label: t("statement.number"), cell: (x) => el("a", { href: `/why?${new URLSearchParams({ statement: x.statement, line: x.n })}` },
			t("why.lineof", { n: x.n, number: x.statement })) },
		{ label: t("why.kind"), cell: (x) => t(`why.kind.${x.kind}`) },
		{ label: t("bill.quantity"), class: "number", cell: (x) => shown(x.quantity ?? "0") },
		{ label: t("bill.amount"), class: "number", cell: (x) => money(x.amount, told.currency) },
	], told.charged, { cells: [t("why.sum"), "", [verdict(total(told.charged.map((x) => x.quantity ?? "0")), told.charged_quantity), " ",
		shown(told.charged_quantity)], money(String(total(told.charged.map((x) => x.amount)).n) === "0" ? "0" : decimalOf(told.charged), told.currency)] }),
	exact(told.charged_quantity).equals(exact(told.units_now)) ? el("p", { class: "hint" }, t("why.settled"))
		: el("p", { class: "notice warn" }, t("why.open"), " ", shown(told.units_now)));
}

function decimalOf(charged) {
	const sum = total(charged.map((x) => x.amount));
	const places = Math.max(...charged.map((x) => (x.amount.split(".")[1] ?? "").length));
	const digits = String((sum.n < 0n ? -sum.n : sum.n) * 10n ** BigInt(places) / sum.d).padStart(places + 1, "0");
	return (sum.n < 0n ? "-" : "") + (places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits);
}

// ---- windows and raw counters

function drawWindows(told) {
	const { windows } = told;
	if (!windows || windows.length === 0)
		return;
	const e = told.lines[0];
	const divisor = exact(e.price?.divisor ?? "1").times(exact(SCALE[e.line.sku] ?? "1"));
	const units = total(told.lines.flatMap((l) => l.usage ?? []).map((u) => u.units));
	at("windows-hint").textContent = t("why.windows.hint", { count: number(windows.length, 0) });
	show("windows", summed(t("why.windows"), [
		{ label: t("gap.from"), cell: (w) => time(w.from, WHEN) },
		{ label: t("gap.to"), cell: (w) => time(w.through ?? w.to, WHEN) },
		{ label: t("why.raw"), cell: (w) => el("span", { class: "raw" }, w.raw ?? "–") },
		{ label: t("why.epoch"), cell: (w) => [el("span", { class: "raw" }, w.epoch ?? "–"),
			Number(w.resets ?? 0) > 0 ? badge("busy", t("why.resets", { count: w.resets })) : null] },
		{ label: t("why.samples"), class: "number", cell: (w) => number(w.samples ?? 0, 0) },
		{ label: t("why.delta"), class: "number", cell: (w) => shown(w.value) },
	], windows, { cells: [t("why.sum"), "", "", "", "", [verdict(total(windows.map((w) => w.value)), told.windows_sum), " ", shown(told.windows_sum)]] }),
	el("p", { class: "more" }, shown(told.windows_sum), " ÷ ", shown(String(divisor)), " = ", shown(String(exact(told.windows_sum).over(divisor))),
		` ${unit(e.line.unit ?? "")} `, verdict(exact(told.windows_sum).over(divisor), String(units))));
}

// ---- the graph of that time

async function drawGraph(told) {
	const resource = told.lines[0].line.resource;
	const id = query.get("resource") ?? resource?.id;
	if (id)
		await new Graphs(at("graph")).past({ id, name: resource?.name ?? told.lines[0].resources?.find((r) => r.id === id)?.name ?? "" },
			told.period.start, told.as_of);
}

// ---- the whole

async function refresh() {
	const asked = new URLSearchParams();
	for (const [name, value] of query)
		if (value !== "" && ["statement", "line", "sku", "resource", "band"].includes(name))
			asked.set(name, value);
		else if (name === "account" && value !== "")
			asked.set("accountid", value);
	const told = await api("GET", `explanations?${asked}`);
	const e = told.lines[0];
	drawHead(told, e);
	drawUsed(told, e);
	drawParts(told, e);
	drawCharged(told);
	drawWindows(told);
	await drawGraph(told);
}

await runOnce({ refresh });
