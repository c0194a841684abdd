// SPDX-License-Identifier: Apache-2.0
// The provider's page: what runs, on what, for whom, at what price, and what is wrong.
import { ago, api, badge, bytes, el, empty, fill, money, number, rich, run, simulatedBadge, stateBadge, sum,
	t, table, tile, time, word } from "./common.js";
import { Graphs } from "./chart.js";
import { billHint, billView } from "./bill.js";
import { drawGaps, gapsPath } from "./gaps.js";

const at = (id) => document.getElementById(id);
const graphs = new Graphs(at("graph"));
let shownBill = null;
let redraw = () => {};

function graphButton(kind, row) {
	const pressed = graphs.shown?.row.id === row.id;
	return el("button", { type: "button", "data-key": `graph-${row.id}`, "aria-pressed": String(pressed),
		"aria-label": t("chart.title", { name: row.name }), onclick: async () => {
			await graphs.show(kind, row);
			redraw();
			at("graph").scrollIntoView({ block: "nearest" });
		} }, t("graph"));
}

// ---- virtual machines

function vmTable(vms) {
	return table(t("vms"), [
		{ label: t("name"), cell: (v) => [v.name, " ", simulatedBadge(v), v.adopted ? badge("", t("adopted")) : null] },
		{ label: t("state"), cell: (v) => [stateBadge(v.state), v.jobid ? badge("busy", t("working")) : null,
			v.error ? el("span", { class: "why" }, v.error) : null] },
		{ label: t("account"), cell: (v) => v.account === "unassigned"
			? [t("unassigned"), el("span", { class: "why" }, rich(t("vm.assign", { name: v.name })))] : v.account },
		{ label: t("host"), cell: (v) => v.hostname ?? "–" },
		{ label: t("size"), class: "number", cell: (v) => t("vm.size", { cpus: v.cpunumber, memory: number(v.memory) }) },
		{ label: t("graph"), hidden: true, class: "act", cell: (v) => graphButton("vm", v) },
	], vms);
}

function drawVms(vms) {
	fill(at("vms"), vms.length > 0 ? vmTable(vms) : empty(t("vms.empty"), t("vms.empty.next")));
}

// ---- hosts

function topology(h) {
	return h.cpusockets ? t("host.topology", { sockets: h.cpusockets, cores: h.cpucores, threads: h.cpunumber }) : "–";
}

function hostState(h) {
	const since = h.failingsince ?? (h.state === "Disconnected" ? h.lastpinged : null);
	return [stateBadge(h.state), h.error ? el("span", { class: "why" }, h.error) : null,
		since ? el("span", { class: "why" }, t("host.since", { ago: ago(since) })) : null];
}

function hostTable(hosts) {
	return table(t("hosts"), [
		{ label: t("name"), cell: (h) => [h.name, " ", simulatedBadge(h)] },
		{ label: t("state"), cell: hostState },
		{ label: t("host.sockets"), class: "number", cell: topology },
		{ label: t("memory"), class: "number", cell: (h) => h.memorytotal
			? t("host.memory", { used: bytes(h.memoryallocated), total: bytes(h.memorytotal) }) : "–" },
		{ label: t("vms"), class: "number", cell: (h) => number(h.virtualmachines) },
		{ label: t("hypervisor"), cell: (h) => [`${h.domaintype === "qemu" && !h.simulated ? "QEMU" : h.hypervisor} ${h.hypervisorversion ?? ""}`.trim(),
			h.domaintype === "qemu" ? el("span", { class: "why" }, t("host.tcg")) : null] },
		{ label: t("graph"), hidden: true, class: "act", cell: (h) => graphButton("host", h) },
	], hosts);
}

function collectorTable(collectors) {
	return table(t("collectors"), [
		{ label: t("collector.name"), cell: (c) => c.name },
		{ label: t("state"), cell: (c) => stateBadge(c.state) },
		{ label: t("collector.hosts"), class: "number", cell: (c) => number(c.hosts) },
		{ label: t("vms"), class: "number", cell: (c) => number(c.virtualmachines) },
		{ label: t("collector.seen"), cell: (c) => ago(c.lastseen) },
		{ label: t("collector.machine"), cell: (c) => c.machine },
		{ label: t("collector.turn"), class: "number", cell: (c) => number(c.turn) },
	], collectors);
}

// One collector that is well needs no table of its own.
function drawHosts(hosts, collectors) {
	const several = collectors.length > 1 || collectors.some((c) => c.state !== "Up");
	fill(at("hosts"), hosts.length > 0 ? hostTable(hosts) : empty(t("hosts.empty"), t("hosts.empty.next")),
		several ? [el("div", { id: "collectors" }, el("h3", {}, t("collectors")), collectorTable(collectors))] : []);
}

// ---- money

function billButton(row) {
	const shown = shownBill === row.accountid;
	return el("button", { type: "button", "data-key": `bill-${row.accountid}`, "aria-pressed": String(shown),
		"aria-label": t("bill.of", { name: row.account }), onclick: () => {
			shownBill = shown ? null : row.accountid;
			redraw();
		} }, t("bill.show"));
}

function totalsByCurrency(bills) {
	const groups = Map.groupBy
		? Map.groupBy(bills, (b) => b.currency)
		: bills.reduce((m, b) => m.set(b.currency, [...(m.get(b.currency) ?? []), b]), new Map());
	return [...groups].map(([currency, rows]) => ({ account: t("money.total"), currency, total: sum(rows.map((b) => b.total)),
		perhour: sum(rows.map((b) => b.perhour ?? "0")), sum: true }));
}

function moneyTable(bills) {
	const rows = [...bills, ...totalsByCurrency(bills)];
	return table(t("money.title"), [
		{ label: t("account"), cell: (b) => b.account === "unassigned" ? t("unassigned") : b.account },
		{ label: t("money.tariff"), cell: (b) => b.sum ? "" : b.tariffname ?? el("span", { class: "hint" }, t("bill.notariff")) },
		{ label: t("money.perhour"), class: "number", cell: (b) => b.perhour ? money(b.perhour, b.currency, 6) : "–" },
		{ label: t("money.sofar"), class: "number", cell: (b) => money(b.total, b.currency) },
		{ label: t("bill.show"), hidden: true, class: "act", cell: (b) => b.sum ? "" : billButton(b) },
	], rows, (b) => b.sum ? { class: "sum" } : {});
}

async function drawBill(bills, vms, auto) {
	const row = bills.find((b) => b.accountid === shownBill);
	if (!row) {
		fill(at("bill"));
		return;
	}
	const bill = await api("GET", `bill-preview?accountid=${row.accountid}`, undefined, auto);
	fill(at("bill"), el("h3", {}, t("bill.of", { name: row.account })), el("p", { class: "hint" }, billHint(bill)),
		billView(bill, vms, t("bill.notariff.admin")));
}

async function drawMoney(bills, vms, auto) {
	at("money-hint").textContent = bills.length > 0 ? t("money.hint", { time: time(bills[0].asof) }) : "";
	fill(at("money"), bills.length > 0 ? moneyTable(bills) : empty(t("money.empty"), t("money.empty.next")));
	await drawBill(bills, vms, auto);
}

// ---- alarms

function alarmTable(alarms) {
	return table(t("alarms"), [
		{ label: t("alarm.severity"), cell: (a) => badge(`severity ${a.active ? a.severity : "over"}`,
			a.active ? word("severity", a.severity) : t("alarm.over")) },
		{ label: t("alarm.object"), cell: (a) => a.objectname },
		{ label: t("alarm.text"), cell: (a) => a.description },
		{ label: t("alarm.since"), cell: (a) => [time(a.sent), a.cleared
			? el("span", { class: "why" }, t("alarm.cleared", { time: time(a.cleared) })) : null] },
	], alarms, (a) => a.active ? {} : { class: "past" });
}

// What is wrong now stands on top too.
function drawAlarming(alarms) {
	const active = alarms.filter((a) => a.active);
	const place = at("alarming");
	const text = active.map((a) => `${a.objectname}: ${a.description}`).join(" · ");
	place.hidden = active.length === 0;
	if (place.dataset.text === text)
		return;
	place.dataset.text = text;
	place.replaceChildren(el("a", { href: "#alarms-title" }, t("alarms")), ` ${text}`);
}

function drawAlarms(alarms) {
	drawAlarming(alarms);
	fill(at("alarms"), alarms.length > 0 ? alarmTable(alarms) : empty(t("alarms.empty"), t("alarms.empty.next")));
}

// ---- the whole

function drawTiles(status, hosts, vms, bills) {
	const up = hosts.filter((h) => h.state === "Up").length;
	const running = vms.filter((v) => v.state === "Running").length;
	const totals = totalsByCurrency(bills);
	fill(at("tiles"),
		tile(t("tile.vms"), t("tile.of", { some: running, all: vms.length }), t("tile.running")),
		tile(t("hosts"), t("tile.of", { some: up, all: hosts.length }),
			status.simulated > 0 ? t("tile.simulated", { count: status.simulated }) : t("tile.up"),
			up < hosts.length ? "bad" : ""),
		tile(t("money.perhour"), totals.length > 0 ? totals.map((s) => money(s.perhour, s.currency, 4)).join(" + ") : "–",
			totals.length > 0 ? t("tile.sofar", { amount: totals.map((s) => money(s.total, s.currency)).join(" + ") }) : null),
		tile(t("alarms"), number(status.alarms), status.meterlag !== undefined
			? t("tile.meter", { seconds: number(status.meterlag, 0) }) : t("tile.nometer"),
		status.alarms > 0 ? "bad" : ""));
}

async function refresh(auto) {
	const get = (path) => api("GET", path, undefined, auto);
	const [status, hosts, vms, bills, alarms, gaps, collectors] = await Promise.all([get("status"), get("hosts"), get("virtual-machines"),
		get("running-bills"), get("alarms?page=1&pagesize=20"), get(gapsPath),
		get("collectors")]);
	const list = vms.virtualmachine;
	if (!graphs.shown && list.length > 0)
		await graphs.show("vm", list.find((v) => v.state === "Running" && !v.simulated) ?? list[0]);
	else
		await graphs.refresh(auto);
	drawTiles(status, hosts.host, list, bills.runningbill);
	drawVms(list);
	drawHosts(hosts.host, collectors.collector);
	drawAlarms(alarms.alert);
	drawGaps(at("gaps"), gaps.metergap, true);
	await drawMoney(bills.runningbill, list, auto);
}

redraw = await run({ provider: true, refresh });
