/* ======================================================================================
 * The gateway: MQTT 3.1.1 by hand. Persistent session, QoS 1, what is not acknowledged is
 * sent again with DUP after the next connect, in order, under the same packet id.
 * ====================================================================================== */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "wire.h"

enum { IN_FLIGHT_MAX = 16, KEEPALIVE_S = 30, HEADER_MAX = 5, TOPIC_MAX = 80 };
enum { RECONNECT_MS = 100, RECONNECT_MAX_MS = 5000, ANSWER_WITHIN_MS = 10000 };
enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH_QOS1 = 0x32, PUBACK = 0x40, PINGREQ = 0xC0,
       DISCONNECT = 0xE0, DUP = 0x08 };

struct session {
    int fd, accepted;
    uint16_t last_id;
    int64_t last_write_ms, last_read_ms, reconnect_at_ms;
    long reconnect_ms;
    uint8_t out[FRAME_MAX + TOPIC_MAX + 16]; /* one packet at a time, out_done of it written */
    size_t out_length, out_done;
    uint8_t in[512]; /* a broker only sends us short packets */
    size_t in_length;
};

/* ================================== Writing packets =================================== */

static void put8(struct session *s, uint8_t byte)
{
    s->out[s->out_length++] = byte;
}

static void put_text(struct session *s, const char *text, size_t n)
{
    put8(s, (uint8_t)(n >> 8));
    put8(s, (uint8_t)n);
    memcpy(s->out + s->out_length, text, n);
    s->out_length += n;
}

static void packet_begin(struct session *s, uint8_t type, size_t remaining)
{
    s->out_length = s->out_done = 0;
    put8(s, type);
    do {
        uint8_t digit = remaining & 0x7F;
        remaining >>= 7;
        put8(s, remaining ? digit | 0x80 : digit);
    } while (remaining);
}

/* The password's first line; 0 length when there is none. */
static int password_read(struct device *d, char *password, size_t size)
{
    password[0] = '\0';
    if (!d->options.password_file)
        return 0;
    FILE *file = fopen(d->options.password_file, "r");
    if (!file || !fgets(password, (int)size, file)) {
        device_trouble(d, d->options.password_file, file ? "is empty" : strerror(errno));
        if (file)
            fclose(file);
        return -1;
    }
    fclose(file);
    password[strcspn(password, "\r\n")] = '\0';
    return 0;
}

static int packet_connect(struct device *d, struct session *s)
{
    char password[128];
    const char *id = d->options.device, *user = d->options.user;
    if (password_read(d, password, sizeof password))
        return -1;
    size_t remaining = 10 + 2 + strlen(id);
    remaining += user ? 2 + strlen(user) + 2 + strlen(password) : 0;
    packet_begin(s, CONNECT, remaining);
    put_text(s, "MQTT", 4);
    put8(s, 4);                  /* protocol level: 3.1.1 */
    put8(s, user ? 0xC0 : 0x00); /* clean session 0: the broker keeps what we missed */
    put8(s, 0);
    put8(s, KEEPALIVE_S);
    put_text(s, id, strlen(id));
    if (user) {
        put_text(s, user, strlen(user));
        put_text(s, password, strlen(password));
    }
    return 0;
}

static void packet_publish(struct device *d, struct session *s, struct message *m)
{
    char topic[TOPIC_MAX];
    size_t n = (size_t)snprintf(topic, sizeof topic, "lifeline/v1/%s/up", d->options.device);
    int again = m->id != 0;
    if (!again)
        m->id = s->last_id = s->last_id == 65535 ? 1 : (uint16_t)(s->last_id + 1);
    packet_begin(s, PUBLISH_QOS1 | (again ? DUP : 0), 2 + n + 2 + m->length);
    put_text(s, topic, n);
    put8(s, (uint8_t)(m->id >> 8));
    put8(s, (uint8_t)m->id);
    memcpy(s->out + s->out_length, m->bytes, m->length);
    s->out_length += m->length;
    m->unsettled = 1;
    if (again)
        d->tally.retried++;
    else
        d->tally.sent++;
}

/* ===================================== Connection ===================================== */

static void session_drop(struct device *d, struct session *s, const char *why)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->accepted = 0;
    s->in_length = s->out_length = s->out_done = 0;
    s->reconnect_at_ms = monotonic_ms() + s->reconnect_ms;
    s->reconnect_ms = s->reconnect_ms * 2 < RECONNECT_MAX_MS ? s->reconnect_ms * 2 : RECONNECT_MAX_MS;
    for (size_t i = 0; i < d->ring.count; i++)
        ring_at(&d->ring, i)->unsettled = 0;
    if (why)
        device_trouble(d, "disconnected", why);
}

static void session_open(struct device *d, struct session *s)
{
    s->fd = wire_open(d, SOCK_STREAM);
    if (s->fd < 0 || packet_connect(d, s)) {
        session_drop(d, s, NULL);
        return;
    }
    s->last_read_ms = s->last_write_ms = monotonic_ms();
}

/* ================================== Reading packets =================================== */

static void acknowledged(struct device *d, uint16_t id)
{
    for (size_t i = 0; i < d->ring.count && i < IN_FLIGHT_MAX; i++)
        if (ring_at(&d->ring, i)->id == id && ring_at(&d->ring, i)->unsettled) {
            device_settled(d, i);
            d->tally.acknowledged++;
            return;
        }
}

static const char *packet_received(struct device *d, struct session *s, const uint8_t *p, size_t n)
{
    if ((p[0] & 0xF0) == CONNACK && n == 4) {
        static const char *const reasons[] = {"", "protocol refused", "client id refused",
                                              "server unavailable", "bad user or password",
                                              "not authorised"};
        if (p[3])
            return p[3] < 6 ? reasons[p[3]] : "refused by the broker";
        s->accepted = 1;
        s->reconnect_ms = RECONNECT_MS;
        d->tally.connections++;
        d->error[0] = '\0';
    } else if ((p[0] & 0xF0) == PUBACK && n == 4) {
        acknowledged(d, (uint16_t)(p[2] << 8 | p[3]));
    }
    return NULL;
}

/* Whole packets out of the buffer; those we never subscribed to do not exist. */
static const char *session_parse(struct device *d, struct session *s)
{
    size_t at = 0;
    const char *trouble = NULL;
    while (!trouble && s->in_length - at >= 2) {
        size_t remaining = s->in[at + 1], size = 2 + remaining;
        if (remaining > 127 || size > sizeof s->in)
            return "a packet longer than a broker sends to a publisher";
        if (s->in_length - at < size)
            break;
        trouble = packet_received(d, s, s->in + at, size);
        at += size;
    }
    memmove(s->in, s->in + at, s->in_length - at);
    s->in_length -= at;
    return trouble;
}

static void session_read(struct device *d, struct session *s)
{
    ssize_t n = recv(s->fd, s->in + s->in_length, sizeof s->in - s->in_length, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        session_drop(d, s, n == 0 ? "closed by the broker" : strerror(errno));
        return;
    }
    s->in_length += (size_t)n;
    s->last_read_ms = monotonic_ms();
    const char *trouble = session_parse(d, s);
    if (trouble)
        session_drop(d, s, trouble);
}

/* ======================================= Loop ========================================= */

/* Put the next packet into the empty out buffer: a message not yet sent on this
 * connection, or a ping when it has been quiet. */
static void session_next(struct device *d, struct session *s)
{
    for (size_t i = 0; s->accepted && i < d->ring.count && i < IN_FLIGHT_MAX; i++)
        if (!ring_at(&d->ring, i)->unsettled) {
            packet_publish(d, s, ring_at(&d->ring, i));
            return;
        }
    if (s->accepted && monotonic_ms() - s->last_write_ms > KEEPALIVE_S * 500)
        packet_begin(s, PINGREQ, 0);
}

static void session_write(struct device *d, struct session *s)
{
    while (s->fd >= 0) {
        if (s->out_done == s->out_length) {
            s->out_done = s->out_length = 0;
            session_next(d, s);
            if (!s->out_length)
                return;
        }
        ssize_t n = send(s->fd, s->out + s->out_done, s->out_length - s->out_done, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            session_drop(d, s, strerror(errno));
            return;
        }
        s->out_done += (size_t)n;
        s->last_write_ms = monotonic_ms();
    }
}

/* Something of ours waits for an answer and none came: the line is dead though it looks open. */
static int session_is_dead(const struct device *d, const struct session *s)
{
    int64_t limit_ms = s->accepted && !d->ring.count ? KEEPALIVE_S * 1500 : ANSWER_WITHIN_MS;
    return monotonic_ms() - s->last_read_ms > limit_ms &&
           monotonic_ms() - s->last_write_ms < limit_ms;
}

int run_gateway(struct device *d)
{
    struct session s = {.fd = -1, .reconnect_ms = RECONNECT_MS};
    int64_t give_up_ms = INT64_MAX;
    uint32_t boot = d->boot;
    while (!(device_finished(d) && d->ring.count == 0) && monotonic_ms() < give_up_ms) {
        int64_t wait_ms = device_sample(d);
        if (device_finished(d) && give_up_ms == INT64_MAX)
            give_up_ms = monotonic_ms() + d->options.linger_ms;
        if (s.fd >= 0 && (d->link_down || boot != d->boot))
            session_drop(d, &s, NULL);
        boot = d->boot;
        if (s.fd < 0 && !d->link_down && monotonic_ms() >= s.reconnect_at_ms)
            session_open(d, &s);
        if (s.fd >= 0)
            session_write(d, &s);
        short wanted = s.fd >= 0 && s.out_done < s.out_length ? POLLIN | POLLOUT : POLLIN;
        if (device_wait(d, s.fd, wanted, wait_ms) & (POLLIN | POLLERR | POLLHUP))
            session_read(d, &s);
        if (s.fd >= 0 && session_is_dead(d, &s))
            session_drop(d, &s, "the broker does not answer");
    }
    if (s.fd >= 0) {
        static const uint8_t goodbye[2] = {DISCONNECT, 0};
        if (send(s.fd, goodbye, sizeof goodbye, MSG_NOSIGNAL) < 0)
            device_trouble(d, "disconnect", strerror(errno));
        close(s.fd);
    }
    return device_complete(d) ? EXIT_ALL_ACKNOWLEDGED : EXIT_INCOMPLETE;
}
