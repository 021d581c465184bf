# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The negative tests of tests/check/bad-inputs: a small catalogue without mistakes, then one mistake
# after the other.

# Each line: the rule that must notice, and the mistake.
mistakes=(
	'numbers    sed -i /^3/d tests/bad-inputs/B.tsv'
	'numbers    line A 1 D unit queue::short ""'
	'numbers    line A 0 D unit queue::short ""'
	'numbers    line A 8 D unit queue::short ""'
	'numbers    rm tests/bad-inputs/A.tsv'
	'described  sed -i "/^3\./d" tests/bad-inputs/README.md'
	'described  echo "3. again" >>tests/bad-inputs/README.md'
	'described  sed -i "s/^3\..*/3. /" tests/bad-inputs/README.md'
	'columns    replace A 2 D unit queue::split'
	'columns    replace A 2 D unit queue::split "a note" "and another"'
	'outcomes   replace A 2 Q unit queue::split ""'
	'outcomes   replace A 2 "" unit queue::split ""'
	'outcomes   replace A 2 D/ unit queue::split ""'
	'outcomes   replace A 2 OK unit queue::split ""'
	'reasons    replace B 5 n/a "" "" ""'
	'reasons    replace B 5 n/a - - -'
	'proofs     replace A 2 D "" queue::split ""'
	'proofs     replace A 2 D unit+luck queue::split ""'
	'proofs     replace A 2 D unit, queue::split ""'
	'tests      replace A 2 D unit queue::none ""'
	'tests      replace A 2 D unit queue::shor ""'
	'tests      replace A 2 D unit other::short ""'
	'tests      replace A 2 D unit "" ""'
	'tests      replace A 2 D unit "queue::split queue::none" ""'
	'tests      replace A 2 D guest guest:boo ""'
	'tests      replace A 2 D guest "guest:none-*" ""'
	'tests      replace A 2 D fuzz fuzz:none ""'
	'tests      replace A 2 D process script:tests/none ""'
	'tests      replace A 2 D process attack:none ""'
	'tests      replace A 2 D process script:tests/plain ""'
	'tests      replace A 2 D unit short ""'
	'tests      replace A 2 D fuzz fuzz:helper ""'
	'tests      rm tests/fuzz/fuzz_queue.c'
)

# line SECTION COLUMN...: adds it.
line() {
	local IFS=$'\t' section=$1
	shift
	echo "$*" >>"tests/bad-inputs/$section.tsv"
}

# replace SECTION NUMBER COLUMN...
replace() {
	sed -i "/^$2\t/d" "tests/bad-inputs/$1.tsv"
	line "$@"
}

make_catalogue() {
	local i
	mkdir -p tests/{bad-inputs,unit,fuzz,attack,guest}
	cat >tests/unit/test_queue.c <<-'CODE'
	Test(queue, short)
	Test(queue, split, .init = start)
	Test(queue,
	     broken_by_the_formatter, .init = start)
	ParameterizedTest(struct row *row, queue, table)
	CODE
	echo 'int x;' | tee tests/fuzz/helper.c tests/attack/on_host.c >tests/fuzz/fuzz_queue.c
	printf '#!/bin/sh\necho boot-1\necho boot-2\n' >tests/guest/run
	echo exit >tests/plain
	cp tests/plain tests/script
	chmod +x tests/guest/run tests/script
	for ((i = 1; i <= last; i++)); do
		echo "$i. what it does"
	done >tests/bad-inputs/README.md
	echo "# a comment" >tests/bad-inputs/A.tsv
	line A 1 "R/N ok" unit+guest "queue::short guest:boot-1" ""
	line A 2 D unit "queue::split queue::broken_by_the_formatter" "a note"
	line B 3 ok fuzz fuzz:queue ""
	line B 4 X process "script:tests/script attack:on_host queue::table" ""
	line B 5 n/a "" "" "there is none here"
	line B 6 n/a - - "nor here"
	line B 7 K guest "guest:boot-*" ""
}

# Prints the names of the rules that fail in the current directory.
failing() (
	check_rules | sed -n 's/^FAIL \([^:]*\):.*/\1/p'
)

# violate RULE MISTAKE: prints what went wrong, if anything.
violate() (
	rm -rf "$scratch/tree"
	cp -r "$scratch/good" "$scratch/tree"
	cd "$scratch/tree"
	eval "$2"
	noticed=$(failing)
	[ "$noticed" = "$1" ] || echo "noticed by: ${noticed:-no rule}"
)

self_test() {
	local line rule mistake
	last=7
	mkdir "$scratch/good"
	cd "$scratch/good"
	make_catalogue
	check 'self-test: a good catalogue passes' failing
	for line in "${mistakes[@]}"; do
		read -r rule mistake <<<"$line"
		check "self-test: $rule notices: $mistake" violate "$rule" "$mistake"
	done
	check 'self-test: every mistake has been made' untested
}

# Rules without a mistake.
untested() {
	comm -23 <(printf '%s\n' "${rules[@]}" | cut -d' ' -f1 | sort -u) \
		<(printf '%s\n' "${mistakes[@]}" | cut -d' ' -f1 | sort -u)
}
