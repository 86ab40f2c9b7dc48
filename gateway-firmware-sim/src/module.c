/* ======================================================================================
 * The NB-IoT module: it sleeps (PSM), wakes by its timer or because it found something,
 * posts what waits one message after another, and sleeps again.
 * ====================================================================================== */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coap.h"
#include "device.h"
#include "wire.h"

enum { REST_MAX_MS = 60000 };

struct radio {
    struct exchange x;
    uint32_t boot; /* of the exchange: after a reboot it belongs to nobody */
    int awake;
    int64_t wakes_ms;      /* true city time */
    int64_t next_ms;       /* monotonic: when the next message may be tried */
    long rest_ms;
};

/* The message of the exchange may have been dropped from the full ring meanwhile. */
static int still_first(struct device *d, const struct exchange *x)
{
    return d->ring.count && ring_at(&d->ring, 0)->unsettled && ring_at(&d->ring, 0)->id == x->id;
}

static void message_post(struct device *d, struct radio *r)
{
    struct message *m = ring_at(&d->ring, 0);
    if (m->id)
        d->tally.retried++;
    else
        d->tally.sent++;
    coap_post(d, &r->x, m->bytes, m->length);
    m->id = r->x.id;
    m->unsettled = 1;
}

static void outcome_take(struct device *d, struct radio *r, enum outcome how)
{
    if (how == NOTHING)
        return;
    int first = still_first(d, &r->x);
    if (how == FAILED) {
        device_trouble(d, "not delivered", r->x.why);
        r->next_ms = monotonic_ms() + r->rest_ms;
        r->rest_ms = r->rest_ms * 2 < REST_MAX_MS ? r->rest_ms * 2 : REST_MAX_MS;
        if (first)
            ring_at(&d->ring, 0)->unsettled = 0;
        return;
    }
    r->next_ms = 0;
    r->rest_ms = d->options.ack_timeout_ms;
    if (how == DELIVERED) {
        d->error[0] = '\0';
        d->tally.acknowledged += first;
    } else {
        device_trouble(d, "refused", r->x.why);
        d->tally.refused += first;
    }
    if (first)
        device_settled(d, 0);
}

/* Awake when the timer says so, when something was found, and at the end; asleep when all is said. */
static void radio_turn(struct device *d, struct radio *r)
{
    int64_t now = city_ms(d);
    if (r->boot != d->boot) {
        r->boot = d->boot;
        coap_begin(d, &r->x);
        r->next_ms = 0;
        r->awake = 0;
        r->wakes_ms = now + d->options.psm_ms;
    }
    if (!d->options.psm_ms || device_finished(d)) {
        r->awake = 1;
        return;
    }
    if (!r->awake && (d->wake || now >= r->wakes_ms)) {
        r->awake = 1;
        d->tally.woken++;
    }
    d->wake = 0;
    if (r->awake && !r->x.open && !d->ring.count) {
        r->awake = 0;
        r->wakes_ms = now + d->options.psm_ms;
    }
}

int run_module(struct device *d)
{
    static struct radio r;
    int64_t give_up_ms = INT64_MAX;
    r.rest_ms = d->options.ack_timeout_ms;
    r.x.fd = wire_open(d, SOCK_DGRAM);
    if (r.x.fd < 0)
        return EXIT_INCOMPLETE;
    while (!(device_finished(d) && d->ring.count == 0) && monotonic_ms() < give_up_ms) {
        int64_t wait_ms = device_sample(d);
        if (device_finished(d) && give_up_ms == INT64_MAX)
            give_up_ms = monotonic_ms() + d->options.linger_ms;
        radio_turn(d, &r);
        if (r.x.open && !still_first(d, &r.x))
            r.x.open = 0; /* dropped meanwhile: nothing to deliver any more */
        outcome_take(d, &r, coap_turn(d, &r.x));
        if (r.awake && !r.x.open && d->ring.count && monotonic_ms() >= r.next_ms)
            message_post(d, &r);
        if (device_wait(d, r.x.fd, POLLIN, wait_ms < 10 ? wait_ms : 10))
            outcome_take(d, &r, coap_receive(d, &r.x));
    }
    close(r.x.fd);
    return device_complete(d) ? EXIT_ALL_ACKNOWLEDGED : EXIT_INCOMPLETE;
}
