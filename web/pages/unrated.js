// SPDX-License-Identifier: Apache-2.0
// What was used and has no price, and what became of all records of usage.
import { api, badge, el, empty, fill, number, rich, run, t, table, tile, time, word } from "./common.js";

const at = (id) => document.getElementById(id);
const SHOWN = 200;

// The month of the account's own calendar.
function month(b) {
	return time(b.startdate, { dateStyle: "medium" }, b.timezone);
}

function whose(b) {
	return b.account === "unassigned" ? t("unassigned") : b.account;
}

function remedy(b) {
	if (b.account === "unassigned")
		return rich(t("unrated.give"));
	return rich(b.tariffname ? t("unrated.price", { sku: b.sku, tariff: b.tariffname }) : t("unrated.assign", { account: b.account }));
}

function unratedTable(rows) {
	return table(t("unrated.title"), [
		{ label: t("bill.what"), cell: (b) => [word("sku", b.sku), el("span", { class: "why" }, b.sku)] },
		{ label: t("account"), cell: whose },
		{ label: t("statement.period"), cell: (b) => [month(b), " ", badge(b.closed ? "bad" : "busy", t(b.closed ? "unrated.closed" : "unrated.open"))] },
		{ label: t("unrated.records"), class: "number", cell: (b) => t("tile.of", { some: number(b.unrated, 0), all: number(b.received, 0) }) },
		{ label: t("unrated.todo"), cell: (b) => el("span", { class: "why" }, remedy(b)) },
	], rows);
}

const COUNTS = ["received", "rated", "unrated", "rejected", "pending"];

function balanceTable(rows) {
	return table(t("unrated.balance"), [
		{ label: t("bill.what"), cell: (b) => word("sku", b.sku) },
		{ label: t("account"), cell: whose },
		{ label: t("statement.period"), cell: month },
		...COUNTS.map((name) => ({ label: t(`count.${name}`), class: "number", cell: (b) => number(b[name], 0) })),
		{ label: t("state"), cell: (b) => b.received === b.rated + b.unrated + b.rejected + b.pending
			? badge("good", t("adds.up")) : badge("bad", t("unrated.lost")) },
	], rows);
}

function tiles(rows, count) {
	const sums = (name) => rows.reduce((n, b) => n + b[name], 0);
	const note = count > rows.length ? t("unrated.newest", { count: number(rows.length, 0) }) : null;
	return [tile(t("count.received"), number(sums("received"), 0), note), tile(t("count.rated"), number(sums("rated"), 0)),
		tile(t("count.unrated"), number(sums("unrated"), 0), null, sums("unrated") > 0 ? "bad" : ""),
		tile(t("unrated.others"), number(sums("rejected") + sums("pending"), 0))];
}

async function refresh(auto) {
	const [unrated, all] = await Promise.all([api("GET", `usage-balance?unrated=true&page=1&pagesize=${SHOWN}`, undefined, auto),
		api("GET", `usage-balance?page=1&pagesize=${SHOWN}`, undefined, auto)]);
	const rows = unrated.usagebalance ?? [];
	const balance = all.usagebalance ?? [];
	fill(at("tiles"), tiles(balance, all.count));
	fill(at("unrated"), rows.length > 0 ? [unratedTable(rows), unrated.count > rows.length
		? el("p", { class: "hint" }, t("why.some", { shown: number(rows.length, 0), count: number(unrated.count, 0) })) : ""]
		: empty(t("unrated.empty"), t("unrated.empty.next")));
	fill(at("balance"), balance.length > 0 ? balanceTable(balance) : empty(t("unrated.none"), t("unrated.none.next")));
}

await run({ provider: true, refresh });
