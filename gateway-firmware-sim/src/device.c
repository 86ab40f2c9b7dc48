/* ======================================================================================
 * Clock, boot id, what is worth a message, and the messages.
 * ====================================================================================== */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
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

/* True city time, which the device itself does not know. */
int64_t city_ms(const struct device *d)
{
    if (d->options.epoch_ms < 0)
        return clock_ms(CLOCK_REALTIME);
    return d->options.epoch_ms + (int64_t)((double)(monotonic_ms() - d->started_ms) * d->options.factor);
}

/* What the device's own clock shows at a true time. */
static int64_t shown_ms(const struct device *d, int64_t true_ms)
{
    const struct device_clock *c = &d->clock;
    int64_t since = true_ms - c->synced_ms;
    int64_t shown = true_ms + c->offset_ms + (int64_t)((double)since * c->ppm / 1e6);
    return c->unset ? shown - c->powered_ms : shown;
}

int64_t device_ms(const struct device *d)
{
    return shown_ms(d, city_ms(d));
}

/* The network told the time. Samples that wait were stamped by a clock that counted from nothing:
 * the device knows by how much it was set and stamps them again. A small correction leaves them. */
void clock_sync(struct device *d)
{
    int64_t before = device_ms(d);
    int was_unset = d->clock.unset;
    d->clock.unset = 0;
    d->clock.offset_ms = 0;
    d->clock.synced_ms = city_ms(d);
    if (was_unset)
        d->batch_base_ms += device_ms(d) - before;
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

/* Power comes: a new boot, sequences from nothing, and in the ring what its file still holds. */
int device_power_up(struct device *d, char *error)
{
    const struct options *o = &d->options;
    d->boot++;
    if (o->state_file && boot_next(o->state_file, &d->boot, error))
        return -1;
    d->sequence = 0;
    d->pending_count = 0;
    d->last_kept_ms = -1;
    d->above = 0;
    d->clock.powered_ms = city_ms(d);
    ring_free(&d->ring);
    d->ring.capacity = (size_t)o->ring;
    d->ring.first = 0;
    d->noise = 0x9E3779B97F4A7C15u ^ d->boot;
    store_close(&d->store);
    if (!o->ring_file)
        return 0;
    int failed = store_open(&d->store, o->ring_file, &d->ring, error, ERROR_MAX);
    d->tally.dropped += d->store.dropped;
    return failed;
}

/* The power is cut and comes again: memory is gone, files are not. */
int device_reboot(struct device *d, char *error)
{
    d->tally.restarts++;
    if (!d->options.ring_file)
        d->tally.dropped += (long)d->ring.count;
    return device_power_up(d, error);
}

/* ====================================== Messages ====================================== */

static void message_keep(struct device *d)
{
    struct ring *r = &d->ring;
    if (r->count == r->capacity) {
        if (store_settle(&d->store, ring_at(r, 0)))
            device_trouble(d, d->options.ring_file, strerror(errno));
        ring_drop_first(r);
        d->tally.dropped++;
    }
    if (ring_add(r, d->frame.bytes, d->frame.length, d->boot, d->sequence)) {
        d->tally.dropped++;
        device_trouble(d, "message dropped", "no memory");
        return;
    }
    if (store_keep(&d->store, ring_at(r, r->count - 1))) {
        device_trouble(d, d->options.ring_file, strerror(errno)); /* in memory only: not said kept */
        return;
    }
    if (d->options.say) {
        printf("kept %" PRIu32 " %" PRIu32 "\n", d->boot, d->sequence);
        fflush(stdout);
    }
}

void device_settled(struct device *d, size_t i)
{
    struct message *m = ring_at(&d->ring, i);
    if (store_settle(&d->store, m))
        device_trouble(d, d->options.ring_file, strerror(errno));
    ring_settle(&d->ring, i);
    if (store_tidy(&d->store, &d->ring))
        device_trouble(d, d->options.ring_file, strerror(errno));
}

static int32_t hundredths(double value)
{
    double scaled = nearbyint(value * 100.0);
    return scaled >= 2147483647.0 ? INT32_MAX : scaled <= -2147483648.0 ? INT32_MIN : (int32_t)scaled;
}

/* The samples of a port that have one status; those that did not answer are in none. Odd ports
 * speak scaled integers, even ones float32: both are met in the field. */
static void block_put(struct device *d, long port, uint8_t status)
{
    int32_t times[BATCH_MAX], scaled[BATCH_MAX];
    float floats[BATCH_MAX];
    size_t n = 0;
    for (long i = 0; i < d->pending_count; i++) {
        const struct sample *s = &d->batch[i];
        if (isnan(s->value[port - 1]) || s->status[port - 1] != status)
            continue;
        times[n] = s->at_ms;
        scaled[n] = hundredths(s->value[port - 1]);
        floats[n++] = (float)s->value[port - 1];
    }
    if (!n)
        return;
    uint8_t encoding = port % 2 ? SCALED_I32 : FLOAT32;
    frame_block(&d->frame, (uint16_t)port, encoding, status, (uint16_t)n);
    if (encoding == SCALED_I32)
        frame_scale(&d->frame, 0.01f);
    frame_offsets(&d->frame, times, n);
    if (encoding == SCALED_I32)
        frame_i32(&d->frame, scaled, n);
    else
        frame_f32(&d->frame, floats, n);
}

static void message_make(struct device *d, int urgent)
{
    int late = !urgent && (d->options.batch > 1 || d->options.psm_ms > 0);
    uint8_t flags = d->options.flags;
    flags |= late ? FLAG_FORWARDED : 0;
    flags |= d->clock.unset ? FLAG_CLOCK_UNSET : 0;
    struct frame_header header = {d->options.device, d->boot, ++d->sequence, d->batch_base_ms, flags};
    int module = strcmp(d->options.role, "module") == 0;
    frame_begin(&d->frame, &header, module ? FRAME_MODULE_MAX : FRAME_MAX);
    for (long port = 1; port <= d->options.ports; port++)
        for (uint8_t status = STATUS_GOOD; status <= STATUS_CALIBRATION; status++)
            block_put(d, port, status);
    d->pending_count = 0;
    d->tally.made++;
    if (frame_end(&d->frame)) {
        d->tally.dropped++;
        device_trouble(d, "message dropped", "too long for a frame; use fewer --ports or --batch");
        return;
    }
    message_keep(d);
}

/* ====================================== Samples ======================================= */

/* Whether a sensor moved by the delta since the sample kept last, or fell silent, or spoke again. */
static int moved(const struct device *d, const struct sample *s)
{
    for (long i = 0; i < d->options.ports; i++) {
        double before = d->last.value[i], now = s->value[i];
        if (isnan(before) != isnan(now) || d->last.status[i] != s->status[i] ||
            fabs(now - before) >= d->options.delta)
            return 1;
    }
    return 0;
}

static void sample_take(struct device *d, int64_t now)
{
    const struct options *o = &d->options;
    struct sample s;
    memset(&s, 0, sizeof s);
    sensors_read(d, &s, d->samples_due_done++);
    d->tally.samples++;
    int first = d->last_kept_ms < 0, by_delta = !isnan(o->delta);
    int above = !isnan(o->level) && s.value[0] >= o->level; /* a missing value is not above */
    int crossed = !isnan(o->level) && !isnan(s.value[0]) && above != d->above;
    int urgent = crossed || (by_delta && !first && moved(d, &s));
    int due = o->report_ms && !first && now - d->last_kept_ms >= o->report_ms;
    if (crossed)
        d->above = above;
    if (by_delta && !(urgent || due || first))
        return;
    if (d->pending_count == 0) {
        d->batch_base_ms = shown_ms(d, now);
        d->batch_since_ms = now;
    }
    s.at_ms = (int32_t)(shown_ms(d, now) - d->batch_base_ms);
    d->batch[d->pending_count++] = d->last = s;
    d->last_kept_ms = now;
    int aged = o->report_ms && now - d->batch_since_ms >= o->report_ms;
    if (d->pending_count == o->batch || urgent || aged || (by_delta && due))
        message_make(d, urgent);
    d->wake |= urgent;
}

int device_finished(const struct device *d)
{
    return d->tally.made >= d->options.count || *d->stop || d->stopping;
}

int64_t device_sample(struct device *d)
{
    double interval_wall_ms = (double)d->options.interval_ms / d->options.factor;
    for (;;) {
        if (device_finished(d)) {
            if (d->pending_count) /* an orderly end keeps what it has */
                message_make(d, 0);
            return 60000;
        }
        double due = (double)d->started_ms + interval_wall_ms * (double)d->samples_due_done;
        if ((double)monotonic_ms() < due)
            return (int64_t)(due - (double)monotonic_ms()) + 1;
        /* a sample is taken by a timer, on time, whatever else the processor has to do */
        double behind_ms = (double)monotonic_ms() - due;
        int64_t now = city_ms(d) - (int64_t)(behind_ms * d->options.factor);
        if (d->options.sync_ms && now - d->clock.synced_ms >= d->options.sync_ms)
            clock_sync(d);
        sample_take(d, now);
    }
}

int device_complete(const struct device *d)
{
    return d->ring.count == 0 && d->tally.dropped + d->tally.refused == 0;
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
