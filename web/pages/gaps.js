// SPDX-License-Identifier: Apache-2.0
// Gaps in metering: what was not measured, from when to when, why, and what was said of it.
import { badge, cut, el, fill, number, rich, t, table, time, word } from "./common.js";

const SHOWN = 20;
export const gapsPath = `gaps?page=1&pagesize=${SHOWN}`;
const WHEN = { dateStyle: "medium", timeStyle: "medium" };

function said(gap) {
	return gap.corrections.map((c) => el("span", { class: "why" }, c.verdict === "nothing"
		? t("gap.nothing", { why: c.reason })
		: t("gap.used", { quantity: cut(c.quantity, 3), unit: word("unit", c.unit), sku: word("sku", c.sku), why: c.reason })));
}

// provider: also whose, and by which command it is settled.
export function drawGaps(place, gaps, provider) {
	place.closest("section").hidden = gaps.length === 0;
	fill(place, gaps.length === 0 ? [] : table(t("gaps"), [
		{ label: t("gap.thing"), cell: (g) => [g.resourcename ?? "–",
			g.resourcetype === "Volume" ? el("span", { class: "why" }, t("gap.disk", { name: g.virtualmachinename ?? "–" })) : null] },
		...provider ? [{ label: t("account"), cell: (g) => g.account }] : [],
		{ label: t("gap.from"), cell: (g) => time(g.startdate, WHEN) },
		{ label: t("gap.to"), cell: (g) => [time(g.enddate, WHEN), el("span", { class: "why" }, t("gap.seconds", { seconds: number(g.seconds, 0) }))] },
		{ label: t("gap.why"), cell: (g) => el("span", { class: "why" }, g.description) },
		{ label: t("state"), cell: (g) => [badge(g.state === "open" ? "busy" : "", t(`gap.state.${g.state}`)), ...said(g),
			provider && g.state === "open" ? el("span", { class: "why" }, rich(t("gap.correct", { id: g.id }))) : null] },
	], gaps, (g) => g.state === "open" ? {} : { class: "past" }));
}
