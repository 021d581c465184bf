# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The negative tests of tests/check/architecture: a small tree that keeps every rule, then one change
# after the other that breaks one.

# Each line: the rule that must notice, and the change.
violations=(
	'compiled            add devices/net.c "$licence"'
	'compiled            add vmm/arch/$arch/new.c "$licence"'
	'devices_apart       include devices/rng.c "<linux/kvm.h>"'
	'devices_apart       include devices/rng.c "<libfdt.h>"'
	'devices_apart       include devices/rng.c "<libelf.h>"'
	'devices_apart       include devices/rng.c "<gelf.h>"'
	'devices_apart       include devices/rng.c "<jansson.h>"'
	'devices_apart       include devices/rng.c "\"vmm/memory.h\""'
	'devices_apart       include devices/rng.c "\"../vmm/memory.h\""'
	'devices_apart       include devices/core/virtqueue.h "\"boot/plan.h\""'
	'devices_apart       include devices/proto/wire.h "\"devices/core/virtqueue.h\""; vmm_without_proto'
	'vmm_apart           include vmm/bus.c "\"devices/core/virtqueue.h\""'
	'vmm_apart           include vmm/memory.h "\"devices/device.h\""'
	'vmm_apart           include boot/plan.c "\"devices/core/virtqueue.h\""'
	'boot_apart          include boot/plan.c "\"vmm/memory.h\""'
	'boot_apart          include boot/plan.h "<linux/kvm.h>"; vmm_without_boot'
	'kvm_few             include vmm/bus.c "<linux/kvm.h>"'
	'kvm_few             include vmm/memory.h "<linux/kvm.h>"'
	'arch_headers        include vmm/bus.c "\"boot/$arch/layout.h\""'
	'arch_headers        include boot/plan.c "\"boot/$arch/layout.h\""'
	'arch_headers        include vmm/arch/$arch/vcpu.c "\"boot/other/layout.h\""'
	'arch_conditionals   add vmm/bus.c "#ifdef __x86_64__" "#endif"'
	'arch_conditionals   add devices/rng.c "#if defined(__aarch64__)" "#endif"'
	'arch_conditionals   add boot/plan.h "#if __ARM_ARCH > 7" "#endif"'
	'minivmm_symbols     link minivmm "void virtqueue_pop(void); void virtqueue_pop(void) { }"'
	'minivmm_symbols     link minivmm "int dma_map_iov;"'
	'minivmm_symbols     link minivmm "static int blk_device_ops __attribute__((used));"'
	'minivmm_symbols     strip build/minivmm'
	'device_symbols      link minivmm-device "static int guest_memory_x __attribute__((used));"'
	'device_symbols      link minivmm-device "void boot_plan_add(void); void boot_plan_add(void) { }"'
	'device_symbols      link minivmm-device "int vm_create; int vcpu_run;"'
	'minivmm_libraries   minivmm_libs="$minivmm_libs -lseccomp"; link minivmm'
	'minivmm_libraries   minivmm_libs=; link minivmm'
	'device_libraries    device_libs="$device_libs -lelf"; link minivmm-device'
	'device_libraries    rm build/minivmm-device; link minivmm-device "" -static'
	'spdx                echo "int x;" >boot/unlicensed.h'
	'spdx                sed -i s/BSD-3-Clause/MIT/ boot/plan.c'
	'short_files         seq 500 | sed "s/.*/int x&;/" >>devices/device.h'
)

licence='/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */'
minivmm_libs='-lfdt -lelf -ljansson'
device_libs='-lseccomp'

# add FILE LINE...
add() {
	local file=$1
	shift
	printf '%s\n' "$@" >>"$file"
}

# include FILE WHAT...
include() {
	local file=$1 what
	shift
	for what; do
		add "$file" "#include $what"
	done
}

# What some violations would otherwise break as well.
vmm_without_proto() {
	sed -i '/devices/d' vmm/bus.c
}

vmm_without_boot() {
	sed -i '/boot/d' vmm/bus.c
}

# link EXECUTABLE [CODE [OPTION]]: makes an executable with this code besides main().
link() {
	local libs=$minivmm_libs
	[ "$1" = minivmm ] || libs=$device_libs
	# shellcheck disable=SC2086 # a list
	printf '%s\nint main(void) { return 0; }\n' "${2:-}" |
		gcc -x c -o "build/$1" - ${3:-} -Wl,--no-as-needed $libs
}

make_tree() {
	local file
	mkdir -p boot/{"$arch",other} vmm/arch/"$arch" devices/{core,proto} build
	for file in boot/plan.{c,h} boot/{"$arch",other}/layout.h boot/"$arch"/boot.c vmm/{bus,vm}.c \
		vmm/memory.h vmm/arch/"$arch"/vcpu.c devices/{device,registry}.h devices/rng.c \
		devices/core/virtqueue.{c,h} devices/proto/wire.{c,h}; do
		echo "$licence" >"$file"
	done
	include boot/plan.c '<libelf.h>' '"boot/plan.h"'
	include "boot/$arch/boot.c" "\"boot/$arch/layout.h\""
	include vmm/bus.c '"boot/plan.h"' '"vmm/memory.h"' '"devices/proto/wire.h"' '"devices/registry.h"'
	include vmm/vm.c '<linux/kvm.h>'
	include "vmm/arch/$arch/vcpu.c" '<linux/kvm.h>' "\"boot/$arch/layout.h\""
	add "vmm/arch/$arch/vcpu.c" "#ifdef __x86_64__" "#endif"
	include devices/rng.c '"devices/core/virtqueue.h"' '"devices/device.h"'
	include devices/core/virtqueue.c '"devices/core/virtqueue.h"' '"devices/proto/wire.h"'
	include devices/proto/wire.c '"devices/proto/wire.h"'
	link minivmm 'int vm_create;'
	link minivmm-device 'void virtqueue_pop(void); void virtqueue_pop(void) { }'
}

# Lets the compiler write the dependencies of the given sources.
compile() {
	local source
	for source; do
		mkdir -p "build/obj/${source%/*}"
		gcc -I. -M -MP -MT "build/obj/${source%.c}.o" -MF "build/obj/${source%.c}.d" "$source"
	done
}

# Prints the names of the rules that fail in the current directory.
failing() (
	check_rules | sed -n 's/^FAIL \([^:]*\):.*/\1/p'
)

# violate RULE CHANGE: prints what went wrong, if anything.
violate() (
	rm -rf "$scratch/tree"
	cp -r "$scratch/good" "$scratch/tree"
	cd "$scratch/tree"
	mapfile -t sources < <("$here/sources" '*.c')
	eval "$2"
	compile "${sources[@]}"
	noticed=$(failing)
	[ "$noticed" = "$1" ] || echo "noticed by: ${noticed:-no rule}"
)

self_test() {
	local line rule change
	# The small tree is no part of any repository.
	export GIT_DIR=$scratch/none
	mkdir "$scratch/good"
	cd "$scratch/good"
	make_tree
	mapfile -t sources < <("$here/sources" '*.c')
	compile "${sources[@]}"
	check 'self-test: a good tree passes' failing
	for line in "${violations[@]}"; do
		read -r rule change <<<"$line"
		check "self-test: $rule notices: $change" violate "$rule" "$change"
	done
	check 'self-test: every rule has been broken' untested
}

# Rules without a violation.
untested() {
	comm -23 <(printf '%s\n' "${rules[@]}" | cut -d' ' -f1 | sort -u) \
		<(printf '%s\n' "${violations[@]}" | cut -d' ' -f1 | sort -u)
}
