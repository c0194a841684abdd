// SPDX-License-Identifier: Apache-2.0
// Budgets: what is spent of them, what they will come to, and their thresholds.
import { api, badge, el, empty, fill, lang, money, notice, number, run, session, t, table, time } from "./common.js";

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 200;
let redraw = () => {};
let projects = [];

// ---- bars

function shape(tag, attributes, ...children) {
	const node = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

// Spent, and behind it what it will come to; a tick at each threshold.  The scale ends where the last of them does.
function bar(b) {
	const thresholds = b.thresholds.split(",").map(Number);
	const spent = Number(b.usedpercent);
	const ahead = Math.max(spent, Number(b.forecastpercent));
	const end = Math.max(100, ...thresholds, Math.min(ahead, 200));
	const x = (percent) => Math.min(100, percent * 100 / end);
	return shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: `bar ${b.level}`, role: "img",
		"aria-label": t("budgets.bar", { spent: number(spent, 1), forecast: number(ahead, 1) }) },
	shape("rect", { class: "track", width: 100, height: 10 }), shape("rect", { class: "ahead", width: x(ahead), height: 10 }),
	shape("rect", { class: "spent", width: x(spent), height: 10 }),
	...thresholds.map((p) => shape("rect", { class: "tick", x: Math.max(0, x(p) - 0.3), width: 0.6, height: 10 })));
}

const LEVELS = { ok: "good", near: "busy", over: "bad" };

function about(b) {
	if (b.scope === "sku")
		return t("budgets.about.sku", { value: b.sku });
	if (b.scope === "tag")
		return t("budgets.about.tag", { value: b.tag });
	return b.scope === "resource" ? b.resourcename ?? b.resourceid : t("budgets.about.account");
}

function levelText(b) {
	if (b.level === undefined)
		return badge("", t("budgets.level.none"));
	const will = b.level !== "over" && Number(b.forecastpercent) > 100;
	return [badge(LEVELS[b.level], t(`budgets.level.${b.level}`)), will ? badge("busy", t("budgets.level.ahead")) : null];
}

function spentCell(b) {
	return b.spent === undefined ? "–" : [el("div", {}, money(b.spent, b.currency), " ", el("span", { class: "hint" }, `${number(b.usedpercent, 1)} %`)), bar(b)];
}

function list(rows) {
	const several = session.provider || projects.length > 0;
	return table(t("budgets.title"), [
		{ label: t("name"), cell: (b) => [b.name, el("span", { class: "why" }, about(b))] },
		...several ? [{ label: t("account"), cell: (b) => b.project || b.account }] : [],
		{ label: t("budgets.amount"), class: "number", cell: (b) => money(b.amount, b.currency) },
		{ label: t("budgets.spent"), class: "spent", cell: spentCell },
		{ label: t("budgets.forecast"), class: "number", cell: (b) => b.forecast === undefined ? "–" : [money(b.forecast, b.currency),
			el("span", { class: "why" }, t("budgets.end", { day: time(new Date(b.enddate) - 1, { month: "short", day: "numeric" }) }))] },
		{ label: t("state"), cell: levelText },
		{ label: t("actions"), hidden: true, class: "act", cell: (b) => el("button", { type: "button", "data-key": `edit-${b.id}`,
			"aria-label": `${t("budgets.change")}: ${b.name}`, onclick: () => edit(b) }, t("budgets.change")) },
	], rows);
}

// ---- changes

function done(text) {
	at("done").textContent = text ?? "";
	at("done").hidden = !text;
}

async function change(work, text) {
	notice(null);
	done(null);
	try {
		await work();
		done(text);
	} catch (problem) {
		notice(problem.message);
		return false;
	}
	await redraw();
	return true;
}

function purse(b) {
	return projects.find((p) => p.projectaccountname === b.account)?.id;
}

async function edit(b) {
	const dialog = at("edit");
	at("edit-title").textContent = t("budgets.edit", { name: b.name });
	at("edit-amount").value = b.amount;
	at("edit-thresholds").value = b.thresholds;
	dialog.returnValue = "no";
	dialog.showModal();
	const answer = await new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
	const projectid = purse(b);
	if (answer === "yes")
		await change(() => api("PATCH", `budgets/${b.id}`, { amount: at("edit-amount").value, thresholds: at("edit-thresholds").value, projectid }),
			t("budgets.changed", { name: b.name }));
	if (answer === "delete")
		await change(() => api("DELETE", `budgets/${b.id}${projectid ? `?projectid=${projectid}` : ""}`), t("budgets.deleted", { name: b.name }));
}

// Names of machines lead to their ids, as far as they are known.
let machines = [];
function valueShow() {
	const scope = at("scope").value;
	document.querySelector("[data-value]").hidden = scope === "";
	at("value").required = scope !== "";
	at("value").value = "";
	at("value-label").textContent = scope ? t(`budgets.value.${scope}`) : "";
	at("value").placeholder = { sku: "vcpu", tag: "team=web" }[scope] ?? "";
	at("values").replaceChildren(...scope === "resourceid" ? machines.map((v) => el("option", { value: v.name })) : []);
}

function wish() {
	const scope = at("scope").value;
	const value = at("value").value.trim();
	const body = { name: at("name").value.trim(), amount: at("amount").value, thresholds: at("thresholds").value };
	if (scope)
		body[scope] = scope === "resourceid" ? machines.find((v) => v.name === value)?.id ?? value : value;
	if (session.provider)
		body.account = at("account").value;
	else if (at("project").value)
		body.projectid = at("project").value;
	return body;
}

at("scope").addEventListener("change", valueShow);
at("new").addEventListener("submit", async (event) => {
	event.preventDefault();
	const body = wish();
	const button = event.target.querySelector("button");
	button.disabled = true;
	const good = await change(() => api("POST", "budgets", body), t("budgets.created", { name: body.name }));
	button.disabled = false;
	if (good) {
		event.target.reset();
		valueShow();
	}
});

// ---- the whole

let chosen = false;
async function choices() {
	if (chosen)
		return;
	chosen = true;
	document.querySelector("div[data-provider]").hidden = !session.provider;
	machines = (await api("GET", "virtual-machines")).virtualmachine ?? [];
	if (session.provider) {
		const rows = (await api("GET", "accounts?listall=true")).account ?? [];
		at("account").replaceChildren(...rows.map((a) => el("option", { value: a.name }, a.name)));
		return;
	}
	projects = (await api("GET", "projects")).project ?? [];
	document.querySelector("[data-projects]").hidden = projects.length === 0;
	at("project").replaceChildren(el("option", { value: "" }, t("budgets.mine")), ...projects.map((p) => el("option", { value: p.id }, p.displaytext)));
}

// What the rater has not seen yet is computed at once.
async function settled(b, auto) {
	const projectid = purse(b);
	return b.spent !== undefined ? b : api("GET", `budgets/${b.id}${projectid ? `?projectid=${projectid}` : ""}`, undefined, auto);
}

async function refresh(auto) {
	await choices();
	const answers = await Promise.all([api("GET", `budgets?page=1&pagesize=${SHOWN}`, undefined, auto),
		...projects.map((p) => api("GET", `budgets?projectid=${p.id}`, undefined, auto))]);
	const rows = await Promise.all(answers.flatMap((a) => a.budget ?? []).map((b) => settled(b, auto)));
	rows.sort((a, b) => Number(b.usedpercent ?? 0) - Number(a.usedpercent ?? 0) || a.name.localeCompare(b.name, lang));
	fill(at("list"), rows.length > 0 ? list(rows) : empty(t("budgets.empty"), t("budgets.empty.next")));
}

redraw = await run({ refresh });
