/* What a gateway and a module have in common: options, clock, boot id, samples, ring. */
#ifndef DEVICE_H
#define DEVICE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum { RING_MAX = 4096, BATCH_MAX = 16, PORTS_MAX = 16, ERROR_MAX = 240 };
enum { EXIT_ALL_ACKNOWLEDGED = 0, EXIT_INCOMPLETE = 1, EXIT_USAGE = 2 };

struct options {
    const char *role, *host, *port, *device, *user, *password_file, *state_file;
    long count, interval_ms, linger_ms, ack_timeout_ms, ports, batch, ring, leak_after;
    int64_t epoch_ms; /* the city's time at start; -1 = the machine's */
    double factor;    /* how many times faster than the wall the city's time runs */
    uint8_t flags;
};

/* A message waiting for its acknowledgement. */
struct message {
    uint8_t *bytes;
    size_t length;
    uint32_t sequence;
    uint16_t id;   /* MQTT packet id or CoAP message id; 0 = not sent yet */
    int unsettled; /* sent on the connection of now, waiting for the answer */
};

/* Store and forward: the oldest is dropped, and counted, when there is no room. */
struct ring {
    struct message slot[RING_MAX];
    size_t first, count, capacity;
};

struct tally {
    long made, sent, acknowledged, retried, dropped, refused, connections;
};

struct device {
    struct options options;
    struct ring ring;
    struct tally tally;
    struct frame frame; /* where the next message is built: 64 KiB, kept off the stack */
    uint32_t boot, sequence;
    uint64_t noise;
    int64_t started_ms; /* monotonic */
    long samples_due_done;
    int32_t pending_ms[BATCH_MAX]; /* samples of the batch being filled, from batch_base_ms */
    double pending[PORTS_MAX][BATCH_MAX];
    long pending_count;
    int64_t batch_base_ms;
    const volatile sig_atomic_t *stop;
    char error[ERROR_MAX]; /* the last trouble, told once when it changes */
};

int64_t monotonic_ms(void);
int64_t city_ms(const struct device *d);
int boot_next(const char *path, uint32_t *boot, char *error);
int64_t device_sample(struct device *d); /* takes what is due; wall ms until the next sample */
int device_finished(const struct device *d);
void device_trouble(struct device *d, const char *what, const char *why);

struct message *ring_at(struct ring *r, size_t i);
void ring_drop_first(struct ring *r);
void ring_settle(struct ring *r, size_t i);
void ring_free(struct ring *r);

int run_gateway(struct device *d);
int run_module(struct device *d);
int write_vectors(const char *folder);

#endif
