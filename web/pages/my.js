// SPDX-License-Identifier: Apache-2.0
// The tenant's page: my virtual machines, what they do, and what I owe so far.
import { api, badge, el, empty, fill, money, notice, number, run, simulatedBadge, stateBadge, t, table, tile, time,
	Problem } from "./common.js";
import { Graphs } from "./chart.js";
import { billHint, billView } from "./bill.js";
import { drawGaps, gapsPath } from "./gaps.js";
import { Estimate } from "./estimate.js";

const at = (id) => document.getElementById(id);
const graphs = new Graphs(at("graph"));
const JOB_MS = 1000;
const JOB_TURNS = 120;
let redraw = () => {};

// ---- doing something

function done(text) {
	at("done").textContent = text ?? "";
	at("done").hidden = !text;
}

function confirmed(text, yes) {
	const dialog = at("ask");
	at("ask-text").textContent = text;
	at("ask-yes").textContent = yes;
	dialog.returnValue = "no";
	dialog.showModal();
	return new Promise((resolve) => dialog.addEventListener("close",
		() => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function jobEnd(jobid) {
	for (let i = 0; i < JOB_TURNS; i++) {
		const job = await api("GET", `jobs/${jobid}`, undefined, true);
		if (job.jobstatus === 1)
			return;
		if (job.jobstatus === 2)
			throw new Problem(job.jobresult?.errortext ?? "", 530);
		await new Promise((resolve) => setTimeout(resolve, JOB_MS));
	}
	throw new Problem(t("job.slow"), 0);
}

async function doJob(start, text) {
	notice(null);
	done(null);
	try {
		const job = await start();
		await redraw();
		await jobEnd(job.jobid);
		done(text);
	} catch (problem) {
		await redraw();
		notice(problem.message);
		return false;
	}
	await redraw();
	return true;
}

const ACTIONS = [
	{ name: "start", when: ["Stopped", "Error"], ask: false },
	{ name: "stop", when: ["Running"], ask: true },
	{ name: "reboot", when: ["Running"], ask: true },
];

async function act(action, vm) {
	const label = t(`act.${action.name}`);
	if (action.ask && !await confirmed(t(`ask.${action.name}`, { name: vm.name }), label))
		return;
	await doJob(() => api("POST", `virtual-machines/${vm.id}/${action.name}`, {}),
		t(`did.${action.name}`, { name: vm.name }));
}

function actionButtons(vm) {
	return ACTIONS.filter((a) => a.when.includes(vm.state)).map((a) => el("button", { type: "button",
		"data-key": `${a.name}-${vm.id}`, disabled: vm.jobid !== undefined,
		"aria-label": `${t(`act.${a.name}`)}: ${vm.name}`, onclick: () => act(a, vm) }, t(`act.${a.name}`)));
}

// ---- virtual machines

function graphButton(vm) {
	return el("button", { type: "button", "data-key": `graph-${vm.id}`,
		"aria-pressed": String(graphs.shown?.row.id === vm.id), "aria-label": t("chart.title", { name: vm.name }),
		onclick: async () => {
			await graphs.show("vm", vm);
			redraw();
			at("graph").scrollIntoView({ block: "nearest" });
		} }, t("graph"));
}

function vmTable(vms) {
	return table(t("my.vms"), [
		{ label: t("name"), cell: (v) => [v.name, " ", simulatedBadge(v)] },
		{ label: t("state"), cell: (v) => [stateBadge(v.state), v.jobid ? badge("busy", t("working")) : null,
			v.error ? el("span", { class: "why" }, v.error) : null] },
		{ label: t("size"), class: "number", cell: (v) => t("vm.size", { cpus: v.cpunumber, memory: number(v.memory) }) },
		{ label: t("since"), cell: (v) => time(v.stateat) },
		{ label: t("actions"), hidden: true, class: "act", cell: (v) => [...actionButtons(v), graphButton(v)] },
	], vms);
}

function drawVms(vms) {
	fill(at("vms"), vms.length > 0 ? vmTable(vms) : empty(t("my.vms.empty"), t("my.vms.empty.next")));
}

// ---- a new one

let estimate = null;

function options(select, rows, text) {
	const chosen = select.value;
	select.replaceChildren(...rows.map((r) => el("option", { value: r.id, selected: r.id === chosen }, text(r))));
}

async function createReady() {
	const [offerings, templates] = await Promise.all([api("GET", "service-offerings"), api("GET", "templates")]);
	options(at("create-offering"), offerings.serviceoffering, (o) =>
		`${o.name} · ${t("vm.size", { cpus: o.cpunumber, memory: number(o.memory) })}`);
	options(at("create-template"), templates.template, (o) => o.name);
	estimate ??= new Estimate(at("estimate"), () => at("create-offering").value && at("create-template").value
		? { serviceofferingid: at("create-offering").value, templateid: at("create-template").value } : null);
	await estimate.refresh();
}

for (const id of ["create-offering", "create-template"])
	at(id).addEventListener("change", () => estimate?.refresh());

at("create").addEventListener("toggle", () => {
	if (at("create").open)
		createReady().catch((problem) => notice(problem.message));
});

at("create-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	const name = at("create-name").value;
	const button = event.target.querySelector("button");
	button.disabled = true;
	const good = await doJob(() => api("POST", "virtual-machines", { name,
		serviceofferingid: at("create-offering").value, templateid: at("create-template").value, rootdisksize: estimate?.disk() }),
	t("did.create", { name }));
	button.disabled = false;
	if (good)
		event.target.reset();
});

// ---- the whole

function drawTiles(vms, bill) {
	const running = vms.filter((v) => v.state === "Running").length;
	fill(at("tiles"),
		tile(t("tile.vms"), t("tile.of", { some: running, all: vms.length }), t("tile.running")),
		tile(t("money.perhour"), money(bill.per_hour, bill.currency, 6), t("tile.beforetax")),
		tile(t("money.sofar"), money(bill.total, bill.currency), t("tile.withtax")),
		tile(t("tile.closes"), time(bill.period.end, { dateStyle: "medium" }), null));
}

async function refresh(auto) {
	const [vms, bill, gaps] = await Promise.all([api("GET", "virtual-machines", undefined, auto),
		api("GET", "bill-preview", undefined, auto), api("GET", gapsPath, undefined, auto)]);
	const list = vms.virtualmachine;
	const shown = list.find((v) => v.id === graphs.shown?.row.id) ??
		list.find((v) => v.state === "Running") ?? list[0];
	if (shown)
		await graphs.show("vm", shown);
	else
		graphs.hide();
	drawTiles(list, bill);
	drawVms(list);
	at("money-hint").textContent = billHint(bill);
	fill(at("bill"), billView(bill, list, t("bill.notariff.tenant")));
	drawGaps(at("gaps"), gaps.metergap, false);
}

redraw = await run({ provider: false, refresh });
