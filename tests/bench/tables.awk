# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Prints the tables of one measurement, after statistics.awk. `columns` is a list of "FIGURE=TITLE",
# parted by |.

$1 == "syscalls" && name == "native" {
	split($3, part, ":")
	calls[$2 ", depth " part[1]] = calls[$2 ", depth " part[1]] sprintf(", %s %.2f", part[2], $4)
}

# Microseconds to milliseconds, KiB to MiB, counts to counts for one of the 2000 requests or 500 turns,
# requests of 64 KiB to MiB a second.
function scaled(figure, value) {
	if (name == "boot" || name == "devices")
		return figure ~ /private|anonymous/ ? value / 1024 : value / 1000
	if (figure == "send" || figure == "receive")
		return 1e6 / 16 / value
	if (figure ~ /\.(exits|exits_to_user|syscalls)$/)
		return value / (name == "counts" ? 2000 : 500)
	return value
}

function shown(value) {
	return sprintf(value >= 1000 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value)
}

# The median, with lowest and highest where they differ by more than 2 %. Processes, and KiB of one of
# them, are whole numbers.
function spread(vmm, figure,    middle, low, high, other, text) {
	middle = median(vmm, figure)
	low = lowest(vmm, figure)
	high = highest(vmm, figure)
	if (figure == "processes" || figure ~ /^private\./)
		return sprintf("%d", middle)
	text = shown(scaled(figure, middle))
	if (high - low <= 0.02 * middle)
		return text
	low = scaled(figure, low)
	high = scaled(figure, high)
	if (low > high) {
		other = low; low = high; high = other
	}
	return text " (" shown(low) " to " shown(high) ")"
}

# Events of a load for each request, without those that a load without requests has too.
function events(vmm, load, event) {
	return sprintf("%.2f", (median(vmm, load "." event) - median(vmm, "copy." event)) / \
		median(vmm, load ".counted"))
}

# MiB a second, from microseconds for one request.
function rate(us, kib) {
	return sprintf("%.0f", kib / 1024 / us * 1e6)
}

# The same VMM with all guest memory.
function unrestricted(vmm) {
	if (vmm ~ /^qemu/)
		return "qemu"
	return vmm ~ /-mmio/ ? "minivmm-mmio" : "minivmm-pci"
}

# What an eighth of the bytes in as many pieces saves.
function bytes_cost(vmm, how) {
	return median(vmm, "128k-" how "-1") - median(vmm, "pieces-" how)
}

function copies(vmm, how) {
	return sprintf("%.1f", (bytes_cost(vmm, how) - bytes_cost(unrestricted(vmm), how)) / \
		median(vmm, "copy"))
}

function cell(vmm, figure, view,    part) {
	if (view == "copies" && figure ~ /^copies-/)
		return copies(vmm, substr(figure, 8))
	if (!is_there(vmm, view == "exits" ? figure ".exits" : figure))
		return "-"
	if (view == "exits")
		return events(vmm, figure, "exits") " / " events(vmm, figure, "exits_to_user")
	if (view == "copies")
		return rate(median(vmm, figure), figure ~ /^4k/ ? 4 : 128)
	if (figure == "neighbour") {
		split(vmm, part, ":")
		return rate(median(vmm, figure), part[2])
	}
	if (figure == "neighbour.full")
		return highest(vmm, figure) > 0 ? "yes" : "no"
	if (figure == "beside.late")
		return sprintf("%.1f", median(vmm, figure) / median(vmm, "beside.requests") * 1000)
	return spread(vmm, figure)
}

# "VMM:KIB:DEPTH:SPEED" is VMM beside a neighbour.
function row_title(vmm,    part) {
	if (split(vmm, part, ":") == 1)
		return vmm
	return part[1] ", " (part[4] ? part[4] " " : "") part[2] " KiB at " part[3]
}

function table(columns, view,    count, column, part, figure, header, line, row, c, v) {
	count = split(columns, column, "|")
	header = "| |"; line = "|---|"
	for (c = 1; c <= count; c++) {
		split(column[c], part, "=")
		figure[c] = part[1]
		header = header " " part[2] " |"
		line = line "---|"
	}
	print header; print line
	for (v = 1; v <= vmms; v++) {
		row = "| " row_title(order[v]) " |"
		for (c = 1; c <= count; c++)
			row = row " " cell(order[v], figure[c], view) " |"
		print row
	}
}

END {
	if (name == "mechanisms")
		print "Microseconds:\n"
	table(columns)
	if (name == "mechanisms") {
		print "\nExits / those to user space:\n"
		table(columns, "exits")
		print "\nMiB a second, and how often the guest copies each byte:\n"
		table(columns "|copies-read=copies, read|copies-write=copies, write", "copies")
	}
	if (name == "native") {
		print "\nSystem calls for each request, 4 KiB, the load sleeping:\n"
		for (who in calls)
			print "- " who ": " substr(calls[who], 3) | "sort"
	}
}
