# SPDX-License-Identifier: Apache-2.0
# Jeoul: two commands matter to a newcomer, `make run` and `make check`.
#
# A folder is a program: folder/main.c builds jeoul-<folder> (base/main.c: jeould,
# cli/main.c: jeoul), folder/main_<x>.c builds the tool jeoul-<x>, all other files of the
# folder go into the folder's library.  tests/unit/<folder>_<file>.c are cmocka programs.

SHELL := /bin/bash
.DEFAULT_GOAL := build

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
VERSION := 0.1.0
FOLDERS := base provision meter billing snmp web cli
# The sanitizers' own code makes gcc see truncations that are none: warnings stay warnings there.
WERROR ?= $(if $(SAN),-Wno-format-truncation,-Werror)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wcast-qual \
	-Wcast-align -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla \
	-Wnull-dereference -Wdouble-promotion -Wfloat-equal -Wswitch-enum \
	-Werror=incompatible-pointer-types -Werror=implicit-function-declaration
ifeq ($(findstring clang,$(CC)),)
WARNINGS += -Wcast-align=strict -Wimplicit-fallthrough=5 -Wduplicated-cond \
	-Wduplicated-branches -Wlogical-op -Wrestrict -Werror=int-conversion
endif

PACKAGES := libvirt libvirt-qemu librrd libpq libmicrohttpd libcjson libevent inih libxml-2.0 sqlite3 \
	libxcrypt gnutls libcurl
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
CPPFLAGS += -D_GNU_SOURCE -DJEOUL_VERSION='"$(VERSION)"' -I. -I$(BUILD)/gen $(PKG_CFLAGS)
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu17 $(WARNINGS) $(WERROR) -fno-common -fstack-protector-strong -fPIE
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifeq ($(SAN),)
CPPFLAGS += -D_FORTIFY_SOURCE=2
CFLAGS += -fstack-clash-protection -fcf-protection
else
CFLAGS := $(subst -O2,-O1,$(CFLAGS)) -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

# What each program may link; the program facing the network has neither libvirt nor net-snmp.
LIBS_base := -levent -lpq -lcjson -linih -lsqlite3 -lgmp
LIBS_provision := -lvirt -lvirt-qemu -lxml2 -lcurl -lgnutls $(LIBS_base) -lpthread
LIBS_meter := -lvirt -lrrd -lxml2 $(LIBS_base) -lpthread
LIBS_billing := $(LIBS_base)
LIBS_snmp := -lnetsnmp -lgnutls $(LIBS_base) -lpthread
LIBS_web := -lmicrohttpd -lgnutls -lcrypt $(LIBS_base) -lpthread
LIBS_cli := -lcurl -lgnutls $(LIBS_base)
# The one include across folders: a quote must use the code that bills (DESIGN 1).
USES_web := billing
USES_cli := web

lib_sources = $(filter-out $(1)/main.c $(wildcard $(1)/main_*.c),$(wildcard $(1)/*.c))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
program_of = $(if $(filter base,$(1)),jeould,$(if $(filter cli,$(1)),jeoul,jeoul-$(1)))

QUERIES := $(wildcard sql/query/*.sql)
GEN_HEADERS := $(patsubst sql/query/%.sql,$(BUILD)/gen/%_stmt.gen.h,$(QUERIES))
GEN_OBJECTS := $(patsubst sql/query/%.sql,$(BUILD)/gen/%_stmt.gen.o,$(QUERIES))
MIGRATIONS := $(wildcard sql/[0-9][0-9][0-9]-*.sql)
PROGRAMS :=

define folder_rules
$(BUILD)/$(1).a: $(call objects,$(call lib_sources,$(1))) $(if $(wildcard sql/query/$(1).sql),$(BUILD)/gen/$(1)_stmt.gen.o)
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rules,$(f))))

# $(1) program, $(2) folder, $(3) file with main
define program_rules
PROGRAMS += $(BUILD)/bin/$(1)
$(BUILD)/bin/$(1): $(call objects,$(3)) $(if $(filter-out $(FOLDERS),$(1:jeoul-%=%)),$(if $(wildcard sql/query/$(1:jeoul-%=%).sql),$(BUILD)/gen/$(1:jeoul-%=%)_stmt.gen.o)) $(BUILD)/$(2).a $(foreach u,$(USES_$(2)),$(BUILD)/$(u).a) $(BUILD)/base.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(2))
endef
$(foreach f,$(FOLDERS),$(if $(wildcard $(f)/main.c),$(eval $(call program_rules,$(call program_of,$(f)),$(f),$(f)/main.c))))
$(foreach f,$(FOLDERS),$(foreach m,$(wildcard $(f)/main_*.c),$(eval $(call program_rules,jeoul-$(subst _,-,$(patsubst $(f)/main_%.c,%,$(m))),$(f),$(m)))))

UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNIT_PROGRAMS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SOURCES))
# $(1) test name; its folder is what stands before the first underscore.
define unit_rules
$(BUILD)/unit/$(1): $(BUILD)/obj/tests/unit/$(1).o $(BUILD)/$(firstword $(subst _, ,$(1))).a $(foreach u,$(USES_$(firstword $(subst _, ,$(1)))),$(BUILD)/$(u).a) $(BUILD)/base.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(firstword $(subst _, ,$(1)))) -lcmocka
endef
$(foreach t,$(patsubst tests/unit/%.c,%,$(UNIT_SOURCES)),$(eval $(call unit_rules,$(t))))

# tests/bench/<folder>_<x>.c measure that folder's library, floor_<x>.c measure what lies below.
BENCH_SOURCES := $(filter-out tests/bench/bench.c,$(wildcard tests/bench/*.c))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES))
LIBS_floor := -lvirt -lrrd -lpq -lmicrohttpd -lnetsnmp -lpthread
define bench_rules
$(BUILD)/bench/$(1): $(BUILD)/obj/tests/bench/$(1).o $(BUILD)/obj/tests/bench/bench.o $(if $(filter floor_%,$(1)),,$(BUILD)/$(firstword $(subst _, ,$(1))).a $(BUILD)/base.a)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$(firstword $(subst _, ,$(1))))
endef
$(foreach t,$(patsubst tests/bench/%.c,%,$(BENCH_SOURCES)),$(eval $(call bench_rules,$(t))))

# tests/sim/*.c live a scenario through with the collector's own code; libc's files are simulated.
SIM_SOURCES := $(wildcard tests/sim/*.c)
SIM_CALLS := rename remove open write fsync close fopen
SIM_LINK = $(LDFLAGS) $(SIM_CALLS:%=-Wl,--wrap=%) $(call objects,$(SIM_SOURCES)) $(BUILD)/meter.a \
	$(BUILD)/base.a -lxml2 $(LIBS_base)
$(BUILD)/sim/play: $(call objects,$(SIM_SOURCES)) $(BUILD)/meter.a $(BUILD)/base.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(SIM_LINK)

.PHONY: sim soak-sim mutants
sim soak-sim mutants: $(BUILD)/sim/play
	@BUILD=$(BUILD) /usr/bin/python3 -B tests/sim/sim.py $(if $(filter sim,$@),check,$@)

# tests/prop/*.c: random worlds through the price function; a second judge for some of them; and
# whether they would find a defect.
PROP_SOURCES := $(wildcard tests/prop/*.c)
PROP_LINK = $(LDFLAGS) $(call objects,$(PROP_SOURCES)) $(BUILD)/billing.a $(BUILD)/base.a $(LIBS_billing)
CASES ?= 4000
JUDGED ?= 500
$(BUILD)/prop/billing: $(call objects,$(PROP_SOURCES)) $(BUILD)/billing.a $(BUILD)/base.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(PROP_LINK)
.PHONY: properties judge property-mutants
properties: $(BUILD)/prop/billing
	@$< $(CASES) $(SEED)
judge: build $(BUILD)/prop/billing
	@setup/judge $(BUILD) $(JUDGED) $(SEED)
property-mutants: $(BUILD)/prop/billing
	@BUILD=$(BUILD) /usr/bin/python3 -B tests/prop/mutants.py

.PHONY: build run stop clean-state check unit vectors lint format format-check clean install
.PHONY: soak-billing fresh bench bench-meter bench-rating bench-web bench-snmp bench-scale bench-peers bench-programs
build: $(PROGRAMS)

$(BUILD)/obj/%.o: %.c | $(GEN_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.a:
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/gen/%_stmt.gen.h $(BUILD)/gen/%_stmt.gen.c: sql/query/%.sql sql/statements.awk
	@mkdir -p $(@D)
	awk -v program=$* -v out=$(BUILD)/gen -f sql/statements.awk $<
# Made on the way, and kept: else the second `make` builds all again.
.SECONDARY: $(GEN_HEADERS) $(GEN_OBJECTS:.o=.c)
$(BUILD)/gen/%_stmt.gen.o: $(BUILD)/gen/%_stmt.gen.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-overlength-strings -c -o $@ $<

# The migrations and the pages ride inside the programs: a role needs no file of ours.
$(BUILD)/gen/migrations.inc: $(MIGRATIONS)
	@mkdir -p $(@D)
	for f in $(sort $(MIGRATIONS)); do n=$${f##*/}; v=$${n%%-*}; echo "EMBED($$v, \"$$n\", \"$$f\")"; done > $@
$(BUILD)/obj/base/migrations.o $(BUILD)/obj/base/migrations_latest.o: $(BUILD)/gen/migrations.inc $(MIGRATIONS)

$(BUILD)/obj/base/main_migrate.o: sql/roles.sql

# So do the questions that jeoul-check asks the database.
CHECKS := $(wildcard sql/checks/*.sql)
$(BUILD)/gen/checks.inc: $(CHECKS)
	@mkdir -p $(@D)
	for f in $(sort $(CHECKS)); do n=$${f##*/}; echo "EMBED($${n%.sql}, \"$$f\")"; done > $@
$(BUILD)/obj/base/main_check.o: $(BUILD)/gen/checks.inc $(CHECKS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
-include web/part.mk cli/part.mk tests/fuzz/part.mk

unit: $(UNIT_PROGRAMS)
	@setup/unit $(BUILD)

vectors: build
	@setup/vectors $(BUILD) $(FILE)

run:
	@setup/run
stop:
	@setup/stop
clean-state:
	@setup/stop --clean
check:
	@setup/check
# 40,000 random worlds and 3,000 before the second judge; 200 kills of raters and PostgreSQL while 2,000
# accounts are rated and closed; some fifteen minutes.
soak-billing: build
	@$(MAKE) -s properties CASES=40000
	@$(MAKE) -s judge JUDGED=3000
	cd tests/system && BILLING_ACCOUNTS=2000 BILLING_KILLS=200 BUILD=$(BUILD) /usr/bin/python3 -m pytest -q -s \
		-p no:cacheprovider --timeout 7200 test_billing_kills.py
# What make check has no time for: 10,000 seeds in the simulator, half an hour without PostgreSQL for
# 10,000 simulated guests, a guest that hangs for five minutes among nine others, thirty lives of ten deeds.
.PHONY: soak soak-guests soak-outage
soak: soak-sim soak-outage soak-guests
soak-outage: build
	cd tests/system && OUTAGE_GUESTS=10000 OUTAGE_S=1800 BUILD=$(BUILD) /usr/bin/python3 -m pytest -q -s \
		-p no:cacheprovider --timeout 3600 test_outage.py
soak-guests: build
	cd tests/system && STOPPED_S=300 GUEST_LIVES=30 BUILD=$(BUILD) /usr/bin/python3 -m pytest -q -s \
		-p no:cacheprovider --timeout 3600 test_stopped_guest.py test_guest_lives.py

fresh:
	@tests/fresh $(FRESH)

# Lines of "name value unit", each figure beside its floor or peer of the same run.
bench-programs: $(BENCH_PROGRAMS)
bench:
	@setup/bench meter rating web snmp
bench-meter bench-rating bench-web bench-snmp bench-scale bench-peers: bench-%:
	@setup/bench $*

C_FILES = $(shell git ls-files '*.c' '*.h' '*.def')
format:
	clang-format-14 -i $(filter-out %.def,$(C_FILES))
format-check:
	@clang-format-14 --dry-run -Werror $(filter-out %.def,$(C_FILES))
lint: build
	@setup/lint $(BUILD)

PREFIX ?= /usr
# Programs, manual pages and the unit of systemd; setup/users makes the users they run as.
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/libexec/jeoul
	install -m 755 $(BUILD)/bin/jeoul $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BUILD)/bin/jeould $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(filter-out %/jeoul %/jeould,$(PROGRAMS)) setup/host setup/users setup/lib.sh $(DESTDIR)$(PREFIX)/libexec/jeoul/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	docs/man/build $(BUILD)/man
	install -m 644 $(BUILD)/man/jeoul.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(BUILD)/man/jeoul.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 $(BUILD)/man/jeould.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -d $(DESTDIR)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/jeoul/tariffs $(DESTDIR)$(PREFIX)/share/snmp/mibs
	sed 's|/usr/sbin|$(PREFIX)/sbin|' setup/jeould.service > $(DESTDIR)/lib/systemd/system/jeould.service
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions
	$(BUILD)/bin/jeoul completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/jeoul
	$(BUILD)/bin/jeoul completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_jeoul
	install -m 644 billing/presets/*.json billing/presets/*.tariff $(DESTDIR)$(PREFIX)/share/jeoul/tariffs/
	install -m 644 snmp/mib/*.txt $(DESTDIR)$(PREFIX)/share/snmp/mibs/

clean:
	rm -rf build build-*

.PHONY: print-flags print-sim-link print-prop-link
print-prop-link: # for tests/prop/mutants.py
	@echo '$(CFLAGS) $(PROP_LINK)'
print-sim-link: # for tests/sim/mutants.py
	@echo '$(CFLAGS) $(SIM_LINK)'
print-flags:
	@echo '$(filter-out -DJEOUL_VERSION=%,$(CPPFLAGS)) -DJEOUL_VERSION=\"$(VERSION)\" $(filter-out -Wrestrict -Wlogical-op -Wduplicated-% -Wimplicit-fallthrough=5 -Wcast-align=strict -fcf-protection,$(CFLAGS))'
