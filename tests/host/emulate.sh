# shellcheck shell=bash disable=SC2054,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The emulated half of tests/with-kvm: starts the emulated host, connects it, watches over it.
#
#     with-kvm                   job folder (9p)              emulated host
#     stdin  -> cat -> pipe  ->  [QEMU] virtio port 1   ->  runner  -> command
#     stdout <- cat <- pipe  <-  [QEMU] virtio port 2   <-  runner  <- command
#     stderr <- cat <- pipe  <-  [QEMU] virtio port 3   <-  runner  <- command
#     the terminal           <-> [QEMU] console hvc0    <-> command       (instead, if it is one)
#     tick -> pipe           ->  [QEMU] virtio port 4   ->  runner
#                                job/enter, commands    ->  runner
#                                job/progress           <-  runner
#
# QEMU sets its files non-blocking, which every other user of the caller's files would feel; hence
# the cats. The caller sets the options of with-kvm, $top and $commands.

# From starting QEMU to the first command; a host takes a few seconds unless it hangs.
start_limit=120

job=
qemu=
cats=()
terminal=

# shellcheck disable=SC2317 # called by the trap
clean_up() {
	if [ -n "$qemu" ]; then
		kill -KILL "$qemu" || true
		wait "$qemu" || true
	fi 2>/dev/null
	[ ${#cats[@]} -eq 0 ] || kill "${cats[@]}" 2>/dev/null || true
	[ -z "$terminal" ] || stty "$terminal" || true
	[ -z "$job" ] || rm -rf "$job"
}

# Writes the script that takes a command into the caller's directory, environment and user.
write_enter() {
	local pair
	echo "umask $(umask)"
	printf 'cd %q || exit 125\n' "$PWD"
	[ -z "$terminal" ] || stty size | sed 's/\(.*\) \(.*\)/stty rows \1 cols \2/'
	printf 'exec '
	[ "$(id -u)" -eq 0 ] ||
		printf 'setpriv --reuid %s --regid %s --groups %s ' "$(id -u)" "$(id -g)" "$(id -G | tr ' ' ,)"
	# QEMU's 9p server makes neither sockets nor FIFOs; temporary files may well be some.
	printf 'env -i TMPDIR=/run/tmp'
	while IFS= read -r -d '' pair; do
		printf ' %q' "$pair"
	done < <(env -0)
	# shellcheck disable=SC2016 # expands there
	echo ' "$@"'
}

make_job() {
	job=$(mktemp -d "${TMPDIR:-/tmp}/with-kvm.XXXXXX")
	cp "$top/tests/host/runner" "$job/runner"
	printf '%s\n' "$commands" >"$job/commands"
	write_enter >"$job/enter"
	id -u >"$job/uid"
	[ -z "$batch" ] || touch "$job/batch"
	[ -z "$terminal" ] || touch "$job/terminal"
	mkfifo "$job/tick.in" "$job/tick.out"
}

# Wakes the host now and then. QEMU 7.2 changes the interrupts of a CPU that enters or leaves a guest without
# its lock, so that one that comes just then is lost until there is another one: a host that waits for
# its timer alone would wait for ever. Ends when QEMU does.
tick() {
	local never
	exec {never}<> <(:)
	while echo; do
		read -r -t 0.1 -u "$never" || true
	done 2>/dev/null >"$job/tick.in"
}

# Our ends of the host's channels: fd_in, fd_out, fd_err.
open_channels() {
	[ -z "$terminal" ] || stty raw -echo
	if [ -n "$batch" ]; then
		exec {fd_in}</dev/null
	else
		exec {fd_in}< <(exec cat <&0)
		cats+=($!)
	fi
	exec {fd_out}> >(exec cat)
	out_cat=$!
	exec {fd_err}> >(exec cat >&2 {fd_out}>&-)
	err_cat=$!
}

# Starts QEMU, with $alive as the reading end of a pipe that closes when it ends.
start_qemu() {
	# QEMU 7.2 does not intercept XSETBV for a nested hypervisor, so that a guest's XCR0 would go
	# astray: no XSAVE. One CPU by default: with more, a jump label that the host kernel patches
	# has been seen to trap on another CPU.
	#
	# A buffer for translated code that is emptied now and then: each store into a page that had code
	# is slow until all of that is gone, and memory of guests that ended is full of such pages. With
	# less room too much is translated anew. For the same reason there is no ERMS: kernels would fill
	# and copy pages by single bytes. And programs stay where they are, since translated code
	# belongs to an address.
	local accel=(-accel tcg,thread=multi,tb-size=128 -cpu max,-xsave,-erms,-fsrm -smp "$cpus")
	local console=(-chardev "file,id=log,path=$job/console.log")
	local model=none append="console=ttyS0 reboot=t panic=-1 mitigations=off norandmaps"

	if [ -n "$icount" ]; then
		# Not sleep=off: it skips to the next timer whenever the machine is idle, and each
		# file that is opened over 9p makes it idle.
		accel=(-accel tcg,thread=single,tb-size=128 -icount shift=0,sleep=on -smp 1 -seed 1
			-cpu max,-xsave,-erms,-fsrm)
		append="$append nokaslr"
	fi
	if [ -n "$verbose" ]; then
		console=(-chardev "file,id=log,path=/dev/fd/$fd_err")
	else
		append="$append quiet"
	fi
	# Only root can give files away to other users.
	[ "$(id -u)" -ne 0 ] || model=passthrough

	local channels=(-chardev "stdio,id=in,signal=off"
		-chardev "file,id=out,path=/dev/fd/$fd_out"
		-chardev "file,id=err,path=/dev/fd/$fd_err")
	if [ -n "$terminal" ]; then
		channels+=(-device virtconsole,nr=0,chardev=in)
	else
		channels+=(-device virtserialport,nr=1,name=stdin,chardev=in)
	fi
	channels+=(-device virtserialport,nr=2,name=stdout,chardev=out
		-device virtserialport,nr=3,name=stderr,chardev=err)
	# Where instructions are counted nothing may come from outside.
	[ -n "$icount" ] ||
		channels+=(-chardev "pipe,id=tick,path=$job/tick"
			-device virtserialport,nr=4,name=tick,chardev=tick)

	exec {alive}< <(
		# The writing end; nobody uses it.
		# shellcheck disable=SC2034
		exec {held}>&1
		exec qemu-system-x86_64 "${accel[@]}" -M q35 -m "$memory" \
			-nodefaults -no-user-config -no-reboot -display none \
			-kernel "$top/build/host/vmlinuz" -initrd "$top/build/host/initrd" \
			-append "$append" "${console[@]}" -serial chardev:log \
			-fsdev "local,id=root,path=/,security_model=$model,multidevs=remap" \
			-device virtio-9p-pci,fsdev=root,mount_tag=root \
			-fsdev "local,id=job,path=$job,security_model=$model" \
			-device virtio-9p-pci,fsdev=job,mount_tag=job \
			-device virtio-serial-pci "${channels[@]}" \
			<&"$fd_in" >&"$fd_out" 2>"$job/qemu.log"
	)
	qemu=$!
	if [ -z "$icount" ]; then
		tick {fd_in}<&- {fd_out}>&- {fd_err}>&- {alive}<&- &
		cats+=($!)
	fi
}

begun() {
	[ -e "$job/progress" ]
}

# Waits for QEMU to end; fails when it had to be stopped, and then says so in $verdict.
watch_qemu() {
	local status deadline=$((SECONDS + start_limit))
	verdict=
	[ "$deadline" -lt "$end" ] || deadline=$end
	while :; do
		status=0
		# A sleep that ends early when QEMU does.
		read -r -t 1 -u "$alive" || status=$?
		[ "$status" -gt 128 ] || break
		! begun || deadline=$end
		if [ "$SECONDS" -ge "$deadline" ]; then
			verdict=timeout
			[ "$SECONDS" -ge "$end" ] || verdict=hang
			kill -KILL "$qemu"
			break
		fi
	done
	wait "$qemu" 2>/dev/null || true
	qemu=
	exec {alive}<&-
}

# What the command wrote must be out before what we say about it.
close_channels() {
	exec {fd_in}<&- {fd_out}>&- {fd_err}>&-
	wait "$out_cat" "$err_cat" || true
	if [ -n "$terminal" ]; then
		stty "$terminal"
		terminal=
	fi
}

# The exit status: of the first command that failed, or our own.
judge() {
	local word number status first=0 last=
	while read -r word number status; do
		case $word in
		begin) last=$number ;;
		end) [ "$first" -ne 0 ] || first=$status ;;
		done) exit "$first" ;;
		esac
	done < <(cat "$job/progress" 2>/dev/null)
	[ "$verdict" != timeout ] || die 124 "timeout: $timeout s: stopped the emulated host"
	tail -q -n 20 "$job/console.log" "$job/qemu.log" >&2 2>/dev/null || true
	[ -n "$last" ] || die 125 "emulated host: failed to start"
	die 125 "emulated host: died during: $(sed -n "${last}p" "$job/commands")"
}

run_emulated() {
	local attempt end=$((SECONDS + timeout))
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP

	if [ -z "$batch" ] && [ -t 0 ] && [ -t 1 ]; then
		terminal=$(stty -g)
	fi
	make_job
	open_channels
	for attempt in 1 2; do
		start_qemu
		watch_qemu
		if begun || [ "$verdict" = timeout ] || [ "$attempt" -eq 2 ]; then
			break
		fi
		printf 'with-kvm: emulated host: did not start%s: trying once more\n' \
			"${verdict:+ within $start_limit s}" >&2
	done
	close_channels
	judge
}
