# Shared by the scripts of setup/: progress, errors in three lines, who we are.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD:-build}
state=${JEOUL_STATE:-/var/lib/jeoul}
started=$SECONDS

step() {
	printf '==> %-58s' "$1" >&2
	step_started=$SECONDS
}
step_done() {
	printf ' %s\n' "${1:-done} ($((SECONDS - step_started)) s)" >&2
}
# fail WHAT WHY TRY: one clear message, and the end.
fail() {
	printf '\nerror: %s\nwhy:   %s\ntry:   %s\n' "$1" "$2" "$3" >&2
	exit 1
}
# Runs a command quietly; shows the end of what it said only when it fails.
quietly() {
	local what=$1 log
	shift
	log=$(mktemp)
	if "$@" >"$log" 2>&1 </dev/null; then
		rm -f "$log"
		return 0
	fi
	printf ' failed\n' >&2
	tail -n 30 "$log" >&2
	if grep -q '^error: ' "$log"; then # it has said it already
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
	fail "$what failed" "its last words stand above" "mend that, then run the same command again: it takes up where it was"
}
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo --preserve-env=JEOUL_STATE,BUILD "$@"
	fi
}
need_root_or_sudo() {
	[ "$(id -u)" = 0 ] && return
	command -v sudo >/dev/null || fail "root rights are needed" \
		"packages, system users and the VM host need them, and there is no sudo here" \
		"run the same command as root"
	sudo -v || fail "sudo refused" "packages, system users and the VM host need root rights" \
		"run the same command as root, or ask for sudo rights"
}
# domain_type GUEST DIR: finds out what guests run under and notes it for jeoul-provision; when
# it is not KVM, says why and what would change that, and goes on.
domain_type() {
	local type
	step "hypervisor: does a guest boot under KVM?"
	type=$("$top/setup/kvm-probe" "$1" 2>"$2/probe.log") || type=qemu
	[ "$type" = "$(cat "$2/domain-type" 2>/dev/null)" ] || echo "$type" >"$2/domain-type"
	step_done "$([ "$type" = kvm ] && echo "yes: KVM" || echo "no: TCG")"
	[ "$type" = kvm ] || sed 's/^/    /' "$2/probe.log" >&2
}
