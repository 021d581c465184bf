# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A Debian 12 root disk for the guest kernels: systemd, network by DHCP, SSH, a shared folder, and
# the key for the SSH. Made from the archives that this machine's own apt uses; needs root.

links=(guest/rootfs.ext4 guest/rootfs-key)
from=$images/rootfs
suite=bookworm
# Small, since tests copy it; whoever wants more makes the file longer and runs resize2fs.
disk_size=256M

# Prints the lines of rootfs/FILE that are not comments.
read_list() {
	grep -v -e '^#' -e '^$' "$from/$1"
}

# Prints the candidate versions of the packages; fails if one of them is unknown.
candidates() {
	local found
	found=$(apt-cache show --no-all-versions "$@" 2>/dev/null |
		awk '/^Package:/ { name = $2 } /^Version:/ { print name, $2 }')
	[ "$(wc -l <<<"$found")" -eq $# ] && echo "$found"
}

recipe_inputs() {
	local files packages
	mapfile -t files < <(find "$from" -type f | LC_ALL=C sort)
	hash_files "${files[@]}"
	# Those that matter; base-files moves with every point release.
	packages=(base-files libc6 libssl3 openssh-server systemd)
	candidates "${packages[@]}" || {
		apt-get update >&2 && candidates "${packages[@]}"
	} || die "rootfs: ${packages[*]}: not in the archive (is it Debian 12, and online?)"
}

# Prints this machine's archives of the suite, one line each, as sources.list has them.
list_archives() {
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) main' \
		'Created-By: Packages' 'Origin: Debian' 'Component: main' | sort -u |
		awk -v suite="$suite" '$3 ~ "^" suite "(-updates|-security)?$"' | grep . ||
		die "rootfs: $suite: not among the archives of apt"
}

install_packages() {
	local root=$1 include options
	include=$(read_list packages | paste -sd,)
	list_archives >"$work/archives"
	# Proxies and the like; the image does not keep them.
	apt-config dump Acquire >"$work/acquire.conf"
	options=(--mode=root --variant=minbase --format=directory --include="$include"
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
		--aptopt="$work/acquire.conf"
		--customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap'
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*')
	run_logged "installing Debian packages" mmdebstrap "${options[@]}" "$suite" "$root" \
		"$work/archives"
}

configure_root() {
	local root=$1 unit
	cp -RT --no-preserve=mode,ownership "$from/files" "$root"
	echo minivmm >"$root/etc/hostname"
	printf '127.0.0.1 localhost minivmm\n::1 localhost\n' >"$root/etc/hosts"
	printf '\nDebian 12 in minivmm. "poweroff" ends it; a shared folder is at /mnt/shared.\n\n' \
		>"$root/etc/motd"
	# An empty one would mean a first boot, with all that systemd does then.
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	mkdir -p "$root/mnt/shared"
	while read -r unit; do
		ln -sfn /dev/null "$root/etc/systemd/system/$unit"
	done < <(read_list masked-units)
	chroot "$root" /bin/systemctl --quiet set-default multi-user.target
	chroot "$root" /bin/systemctl --quiet disable ssh.service remote-fs.target
	chroot "$root" /bin/systemctl --quiet enable systemd-networkd systemd-resolved \
		console-getty ssh.socket
	ln -sfn ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
}

# Who has the private key is root in the guest.
make_key() {
	local root=$1
	ssh-keygen -q -t ed25519 -N '' -C minivmm -f rootfs-key
	install -D -m 600 rootfs-key.pub "$root/root/.ssh/authorized_keys"
	rm rootfs-key.pub
}

recipe_make() {
	local root=$work/root
	[ "$(id -u)" -eq 0 ] || die "rootfs: its files have many owners: run this as root"
	install_packages "$root"
	configure_root "$root"
	make_key "$root"
	run_logged "making the file system" mke2fs -q -t ext4 -b 4096 -J size=8 -m 0 -L minivmm \
		-d "$root" rootfs.ext4 "$disk_size"
}
