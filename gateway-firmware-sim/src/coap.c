/* ======================================================================================
 * CoAP (RFC 7252) by hand. One confirmable POST at a time, sent again with doubled waits,
 * the answer piggybacked on the acknowledgement or sent on its own.
 * ====================================================================================== */
#include "coap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { ACKNOWLEDGEMENT = 0x20, RESET = 0x30, CONFIRMABLE = 0x00, TYPE = 0x30 };
enum { EMPTY = 0x00, POST = 0x02, URI_PATH = 11, CONTENT_FORMAT = 12, OCTET_STREAM = 42 };
enum { MAX_RETRANSMIT = 4 };

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

static void post_write(struct device *d, struct exchange *x, const uint8_t *payload, size_t n)
{
    const uint8_t format = OCTET_STREAM;
    uint8_t *p = x->datagram;
    p[0] = 0x40 | CONFIRMABLE | COAP_TOKEN;
    p[1] = POST;
    p[2] = (uint8_t)(x->id >> 8);
    p[3] = (uint8_t)x->id;
    memcpy(p + 4, x->token, COAP_TOKEN);
    x->length = 4 + COAP_TOKEN;
    x->length += put_option(p + x->length, URI_PATH, "up", 2);
    x->length += put_option(p + x->length, 0, d->options.device, strlen(d->options.device));
    x->length += put_option(p + x->length, CONTENT_FORMAT - URI_PATH, &format, 1);
    p[x->length++] = 0xFF;
    memcpy(p + x->length, payload, n);
    x->length += n;
}

static void datagram_send(struct device *d, struct exchange *x, const uint8_t *bytes, size_t n)
{
    if (d->link_down)
        return; /* out of reach: the air takes it */
    if (send(x->fd, bytes, n, 0) < 0 && errno != ECONNREFUSED)
        device_trouble(d, "send", strerror(errno)); /* the retransmission is the remedy */
}

/* ACK_TIMEOUT times 1 … 1.5, so that modules woken by one event do not answer as one. */
static long first_wait_ms(struct device *d)
{
    d->noise = d->noise * 6364136223846793005u + 1442695040888963407u;
    return d->options.ack_timeout_ms +
           (long)((d->noise >> 33) % (uint64_t)(d->options.ack_timeout_ms / 2 + 1));
}

void coap_begin(struct device *d, struct exchange *x)
{
    x->open = 0;
    x->id = (uint16_t)(d->boot * 257u);
}

/* `n` is at most FRAME_MODULE_MAX. */
void coap_post(struct device *d, struct exchange *x, const uint8_t *payload, size_t n)
{
    x->id++;
    if (x->id == 0)
        x->id = 1; /* 0 says "not sent" in our ring */
    for (int i = 0; i < COAP_TOKEN; i++)
        x->token[i] = (uint8_t)((d->boot * 65536u + x->id) >> (8 * i));
    x->open = 1;
    x->acked = x->retransmits = 0;
    x->answer_length = 0;
    x->wait_ms = first_wait_ms(d);
    x->due_ms = monotonic_ms() + x->wait_ms;
    post_write(d, x, payload, n);
    datagram_send(d, x, x->datagram, x->length);
}

/* ================================ How it may come out ================================= */

static enum outcome over(struct exchange *x, enum outcome how, const char *why)
{
    x->open = 0;
    snprintf(x->why, sizeof x->why, "%s", why);
    return how;
}

/* The payload of an answer, behind its options; none where they do not add up. */
static void payload_keep(struct exchange *x, const uint8_t *p, size_t n)
{
    size_t at = 4 + COAP_TOKEN;
    while (at < n && p[at] != 0xFF) {
        unsigned part[2] = {p[at] >> 4, p[at] & 15};
        at++;
        for (int i = 0; i < 2; i++) {
            if (part[i] == 13 && at < n)
                part[i] = p[at++] + 13u;
            else if (part[i] == 14 && at + 1 < n) {
                part[i] = ((unsigned)p[at] << 8 | p[at + 1]) + 269u;
                at += 2;
            }
        }
        at += part[1];
    }
    size_t length = at + 1 < n ? n - at - 1 : 0;
    x->answer_length = length < COAP_ANSWER_MAX ? length : COAP_ANSWER_MAX;
    if (length)
        memcpy(x->answer, p + at + 1, x->answer_length);
}

static enum outcome answered(struct exchange *x, uint8_t code, const uint8_t *p, size_t n)
{
    char why[32];
    payload_keep(x, p, n);
    snprintf(why, sizeof why, "answered %d.%02d", code >> 5, code & 31);
    if (code >> 5 == 5) /* the server cannot now: the same message again, later */
        return over(x, FAILED, why);
    return over(x, code >> 5 == 2 ? DELIVERED : REFUSED, why); /* or will refuse these bytes for ever */
}

enum outcome coap_turn(struct device *d, struct exchange *x)
{
    if (!x->open || monotonic_ms() < x->due_ms)
        return NOTHING;
    if (x->acked)
        return over(x, FAILED, "acknowledged but never answered");
    if (x->retransmits == MAX_RETRANSMIT)
        return over(x, FAILED, "no answer");
    x->retransmits++;
    x->wait_ms *= 2;
    x->due_ms = monotonic_ms() + x->wait_ms;
    d->tally.retried++;
    datagram_send(d, x, x->datagram, x->length);
    return NOTHING;
}

/* ================================= Reading datagrams ================================== */

static void reply_empty(struct device *d, struct exchange *x, uint8_t type, const uint8_t *to)
{
    uint8_t reply[4] = {0x40, EMPTY, 0, 0};
    reply[0] |= type;
    memcpy(reply + 2, to + 2, 2);
    datagram_send(d, x, reply, sizeof reply);
}

static enum outcome datagram_read(struct device *d, struct exchange *x, const uint8_t *p, size_t n)
{
    if (n < 4 || p[0] >> 6 != 1)
        return NOTHING; /* not CoAP: RFC 7252 says to ignore it silently */
    uint8_t type = p[0] & TYPE, token_length = p[0] & 0x0F, code = p[1];
    uint16_t id = (uint16_t)(p[2] << 8 | p[3]);
    int ours = x->open && id == x->id;
    if (code == EMPTY) {
        if (ours && type == RESET)
            return over(x, FAILED, "reset by the server");
        if (ours && type == ACKNOWLEDGEMENT && !x->acked) {
            x->acked = 1;
            x->due_ms = monotonic_ms() + 16 * d->options.ack_timeout_ms;
        } else if (type == CONFIRMABLE)
            reply_empty(d, x, RESET, p); /* a CoAP ping */
        return NOTHING;
    }
    int same_token = x->open && token_length == COAP_TOKEN && n >= 4 + COAP_TOKEN &&
                     memcmp(p + 4, x->token, COAP_TOKEN) == 0;
    if (type == ACKNOWLEDGEMENT)
        return ours && same_token ? answered(x, code, p, n) : NOTHING;
    /* A separate response; one repeated after ours was settled wants its ACK all the same. */
    if (type == CONFIRMABLE)
        reply_empty(d, x, ACKNOWLEDGEMENT, p);
    return same_token && code >> 5 >= 2 ? answered(x, code, p, n) : NOTHING;
}

enum outcome coap_receive(struct device *d, struct exchange *x)
{
    uint8_t datagram[1500];
    ssize_t n = recv(x->fd, datagram, sizeof datagram, 0);
    if (n > 0)
        return d->link_down ? NOTHING : datagram_read(d, x, datagram, (size_t)n);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
        device_trouble(d, "receive", strerror(errno));
    return NOTHING;
}
