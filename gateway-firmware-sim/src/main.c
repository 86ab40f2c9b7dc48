/* ======================================================================================
 * lifeline-device: a gateway, a module, or the golden vectors, by the command line.
 * ====================================================================================== */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static const char USAGE[] =
    "usage: lifeline-device gateway|module --device ID [options]\n"
    "       lifeline-device vectors FOLDER\n"
    "\n"
    "  --host HOST            where to send (127.0.0.1)\n"
    "  --port PORT            1883 for a gateway (MQTT), 5683 for a module (CoAP)\n"
    "  --count N              messages to make (10)\n"
    "  --interval-ms N        city time between samples (1000)\n"
    "  --batch N              samples in a message, 1...16 (1; a module 4)\n"
    "  --ports N              channels, 1...16 (2)\n"
    "  --leak-after N         methane on port 1 rises from sample N on (never)\n"
    "  --epoch-ms MS          the city's time at start, Unix ms (the machine's)\n"
    "  --factor F             how many times as fast as the wall the city runs (1)\n"
    "  --simulation           set the simulation flag\n"
    "  --clock-unset          set the flag that says the clock is not set\n"
    "  --state FILE           keep the boot number in FILE (otherwise it is 1)\n"
    "  --ring N               messages kept while nothing answers, 1...4096 (1024)\n"
    "  --linger-ms N          wait for acknowledgements after the last message (30000)\n"
    "  --ack-timeout-ms N     CoAP's ACK_TIMEOUT (2000)\n"
    "  --user NAME --password-file FILE   for the broker\n"
    "\n"
    "At the end one line of JSON on stdout. Exit code 0: every message was acknowledged;\n"
    "1: some were not; 2: the command line is wrong.\n";

/* The one global: a signal handler is given no state. */
static volatile sig_atomic_t stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

/* ==================================== Command line ==================================== */

enum kind { TEXT, INTEGER, REAL, WIDE, FLAG };

struct option {
    const char *name;
    enum kind kind;
    void *at;
    long low, high; /* of an INTEGER; for a FLAG, `high` is its bit */
};

static int option_set(const struct option *o, const char *text)
{
    char *end = NULL;
    errno = 0;
    if (o->kind == TEXT) {
        *(const char **)o->at = text;
    } else if (o->kind == INTEGER) {
        long value = strtol(text, &end, 10);
        if (value < o->low || value > o->high)
            return -1;
        *(long *)o->at = value;
    } else if (o->kind == WIDE) {
        long long value = strtoll(text, &end, 10);
        if (value < 0)
            return -1;
        *(int64_t *)o->at = value;
    } else {
        double value = strtod(text, &end);
        if (!(value > 0.0 && value <= 1e6))
            return -1;
        *(double *)o->at = value;
    }
    return errno || (end && (end == text || *end)) ? -1 : 0;
}

static int options_read(struct options *o, int argc, char **argv)
{
    const struct option known[] = {
        {"--host", TEXT, &o->host, 0, 0},
        {"--port", TEXT, &o->port, 0, 0},
        {"--device", TEXT, &o->device, 0, 0},
        {"--user", TEXT, &o->user, 0, 0},
        {"--password-file", TEXT, &o->password_file, 0, 0},
        {"--state", TEXT, &o->state_file, 0, 0},
        {"--count", INTEGER, &o->count, 0, LONG_MAX},
        {"--interval-ms", INTEGER, &o->interval_ms, 1, 86400000},
        {"--batch", INTEGER, &o->batch, 1, BATCH_MAX},
        {"--ports", INTEGER, &o->ports, 1, PORTS_MAX},
        {"--leak-after", INTEGER, &o->leak_after, 0, LONG_MAX},
        {"--ring", INTEGER, &o->ring, 1, RING_MAX},
        {"--linger-ms", INTEGER, &o->linger_ms, 0, 3600000},
        {"--ack-timeout-ms", INTEGER, &o->ack_timeout_ms, 1, 60000},
        {"--epoch-ms", WIDE, &o->epoch_ms, 0, 0},
        {"--factor", REAL, &o->factor, 0, 0},
        {"--simulation", FLAG, &o->flags, 0, FLAG_SIMULATION},
        {"--clock-unset", FLAG, &o->flags, 0, FLAG_CLOCK_UNSET},
    };
    for (int i = 2; i < argc; i++) {
        const struct option *found = NULL;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcmp(argv[i], known[k].name) == 0)
                found = &known[k];
        if (!found) {
            fprintf(stderr, "lifeline-device: unknown option %s\n", argv[i]);
            return -1;
        }
        if (found->kind == FLAG) {
            o->flags |= (uint8_t)found->high;
        } else if (i + 1 == argc || option_set(found, argv[i + 1])) {
            fprintf(stderr, "lifeline-device: %s: bad value %s\n", found->name,
                    i + 1 == argc ? "(none)" : argv[i + 1]);
            return -1;
        } else {
            i++;
        }
    }
    return 0;
}

static int device_id_fits(const char *id)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = id ? strlen(id) : 0;
    if (n >= 1 && n <= DEVICE_ID_MAX && strspn(id, allowed) == n)
        return 1;
    fprintf(stderr, "lifeline-device: --device: 1 to 48 characters of [A-Za-z0-9._-]\n");
    return 0;
}

/* ======================================== Runs ======================================== */

static void tally_print(const struct device *d)
{
    const struct tally *t = &d->tally;
    printf("{\"role\":\"%s\",\"device\":\"%s\",\"boot\":%" PRIu32 ",\"made\":%ld,\"sent\":%ld,"
           "\"acknowledged\":%ld,\"retried\":%ld,\"dropped\":%ld,\"refused\":%ld,"
           "\"waiting\":%zu,\"connections\":%ld}\n",
           d->options.role, d->options.device, d->boot, t->made, t->sent, t->acknowledged,
           t->retried, t->dropped, t->refused, d->ring.count, t->connections);
}

static int device_run(struct device *d, int argc, char **argv)
{
    char why[ERROR_MAX];
    int module = strcmp(argv[1], "module") == 0;
    d->options = (struct options){.role = argv[1], .host = "127.0.0.1", .count = 10,
                                  .port = module ? "5683" : "1883", .interval_ms = 1000,
                                  .linger_ms = 30000, .ack_timeout_ms = 2000, .ports = 2,
                                  .batch = module ? 4 : 1, .ring = 1024, .leak_after = -1,
                                  .epoch_ms = -1, .factor = 1.0};
    if (options_read(&d->options, argc, argv) || !device_id_fits(d->options.device))
        return EXIT_USAGE;
    d->boot = 1;
    if (d->options.state_file && boot_next(d->options.state_file, &d->boot, why)) {
        fprintf(stderr, "lifeline-device: %s\n", why);
        return EXIT_USAGE;
    }
    d->ring.capacity = (size_t)d->options.ring;
    d->noise = 0x9E3779B97F4A7C15u ^ d->boot;
    d->started_ms = monotonic_ms();
    d->stop = &stop_wanted;
    int code = module ? run_module(d) : run_gateway(d);
    tally_print(d);
    ring_free(&d->ring);
    return code;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "vectors") == 0)
        return write_vectors(argv[2]) ? EXIT_INCOMPLETE : 0;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return fputs(USAGE, stdout) < 0;
    if (argc < 2 || (strcmp(argv[1], "gateway") && strcmp(argv[1], "module"))) {
        fputs(USAGE, stderr);
        return EXIT_USAGE;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct device *d = calloc(1, sizeof *d);
    if (!d) {
        fprintf(stderr, "lifeline-device: no memory\n");
        return EXIT_INCOMPLETE;
    }
    int code = device_run(d, argc, argv);
    free(d);
    return code;
}
