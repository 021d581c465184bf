# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# make            build/minivmm and build/minivmm-device
# make run        set everything up and boot a guest behind a restricted pool
# make test       set everything up and pass the tests
# make help       the other targets
#
# CC=clang, BUILD=folder and SANITIZE=1 (AddressSanitizer and UndefinedBehaviorSanitizer) choose
# another build; V=1 shows the commands.

ifeq ($(origin CC),default)
CC       := gcc
endif
ARCH     ?= x86_64
BUILD    ?= build
PREFIX   ?= /usr/local
SANITIZE ?=
# Options for the unit tests, for example UNIT_ARGS='--filter virtqueue/*'.
UNIT_ARGS ?=
# Options of tests/fuzz/run, for example FUZZ_ARGS='--seconds 600 blk net'.
FUZZ_ARGS ?=
# Names or patterns of guest tests, for example GUEST_TESTS='disk-* rng'.
GUEST_TESTS ?=
# Options for tests/hostile, for example HOSTILE_ARGS='--scale 0.1'.
HOSTILE_ARGS ?=
Q        := $(if $(V),,@)

CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu17 -pthread -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes \
	    -Wstrict-prototypes -Wundef -Wformat=2 -Werror -fno-strict-aliasing
ifneq ($(SANITIZE),)
CFLAGS   += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=address,undefined
endif

# Counters of lines in a file that all processes map: see tests/check/coverage.
ifneq ($(COVERAGE),)
# The file is named here and not in the environment, of which device processes have none.
CFLAGS   += -O1 -fprofile-instr-generate=$(abspath $(BUILD))/profiles/%m%c.profraw -fcoverage-mapping \
	    -mllvm -runtime-counter-relocation -Wno-unused-command-line-argument
endif

vmm_libs    := -lfdt -lelf -ljansson
device_libs := -lseccomp

proto_src   := $(wildcard devices/proto/*.c)
devices_src := $(wildcard devices/*.c devices/core/*.c)
boot_src    := $(wildcard boot/*.c boot/$(ARCH)/*.c)
vmm_src     := $(wildcard vmm/*.c vmm/virtio/*.c vmm/vhost/*.c vmm/pci/*.c vmm/arch/$(ARCH)/*.c)
unit_src    := $(wildcard tests/unit/*.c) tests/endurance/series.c
attack_src  := $(wildcard tests/attack/*.c)
fuzz_src    := $(wildcard tests/fuzz/*.c)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# Everything but the two main() functions is linked by the unit tests too.
device_main := devices/main.c
vmm_main    := vmm/main.c
proto_obj   := $(call obj,$(proto_src))
devices_obj := $(call obj,$(filter-out $(device_main),$(devices_src)))
vmm_obj     := $(call obj,$(filter-out $(vmm_main),$(vmm_src)) $(boot_src))

.PHONY: all
all: $(BUILD)/minivmm $(BUILD)/minivmm-device ## build both executables

$(BUILD)/minivmm: $(call obj,$(vmm_main)) $(vmm_obj) $(proto_obj)
$(BUILD)/minivmm: libs := $(vmm_libs)
$(BUILD)/minivmm-device: $(call obj,$(device_main)) $(devices_obj) $(proto_obj)
$(BUILD)/minivmm-device: libs := $(device_libs)
$(BUILD)/unit-tests: $(call obj,$(unit_src)) $(vmm_obj) $(devices_obj) $(proto_obj)
$(BUILD)/unit-tests: libs := -lcriterion $(vmm_libs) $(device_libs)

$(BUILD)/endurance: $(call obj,$(wildcard tests/endurance/*.c tests/common/*.c)) $(proto_obj)
$(BUILD)/endurance: libs := -lm

# The layers of the sandbox are made by these; tests/attack/layers.c can leave each of them out.
wrapped     := syscall prctl fcntl setrlimit getpid madvise close_range close open write mount umount2 \
	       chdir vhost_user_close_fds sandbox_seal
comma       := ,
$(BUILD)/attack: $(call obj,$(attack_src)) $(vmm_obj) $(devices_obj) $(proto_obj)
$(BUILD)/attack: libs := $(vmm_libs) $(device_libs) $(addprefix -Wl$(comma)--wrap=,$(wrapped))

$(BUILD)/minivmm $(BUILD)/minivmm-device $(BUILD)/unit-tests $(BUILD)/endurance $(BUILD)/attack: \
		$(BUILD)/flags
	@echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(libs)

# With FUZZ=1, CC=clang and SANITIZE=1: one executable for each tests/fuzz/fuzz_NAME.c. Of everything
# else it gets what it needs, since libFuzzer looks at all that is there after each run.
fuzz_targets := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz-%,$(filter tests/fuzz/fuzz_%,$(fuzz_src)))
fuzz_common  := $(filter-out tests/fuzz/fuzz_%,$(fuzz_src)) tests/unit/mock_driver.c \
		tests/unit/test_boot_support.c
fuzz_wrapped := $(shell sed -n 's/.*WRAP_OF(\([a-z0-9_]*\)).*/\1/p' $(fuzz_common))
ifneq ($(FUZZ),)
CPPFLAGS += -Itests/fuzz/shim
# What leads libFuzzer is the coverage of our code, not of the targets themselves. Comparisons need not be
# traced, which costs as much as all the rest: inputs are operations, and not strings to be guessed.
$(BUILD)/obj/boot/%.o $(BUILD)/obj/devices/%.o $(BUILD)/obj/vmm/%.o: \
	CFLAGS += -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
endif
$(BUILD)/fuzz.a: $(call obj,$(fuzz_common)) $(vmm_obj) $(devices_obj) $(proto_obj)
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz-%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/fuzz.a $(BUILD)/flags
	@echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer $(fuzz_wrapped:%=-Wl,--wrap=%) -o $@ \
		$(filter %.o %.a,$^) $(vmm_libs) $(device_libs)
.SECONDARY: $(call obj,$(fuzz_src))
.PHONY: fuzz-targets fuzz
fuzz-targets: $(fuzz_targets)
fuzz: ## run the fuzz targets (FUZZ_SECONDS: for each; FUZZ_ARGS: options of tests/fuzz/run)
	+$(MAKE) CC=clang SANITIZE=1 FUZZ=1 BUILD=$(BUILD)/fuzz fuzz-targets
	FUZZ_BUILD=$(BUILD)/fuzz tests/fuzz/run $(FUZZ_ARGS)

# -MD and not -MMD: check-arch wants to see the system's headers too.
$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MD -MP -c -o $@ $<

# Changes when the compiler or its options do, and with it everything that they made.
flags = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@
FORCE:

.PHONY: setup images run shell test unit device-test clang sanitize attack coverage proof check-arch
.PHONY: check-bad-inputs check-headers lint guest-programs guest-test endurance test-hostile bench
setup: ## install the Debian packages that everything here needs
	tests/install-packages
images: ## build the guest images and the emulated host
	guest-images/build all
run: setup ## set everything up and boot a guest behind a restricted pool
	+$(MAKE) all
	guest-images/build initramfs guest-kernel
	tests/with-kvm tests/guest/demo
shell: setup ## set everything up and get a shell in Debian, with network and shared folder
	+$(MAKE) all
	guest-images/build guest-kernel rootfs
	MINIVMM=$(abspath $(BUILD)/minivmm) tests/with-kvm --timeout 86400 guest-images/shell
test: setup ## set everything up and pass all tests
	tests/run-all
# Most tests wait for somebody most of the time, so many run at once.
unit: $(BUILD)/unit-tests all ## run the unit tests (UNIT_ARGS: their options)
	tests/check/unit $(BUILD)/unit-tests --timeout 60 -j$$((3 * $$(nproc))) $(UNIT_ARGS)
device-test: $(BUILD)/unit-tests all ## run those of devices against sandboxed processes
	MINIVMM_DEVICE=$(BUILD)/minivmm-device MINIVMM_DEVICE_SANDBOX=full tests/check/unit \
		$(BUILD)/unit-tests --timeout 60 -j$$((3 * $$(nproc))) --filter 'device_*/*' $(UNIT_ARGS)
clang: ## the unit tests with clang, in build/clang
	+$(MAKE) CC=clang BUILD=$(BUILD)/clang unit
sanitize: ## the same with ASan and UBSan, in build/sanitize
	+$(MAKE) SANITIZE=1 BUILD=$(BUILD)/sanitize unit
attack: $(BUILD)/attack ## attack minivmm from inside the sandbox, with and without each of its layers
	$(BUILD)/attack
coverage: ## lines of devices/ and vmm/virtio/ that the unit tests reach: at least 90 %
	+$(MAKE) CC=clang COVERAGE=1 BUILD=$(BUILD)/coverage $(BUILD)/coverage/unit-tests all
	tests/check/coverage $(BUILD)/coverage
proof: ## have Frama-C prove the arithmetic of addresses, see tests/proof
	tests/proof/run
check-arch: all ## check the rules of the architecture, and the checker
	tests/check/architecture --self-test
	tests/check/architecture $(BUILD)
check-bad-inputs: ## check the catalogue of hostile inputs, and the checker
	tests/check/bad-inputs --self-test
	tests/check/bad-inputs
check-headers: ## compile every header alone, with gcc and clang
	tests/check/headers $(CPPFLAGS) $(CFLAGS)
lint: all ## clang-format, clang-tidy, cppcheck, shellcheck, mandoc, documented options
	MINIVMM=$(BUILD)/minivmm tests/check/lint $(CPPFLAGS) -std=gnu17
# What guest tests run of ours.
guest-programs: all $(BUILD)/attack
guest-test: guest-programs images ## boot guests where KVM works (GUEST_TESTS: names or patterns)
	MINIVMM=$(abspath $(BUILD)/minivmm) tests/with-kvm tests/guest/run $(GUEST_TESTS)
endurance: all $(BUILD)/endurance ## a thousandth of tests/long-run, without guests
	tests/long-run --scale 0.001 --without-guests
test-hostile: guest-programs images $(BUILD)/endurance $(BUILD)/attack ## what is hostile, at length (HOSTILE_ARGS: see tests/hostile)
	tests/hostile $(HOSTILE_ARGS)
bench: all images ## measure speed and size against QEMU
	tests/bench/run

.PHONY: format install clean help
format: ## rewrite all C files in the house style
	tests/check/sources '*.c' '*.h' | xargs clang-format -i
install: all ## install below $(DESTDIR)$(PREFIX)
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/minivmm $(BUILD)/minivmm-device
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/minivmm.1
clean: ## remove what was built; images stay cached in .cache
	rm -rf $(BUILD)
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 16

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
