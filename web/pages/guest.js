// SPDX-License-Identifier: Apache-2.0
// What the agent in a guest said of it last, in one line: the guest's own words, not ours.
import { ago, api, bytes, el, t } from "./common.js";

const FILESYSTEMS = 4;

function addresses(guest) {
	return (guest.guestinterfaces ?? []).flatMap((n) => n.addresses)
		.filter((a) => !/^(127\.|::1|fe80:)/.test(a)).map((a) => a.split("/")[0]);
}

function filesystems(guest) {
	return (guest.guestfilesystems ?? []).filter((f) => f.total !== undefined).slice(0, FILESYSTEMS)
		.map((f) => t("guest.disk", { where: f.mountpoint, used: bytes(f.used), total: bytes(f.total) }));
}

export class GuestLine {
	constructor() {
		this.node = el("p", { class: "hint", id: "guest", hidden: true });
	}

	async refresh(id, auto) {
		const guest = await api("GET", `virtual-machines/${id}`, undefined, auto);
		this.node.hidden = guest.guestseen === undefined;
		if (this.node.hidden)
			return;
		const words = [guest.guesthostname, [guest.guestos, guest.guestosversion].filter(Boolean).join(" "),
			...addresses(guest), ...filesystems(guest), ago(guest.guestseen)].filter(Boolean);
		this.node.textContent = `${t("guest.says")} ${words.join(" · ")}`
			+ (guest.guesterror ? ` · ${t("guest.silent")}` : "");
		this.node.title = guest.guesterror ?? "";
	}
}
