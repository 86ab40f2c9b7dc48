/* ======================================================================================
 * lifeline-device: a gateway, a module, a modem, or the golden vectors, by the command line.
 * ====================================================================================== */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static const char USAGE[] =
    "usage: lifeline-device gateway|module --device ID [options]\n"
    "       lifeline-device modem --device ID [--host HOST] [--port PORT] [--pty]\n"
    "       lifeline-device ring FILE\n"
    "       lifeline-device vectors FOLDER\n"
    "\n"
    "  --host HOST            where to send (127.0.0.1)\n"
    "  --port PORT            1883 for a gateway (MQTT), 5683 for the others (CoAP)\n"
    "  --count N              messages to make (10)\n"
    "  --interval-ms N        city time between samples (1000)\n"
    "  --batch N              samples in a message, 1...16 (1; a module 4)\n"
    "  --ports N              channels, 1...16 (2)\n"
    "  --delta X              keep only samples that moved by X, and send them at once\n"
    "  --level X              send at once when port 1 reaches X or falls below it\n"
    "  --report-ms N          say something at least so often, city time\n"
    "  --psm-ms N             a module's radio sleeps so long, city time, unless it found something\n"
    "  --leak-after N         methane on port 1 rises from sample N on (never)\n"
    "  --counter-port N --counter-wrap W   port N counts up and starts again at W (65536)\n"
    "  --warm-ms N            sensors say that they warm up so long after power came\n"
    "  --epoch-ms MS          the city's time at start, Unix ms (the machine's)\n"
    "  --factor F             how many times as fast as the wall the city runs (1)\n"
    "  --ppm X                the clock's error, parts in a million (0)\n"
    "  --sync-ms N            the network sets the clock so often, city time (never)\n"
    "  --clock-unset          the clock counts from 1970 until it is set\n"
    "  --simulation           set the simulation flag\n"
    "  --state FILE           keep the boot number in FILE (otherwise it is 1)\n"
    "  --ring N               messages kept while nothing answers, 1...4096 (1024)\n"
    "  --ring-file FILE       keep them in FILE too, over power cuts; needs --state\n"
    "  --say                  a line \"kept BOOT SEQUENCE\" for each message that is on disk\n"
    "  --control -|SOCKET     take commands on stdin or on a Unix socket\n"
    "  --linger-ms N          wait for acknowledgements after the last message (30000)\n"
    "  --ack-timeout-ms N     CoAP's ACK_TIMEOUT (2000)\n"
    "  --user NAME --password-file FILE   for the broker\n"
    "\n"
    "At the end one line of JSON on stdout (a modem's on stderr). Exit code 0: every message was\n"
    "acknowledged; 1: some were not; 2: the command line is wrong.\n";

/* The one global: a signal handler is given no state. */
static volatile sig_atomic_t stop_wanted;

static void on_signal(int number)
{
    (void)number;
    stop_wanted = 1;
}

/* ==================================== Command line ==================================== */

enum kind { TEXT, INTEGER, REAL, SIGNED, WIDE, FLAG, SWITCH };

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
    } else if (o->kind == SIGNED) {
        double value = strtod(text, &end);
        if (!(value >= (double)o->low && value <= (double)o->high))
            return -1;
        *(double *)o->at = value;
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
        {"--ring-file", TEXT, &o->ring_file, 0, 0},
        {"--control", TEXT, &o->control, 0, 0},
        {"--report-ms", INTEGER, &o->report_ms, 1, 604800000},
        {"--psm-ms", INTEGER, &o->psm_ms, 1, 604800000},
        {"--sync-ms", INTEGER, &o->sync_ms, 1, LONG_MAX},
        {"--warm-ms", INTEGER, &o->warm_ms, 1, 86400000},
        {"--counter-port", INTEGER, &o->counter_port, 1, PORTS_MAX},
        {"--counter-wrap", INTEGER, &o->counter_wrap, 2, 16777216},
        {"--delta", REAL, &o->delta, 0, 0},
        {"--level", SIGNED, &o->level, -1000000, 1000000},
        {"--ppm", SIGNED, &o->ppm, -100000, 100000},
        {"--say", SWITCH, &o->say, 0, 0},
        {"--pty", SWITCH, &o->pty, 0, 0},
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
        } else if (found->kind == SWITCH) {
            *(uint8_t *)found->at = 1;
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

/* What fits only together; each with what to write instead. */
static int options_agree(const struct options *o)
{
    int module = strcmp(o->role, "module") == 0;
    long most = 28 + (long)strlen(o->device) + o->ports * (20 + 8 * o->batch);
    const char *wrong = NULL;
    if (o->ring_file && !o->state_file)
        wrong = "--ring-file needs --state: kept messages carry the boot number they were made in";
    else if (o->psm_ms && !module)
        wrong = "--psm-ms is for a module: a gateway has mains power and stays connected";
    else if (o->counter_port > o->ports)
        wrong = "--counter-port is none of the --ports";
    else if (module && most > FRAME_MODULE_MAX)
        wrong = "--ports and --batch: more than the 512 bytes of a module; use fewer";
    if (wrong)
        fprintf(stderr, "lifeline-device: %s\n", wrong);
    return wrong ? -1 : 0;
}

/* ======================================== Runs ======================================== */

static void tally_print(const struct device *d)
{
    const struct tally *t = &d->tally;
    printf("{\"role\":\"%s\",\"device\":\"%s\",\"boot\":%" PRIu32 ",\"made\":%ld,\"sent\":%ld,"
           "\"acknowledged\":%ld,\"retried\":%ld,\"dropped\":%ld,\"refused\":%ld,"
           "\"waiting\":%zu,\"connections\":%ld,\"samples\":%ld,\"woken\":%ld,\"restarts\":%ld,"
           "\"torn\":%ld,\"damaged\":%ld}\n",
           d->options.role, d->options.device, d->boot, t->made, t->sent, t->acknowledged,
           t->retried, t->dropped, t->refused, d->ring.count, t->connections, t->samples, t->woken,
           t->restarts, d->store.torn, d->store.damaged);
}

static int device_start(struct device *d)
{
    char why[ERROR_MAX];
    d->started_ms = monotonic_ms();
    d->stop = &stop_wanted;
    d->leak_since = d->options.leak_after;
    d->clock.ppm = d->options.ppm;
    d->clock.unset = (d->options.flags & FLAG_CLOCK_UNSET) != 0;
    d->options.flags &= (uint8_t)~FLAG_CLOCK_UNSET; /* the clock says it, as long as it is true */
    d->clock.synced_ms = city_ms(d);
    if (device_power_up(d, why) || control_open(d, why)) {
        fprintf(stderr, "lifeline-device: %s\n", why);
        return -1;
    }
    return 0;
}

static int device_run(struct device *d, char **argv)
{
    int code;
    if (device_start(d))
        return EXIT_USAGE;
    if (strcmp(argv[1], "modem") == 0) {
        code = run_modem(d);
    } else {
        code = strcmp(argv[1], "module") == 0 ? run_module(d) : run_gateway(d);
        tally_print(d);
    }
    control_close(d);
    store_close(&d->store);
    ring_free(&d->ring);
    return code;
}

static int device_main(struct device *d, int argc, char **argv)
{
    int gateway = strcmp(argv[1], "gateway") == 0, module = strcmp(argv[1], "module") == 0;
    d->options = (struct options){.role = argv[1], .host = "127.0.0.1", .count = 10,
                                  .port = gateway ? "1883" : "5683", .interval_ms = 1000,
                                  .linger_ms = 30000, .ack_timeout_ms = 2000, .ports = 2,
                                  .batch = module ? 4 : 1, .ring = 1024, .leak_after = -1,
                                  .counter_wrap = 65536, .epoch_ms = -1, .factor = 1.0,
                                  .delta = NAN, .level = NAN};
    if (options_read(&d->options, argc, argv) || !device_id_fits(d->options.device) ||
        options_agree(&d->options))
        return EXIT_USAGE;
    return device_run(d, argv);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "vectors") == 0)
        return write_vectors(argv[2]) ? EXIT_INCOMPLETE : 0;
    if (argc == 3 && strcmp(argv[1], "ring") == 0)
        return store_print(argv[2]) ? EXIT_USAGE : 0;
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return fputs(USAGE, stdout) < 0;
    if (argc < 2 || (strcmp(argv[1], "gateway") && strcmp(argv[1], "module") && strcmp(argv[1], "modem"))) {
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
    int code = device_main(d, argc, argv);
    free(d);
    return code;
}
