# Fuzz targets: tests/fuzz/<folder>_<name>.c, linked like the unit tests of that folder.
#   make replay   the corpus and 5,000 fixed mutations of each, by tests/fuzz/replay.c
#   make fuzz     libFuzzer searches, FUZZ_SECONDS for each target (FUZZ_TARGETS: only those)
FUZZ_SECONDS ?= 20
FUZZ_TARGETS ?= $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/fuzz.c tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
FUZZ_SHARED := $(BUILD)/obj/tests/fuzz/fuzz.o $(if $(FUZZ_ENGINE),,$(BUILD)/obj/tests/fuzz/replay.o)
# $(1) target
define fuzz_rules
$(BUILD)/fuzz/$(1): $(BUILD)/obj/tests/fuzz/$(1).o $(FUZZ_SHARED) $(BUILD)/$(firstword $(subst _, ,$(1))).a $(foreach u,$(USES_$(firstword $(subst _, ,$(1)))),$(BUILD)/$(u).a) $(BUILD)/base.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) $(FUZZ_ENGINE) -o $$@ $$^ $$(LIBS_$(firstword $(subst _, ,$(1)))) -lxml2
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rules,$(t))))

.PHONY: fuzz fuzz-programs replay
fuzz-programs: $(patsubst %,$(BUILD)/fuzz/%,$(FUZZ_TARGETS))
replay: fuzz-programs
	@setup/fuzz $(BUILD) replay $(FUZZ_TARGETS)
fuzz:
	@$(MAKE) -s CC=clang-14 SAN=fuzzer-no-link,address,undefined BUILD=build-fuzz WERROR=-Werror FUZZ_ENGINE=-fsanitize=fuzzer fuzz-programs
	@FUZZ_SECONDS=$(FUZZ_SECONDS) setup/fuzz build-fuzz search $(FUZZ_TARGETS)
