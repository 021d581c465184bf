# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Reads the lines "NAME VMM FIGURE VALUE" of the measurement called `name`: order[1..vmms] are the VMMs
# in their order, median(), lowest() and highest() say what the runs gave.

$1 == name {
	if (!($2 in known)) {
		known[$2] = 1
		order[++vmms] = $2
	}
	values[$2, $3] = values[$2, $3] " " $4
}

# Sorts list[1..n]; there are few.
function sort(list, n,    i, j, t) {
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && list[j - 1] + 0 > list[j] + 0; j--) {
			t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
		}
}

function is_there(vmm, figure) {
	return (vmm, figure) in values
}

function median(vmm, figure,    list, n) {
	n = split(values[vmm, figure], list, " ")
	sort(list, n)
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function lowest(vmm, figure,    list, n) {
	n = split(values[vmm, figure], list, " ")
	sort(list, n)
	return list[1]
}

function highest(vmm, figure,    list, n) {
	n = split(values[vmm, figure], list, " ")
	sort(list, n)
	return list[n]
}
