/* What a gateway and a module have in common: options, clock, boot id, samples, ring. */
#ifndef DEVICE_H
#define DEVICE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "store.h"

enum { BATCH_MAX = 16, PORTS_MAX = 16, ERROR_MAX = 240, LINE_MAX_LENGTH = 4096 };
enum { EXIT_ALL_ACKNOWLEDGED = 0, EXIT_INCOMPLETE = 1, EXIT_USAGE = 2 };

struct options {
    const char *role, *host, *port, *device, *user, *password_file, *state_file, *ring_file;
    const char *control;
    long count, interval_ms, linger_ms, ack_timeout_ms, ports, batch, ring, leak_after;
    long report_ms, psm_ms, sync_ms, warm_ms, counter_port, counter_wrap;
    int64_t epoch_ms; /* the city's time at start; -1 = the machine's */
    double factor;    /* how many times faster than the wall the city's time runs */
    double delta, level, ppm; /* delta and level: NaN = none */
    uint8_t flags, say, pty;
};

struct tally {
    long made, sent, acknowledged, retried, dropped, refused, connections, samples, woken, restarts;
};

/* The device's own clock: true city time, wrong by an offset and by a rate since the last sync. */
struct device_clock {
    int unset; /* counts from 1970 since power came, until somebody sets it */
    double ppm;
    int64_t offset_ms, synced_ms, powered_ms; /* the last two in true city time */
};

enum fault { NO_FAULT, STUCK, SPIKE, BIAS, DROPOUT, SCALE, SATURATE, NOISE, CODE, FAULTS };

struct sensor {
    enum fault fault;
    double by, shown;
    double total; /* of the counter's port */
};

struct sample {
    int32_t at_ms; /* from the batch's base */
    double value[PORTS_MAX]; /* NaN: the sensor did not answer */
    uint8_t status[PORTS_MAX];
};

struct control {
    int listening, fd, answer_fd;
    char line[LINE_MAX_LENGTH];
    size_t length;
};

struct device {
    struct options options;
    struct ring ring;
    struct store store; /* the ring on disk; closed without --ring-file */
    struct tally tally;
    struct frame frame; /* where the next message is built: 64 KiB, kept off the stack */
    struct device_clock clock;
    struct sensor sensor[PORTS_MAX];
    struct control control;
    uint32_t boot, sequence;
    uint64_t noise;
    int64_t started_ms; /* monotonic */
    long samples_due_done;
    long leak_since; /* sample; -1 = no leak */
    struct sample batch[BATCH_MAX];
    long pending_count;
    int64_t batch_base_ms, batch_since_ms; /* by its clock; in true city time */
    struct sample last;                    /* the last one that was kept */
    int64_t last_kept_ms;                  /* true city time; -1 = none since power came */
    int above;                             /* port 1 is at or beyond the level */
    int wake, link_down;
    const volatile sig_atomic_t *stop;
    int stopping;          /* asked for by a command */
    char error[ERROR_MAX]; /* the last trouble, told once when it changes */
};

/* device.c */
int64_t monotonic_ms(void);
int64_t city_ms(const struct device *d);
int64_t device_ms(const struct device *d);
void clock_sync(struct device *d);
int boot_next(const char *path, uint32_t *boot, char *error);
int device_power_up(struct device *d, char *error); /* boot number and ring; 0, or -1 and why */
int device_reboot(struct device *d, char *error);
int64_t device_sample(struct device *d); /* takes what is due; wall ms until the next sample */
int device_finished(const struct device *d);
void device_settled(struct device *d, size_t i); /* message i of the ring needs no more */
int device_complete(const struct device *d);
void device_trouble(struct device *d, const char *what, const char *why);

/* sensors.c */
double noise(struct device *d);
void sensors_read(struct device *d, struct sample *s, long number);
const char *const *fault_names(void);

/* control.c */
int control_open(struct device *d, char *error);
void control_close(struct device *d);
short device_wait(struct device *d, int fd, short events, int64_t wait_ms); /* what fd is ready for */

int run_gateway(struct device *d);
int run_module(struct device *d);
int run_modem(struct device *d);
int write_vectors(const char *folder);

#endif
