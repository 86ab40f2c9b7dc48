/* ======================================================================================
 * The NB-IoT module: CoAP (RFC 7252) by hand. One confirmable POST at a time, sent again
 * with doubled waits, the answer piggybacked on the acknowledgement or sent on its own.
 * ====================================================================================== */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "wire.h"

enum { ACKNOWLEDGEMENT = 0x20, RESET = 0x30, CONFIRMABLE = 0x00, TYPE = 0x30, TOKEN_LENGTH = 4 };
enum { EMPTY = 0x00, POST = 0x02, URI_PATH = 11, CONTENT_FORMAT = 12, OCTET_STREAM = 42 };
enum { MAX_RETRANSMIT = 4, DATAGRAM_MAX = FRAME_MODULE_MAX + 96, REST_MAX_MS = 60000 };

/* The one exchange that may be open at a time (NSTART = 1). */
struct exchange {
    int fd, open, acked; /* acked: the empty ACK is here, the answer will come on its own */
    uint16_t id;
    uint8_t token[TOKEN_LENGTH];
    uint8_t datagram[DATAGRAM_MAX];
    size_t length;
    int retransmits;
    long wait_ms, rest_ms;
    int64_t due_ms; /* when to send again, to give up, or (closed) to start the next */
};

/* =================================== Writing a POST =================================== */

static size_t put_option(uint8_t *at, unsigned delta, const void *value, size_t n)
{
    size_t used = 1;
    at[0] = (uint8_t)(delta << 4 | (n < 13 ? n : 13)); /* our deltas and lengths stay short */
    if (n >= 13)
        at[used++] = (uint8_t)(n - 13);
    memcpy(at + used, value, n);
    return used + n;
}

static void exchange_write(struct device *d, struct exchange *x, const struct message *m)
{
    const uint8_t format = OCTET_STREAM;
    uint8_t *p = x->datagram;
    p[0] = 0x40 | CONFIRMABLE | TOKEN_LENGTH;
    p[1] = POST;
    p[2] = (uint8_t)(x->id >> 8);
    p[3] = (uint8_t)x->id;
    memcpy(p + 4, x->token, TOKEN_LENGTH);
    x->length = 4 + TOKEN_LENGTH;
    x->length += put_option(p + x->length, URI_PATH, "up", 2);
    x->length += put_option(p + x->length, 0, d->options.device, strlen(d->options.device));
    x->length += put_option(p + x->length, CONTENT_FORMAT - URI_PATH, &format, 1);
    p[x->length++] = 0xFF;
    memcpy(p + x->length, m->bytes, m->length);
    x->length += m->length;
}

static void exchange_send(struct device *d, struct exchange *x)
{
    if (send(x->fd, x->datagram, x->length, 0) < 0 && errno != ECONNREFUSED)
        device_trouble(d, "send", strerror(errno)); /* the retransmission is the remedy */
}

/* ================================ Opening and closing ================================= */

/* ACK_TIMEOUT times 1 … 1.5, so that modules woken by one event do not answer as one. */
static long first_wait_ms(struct device *d)
{
    d->noise = d->noise * 6364136223846793005u + 1442695040888963407u;
    return d->options.ack_timeout_ms + (long)((d->noise >> 33) % (uint64_t)(d->options.ack_timeout_ms / 2 + 1));
}

static void exchange_open(struct device *d, struct exchange *x)
{
    struct message *m = ring_at(&d->ring, 0);
    if (m->id)
        d->tally.retried++;
    else
        d->tally.sent++;
    x->id++;
    if (x->id == 0)
        x->id = 1; /* 0 says "not sent" in our ring */
    m->id = x->id;
    m->unsettled = 1;
    for (int i = 0; i < TOKEN_LENGTH; i++)
        x->token[i] = (uint8_t)((d->boot * 65536u + x->id) >> (8 * i));
    x->open = 1;
    x->acked = x->retransmits = 0;
    x->wait_ms = first_wait_ms(d);
    x->due_ms = monotonic_ms() + x->wait_ms;
    exchange_write(d, x, m);
    exchange_send(d, x);
}

/* The message of the exchange may have been dropped from the full ring meanwhile. */
static int still_first(struct device *d, const struct exchange *x)
{
    return d->ring.count && ring_at(&d->ring, 0)->unsettled && ring_at(&d->ring, 0)->id == x->id;
}

static void exchange_failed(struct device *d, struct exchange *x, const char *why)
{
    device_trouble(d, "not delivered", why);
    x->open = 0;
    x->due_ms = monotonic_ms() + x->rest_ms;
    x->rest_ms = x->rest_ms * 2 < REST_MAX_MS ? x->rest_ms * 2 : REST_MAX_MS;
    if (still_first(d, x))
        ring_at(&d->ring, 0)->unsettled = 0;
}

static void exchange_answered(struct device *d, struct exchange *x, uint8_t code)
{
    char why[32];
    snprintf(why, sizeof why, "answered %d.%02d", code >> 5, code & 31);
    if (code >> 5 == 5) { /* the server cannot now: the same message again, later */
        exchange_failed(d, x, why);
        return;
    }
    x->open = 0;
    x->due_ms = 0;
    x->rest_ms = d->options.ack_timeout_ms;
    if (code >> 5 == 2) {
        d->error[0] = '\0';
        d->tally.acknowledged += still_first(d, x);
    } else { /* it will refuse these bytes for ever */
        device_trouble(d, "refused", why);
        d->tally.refused += still_first(d, x);
    }
    if (still_first(d, x))
        ring_drop_first(&d->ring);
}

static void exchange_overdue(struct device *d, struct exchange *x)
{
    if (x->acked) {
        exchange_failed(d, x, "acknowledged but never answered");
    } else if (x->retransmits == MAX_RETRANSMIT) {
        exchange_failed(d, x, "no answer");
    } else {
        x->retransmits++;
        x->wait_ms *= 2;
        x->due_ms = monotonic_ms() + x->wait_ms;
        d->tally.retried++;
        exchange_send(d, x);
    }
}

/* ================================= Reading datagrams ================================== */

static void reply_empty(struct device *d, struct exchange *x, uint8_t type, const uint8_t *to)
{
    uint8_t reply[4] = {0x40, EMPTY, 0, 0};
    reply[0] |= type;
    memcpy(reply + 2, to + 2, 2);
    if (send(x->fd, reply, sizeof reply, 0) < 0)
        device_trouble(d, "send", strerror(errno));
}

static void datagram_received(struct device *d, struct exchange *x, const uint8_t *p, size_t n)
{
    if (n < 4 || p[0] >> 6 != 1)
        return; /* not CoAP: RFC 7252 says to ignore it silently */
    uint8_t type = p[0] & TYPE, token_length = p[0] & 0x0F, code = p[1];
    uint16_t id = (uint16_t)(p[2] << 8 | p[3]);
    int ours = x->open && id == x->id;
    if (code == EMPTY) {
        if (ours && type == RESET)
            exchange_failed(d, x, "reset by the server");
        else if (ours && type == ACKNOWLEDGEMENT && !x->acked) {
            x->acked = 1;
            x->due_ms = monotonic_ms() + 16 * d->options.ack_timeout_ms;
        } else if (type == CONFIRMABLE)
            reply_empty(d, x, RESET, p); /* a CoAP ping */
        return;
    }
    int same_token = x->open && token_length == TOKEN_LENGTH && n >= 4 + TOKEN_LENGTH &&
                     memcmp(p + 4, x->token, TOKEN_LENGTH) == 0;
    if (type == ACKNOWLEDGEMENT) {
        if (ours && same_token)
            exchange_answered(d, x, code);
        return;
    }
    /* A separate response; one repeated after ours was settled wants its ACK all the same. */
    if (type == CONFIRMABLE)
        reply_empty(d, x, ACKNOWLEDGEMENT, p);
    if (same_token && code >> 5 >= 2)
        exchange_answered(d, x, code);
}

/* ======================================= Loop ========================================= */

static int64_t exchange_turn(struct device *d, struct exchange *x)
{
    int64_t now = monotonic_ms();
    if (x->open && !still_first(d, x))
        x->open = 0; /* dropped meanwhile: nothing to deliver any more */
    if (x->open && now >= x->due_ms)
        exchange_overdue(d, x);
    else if (!x->open && d->ring.count && now >= x->due_ms)
        exchange_open(d, x);
    return x->due_ms > now ? x->due_ms - now : 1;
}

int run_module(struct device *d)
{
    struct exchange x = {.fd = -1, .rest_ms = d->options.ack_timeout_ms};
    int64_t give_up_ms = INT64_MAX;
    x.id = (uint16_t)(d->boot * 257u); /* other ids after a restart: the server remembers ours */
    while (!(device_finished(d) && d->ring.count == 0) && monotonic_ms() < give_up_ms) {
        int64_t wait_ms = device_sample(d);
        if (device_finished(d) && give_up_ms == INT64_MAX)
            give_up_ms = monotonic_ms() + d->options.linger_ms;
        if (x.fd < 0 && (x.fd = wire_open(d, SOCK_DGRAM)) < 0)
            return EXIT_INCOMPLETE;
        int64_t turn_ms = exchange_turn(d, &x);
        wait_ms = turn_ms < wait_ms ? turn_ms : wait_ms;
        struct pollfd p = {.fd = x.fd, .events = POLLIN};
        if (poll(&p, 1, (int)(wait_ms < 50 ? wait_ms : 50)) > 0) {
            uint8_t datagram[1500];
            ssize_t n = recv(x.fd, datagram, sizeof datagram, 0);
            if (n > 0)
                datagram_received(d, &x, datagram, (size_t)n);
            else if (n < 0 && errno != EAGAIN && errno != EINTR)
                device_trouble(d, "receive", strerror(errno));
        }
    }
    if (x.fd >= 0)
        close(x.fd);
    return d->ring.count == 0 && d->tally.dropped + d->tally.refused == 0 ? EXIT_ALL_ACKNOWLEDGED
                                                                           : EXIT_INCOMPLETE;
}
