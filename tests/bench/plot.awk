# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Draws the measurement `mechanisms` as a bar chart in SVG, after statistics.awk: four panels, in each a
# bar for reads and one for writes of each VMM. Lengths are pixels.

BEGIN {
	name = "mechanisms"
	width = 940; label = 150; panel = 330; gap = 60; bar = 9; row = 24; title = 44; top = 64
}

function text(x, y, what, kind) {
	printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, kind, what
}

function draw_bar(x, y, vmm, figure, scale, kind,    us) {
	if (!is_there(vmm, figure))
		return
	us = median(vmm, figure)
	printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" class=\"%s\"/>\n", \
		x, y, us * scale, bar, kind
	text(x + us * scale + 4, y + bar - 1, sprintf(us < 100 ? "%.1f" : "%.0f", us), "value")
}

function longest(size, depth,    v, most) {
	for (v = 1; v <= bars; v++) {
		if (median(shown[v], size "-read-" depth) > most)
			most = median(shown[v], size "-read-" depth)
		if (median(shown[v], size "-write-" depth) > most)
			most = median(shown[v], size "-write-" depth)
	}
	return most
}

function draw_panel(x, y, size, depth, heading,    v, at, scale) {
	scale = (panel - 36) / longest(size, depth)
	text(x, y + 22, heading, "heading")
	for (v = 1; v <= bars; v++) {
		at = y + title - 8 + (v - 1) * row
		draw_bar(x, at, shown[v], size "-read-" depth, scale, "read")
		draw_bar(x, at + bar + 1, shown[v], size "-write-" depth, scale, "write")
	}
	printf "<path d=\"M%d %dv%d\" class=\"axis\"/>\n", x, y + title - 12, bars * row
}

function draw_labels(y,    v) {
	for (v = 1; v <= bars; v++)
		text(label - 8, y + title - 8 + (v - 1) * row + bar + 4, shown[v], "label")
}

END {
	for (v = 1; v <= vmms; v++)
		if (order[v] !~ /-unpatched/)
			shown[++bars] = order[v]
	tall = title + bars * row
	height = top + 2 * tall + 12
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" " \
		"height=\"%d\" role=\"img\">\n", width, height, width, height
	print "<!-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause -->"
	print "<title>Microseconds of instructions for one disk request, by mechanism</title>"
	print "<style>"
	print "text { font: 11px sans-serif; fill: #1f2328 }"
	print ".page { fill: #ffffff } .axis { stroke: #8c959f }"
	print ".label { text-anchor: end } .heading { font-size: 13px; font-weight: bold }"
	print ".title { font-size: 15px; font-weight: bold } .value { font-size: 9px }"
	print ".read { fill: #3b82d0 } .write { fill: #d9822b }"
	print "@media (prefers-color-scheme: dark) {"
	print "text { fill: #e6edf3 } .page { fill: #0d1117 }"
	print "}"
	print "</style>"
	printf "<rect width=\"%d\" height=\"%d\" class=\"page\"/>\n", width, height
	text(12, 24, "Microseconds of instructions for one disk request", "title")
	printf "<rect x=\"12\" y=\"38\" width=\"12\" height=\"%d\" class=\"read\"/>\n", bar
	text(28, 47, "read", "legend")
	printf "<rect x=\"72\" y=\"38\" width=\"12\" height=\"%d\" class=\"write\"/>\n", bar
	text(88, 47, "write", "legend")
	draw_labels(top)
	draw_labels(top + tall)
	draw_panel(label, top, "4k", 1, "4 KiB, depth 1")
	draw_panel(label + panel + gap, top, "4k", 16, "4 KiB, depth 16")
	draw_panel(label, top + tall, "128k", 1, "128 KiB, depth 1")
	draw_panel(label + panel + gap, top + tall, "128k", 16, "128 KiB, depth 16")
	print "</svg>"
}
