# shellcheck shell=bash disable=SC2030,SC2031,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What the recipes share: the content-keyed cache, progress on long steps, Debian packages.
# The caller sets $top (the source tree), $images (this folder) and $target.

cache=${MINIVMM_CACHE:-$top/.cache}

die() {
	printf '%s\n' "$1" >&2
	exit 1
}

say() {
	printf '%s: %s\n' "$target" "$1" >&2
}

# Prints a line for each file that changes with its content and whether it is executable, and with
# nothing else.
hash_files() {
	local file mode
	for file; do
		mode=plain
		[ ! -x "$file" ] || mode=executable
		printf '%s %s %s\n' "$(sha256sum <"$file")" "$mode" "${file#"$top"/}"
	done
}

# Prints name and version of installed packages: what a tool or a source stands for in a key.
hash_packages() {
	# shellcheck disable=SC2016
	dpkg-query -W -f '${Package} ${Version}\n' "$@" ||
		die "$target: $*: not installed: run tests/install-packages"
}

# Makes build/<link> for every link of the recipe, from the cache if it can. An entry is complete or
# absent: it is made in a temporary folder and renamed.
cache_provide() {
	local recipe=$1 inputs key entry link
	inputs=$(recipe_inputs)
	key=$({ hash_files "$recipe"; printf '%s\n' "$inputs"; } | sha256sum)
	key=$target-${key:0:16}
	entry=$cache/$key

	if [ ! -d "$entry" ]; then
		mkdir -p "$cache/logs"
		# Two makes at once would otherwise both build it.
		exec {lock}>"$cache/$target.lock"
		flock "$lock"
		[ -d "$entry" ] || cache_fill "$entry" "$inputs" "$cache/logs/$key.log"
		exec {lock}>&-
	fi

	# shellcheck disable=SC2154 # set by the recipe
	for link in "${links[@]}"; do
		mkdir -p "$top/build/${link%/*}"
		if [ "$(readlink "$top/build/$link")" != "$entry/${link##*/}" ]; then
			ln -sfn "$entry/${link##*/}" "$top/build/$link"
		fi
	done
}

cache_fill() (
	entry=$1
	log=$3
	start=$SECONDS
	# The caller's might get into the images.
	umask 022
	scratch=$(mktemp -d "$cache/$target.XXXXXX")
	job=
	# shellcheck disable=SC2317 # called by the trap
	clean_up() {
		# A job has its own process group, so that its children end with it.
		[ -z "$job" ] || kill -- "-$job" 2>/dev/null || true
		# Nobody waits for it: a kernel's tree is minutes of work for a disk that discards what is freed.
		setsid rm -rf "$scratch" </dev/null >/dev/null 2>&1 &
	}
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM

	: >"$log"
	mkdir "$scratch/out" "$scratch/work"
	printf '%s\n' "$2" >"$scratch/out/inputs"
	work=$scratch/work
	cd "$scratch/out"
	recipe_make
	cd "$top"
	chmod a+rx "$scratch/out"
	mv -T "$scratch/out" "$entry"
	say "done in $((SECONDS - start)) s"
)

# Runs a command with its output in the log, and says every 15 seconds how far it got: elapsed time
# and, for a kernel build, the number of objects so far.
run_logged() {
	local what=$1 start=$SECONDS next=15 status=0 objects
	shift
	say "$what"
	set -m
	"$@" </dev/null >>"$log" 2>&1 &
	job=$!
	set +m
	while kill -0 "$job" 2>/dev/null; do
		sleep 0.5
		[ $((SECONDS - start)) -ge "$next" ] || continue
		next=$((next + 15))
		objects=$(grep -cE '^  (AS|CC|HOSTCC) ' "$log" || true)
		[ "$objects" -gt 0 ] && objects=", $objects objects" || objects=
		say "$what: $((SECONDS - start)) s$objects"
	done
	wait "$job" || status=$?
	job=
	[ "$status" -eq 0 ] && return
	tail -n 20 "$log" >&2
	die "$target: $what: exit status $status (whole log: $log)"
}

# Prints the package that a meta package stands for and its version, "NAME VERSION". Meta packages
# stay, exact versions disappear from the archive.
resolve_kernel_package() {
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -nE '/^Depends:/s/.*(linux-image-[^ ,]+) \(= ([^)]+)\).*/\1 \2/p' | grep .
}

# The same, asking the archive when the local package lists know nothing of it.
find_kernel_package() {
	resolve_kernel_package "$1" || {
		apt-get update >&2 && resolve_kernel_package "$1"
	} || die "$target: $1: no such package in the archive (is it Debian 12, and online?)"
}

# Unpacks package NAME of VERSION in $work/root; nothing is installed.
unpack_package() {
	local package=$1 version=$2
	# This folder is closed to the user that apt downloads as.
	run_logged "downloading $package $version" \
		env -C "$work" apt-get -o APT::Sandbox::User=root download "$package=$version"
	run_logged "unpacking $package" dpkg -x "$work/$package"_*.deb "$work/root"
}

# collect_modules FOLDER NAME...: puts the modules of the package in $work/root, with all that they
# depend on, into FOLDER/modules, unpacked, and their names in loading order into modules/order.
collect_modules() {
	local to=$1 release kind path name module
	shift
	release=$(ls "$work/root/lib/modules")
	depmod -b "$work/root" "$release"
	mkdir -p "$to/modules"
	for module; do
		# /dev/null: the modprobe settings of this machine are not wanted.
		modprobe -C /dev/null -d "$work/root" -S "$release" --show-depends "$module"
	done >"$work/needed"
	while read -r kind path _; do
		# "builtin NAME" says that there is nothing to load.
		[ "$kind" = insmod ] || continue
		name=$(basename "$path" .xz)
		[ ! -e "$to/modules/$name" ] || continue
		case $path in
		*.xz) xz -dc "$path" >"$to/modules/$name" ;;
		*) cp "$path" "$to/modules/$name" ;;
		esac
		echo "$name" >>"$to/modules/order"
	done <"$work/needed"
}
