// SPDX-License-Identifier: Apache-2.0
// A running bill with its lines, by what was used: the amounts are the rater's own strings.
import { cut, el, empty, lang, money, number, rich, sum, t, time, word } from "./common.js";
import { shown } from "./exact.js";

const EXACT_PLACES = 8;

// "vCPU-hour" is a word of billing; people of each language read their own.
export function unit(text) {
	const [base, per] = text.split("-");
	return per ? t("unit.per", { base: word("unit", base), per: word("per", per) }) : word("unit", base);
}

// The exact amount before the one rounding, where it says more than the rounded one.
function amount(line, currency) {
	const shown = cut(line.exact, EXACT_PLACES);
	const more = Number(line.exact.split("/")[0]) !== 0 && Number(shown.replace("…", "")) !== Number(line.amount);
	return el("div", {}, more
		? el("span", { class: "exact", title: `${t("bill.exact")}: ${line.exact}` }, shown) : null,
	money(line.amount, currency));
}

// A disk belongs to its VM: its own name is a file's name.
function owners(vms) {
	const map = new Map();
	for (const vm of vms)
		for (const volume of vm.volumes ?? [])
			map.set(volume.id, { id: vm.id, name: vm.name });
	return map;
}

// Lines by what was used; those of the whole account come last.
function groups(bill, vms) {
	const owner = owners(vms);
	const found = new Map();
	for (const line of bill.lines) {
		const of = owner.get(line.resource?.id) ?? line.resource ?? { id: "", name: t("bill.whole") };
		if (!found.has(of.id))
			found.set(of.id, { name: of.name, id: of.id, lines: [] });
		found.get(of.id).lines.push(line);
	}
	return [...found.values()].sort((a, b) => (a.id === "") - (b.id === "") || a.name.localeCompare(b.name, lang));
}

// Where the line tells why it costs that: of a statement by number, of the running bill by what it is.
function whyLink(l, bill) {
	const query = bill.id ? { statement: bill.id, line: l.n } : { account: bill.account?.id ?? "", sku: l.sku };
	if (!bill.id && l.resource)
		query.resource = l.resource.id;
	if (!bill.id && l.band)
		query.band = l.band;
	return el("a", { href: `/why?${new URLSearchParams(query)}`, title: t("why.title") }, word("sku", l.sku), l.band ? ` (${l.band})` : "");
}

function groupBody(group, bill) {
	const currency = bill.currency;
	return el("tbody", {},
		el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: "2" }, el("div", {}, group.name)),
			el("td", { class: "number", "data-label": t("bill.amount") },
				el("div", {}, money(sum(group.lines.map((l) => l.amount)), currency)))),
		group.lines.map((l) => el("tr", {},
			el("th", { scope: "row", "data-label": t("bill.what") }, el("div", {}, whyLink(l, bill), l.note ? el("span", { class: "why" }, l.note) : null)),
			el("td", { class: "number", "data-label": t("bill.quantity") },
				el("div", {}, l.quantity_shown === undefined ? shown(l.quantity ?? "0", 6) : number(l.quantity_shown, 6), ` ${unit(l.unit ?? "")}`)),
			el("td", { class: "number", "data-label": t("bill.amount") }, amount(l, currency)))));
}

// bill: lines and currency, with the id of a statement if it is one.
export function lines(bill, vms) {
	return el("table", { class: "stack bill" }, el("caption", { class: "hidden" }, t("bill.lines")),
		el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("bill.what")),
			el("th", { scope: "col", class: "number" }, t("bill.quantity")),
			el("th", { scope: "col", class: "number" }, t("bill.amount")))),
		groups(bill, vms).map((group) => groupBody(group, bill)));
}

function totals(bill) {
	const rows = [["bill.subtotal", bill.subtotal], ["bill.tax", bill.tax], ["bill.total", bill.total]];
	return el("dl", { class: "totals" }, rows.map(([key, value]) => el("div", { class: key.split(".")[1] },
		el("dt", {}, t(key)), el("dd", {}, money(value, bill.currency)))));
}

export function billHint(bill) {
	const day = { dateStyle: "medium" };
	return t("bill.hint", { start: time(bill.period.start, day), asof: time(bill.as_of),
		tariff: bill.tariff ? `${bill.tariff.name} v${bill.tariff.version}` : t("bill.notariff") });
}

// vms: to tell whose disk it is.
export function billView(bill, vms, noTariff) {
	if (!bill.tariff)
		return [empty(t("bill.notariff"), noTariff)];
	if (bill.lines.length === 0)
		return [empty(t("bill.empty"), t("bill.empty.next"))];
	return [lines(bill, vms),
		bill.unrated.length > 0 ? el("p", { class: "notice warn" },
			rich(t("bill.unrated", { skus: bill.unrated.map((s) => word("sku", s)).join(", ") }))) : null,
		totals(bill)].filter((node) => node !== null);
}
