// SPDX-License-Identifier: Apache-2.0
// What all pages share: texts, calls of the API, numbers and dates, small DOM helpers.

export const lang = document.documentElement.lang;
const REFRESH_MS = 10000;
const CALL_MS = 30000;

const catalogue = await (await fetch(`/pages/${lang}.json`)).json();
export let session = null;

// A text of the catalogue; {name} in it becomes values.name.
export function t(key, values = {}) {
	const text = catalogue[key];
	if (text === undefined)
		return key;
	return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

// A text if there is one: state names and price names may be newer than the page.
export function word(prefix, name) {
	return catalogue[`${prefix}.${name}`] ?? name;
}

export class Problem extends Error {
	constructor(text, status) {
		super(text);
		this.status = status;
	}
}

async function problemOf(response) {
	if (response.status === 503)
		return new Problem(t("error.database"), 503);
	try {
		const body = await response.json();
		return new Problem(body.detail ?? body.title, response.status);
	} catch {
		return new Problem(t("error.answer", { status: response.status }), response.status);
	}
}

// auto: asked by the page itself, which must not keep a log-in alive.
export async function api(method, path, body, auto = false) {
	const headers = { Accept: "application/json" };
	let response;
	if (auto)
		headers["X-Jeoul-Refresh"] = "1";
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	if (session?.sessionkey && method !== "GET")
		headers["X-CSRF-Token"] = session.sessionkey;
	try {
		response = await fetch(`/v1/${path}`, { method, headers, cache: "no-store",
			body: body === undefined ? undefined : JSON.stringify(body),
			signal: AbortSignal.timeout(CALL_MS) });
	} catch {
		throw new Problem(t("error.unreachable"), 0);
	}
	if (!response.ok)
		throw await problemOf(response);
	return response.json();
}

// ---- elements

// el("td", { class: "number" }, "text", child, ...)
export function el(tag, attributes = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (name.startsWith("on"))
			node.addEventListener(name.slice(2), value);
		else
			node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false));
	return node;
}

// New content in an old place; who had the keyboard keeps it.
export function fill(place, ...content) {
	const key = document.activeElement?.dataset?.key;
	const open = [...place.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key);
	place.replaceChildren(...content.flat());
	for (const details of place.querySelectorAll("details[data-key]"))
		details.open = open.includes(details.dataset.key);
	if (key)
		place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

// columns: [{ label, class?, cell(row) }]
export function table(caption, columns, rows, rowAttributes = () => ({})) {
	return el("table", { class: "stack" },
		el("caption", { class: "hidden" }, caption),
		el("thead", {}, el("tr", {}, columns.map((c) => el("th", { scope: "col", class: c.class },
			c.hidden ? el("span", { class: "hidden" }, c.label) : c.label)))),
		el("tbody", {}, rows.map((row) => el("tr", rowAttributes(row),
			columns.map((c, i) => el(i === 0 ? "th" : "td", { class: c.class, "data-label": c.label,
				scope: i === 0 ? "row" : undefined }, el("div", {}, c.cell(row))))))));
}

export function badge(kind, text) {
	return el("span", { class: `badge ${kind}` }, text);
}

export function simulatedBadge(row) {
	return row.simulated ? badge("simulated", t("simulated")) : null;
}

const GOOD = ["Running", "Up"];
const BUSY = ["Starting", "Stopping", "Connecting"];
const BAD = ["Error", "Unknown", "Disconnected"];

export function stateBadge(state) {
	const kind = GOOD.includes(state) ? "good" : BUSY.includes(state) ? "busy" : BAD.includes(state) ? "bad" : "";
	return badge(`state ${kind}`, word("state", state));
}

export function tile(label, value, note, kind = "") {
	return el("div", { class: `tile ${kind}` }, el("p", { class: "label" }, label),
		el("p", { class: "value" }, value), note ? el("p", { class: "hint" }, note) : null);
}

// "text `command` text": what stands between backquotes is to be typed.
export function rich(text) {
	return text.split("`").map((part, i) => i % 2 === 1 ? el("code", {}, part) : part);
}

export function empty(title, next) {
	return el("div", { class: "empty" }, el("p", { class: "title" }, title), el("p", {}, rich(next)));
}

export function notice(text) {
	const place = document.getElementById("notice");
	if (place.textContent !== text)
		place.textContent = text ?? "";
	place.hidden = !text;
}

// ---- numbers and dates; amounts are strings and stay exact

// Sums stay exact: whole numbers of the last place.
export function sum(texts) {
	const places = Math.max(0, ...texts.map((x) => (x.split(".")[1] ?? "").length));
	const whole = texts.map((x) => {
		const [a, b = ""] = x.split(".");
		return BigInt(a + b.padEnd(places, "0"));
	}).reduce((a, b) => a + b, 0n);
	const digits = String(whole < 0n ? -whole : whole).padStart(places + 1, "0");
	const text = places > 0 ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
	return whole < 0n ? `-${text}` : text;
}

// "281/36000000" or "0.0123" cut to so many places, with a mark when there was more.
export function cut(exact, places) {
	const [numerator, denominator = "1"] = exact.split("/");
	const [a, b = ""] = numerator.split(".");
	const negative = a.startsWith("-");
	const n = BigInt(a.replace("-", "") + b) * 10n ** BigInt(places);
	const d = BigInt(denominator) * 10n ** BigInt(b.length);
	const digits = String(n / d).padStart(places + 1, "0");
	return `${negative ? "-" : ""}${digits.slice(0, -places)}.${digits.slice(-places)}${n % d === 0n ? "" : "…"}`;
}

export function money(amount, currency, places) {
	const options = { style: "currency", currency };
	if (places !== undefined)
		options.maximumFractionDigits = places;
	return new Intl.NumberFormat(lang, options).format(amount);
}

export function number(value, places = 2) {
	return new Intl.NumberFormat(lang, { maximumFractionDigits: places }).format(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export function bytes(value, places = 1) {
	let i = 0;
	let v = Number(value);
	while (Math.abs(v) >= 1024 && i < UNITS.length - 1) {
		v /= 1024;
		i++;
	}
	return `${number(v, i === 0 ? 0 : places)} ${UNITS[i]}`;
}

function zone() {
	return session?.timezone ?? "UTC";
}

export function time(value, options = { dateStyle: "medium", timeStyle: "short" }, of = zone()) {
	return new Intl.DateTimeFormat(lang, { ...options, timeZone: of }).format(new Date(value));
}

// "3 minutes ago"
export function ago(value) {
	const seconds = Math.round((new Date(value) - Date.now()) / 1000);
	const format = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
	for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]])
		if (Math.abs(seconds) >= size)
			return format.format(Math.trunc(seconds / size), unit);
	return format.format(seconds, "second");
}

// ---- the page

async function switchLanguage(event) {
	const wanted = event.currentTarget.lang;
	event.preventDefault();
	try {
		await api("PATCH", `users/${session.userid}`, { locale: wanted });
	} finally {
		location.assign(`?lang=${wanted}`);
	}
}

async function logout() {
	try {
		await api("DELETE", "session");
	} finally {
		location.assign("/login");
	}
}

export function markLanguage() {
	for (const link of document.querySelectorAll(".languages a"))
		if (link.lang === lang)
			link.setAttribute("aria-current", "true");
}

function markPlace() {
	const here = ["/my", "/admin"].includes(location.pathname) ? "/" : location.pathname;
	for (const link of document.querySelectorAll(".pages a")) {
		link.hidden = link.dataset.provider !== undefined && !session.provider;
		if (link.pathname === here)
			link.setAttribute("aria-current", "page");
	}
}

// provider: whose page it is; undefined: everybody's.
async function frame(provider) {
	session = await api("GET", "session");
	if (session.mustchange)
		throw new Problem("", 401);
	if (provider !== undefined && session.provider !== provider) {
		location.replace(session.provider ? "/admin" : "/my");
		throw new Problem("", 303);
	}
	document.getElementById("who").textContent = session.account === session.username
		? session.account : `${session.username} · ${session.account}`;
	markPlace();
	document.getElementById("logout").addEventListener("click", logout);
	for (const link of document.querySelectorAll(".languages a"))
		link.addEventListener("click", switchLanguage);
	markLanguage();
}

function failed(error) {
	if (!(error instanceof Problem))
		throw error;
	if (error.status === 401)
		location.replace("/login");
	else if (error.status !== 303)
		notice(error.message);
	document.body.dataset.ready = "failed";
}

async function round(draw, auto) {
	try {
		if (session === null)
			await frame(draw.provider);
		await draw.refresh(auto);
		notice(null);
		document.getElementById("updated").textContent =
			t("updated", { time: time(Date.now(), { timeStyle: "medium" }) });
		document.body.dataset.ready = "yes";
	} catch (error) {
		failed(error);
	}
}

// Draws once: what is closed does not change while somebody looks.
export function runOnce(draw) {
	return round(draw, false);
}

// Draws at once and then every ten seconds while somebody looks.
export async function run(draw) {
	let busy = false;
	const again = async (auto) => {
		if (busy || document.hidden)
			return;
		busy = true;
		await round(draw, auto);
		busy = false;
	};
	setInterval(() => again(true), REFRESH_MS);
	document.addEventListener("visibilitychange", () => again(true));
	await again(false);
	return () => again(false);
}
