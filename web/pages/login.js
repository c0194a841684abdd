// SPDX-License-Identifier: Apache-2.0
// Log-in, and the change of a one-time password.
import { api, markLanguage, t } from "./common.js";

const notice = document.getElementById("notice");
const loginForm = document.getElementById("login");
const changeForm = document.getElementById("change");
let login = null;
let password = "";

function tell(text) {
	notice.textContent = text ?? "";
	notice.hidden = !text;
}

function enter() {
	const page = login.type === "1" ? "/admin" : "/my";
	location.assign(login.locale ? `${page}?lang=${login.locale}` : page);
}

function wordsOf(problem) {
	if (problem.status === 401 || problem.status === 403)
		return t("login.refused");
	return problem.status === 429 ? t("login.wait") : problem.message;
}

async function busy(form, work) {
	const button = form.querySelector("button");
	button.disabled = true;
	tell(null);
	try {
		await work();
	} catch (problem) {
		tell(wordsOf(problem));
	} finally {
		button.disabled = false;
	}
}

loginForm.addEventListener("submit", (event) => {
	event.preventDefault();
	busy(loginForm, async () => {
		password = document.getElementById("password").value;
		login = await api("POST", "session",
			{ username: document.getElementById("username").value, password });
		if (!login.mustchange)
			return enter();
		loginForm.hidden = true;
		changeForm.hidden = false;
		document.getElementById("change-username").value = login.username;
		document.getElementById("fresh").focus();
	});
});

async function changePassword(fresh) {
	const response = await fetch(`/v1/users/${login.userid}`, { method: "PATCH",
		headers: { "Content-Type": "application/json", "X-CSRF-Token": login.sessionkey },
		body: JSON.stringify({ password: fresh, currentpassword: password }) });
	if (!response.ok)
		throw Object.assign(new Error((await response.json()).detail), { status: response.status });
}

changeForm.addEventListener("submit", (event) => {
	event.preventDefault();
	const fresh = document.getElementById("fresh").value;
	if (fresh !== document.getElementById("again").value)
		return tell(t("change.differ"));
	if (fresh === password)
		return tell(t("change.same"));
	busy(changeForm, async () => {
		await changePassword(fresh);
		enter();
	});
});

markLanguage();
document.body.dataset.ready = "yes";
