/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a hostile device process tries, one attack in each process, since the first call that is not
 * allowed ends it.
 */
#ifndef TESTS_ATTACK_ATTACK_H
#define TESTS_ATTACK_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SECRET_LEN	 8
#define ATTACK_POOL_SIZE 0x200000ull

/* All that an attacker could ever guess about its minivmm, told to it. */
struct target {
	pid_t vmm;
	const uint8_t *ram;   /* where a secret lies in guest RAM, an address of minivmm's */
	const uint8_t *other; /* the pool of another device, likewise */
	int other_fd;	      /* the descriptor of that pool in minivmm */
	char dir[64];	      /* of files on the host: "public", "private", "socket", "disk" */
	uint16_t port;	      /* of a service on the loopback interface */
	/* What the attacker itself holds on to. */
	int pool_fd; /* its pool's descriptor, from the message that brought it */
	uint64_t pool_size;
	uint8_t *pool;
	int backend_fd; /* the disk, opened read-only */
};

enum evidence {
	EVIDENCE_SECRET, /* it shows the secret, which is a new one each time */
	EVIDENCE_HARM,	 /* minivmm, or the host, is not what it was */
	EVIDENCE_WORD,	 /* the kernel granted it: the attacker's own word */
	EVIDENCE_CORE,	 /* there is a core dump of it */
	EVIDENCE_ALIVE,	 /* it outlives minivmm */
};

struct attack {
	const char *name;
	const char *does; /* for documents */
	enum evidence evidence;
	/*
	 * 0 when it succeeded, with the secret in @secret if it steals; -errno when it was denied;
	 * -ENOSYS where the host's kernel has no such thing.
	 */
	int (*run)(const struct target *target, uint8_t secret[SECRET_LEN]);
	/* Instead: between the mapping of the windows and the seal. */
	int (*run_early)(const struct target *target, uint8_t secret[SECRET_LEN]);
};

extern const struct attack attacks_on_vmm[];
extern const struct attack attacks_on_pool[];
extern const struct attack attacks_on_host[];
extern const struct attack attacks_on_kernel[];

const struct attack *attack_find(const char *name);

/* Calls @visit for each attack there is. */
void attack_each(void (*visit)(const struct attack *attack, void *opaque), void *opaque);

/* The device process. Returns its exit status. */
int worker_main(int argc, char **argv);

/* In static memory of minivmm's: what a copy of its program would know. */
extern uint8_t attack_global_secret[SECRET_LEN];
#define ATTACK_ENVIRONMENT "MINIVMM_ATTACK_SECRET"
#define ATTACK_KEY	   "minivmm-attack"
#define ATTACK_HOST_NAME   "hostile"

/* How a row of the table went. */
enum trial_result {
	TRIAL_DENIED,
	TRIAL_SUCCEEDED,
	TRIAL_ABSENT, /* the host's kernel has no such thing */
	TRIAL_BROKEN, /* the test itself went wrong */
};

struct trial {
	const struct attack *attack;
	const char *kind; /* of device */
	uint64_t removed; /* layers */
	bool as_user;	  /* minivmm is not root */
};

/*
 * Once, in a process of its own: minivmm's part. @cgroups: a hierarchy with a folder "minivmm-attack",
 * if there is one. *@survivor: the device process that was left behind on purpose.
 */
enum trial_result victim_run(const struct trial *trial, const char *cgroups, pid_t *survivor);

/* For mkdtemp(): where sockets can be. */
void trial_folder_template(char *path, size_t size);

/* Before the first trial, and after the last. */
void trial_setup(void);
void trial_teardown(void);

/* In a process of its own; @trial->removed may be any set. */
enum trial_result trial_run(const struct trial *trial);

#endif
