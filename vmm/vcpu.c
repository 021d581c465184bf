/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"

/* Takes a thread out of KVM_RUN; its handler does nothing. */
#define KICK_SIGNAL SIGRTMIN /* SIGUSR1 is the user's, see run.c */

/* A vCPU thread only handles exits: no deep calls, no large locals. */
#define VCPU_STACK_SIZE (64ul * 1024)

/* How often a vCPU may refuse to run, one time after the other, before it is believed. */
#define MAX_REFUSALS 16

int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, const char *name, void *arg)
{
	int ret = ioctl(vcpu->fd, request, arg);

	if (ret < 0) {
		ret = -errno;
		log_error("vcpu %u: %s: %s", vcpu->index, name, strerror(-ret));
	}
	return ret;
}

int vcpu_create(struct vcpu *vcpu, const struct vm *vm, unsigned int index)
{
	void *run;

	*vcpu = (struct vcpu){ .index = index };
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0) {
		log_error("vcpu %u: KVM_CREATE_VCPU: %s", index, strerror(errno));
		return -errno;
	}
	run = mmap(NULL, (size_t)vm->vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
		   0);
	if (run == MAP_FAILED) {
		log_error("vcpu %u: mmap of kvm_run: %s", index, strerror(errno));
		return -errno;
	}
	vcpu->run = run;
	vcpu->run_size = (size_t)vm->vcpu_mmap_size;
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}

/* All @count transfers of one IN or OUT instruction (more than one for its REP forms). */
static enum bus_result handle_io(const struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT;
	enum bus_result result = BUS_HANDLED;

	for (uint32_t i = 0; i < run->io.count && result != BUS_ERROR; i++) {
		uint64_t value = 0;

		if (is_write)
			memcpy(&value, data, run->io.size);
		result = bus_access(vcpu->pio, run->io.port, run->io.size, is_write, &value);
		if (!is_write)
			memcpy(data, &value, run->io.size);
		data += run->io.size;
	}
	return result;
}

static enum bus_result handle_mmio(const struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value = 0;
	enum bus_result result;

	if (run->mmio.is_write)
		memcpy(&value, run->mmio.data, run->mmio.len);
	result = bus_access(vcpu->mmio, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write,
			    &value);
	if (!run->mmio.is_write)
		memcpy(run->mmio.data, &value, run->mmio.len);
	return result;
}

/* False: the run is over, and this vCPU must not run again. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	enum bus_result result = BUS_HANDLED;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		result = handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		result = handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
		ending_set(vcpu->ending, EXIT_STATUS_TRIPLE_FAULT, "vcpu %u: triple fault",
			   vcpu->index);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		ending_set(vcpu->ending, EXIT_STATUS_VCPU, "vcpu %u: KVM_EXIT_FAIL_ENTRY: %#llx",
			   vcpu->index,
			   (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		ending_set(vcpu->ending, EXIT_STATUS_VCPU,
			   "vcpu %u: KVM_EXIT_INTERNAL_ERROR: suberror %u", vcpu->index,
			   run->internal.suberror);
		return false;
	default:
		ending_set(vcpu->ending, EXIT_STATUS_VCPU, "vcpu %u: unexpected KVM exit %u",
			   vcpu->index, run->exit_reason);
		return false;
	}
	if (result != BUS_ERROR)
		return true;
	ending_set(vcpu->ending, EXIT_STATUS_VCPU, "vcpu %u: device access failed", vcpu->index);
	return false;
}

static void note_halt(struct vcpu *vcpu)
{
	struct kvm_mp_state mp;

	if (!atomic_exchange(&vcpu->check_halt, false))
		return;
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) < 0)
		return;
	/* A vCPU that was never started cannot do anything either. */
	atomic_store(&vcpu->halted,
		     mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
			     (mp.mp_state == KVM_MP_STATE_HALTED && !vcpu->run->if_flag));
}

/*
 * A vCPU that waits to be started says EAGAIN when it has been woken. KVM also says so where it lacks
 * something that it needs to run at all, such as a thread of its own, and then for ever.
 */
static bool is_worth_another_try(const struct vcpu *vcpu, int err, unsigned int *refusals)
{
	struct kvm_mp_state mp;

	if (err != EAGAIN) {
		*refusals = 0;
		return err == EINTR;
	}
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp) == 0 &&
	    mp.mp_state == KVM_MP_STATE_UNINITIALIZED)
		return true;
	return ++*refusals < MAX_REFUSALS;
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	unsigned int refusals = 0; /* in a row */

	while (!atomic_load(&vcpu->stop)) {
		int err = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;

		if (!err) {
			refusals = 0;
			if (!handle_exit(vcpu))
				break;
		} else if (is_worth_another_try(vcpu, err, &refusals)) {
			vcpu->run->immediate_exit = 0;
			note_halt(vcpu);
		} else {
			ending_set(vcpu->ending, EXIT_STATUS_VCPU, "vcpu %u: KVM_RUN: %s",
				   vcpu->index, strerror(err));
			break;
		}
	}
	return NULL;
}

static void kick_handler(int signal)
{
	(void)signal;
}

int vcpu_start(struct vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = kick_handler };
	pthread_attr_t attr;
	char name[16];
	int ret;

	sigaction(KICK_SIGNAL, &action, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	ret = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	if (ret) {
		log_error("vcpu %u: pthread_create: %s", vcpu->index, strerror(ret));
		return -ret;
	}
	vcpu->running = true;
	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(vcpu->thread, name);
	return 0;
}

/* immediate_exit covers the moment between the thread's last look and its KVM_RUN. */
static void kick(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->running)
		return;
	atomic_store(&vcpu->stop, true);
	kick(vcpu);
	pthread_join(vcpu->thread, NULL);
	vcpu->running = false;
}

void vcpu_check_halt(struct vcpu *vcpu)
{
	atomic_store(&vcpu->check_halt, true);
	kick(vcpu);
}
