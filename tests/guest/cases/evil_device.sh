# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Devices that misbehave on purpose: the guest may lose, nothing else does.

# What Linux has to put up with: it reads all of the disk, and reads it right.
evil_endured() {
	make_disk disk 4
	run_inside evil-read "" "$@" --restricted-dma --disk disk,ro --evil-device \
		blk0,seed=1,rate=100,tricks=length-zero+length-long+length-huge+delay+reorder+descriptor+avail+request+interrupt-late+interrupt-spurious
	[ "$(guest_value vda)" = "$(sum_of disk)" ] || fail "the guest read something else"
	expect_err '^minivmm: blk0: EVIL DEVICE: misbehaves on purpose: seed=1, '
	expect_report '.verdict == "evil" and .devices[0].verdict == "evil"'
	expect_report '.devices[0].evil.seed == 1 and .devices[0].evil.plays > 0'
	expect_report '.devices[0].evil | .plays == ([.played[].times] | add)'
	expect_report '[.devices[0].counters.addresses[].outside] | add == 0'
}

case_evil_device_endured() { evil_endured; }
case_evil_device_endured_pci() { evil_endured --transport pci; }

# evil_run SEED ARG...: everything that there is, on a disk, an entropy source and a network. However the guest
# fares, minivmm ends as it should, and if the guest lives its other disk is as good as ever.
evil_run() {
	local before seed=$1
	shift
	timeout=60
	make_tap
	make_disk disk 2
	make_disk good 2
	before=$(sum_of good)
	boot "$@" --cmdline "quiet test=evil seconds=2 panic=-1 $tap_words" --restricted-dma --cpus 2 \
		--disk disk --disk good --rng --net tap=tap0 \
		--evil-device "blk0,seed=$seed,after=12" --evil-device "rng,seed=$seed" \
		--evil-device "net,seed=$seed,rate=200,after=8"
	case $status in
	0) [ "$(guest_value vdb)" = "$before" ] || fail "seed $seed: the good disk read wrong: $(tail -c 600 out)" ;;
	102 | 103 | 104) ;; # a panic, a triple fault, a hang: what such devices look for
	*) expect_status 0 ;;
	esac
	echo "seed $seed: exit status $status"
	[ "$(sum_of good)" = "$before" ] || fail "seed $seed: the good disk has changed"
	expect_report '.devices[1].evil == null and .devices[1].verdict == "confined"'
	expect_report '[.devices[] | select(.evil) | .failure == null and .evil.plays > 0] | all'
	expect_report '[.devices[] | select(.evil) | .evil.played[].trick | length > 3] | all'
	expect_report "[.devices[] | select(.evil) | .evil.option | test(\",seed=$seed,\")] | all"
}

case_evil_device_seed_1() { evil_run 1; }
case_evil_device_seed_2() { evil_run 2; }
case_evil_device_seed_3() { evil_run 3; }
case_evil_device_pci() { evil_run 4 --transport pci; }
