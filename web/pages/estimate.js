// SPDX-License-Identifier: Apache-2.0
// What a virtual machine will cost, before it is made: computed by the code that bills.
import { api, el, fill, lang, money, number, rich, session, t, table, time, word } from "./common.js";
import { unit } from "./bill.js";

const WAIT_MS = 250;
const FIELDS = [["disk", "rootdisksize", "1"], ["hours", "hours", "1"], ["receive", "receivegb", "0"], ["send", "transmitgb", "0"]];

function wishes() {
	return el("details", { "data-key": "wishes" }, el("summary", {}, t("estimate.wishes")),
		el("div", { class: "wishes" }, FIELDS.map(([key, name, least]) => el("div", {},
			el("label", { for: `estimate-${key}` }, t(`estimate.${key}`)),
			el("input", { id: `estimate-${key}`, "data-name": name, type: "number", min: least, step: "1" })))));
}

function day(value) {
	return time(value, { dateStyle: "medium" }, session?.timezone ?? "UTC");
}

// The amount by hour has more places than money on a bill.
function tiles(answer) {
	const rows = [["estimate.hour", money(answer.hour.shown, answer.currency, 6), t("costs.beforetax")],
		["estimate.day", money(answer.day.shown, answer.currency, 6), t("costs.beforetax")],
		["estimate.first", money(answer.first.total, answer.currency), t("estimate.until", { day: day(answer.first.end) })],
		["estimate.month", money(answer.month.total, answer.currency),
			t("estimate.span", { from: day(answer.month.start), to: day(new Date(answer.month.end) - 1) })]];
	return el("dl", { class: "facts" }, rows.map(([key, value, note]) => el("div", {}, el("dt", {}, t(key)),
		el("dd", {}, el("strong", {}, value), " ", el("span", { class: "hint" }, note)))));
}

function lines(window, currency, caption) {
	return [el("h3", {}, caption), table(caption, [
		{ label: t("bill.what"), cell: (l) => [word("sku", l.sku), l.band ? ` (${l.band})` : ""] },
		{ label: t("bill.quantity"), class: "number", cell: (l) => `${number(l.quantity_shown, 6)} ${unit(l.unit)}` },
		{ label: t("bill.amount"), class: "number", cell: (l) => money(l.amount, currency) },
	], window.lines),
	el("dl", { class: "totals" }, [["bill.subtotal", window.subtotal], ["bill.tax", window.tax], ["costs.total", window.total]].map(
		([key, value]) => el("div", { class: key.split(".")[1] }, el("dt", {}, t(key)), el("dd", {}, money(value, currency)))))];
}

function names(skus) {
	return new Intl.ListFormat(lang, { type: "conjunction" }).format(skus.map((s) => word("sku", s)));
}

function view(answer) {
	if (!answer.tariff)
		return [el("p", { class: "hint" }, t("bill.notariff.tenant"))];
	return [tiles(answer),
		answer.unrated.length > 0 ? el("p", { class: "notice warn" }, t("estimate.unrated", { skus: names(answer.unrated) })) : "",
		answer.notcounted.length > 0 ? el("p", { class: "hint" }, t("estimate.notcounted", { skus: names(answer.notcounted) })) : "",
		el("details", { "data-key": "lines" }, el("summary", {}, t("estimate.lines")),
			lines(answer.month, answer.currency, t("estimate.month")), lines(answer.first, answer.currency, t("estimate.first"))),
		el("p", { class: "hint" }, t("estimate.hint"))];
}

export class Estimate {
	// values: () => parameters of the operation, or null while nothing is chosen.
	constructor(place, values) {
		this.values = values;
		this.turn = 0;
		this.told = el("div", {});
		this.wishes = wishes();
		place.replaceChildren(el("h3", {}, t("estimate.title")), this.told, this.wishes);
		this.wishes.addEventListener("input", () => this.later());
	}

	later() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.refresh(), WAIT_MS);
	}

	// What a machine is made with: only the disk is a wish that is fulfilled.
	disk() {
		return this.wishes.querySelector("[data-name=rootdisksize]").value || undefined;
	}

	async refresh() {
		const asked = this.values();
		const turn = ++this.turn;
		if (asked === null)
			return;
		for (const input of this.wishes.querySelectorAll("input"))
			if (input.value !== "" && input.validity.valid)
				asked[input.dataset.name] = input.value;
		let content;
		try {
			content = view(await api("GET", `cost-estimate?${new URLSearchParams(asked)}`));
		} catch (problem) {
			content = [el("p", { class: "notice bad" }, rich(problem.message))];
		}
		if (turn === this.turn)
			fill(this.told, ...content);
	}
}
