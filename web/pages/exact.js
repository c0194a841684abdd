// SPDX-License-Identifier: Apache-2.0
// Exact numbers as the API writes them, "12.5" or "10/3": sums are computed anew here, so that what a page
// calls equal was found to be equal.
import { badge, cut, el, number, t } from "./common.js";

function gcd(a, b) {
	while (b !== 0n)
		[a, b] = [b, a % b];
	return a < 0n ? -a : a;
}

class Exact {
	constructor(n, d) {
		const common = gcd(n, d) || 1n;
		this.n = n / common;
		this.d = d / common;
	}

	add(other) {
		return new Exact(this.n * other.d + other.n * this.d, this.d * other.d);
	}

	times(other) {
		return new Exact(this.n * other.n, this.d * other.d);
	}

	over(other) {
		const sign = other.n < 0n ? -1n : 1n;
		return new Exact(this.n * other.d * sign, this.d * other.n * sign);
	}

	equals(other) {
		return this.n === other.n && this.d === other.d;
	}

	toString() {
		return this.d === 1n ? String(this.n) : `${this.n}/${this.d}`;
	}
}

function decimal(text) {
	const [whole, places = ""] = text.split(".");
	return new Exact(BigInt(whole + places), 10n ** BigInt(places.length));
}

export function exact(text) {
	const [numerator, denominator = "1"] = String(text).split("/");
	return decimal(numerator).over(decimal(denominator));
}

export function total(texts) {
	return texts.map(exact).reduce((a, b) => a.add(b), exact("0"));
}

const PLACES = 9;

// Cut with a mark where there is more of it; the whole number is its title.
export function shown(text, places = PLACES) {
	const whole = String(text);
	const short = cut(whole, places);
	const [integer, rest = ""] = short.replace(/[-…]/g, "").split(".");
	const tail = short.endsWith("…") ? `${rest}…` : rest.replace(/0+$/, "");
	const grouped = (whole.startsWith("-") ? "-" : "") + number(BigInt(integer), 0);
	return el("span", short.endsWith("…") ? { title: whole } : {}, tail === "" ? grouped : `${grouped}.${tail}`);
}

// Whether what was added up here is what it says there.
export function verdict(sum, said) {
	return sum.equals(exact(said)) ? badge("good", t("adds.up")) : badge("bad", t("adds.not", { sum: String(sum) }));
}
