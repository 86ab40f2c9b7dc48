/* ======================================================================================
 * Commands to a running device, a line each, on stdin or on a Unix socket: faults of its
 * sensors, its clock, its link, its power. Each is answered by one line: ok, or what is
 * wrong and what to write instead.
 * ====================================================================================== */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "device.h"

enum { WORDS_MAX = 4, ANSWER_MAX = 360 };

/* ====================================== Commands ====================================== */

static int number(const char *text, double *value)
{
    char *end;
    if (!text)
        return -1;
    *value = strtod(text, &end);
    return end == text || *end || !isfinite(*value) || fabs(*value) > 1e15 ? -1 : 0;
}

static int refuse(char *answer, const char *said)
{
    snprintf(answer, ANSWER_MAX, "error: %s", said);
    return -1;
}

static int fault_set(struct device *d, char **word, char *answer)
{
    static const char usage[] = "write fault PORT stuck|dropout|none, or fault PORT "
                                "spike|bias|scale|saturate|noise|code NUMBER";
    double port, by = 0;
    int kind = 0;
    if (number(word[1], &port) || port < 1 || port > (double)d->options.ports || !word[2])
        return refuse(answer, usage);
    while (kind < FAULTS && strcmp(word[2], fault_names()[kind]))
        kind++;
    int plain = kind == NO_FAULT || kind == STUCK || kind == DROPOUT;
    if (kind == FAULTS || (!plain && number(word[3], &by)))
        return refuse(answer, usage);
    struct sensor *s = &d->sensor[(int)port - 1];
    s->fault = (enum fault)kind;
    s->by = by;
    return 0;
}

static int clock_set(struct device *d, char **word, char *answer)
{
    double by = 0;
    if (word[1] && strcmp(word[1], "sync") == 0) {
        clock_sync(d);
    } else if (word[1] && strcmp(word[1], "unset") == 0) {
        d->clock.unset = 1;
        d->clock.powered_ms = city_ms(d);
    } else if (word[1] && strcmp(word[1], "jump") == 0 && !number(word[2], &by)) {
        d->clock.offset_ms += (int64_t)by;
    } else if (word[1] && strcmp(word[1], "ppm") == 0 && !number(word[2], &by)) {
        d->clock.offset_ms += device_ms(d) - city_ms(d) - d->clock.offset_ms; /* what it has run up */
        d->clock.synced_ms = city_ms(d);
        d->clock.ppm = by;
    } else {
        return refuse(answer, "write clock sync|unset, clock jump MS or clock ppm PPM");
    }
    return 0;
}

static int link_set(struct device *d, char **word, char *answer)
{
    int down = word[1] && strcmp(word[1], "down") == 0;
    if (!down && !(word[1] && strcmp(word[1], "up") == 0))
        return refuse(answer, "write link down or link up");
    d->link_down = down;
    return 0;
}

static int counter_set(struct device *d, char **word, char *answer)
{
    double value;
    if (!d->options.counter_port || number(word[1], &value) || value < 0 ||
        value >= (double)d->options.counter_wrap)
        return refuse(answer, "write counter NUMBER below --counter-wrap, on a device with --counter-port");
    d->sensor[d->options.counter_port - 1].total = value;
    return 0;
}

static int status_tell(struct device *d, char **word, char *answer)
{
    (void)word;
    snprintf(answer, ANSWER_MAX,
             "{\"boot\":%" PRIu32 ",\"sequence\":%" PRIu32 ",\"waiting\":%zu,\"clock_ms\":%" PRId64
             ",\"clock_error_ms\":%" PRId64 ",\"clock_unset\":%d,\"link_down\":%d,\"samples\":%ld}",
             d->boot, d->sequence, d->ring.count, device_ms(d), device_ms(d) - city_ms(d),
             d->clock.unset, d->link_down, d->tally.samples);
    return 1; /* the answer is made */
}

static int reboot(struct device *d, char **word, char *answer)
{
    char why[ERROR_MAX];
    (void)word;
    return device_reboot(d, why) ? refuse(answer, why) : 0;
}

static int leak_start(struct device *d, char **word, char *answer)
{
    (void)answer;
    d->leak_since = word[1] && strcmp(word[1], "off") == 0 ? -1 : d->samples_due_done;
    return 0;
}

static int stop(struct device *d, char **word, char *answer)
{
    (void)word;
    (void)answer;
    d->stopping = 1;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct device *, char **, char *);
} COMMANDS[] = {{"fault", fault_set}, {"clock", clock_set},     {"link", link_set},
                {"leak", leak_start}, {"counter", counter_set}, {"status", status_tell},
                {"reboot", reboot},   {"stop", stop}};

static void line_obey(struct device *d, char *line)
{
    char answer[ANSWER_MAX + 2] = "ok", *word[WORDS_MAX + 1] = {0}, *rest = line;
    size_t words = 0;
    for (char *w; words < WORDS_MAX && (w = strtok_r(rest, " \t\r", &rest));)
        word[words++] = w;
    if (!words)
        return;
    size_t i = 0, known = sizeof COMMANDS / sizeof *COMMANDS;
    while (i < known && strcmp(word[0], COMMANDS[i].name))
        i++;
    if (i == known)
        refuse(answer, "write fault, clock, link, leak, counter, status, reboot or stop");
    else
        COMMANDS[i].run(d, word, answer);
    size_t n = strlen(answer);
    answer[n++] = '\n';
    if (write(d->control.answer_fd, answer, n) < 0)
        device_trouble(d, "control", strerror(errno));
}

/* ======================================= Socket ======================================= */

int control_open(struct device *d, char *error)
{
    struct control *c = &d->control;
    const char *path = d->options.control;
    c->listening = c->fd = c->answer_fd = -1;
    if (!path)
        return 0;
    if (strcmp(path, "-") == 0) {
        c->fd = STDIN_FILENO;
        c->answer_fd = STDOUT_FILENO;
        return 0;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(error, ERROR_MAX, "--control %.80s…: longer than a socket's path may be", path);
        return -1;
    }
    strcpy(address.sun_path, path);
    struct stat there; /* a socket that a killed device left behind makes room; a file does not */
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path);
    c->listening = socket(AF_UNIX, SOCK_STREAM, 0);
    if (c->listening < 0 || bind(c->listening, (struct sockaddr *)&address, sizeof address) ||
        listen(c->listening, 1)) {
        snprintf(error, ERROR_MAX, "--control %s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

void control_close(struct device *d)
{
    struct control *c = &d->control;
    if (c->listening >= 0) {
        if (c->fd >= 0)
            close(c->fd);
        close(c->listening);
        unlink(d->options.control);
    }
}

static void control_read(struct device *d)
{
    struct control *c = &d->control;
    ssize_t n = read(c->fd, c->line + c->length, sizeof c->line - 1 - c->length);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* nobody speaks any more; the device goes on */
        if (c->listening >= 0)
            close(c->fd);
        c->fd = -1;
        c->length = 0;
        return;
    }
    c->length += (size_t)n;
    c->line[c->length] = '\0';
    char *begin = c->line, *end;
    while ((end = strchr(begin, '\n'))) {
        *end = '\0';
        line_obey(d, begin);
        begin = end + 1;
    }
    c->length -= (size_t)(begin - c->line);
    memmove(c->line, begin, c->length);
    if (c->length == sizeof c->line - 1)
        c->length = 0; /* no command is so long */
}

short device_wait(struct device *d, int fd, short events, int64_t wait_ms)
{
    struct control *c = &d->control;
    struct pollfd p[3] = {{.fd = fd, .events = events},
                          {.fd = c->fd, .events = POLLIN},
                          {.fd = c->fd < 0 ? c->listening : -1, .events = POLLIN}};
    int64_t most = wait_ms < 50 ? wait_ms : 50;
    if (poll(p, 3, (int)(most > 0 ? most : 0)) <= 0)
        return 0;
    if (p[1].revents)
        control_read(d);
    if (p[2].revents)
        c->fd = c->answer_fd = accept(c->listening, NULL, NULL);
    return p[0].revents;
}
