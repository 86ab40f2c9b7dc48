/* ======================================================================================
 * Clock, boot id, samples and the store-and-forward ring.
 * ====================================================================================== */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ======================================= Clock ======================================== */

static int64_t clock_ms(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t city_ms(const struct device *d)
{
    if (d->options.epoch_ms < 0)
        return clock_ms(CLOCK_REALTIME);
    return d->options.epoch_ms + (int64_t)((double)(monotonic_ms() - d->started_ms) * d->options.factor);
}

/* ====================================== Boot id ======================================= */

/* The number of this start, kept on disk: written aside, synced, renamed, so that a power
 * cut leaves the old number or the new one, never half of one. */
int boot_next(const char *path, uint32_t *boot, char *error)
{
    char aside[512];
    uint32_t last = 0;
    FILE *old = fopen(path, "r");
    if (old) {
        int read = fscanf(old, "%" SCNu32, &last);
        fclose(old);
        if (read != 1) {
            snprintf(error, ERROR_MAX, "%s: holds no boot number; remove it to start at 1", path);
            return -1;
        }
    } else if (errno != ENOENT) {
        snprintf(error, ERROR_MAX, "%s: %s", path, strerror(errno));
        return -1;
    }
    *boot = last + 1;
    int fits = snprintf(aside, sizeof aside, "%s.new", path) < (int)sizeof aside;
    int fd = fits ? open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    if (fd < 0 || dprintf(fd, "%" PRIu32 "\n", *boot) < 0 || fsync(fd) || close(fd) ||
        rename(aside, path)) {
        snprintf(error, ERROR_MAX, "%s: cannot keep the boot number: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* ======================================== Ring ======================================== */

struct message *ring_at(struct ring *r, size_t i)
{
    return &r->slot[(r->first + i) % r->capacity];
}

void ring_drop_first(struct ring *r)
{
    free(ring_at(r, 0)->bytes);
    ring_at(r, 0)->bytes = NULL;
    r->first = (r->first + 1) % r->capacity;
    r->count--;
}

/* Take message i out; those before it move up by one, so that the order stays. */
void ring_settle(struct ring *r, size_t i)
{
    struct message gone = *ring_at(r, i);
    for (; i > 0; i--)
        *ring_at(r, i) = *ring_at(r, i - 1);
    *ring_at(r, 0) = gone;
    ring_drop_first(r);
}

void ring_free(struct ring *r)
{
    while (r->count)
        ring_drop_first(r);
}

static int ring_push(struct device *d)
{
    struct ring *r = &d->ring;
    uint8_t *bytes = malloc(d->frame.length);
    if (!bytes)
        return -1;
    memcpy(bytes, d->frame.bytes, d->frame.length);
    if (r->count == r->capacity) {
        ring_drop_first(r);
        d->tally.dropped++;
    }
    *ring_at(r, r->count++) =
        (struct message){.bytes = bytes, .length = d->frame.length, .sequence = d->sequence};
    return 0;
}

/* ====================================== Samples ======================================= */

/* xorshift64*: any cheap noise will do, but the same on every machine. */
static double noise(struct device *d)
{
    d->noise ^= d->noise >> 12;
    d->noise ^= d->noise << 25;
    d->noise ^= d->noise >> 27;
    return (double)((d->noise * 2685821657736338717u) >> 11) / 9007199254740992.0 - 0.5;
}

/* Port 1 is methane in %vol, which rises by 0.1 a sample after `leak_after`; the other
 * ports wander about ten times their number. */
static double reading(struct device *d, long port, long sample)
{
    if (port > 1)
        return 10.0 * (double)port + noise(d);
    double leak = d->options.leak_after >= 0 && sample >= d->options.leak_after
                      ? 0.1 * (double)(sample - d->options.leak_after + 1)
                      : 0.0;
    return 0.02 + 0.01 * noise(d) + (leak < 4.0 ? leak : 4.0);
}

/* Odd ports speak scaled integers, even ones float32: both are met in the field. */
static int message_make(struct device *d, uint8_t flags)
{
    size_t n = (size_t)d->pending_count;
    int module = strcmp(d->options.role, "module") == 0;
    struct frame_header header = {d->options.device, d->boot, ++d->sequence, d->batch_base_ms,
                                  (uint8_t)(d->options.flags | flags)};
    frame_begin(&d->frame, &header, module ? FRAME_MODULE_MAX : FRAME_MAX);
    for (long port = 1; port <= d->options.ports; port++) {
        const double *values = d->pending[port - 1];
        int32_t scaled[BATCH_MAX];
        float floats[BATCH_MAX];
        for (size_t i = 0; i < n; i++) {
            scaled[i] = (int32_t)(values[i] * 100.0 + (values[i] < 0 ? -0.5 : 0.5));
            floats[i] = (float)values[i];
        }
        uint8_t encoding = port % 2 ? SCALED_I32 : FLOAT32;
        frame_block(&d->frame, (uint16_t)port, encoding, STATUS_GOOD, (uint16_t)n);
        if (encoding == SCALED_I32)
            frame_scale(&d->frame, 0.01f);
        frame_offsets(&d->frame, d->pending_ms, n);
        if (encoding == SCALED_I32)
            frame_i32(&d->frame, scaled, n);
        else
            frame_f32(&d->frame, floats, n);
    }
    d->pending_count = 0;
    d->tally.made++;
    return frame_end(&d->frame) || ring_push(d) ? -1 : 0;
}

int device_finished(const struct device *d)
{
    return d->tally.made >= d->options.count || *d->stop;
}

int64_t device_sample(struct device *d)
{
    double interval_wall_ms = (double)d->options.interval_ms / d->options.factor;
    for (;;) {
        if (device_finished(d))
            return 60000;
        double due = (double)d->started_ms + interval_wall_ms * (double)d->samples_due_done;
        if ((double)monotonic_ms() < due)
            return (int64_t)(due - (double)monotonic_ms()) + 1;
        int64_t now = city_ms(d);
        if (d->pending_count == 0)
            d->batch_base_ms = now;
        d->pending_ms[d->pending_count] = (int32_t)(now - d->batch_base_ms);
        for (long port = 1; port <= d->options.ports; port++)
            d->pending[port - 1][d->pending_count] = reading(d, port, d->samples_due_done);
        d->samples_due_done++;
        d->pending_count++;
        if (d->pending_count == d->options.batch &&
            message_make(d, d->options.batch > 1 ? FLAG_FORWARDED : 0)) {
            d->tally.dropped++;
            device_trouble(d, "message dropped", "too long for a frame, or no memory");
        }
    }
}

/* A device that cannot reach its server says so once, not once a second. */
void device_trouble(struct device *d, const char *what, const char *why)
{
    char line[ERROR_MAX];
    snprintf(line, sizeof line, "%s: %s", what, why);
    if (strcmp(line, d->error) == 0)
        return;
    memcpy(d->error, line, sizeof line);
    fprintf(stderr, "lifeline-device %s: %s\n", d->options.device, line);
}
