/* ======================================================================================
 * The module seen from its serial line: AT commands of a BC95/BC28-like NB-IoT modem, for a
 * controller that is somebody else's (a test, a real meter board). It attaches, posts what
 * it is given by CoAP or sends it by a UDP socket, and reports by unsolicited codes (URCs).
 * ====================================================================================== */
#define _XOPEN_SOURCE 700 /* pseudo-terminals */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "coap.h"
#include "wire.h"

enum { SOCKETS = 2, PAYLOAD_MAX = FRAME_MODULE_MAX, ATTACH_MS = 200, OUT_MAX = 3200 };
enum { NOT_ALLOWED = 3, WRONG_PARAMETER = 50, NO_NETWORK = 30, UNKNOWN = 100 }; /* 3GPP TS 27.007 */
enum { SEARCHING = 2, HOME = 1, OFF = 0 }; /* +CEREG: stat */

struct modem {
    int in, out, slave; /* slave: ours too, so that the line stays when the controller goes */
    int echo, verbose, urc, radio, attached, psm;
    char psm_set[96], cdp[64];
    int64_t attach_due_ms; /* monotonic; 0 = nothing under way */
    struct exchange x;
    int confirmable; /* of the message under way */
    long seq;        /* of the message under way, 0 = the controller gave none */
    int socket[SOCKETS], told[SOCKETS]; /* told: its datagram was announced, and not fetched yet */
    char line[LINE_MAX_LENGTH];
    size_t length;
    long sent, delivered, failed, errors;
};

/* ======================================= Saying ======================================= */

static void say(struct device *d, struct modem *m, const char *format, ...)
{
    char text[OUT_MAX + 4];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, OUT_MAX, format, arguments);
    va_end(arguments);
    if (n < 0 || n >= OUT_MAX)
        n = OUT_MAX - 1;
    memcpy(text + n, "\r\n", 2);
    if (write(m->out, text, (size_t)n + 2) < 0)
        device_trouble(d, "serial line", strerror(errno));
}

static int fail(struct device *d, struct modem *m, int why)
{
    m->errors++;
    if (m->verbose)
        say(d, m, "+CME ERROR: %d", why);
    else
        say(d, m, "ERROR");
    return -1;
}

static void network_told(struct device *d, struct modem *m)
{
    if (m->urc)
        say(d, m, "+CEREG:%d", m->attached ? HOME : m->attach_due_ms ? SEARCHING : OFF);
}

/* ======================================= Network ====================================== */

static void attach(struct device *d, struct modem *m)
{
    if (m->radio && !m->attached && !m->attach_due_ms) {
        m->attach_due_ms = monotonic_ms() + ATTACH_MS;
        network_told(d, m);
    }
}

static void detach(struct device *d, struct modem *m)
{
    int was = m->attached;
    m->attached = 0;
    m->attach_due_ms = 0;
    m->x.open = 0;
    if (was)
        network_told(d, m);
}

static void attach_turn(struct device *d, struct modem *m)
{
    if (m->attach_due_ms && monotonic_ms() >= m->attach_due_ms && !d->link_down) {
        m->attach_due_ms = 0;
        m->attached = 1;
        network_told(d, m);
        if (*m->cdp) { /* registered at the platform, and ready for data */
            say(d, m, "+QLWEVTIND:0");
            say(d, m, "+QLWEVTIND:3");
        }
    }
    if (d->link_down && m->attached) {
        detach(d, m);
        attach(d, m);
    }
}

/* ====================================== Payloads ====================================== */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                        : c >= 'A' && c <= 'F'   ? c - 'A' + 10
                                                                 : -1;
}

/* `length` octets in hexadecimal, as long as the command says. The number of octets, or -1. */
static long hex_read(const char *text, long length, uint8_t *bytes)
{
    if (length < 1 || length > PAYLOAD_MAX || strlen(text) != (size_t)length * 2)
        return -1;
    for (long i = 0; i < length; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return length;
}

/* Cut `text` at commas into at most `most` parts. */
static int parts_cut(char *text, char **part, int most)
{
    int n = 0;
    while (n < most) {
        part[n++] = text;
        text = strchr(text, ',');
        if (!text)
            break;
        *text++ = '\0';
        if (n == most)
            return most + 1;
    }
    return n;
}

static int whole(const char *text, long *value, int radix)
{
    char *end;
    errno = 0;
    *value = strtol(text, &end, radix);
    return errno || end == text || *end ? -1 : 0;
}

static int post(struct device *d, struct modem *m, char **part, int confirmable, long seq)
{
    uint8_t bytes[PAYLOAD_MAX];
    long length, n;
    if (whole(part[0], &length, 10) || (n = hex_read(part[1], length, bytes)) < 0)
        return fail(d, m, WRONG_PARAMETER);
    if (!m->attached || !*m->cdp)
        return fail(d, m, NO_NETWORK);
    if (m->x.open)
        return fail(d, m, NOT_ALLOWED); /* one at a time */
    m->confirmable = confirmable;
    m->seq = seq;
    m->sent++;
    coap_post(d, &m->x, bytes, (size_t)n);
    say(d, m, "OK");
    return 0;
}

static void outcome_tell(struct device *d, struct modem *m, enum outcome how)
{
    if (how == NOTHING)
        return;
    char hex[2 * COAP_ANSWER_MAX + 1] = "";
    m->delivered += how == DELIVERED;
    for (size_t i = 0; i < m->x.answer_length; i++)
        snprintf(hex + 2 * i, 3, "%02X", m->x.answer[i]);
    if (how == DELIVERED && *hex)
        say(d, m, "+NNMI:%zu,%s", m->x.answer_length, hex);
    m->failed += how != DELIVERED;
    if (m->confirmable && m->seq)
        say(d, m, "+QLWULDATASTATUS:%d,%ld", how == DELIVERED ? 4 : how == REFUSED ? 5 : 3, m->seq);
    else if (m->confirmable)
        say(d, m, "+QLWULDATASTATUS:%d", how == DELIVERED ? 4 : how == REFUSED ? 5 : 3);
}

/* ====================================== Commands ====================================== */

static int at_nmgs(struct device *d, struct modem *m, char *rest)
{
    char *part[2];
    return parts_cut(rest, part, 2) == 2 ? post(d, m, part, 0, 0) : fail(d, m, WRONG_PARAMETER);
}

/* =<length>,<hex>,<mode>[,<seq>]: mode 0x0000 and 0x0001 unconfirmed, 0x0100 and 0x0101 confirmed,
 * the last bit: release the radio at once. On our line all are sent confirmable. */
static int at_uldata(struct device *d, struct modem *m, char *rest)
{
    char *part[4];
    long mode, seq = 0;
    int n = parts_cut(rest, part, 4);
    if (n < 3 || n > 4 || whole(part[2], &mode, 16) || mode & ~0x0101L ||
        (n == 4 && (whole(part[3], &seq, 10) || seq < 1 || seq > 255)))
        return fail(d, m, WRONG_PARAMETER);
    return post(d, m, part, (mode & 0x0100) != 0, seq);
}

static int at_ncdp(struct device *d, struct modem *m, char *rest)
{
    char *part[2];
    struct in_addr address;
    long port = 5683;
    int n = parts_cut(rest, part, 2);
    if (n > 2 || inet_pton(AF_INET, part[0], &address) != 1 ||
        (n == 2 && (whole(part[1], &port, 10) || port < 1 || port > 65535)))
        return fail(d, m, WRONG_PARAMETER);
    snprintf(m->cdp, sizeof m->cdp, "%s,%ld", part[0], port);
    static char host[INET_ADDRSTRLEN], service[8]; /* options point at them as at the command line */
    snprintf(host, sizeof host, "%s", part[0]);
    snprintf(service, sizeof service, "%ld", port);
    d->options.host = host;
    d->options.port = service;
    if (m->x.fd >= 0)
        close(m->x.fd);
    m->x.open = 0;
    m->x.fd = wire_open(d, SOCK_DGRAM);
    if (m->x.fd < 0)
        return fail(d, m, NO_NETWORK);
    say(d, m, "OK");
    if (m->attached)
        say(d, m, "+QLWEVTIND:0\r\n+QLWEVTIND:3");
    return 0;
}

static int at_cfun(struct device *d, struct modem *m, char *rest)
{
    if (strcmp(rest, "0") && strcmp(rest, "1"))
        return fail(d, m, WRONG_PARAMETER);
    m->radio = rest[0] == '1';
    if (!m->radio)
        detach(d, m);
    say(d, m, "OK");
    return 0;
}

static int at_cgatt(struct device *d, struct modem *m, char *rest)
{
    if (strcmp(rest, "0") && strcmp(rest, "1"))
        return fail(d, m, WRONG_PARAMETER);
    if (rest[0] == '1' && !m->radio)
        return fail(d, m, NOT_ALLOWED); /* first AT+CFUN=1 */
    say(d, m, "OK");
    if (rest[0] == '1')
        attach(d, m);
    else
        detach(d, m);
    return 0;
}

static int at_cereg(struct device *d, struct modem *m, char *rest)
{
    if (strcmp(rest, "0") && strcmp(rest, "1"))
        return fail(d, m, WRONG_PARAMETER);
    m->urc = rest[0] == '1';
    say(d, m, "OK");
    return 0;
}

static int at_cmee(struct device *d, struct modem *m, char *rest)
{
    if (strcmp(rest, "0") && strcmp(rest, "1"))
        return fail(d, m, WRONG_PARAMETER);
    m->verbose = rest[0] == '1';
    say(d, m, "OK");
    return 0;
}

/* =<0|1>[,,,<T3412 8 bits>,<T3324 8 bits>] (3GPP TS 24.008, GPRS timers) */
static int at_cpsms(struct device *d, struct modem *m, char *rest)
{
    char kept[96], *part[5];
    if (snprintf(kept, sizeof kept, "%s", rest) >= (int)sizeof kept)
        return fail(d, m, WRONG_PARAMETER);
    int n = parts_cut(rest, part, 5);
    int fits = (n == 1 || n == 5) && (part[0][0] == '0' || part[0][0] == '1') && !part[0][1];
    for (int i = 3; fits && n == 5 && i < 5; i++)
        fits = strlen(part[i]) == 8 && strspn(part[i], "01") == 8;
    if (!fits)
        return fail(d, m, WRONG_PARAMETER);
    m->psm = part[0][0] == '1';
    snprintf(m->psm_set, sizeof m->psm_set, "%s", kept);
    say(d, m, "OK");
    return 0;
}

/* ==================================== UDP sockets ===================================== */

static int at_nsocr(struct device *d, struct modem *m, char *rest)
{
    char *part[4];
    long local;
    int i = 0, n = parts_cut(rest, part, 4);
    while (i < SOCKETS && m->socket[i] >= 0)
        i++;
    if (n < 3 || n > 4 || strcmp(part[0], "DGRAM") || strcmp(part[1], "17") ||
        whole(part[2], &local, 10) || local < 0 || local > 65535)
        return fail(d, m, WRONG_PARAMETER);
    if (i == SOCKETS)
        return fail(d, m, NOT_ALLOWED);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)local)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) || bind(fd, (struct sockaddr *)&here, sizeof here)) {
        if (fd >= 0)
            close(fd);
        return fail(d, m, NOT_ALLOWED);
    }
    m->socket[i] = fd;
    m->told[i] = 0;
    say(d, m, "%d\r\nOK", i);
    return 0;
}

static int socket_of(const struct modem *m, const char *text)
{
    long i;
    return whole(text, &i, 10) || i < 0 || i >= SOCKETS || m->socket[i] < 0 ? -1 : (int)i;
}

static int at_nsost(struct device *d, struct modem *m, char *rest)
{
    char *part[5];
    uint8_t bytes[PAYLOAD_MAX];
    long port, length, n;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int i;
    if (parts_cut(rest, part, 5) != 5 || (i = socket_of(m, part[0])) < 0 ||
        inet_pton(AF_INET, part[1], &to.sin_addr) != 1 || whole(part[2], &port, 10) || port < 1 ||
        port > 65535 || whole(part[3], &length, 10) || (n = hex_read(part[4], length, bytes)) < 0)
        return fail(d, m, WRONG_PARAMETER);
    if (!m->attached)
        return fail(d, m, NO_NETWORK);
    to.sin_port = htons((uint16_t)port);
    if (sendto(m->socket[i], bytes, (size_t)n, 0, (struct sockaddr *)&to, sizeof to) != n)
        return fail(d, m, NO_NETWORK);
    m->sent++;
    say(d, m, "%d,%ld\r\nOK", i, n);
    return 0;
}

static int at_nsorf(struct device *d, struct modem *m, char *rest)
{
    char *part[2], hex[2 * PAYLOAD_MAX + 1], address[INET_ADDRSTRLEN];
    uint8_t bytes[PAYLOAD_MAX];
    long most;
    int i;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    if (parts_cut(rest, part, 2) != 2 || (i = socket_of(m, part[0])) < 0 ||
        whole(part[1], &most, 10) || most < 1 || most > PAYLOAD_MAX)
        return fail(d, m, WRONG_PARAMETER);
    ssize_t n = recvfrom(m->socket[i], bytes, (size_t)most, 0, (struct sockaddr *)&from, &size);
    for (ssize_t k = 0; k < n; k++)
        snprintf(hex + 2 * k, 3, "%02X", bytes[k]);
    m->told[i] = 0;
    if (n > 0)
        say(d, m, "%d,%s,%d,%zd,%s,0", i, inet_ntop(AF_INET, &from.sin_addr, address, sizeof address),
            ntohs(from.sin_port), n, hex);
    say(d, m, "OK");
    return 0;
}

static int at_nsocl(struct device *d, struct modem *m, char *rest)
{
    int i = socket_of(m, rest);
    if (i < 0)
        return fail(d, m, WRONG_PARAMETER);
    close(m->socket[i]);
    m->socket[i] = -1;
    say(d, m, "OK");
    return 0;
}

/* ================================= Queries and start ================================== */

static void restart(struct device *d, struct modem *m)
{
    detach(d, m);
    m->echo = m->verbose = m->urc = m->psm = 0;
    m->radio = 1;
    *m->psm_set = '\0';
    for (int i = 0; i < SOCKETS; i++)
        if (m->socket[i] >= 0) {
            close(m->socket[i]);
            m->socket[i] = -1;
        }
}

/* Commands without a parameter; whether there was such a one. */
static int query(struct device *d, struct modem *m, const char *line)
{
    if (strcmp(line, "AT") == 0)
        say(d, m, "OK");
    else if (strcmp(line, "ATE0") == 0 || strcmp(line, "ATE1") == 0) {
        m->echo = line[3] == '1';
        say(d, m, "OK");
    } else if (strcmp(line, "ATI") == 0)
        say(d, m, "City Lifeline\r\nsimulated NB-IoT module\r\nOK");
    else if (strcmp(line, "AT+CSQ") == 0)
        say(d, m, "+CSQ:%d,99\r\nOK", m->attached ? 19 : 99);
    else if (strcmp(line, "AT+CEREG?") == 0)
        say(d, m, "+CEREG:%d,%d\r\nOK", m->urc,
            m->attached ? HOME : m->attach_due_ms ? SEARCHING : OFF);
    else if (strcmp(line, "AT+CGATT?") == 0)
        say(d, m, "+CGATT:%d\r\nOK", m->attached);
    else if (strcmp(line, "AT+CFUN?") == 0)
        say(d, m, "+CFUN:%d\r\nOK", m->radio);
    else if (strcmp(line, "AT+CPSMS?") == 0)
        say(d, m, "+CPSMS:%s\r\nOK", *m->psm_set ? m->psm_set : "0");
    else if (strcmp(line, "AT+NCDP?") == 0)
        say(d, m, "+NCDP:%s\r\nOK", m->cdp);
    else if (strcmp(line, "AT+NUESTATS") == 0)
        say(d, m, "Signal power:%d\r\nSNR:%d\r\nECL:%d\r\nOK", m->attached ? -750 : -32768,
            m->attached ? 180 : -32768, m->attached ? 0 : 255);
    else if (strcmp(line, "AT+NRB") == 0) {
        restart(d, m);
        say(d, m, "REBOOTING\r\nREBOOT_CAUSE_APPLICATION_AT\r\nOK");
    } else
        return 0;
    return 1;
}

static const struct {
    const char *name;
    int (*run)(struct device *, struct modem *, char *);
} COMMANDS[] = {{"AT+NMGS=", at_nmgs},   {"AT+QLWULDATAEX=", at_uldata}, {"AT+NCDP=", at_ncdp},
                {"AT+CFUN=", at_cfun},   {"AT+CGATT=", at_cgatt},        {"AT+CEREG=", at_cereg},
                {"AT+CMEE=", at_cmee},   {"AT+CPSMS=", at_cpsms},        {"AT+NSOCR=", at_nsocr},
                {"AT+NSOST=", at_nsost}, {"AT+NSORF=", at_nsorf},        {"AT+NSOCL=", at_nsocl}};

static void line_obey(struct device *d, struct modem *m, char *line)
{
    if (!*line)
        return;
    if (m->echo)
        say(d, m, "%s", line);
    if (query(d, m, line))
        return;
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        size_t n = strlen(COMMANDS[i].name);
        if (strncmp(line, COMMANDS[i].name, n) == 0) {
            COMMANDS[i].run(d, m, line + n);
            return;
        }
    }
    fail(d, m, UNKNOWN);
}

/* ======================================== Loop ======================================== */

/* 0 when the controller has hung up for good. */
static int line_read(struct device *d, struct modem *m)
{
    ssize_t n = read(m->in, m->line + m->length, sizeof m->line - m->length);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (n <= 0)
        return 0;
    m->length += (size_t)n;
    size_t begin = 0;
    for (size_t i = 0; i < m->length; i++)
        if (m->line[i] == '\r' || m->line[i] == '\n') {
            m->line[i] = '\0';
            line_obey(d, m, m->line + begin);
            begin = i + 1;
        }
    m->length -= begin;
    memmove(m->line, m->line + begin, m->length);
    if (m->length == sizeof m->line) {
        m->length = 0;
        fail(d, m, WRONG_PARAMETER);
    }
    return 1;
}

static int line_open(struct device *d, struct modem *m)
{
    m->in = STDIN_FILENO;
    m->out = STDOUT_FILENO;
    m->slave = -1;
    if (!d->options.pty)
        return 0;
    struct termios raw;
    m->in = m->out = posix_openpt(O_RDWR | O_NOCTTY);
    const char *name = m->in < 0 || grantpt(m->in) || unlockpt(m->in) ? NULL : ptsname(m->in);
    m->slave = name ? open(name, O_RDWR | O_NOCTTY) : -1;
    if (m->slave < 0 || tcgetattr(m->slave, &raw)) {
        device_trouble(d, "--pty", strerror(errno));
        return -1;
    }
    raw.c_iflag = raw.c_oflag = raw.c_lflag = 0; /* the modem echoes itself, or not */
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(m->slave, TCSANOW, &raw)) {
        device_trouble(d, "--pty", strerror(errno));
        return -1;
    }
    printf("pty %s\n", name);
    fflush(stdout);
    return 0;
}

/* A datagram is announced once, and what is left after a fetch again. */
static void sockets_watch(struct device *d, struct modem *m, const struct pollfd *p)
{
    for (int i = 0; i < SOCKETS; i++)
        if (p[i].fd >= 0 && p[i].fd == m->socket[i] && p[i].revents & POLLIN && !m->told[i]) {
            uint8_t peeked[PAYLOAD_MAX];
            ssize_t n = recv(m->socket[i], peeked, sizeof peeked, MSG_PEEK);
            m->told[i] = n > 0;
            if (n > 0)
                say(d, m, "+NSONMI:%d,%zd", i, n);
        }
}

int run_modem(struct device *d)
{
    static struct modem m;
    m.radio = 1;
    for (int i = 0; i < SOCKETS; i++)
        m.socket[i] = -1;
    m.x.fd = -1;
    coap_begin(d, &m.x);
    if (line_open(d, &m))
        return EXIT_INCOMPLETE;
    int spoken_to = 1;
    while (!*d->stop && !d->stopping && (spoken_to || m.x.open)) {
        struct pollfd p[SOCKETS + 1] = {{.fd = spoken_to ? m.in : -1, .events = POLLIN}};
        for (int i = 0; i < SOCKETS; i++)
            p[i + 1] = (struct pollfd){.fd = m.socket[i], .events = POLLIN};
        poll(p, SOCKETS + 1, 0);
        if (p[0].revents)
            spoken_to = line_read(d, &m);
        sockets_watch(d, &m, p + 1);
        attach_turn(d, &m);
        outcome_tell(d, &m, coap_turn(d, &m.x));
        if (device_wait(d, m.x.fd, POLLIN, 5))
            outcome_tell(d, &m, coap_receive(d, &m.x));
    }
    fprintf(stderr, "{\"role\":\"modem\",\"sent\":%ld,\"delivered\":%ld,\"failed\":%ld,\"errors\":%ld}\n",
            m.sent, m.delivered, m.failed, m.errors);
    return m.failed ? EXIT_INCOMPLETE : EXIT_ALL_ACKNOWLEDGED;
}
