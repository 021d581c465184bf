# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What only the network tests run inside: peers for their data, from the packages of this machine,
# with the shared libraries that they need. It goes behind our initramfs, so that the guests of
# other tests do not wait for it.

links=(guest/net-tools.cpio)
tools=(/usr/bin/iperf3 /usr/bin/socat)

# Prints the files that the tools are loaded from, themselves among them.
list_files() {
	printf '%s\n' "${tools[@]}"
	ldd "${tools[@]}" | grep -oE '/[^ ]+ \(0x' | sed 's/ (0x$//' | LC_ALL=C sort -u
}

recipe_inputs() {
	local files
	hash_packages iperf3 socat
	mapfile -t files < <(list_files)
	hash_files "${files[@]}" "$images/pack-cpio"
}

recipe_make() {
	local root=$work/root file
	while read -r file; do
		case $file in
		# Where the PATH inside leads.
		/usr/bin/*) install -D "$file" "$root/${file#/usr}" ;;
		*) install -D "$file" "$root$file" ;;
		esac
	done < <(list_files)
	"$images/pack-cpio" "$root" >net-tools.cpio
}
