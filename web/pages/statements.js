// SPDX-License-Identifier: Apache-2.0
// Closed statements: the list, and one of them with its lines, taxes, credits and files.
import { api, badge, el, empty, fill, money, runOnce, session, t, table, time } from "./common.js";
import { exact, total, verdict } from "./exact.js";
import { lines as billLines } from "./bill.js";

const at = (id) => document.getElementById(id);
const SHOWN = 25;
const LINES_PAGE = 500;
const LINES_MOST = 5000;
const query = new URLSearchParams(location.search);

function show(id) {
	at(id).closest("section").hidden = false;
}

// Of the account's own calendar; its last day, not the first moment after it.
function day(value, s) {
	return time(value, { dateStyle: "medium" }, s.timezone);
}

function period(s) {
	return `${day(s.startdate, s)} – ${day(new Date(s.enddate) - 1, s)}`;
}

function kindBadge(s) {
	return badge(s.kind === "credit_note" ? "busy" : s.kind === "invoice" ? "good" : "", t(`statement.kind.${s.kind}`));
}

function link(id, text) {
	return el("a", { href: `/statements?id=${id}` }, text);
}

// ---- the list

function list(rows) {
	return table(t("statements.title"), [
		{ label: t("statement.number"), cell: (s) => [link(s.id, s.number), " ", kindBadge(s)] },
		...session.provider ? [{ label: t("account"), cell: (s) => s.account }] : [],
		{ label: t("statement.period"), cell: period },
		{ label: t("statement.issued"), cell: (s) => day(s.issued, s) },
		{ label: t("bill.tax"), class: "number", cell: (s) => money(s.tax, s.currency) },
		{ label: t("statement.total"), class: "number", cell: (s) => money(s.total, s.currency) },
		{ label: t("statement.due"), class: "number", cell: (s) => money(s.due, s.currency) },
	], rows);
}

function pager(page, count) {
	const pages = Math.ceil(count / SHOWN);
	const go = (to, text) => el("a", { href: `/statements?page=${to}` }, text);
	return pages <= 1 ? null : el("p", { class: "more" }, page > 1 ? go(page - 1, t("page.before")) : null,
		el("span", { class: "hint" }, t("page.of", { page, pages })), page < pages ? go(page + 1, t("page.next")) : null);
}

async function drawList() {
	const page = Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1);
	const answer = await api("GET", `statements?page=${page}&pagesize=${SHOWN}`);
	const rows = answer.statement ?? [];
	show("list");
	fill(at("list"), rows.length > 0 ? [list(rows), pager(page, answer.count)].filter((x) => x !== null)
		: empty(t("statements.empty"), t("statements.empty.next")));
}

// ---- one

async function allLines(id, count) {
	const found = [];
	for (let page = 1; found.length < Math.min(count, LINES_MOST); page++) {
		const rows = (await api("GET", `statements/${id}/lines?page=${page}&pagesize=${LINES_PAGE}`)).statementline ?? [];
		if (rows.length === 0)
			break;
		found.push(...rows);
	}
	return found;
}

function facts(s) {
	const issuer = s.issuer?.legal_name || s.issuer?.name;
	const rows = [["statement.period", period(s)], ["statement.issued", time(s.issued)], ["account", s.account],
		["statement.issuer", s.kind === "showback" ? `${issuer} · ${t("statement.noinvoice")}` : issuer],
		["money.tariff", (s.tariffs ?? []).map((x) => `${x.name} v${x.version}`).join(", ") || "–"],
		...s.original ? [["statement.original", link(s.originalid, s.original)]] : [],
		...s.reason ? [["gap.why", s.reason]] : [],
		["statement.digest", el("code", {}, s.sha256)]];
	return el("dl", { class: "facts" }, rows.map(([key, value]) => el("div", {}, el("dt", {}, t(key)), el("dd", {}, value))));
}

function taxName(x) {
	return t(x.mode === "inclusive" ? "statement.tax.in" : "statement.tax.on", { class: x.class, rate: `${exactPercent(x.rate)} %` });
}

function exactPercent(rate) {
	return String(exact(rate).times(exact("100")));
}

function totals(s, lines, whole) {
	const inclusive = (s.taxes ?? []).filter((x) => x.mode === "inclusive").map((x) => x.tax);
	const sum = total(lines.map((l) => l.amount));
	const rows = [["bill.subtotal", s.subtotal], ...(s.taxes ?? []).map((x) => [null, x.tax, taxName(x)]), ["statement.total", s.total],
		...(s.credits ?? []).map((x) => [null, `-${x.used}`, t("statement.credit", { name: x.name || x.id })]),
		...s.prepaid && exact(s.prepaid.used).n !== 0n ? [["statement.prepaid", `-${s.prepaid.used}`]] : [], ["statement.due", s.due]];
	return [el("dl", { class: "totals" }, rows.map(([key, value, text]) => el("div",
		{ class: key === "statement.due" ? "total" : "" }, el("dt", {}, text ?? t(key)), el("dd", {}, money(value, s.currency))))),
	whole ? el("p", { class: "more" }, t("statement.sum"), " ", verdict(sum.add(total(["0", ...inclusive]).times(exact("-1"))), s.subtotal)) : null];
}

function note(l, s) {
	if (l.kind === "charge")
		return null;
	const of = l.original?.statement ?? "";
	return t(`statement.line.${l.kind}`, { number: of, start: l.original?.period ? day(l.original.period.start, s) : "" });
}

function files(s) {
	return ["html", "csv", "json"].map((format) => el("a", { href: `/v1/statements/${s.id}/file?format=${format}`, download: true },
		t(`statement.file.${format}`)));
}

async function drawOne(id) {
	const s = await api("GET", `statements/${id}`);
	const rows = await allLines(id, s.lines ?? LINES_MOST);
	const whole = s.lines === undefined || rows.length === s.lines;
	show("one");
	show("lines");
	fill(at("one-title"), `${t("statement.title", { number: s.number })} `, kindBadge(s));
	fill(at("files"), files(s));
	fill(at("one"), facts(s));
	at("lines-hint").textContent = whole ? t("statement.lines.all", { count: rows.length })
		: t("statement.lines.some", { shown: rows.length, count: s.lines });
	fill(at("lines"), billLines({ id, currency: s.currency, lines: rows.map((l) => ({ ...l, exact: l.exact ?? l.amount, note: note(l, s),
		resource: l.resourceid ? { id: l.resourceid, name: l.resourcename ?? l.resourceid } : undefined })) }, []),
	totals(s, rows, whole).filter((x) => x !== null));
	document.title = `${s.number} · Jeoul`;
}

await runOnce({ refresh: () => query.has("id") ? drawOne(query.get("id")) : drawList() });
