/* ======================================================================================
 * What the sensors show: methane on port 1, a counter where one is asked for, others that
 * wander; and what a broken one shows instead.
 * ====================================================================================== */
#include <math.h>

#include "device.h"

enum { SPIKE_EACH = 5 }; /* samples: a spike in every fifth */

/* In the order of enum fault. */
static const char *const NAMES[FAULTS] = {"none", "stuck", "spike", "bias", "dropout",
                                          "scale", "saturate", "noise", "code"};

const char *const *fault_names(void)
{
    return NAMES;
}

/* xorshift64*: any cheap noise will do, but the same on every machine. */
double noise(struct device *d)
{
    d->noise ^= d->noise >> 12;
    d->noise ^= d->noise << 25;
    d->noise ^= d->noise >> 27;
    return (double)((d->noise * 2685821657736338717u) >> 11) / 9007199254740992.0 - 0.5;
}

/* Methane in %vol rises by 0.1 a sample from the leak on; a counter goes up by its port's number a
 * sample and starts again at the wrap; the others wander about ten times their number. */
static double truth(struct device *d, long port, long number)
{
    struct sensor *s = &d->sensor[port - 1];
    if (port == d->options.counter_port) {
        s->total = fmod(s->total + (double)port, (double)d->options.counter_wrap);
        return s->total;
    }
    if (port > 1)
        return 10.0 * (double)port + noise(d);
    double leak = d->leak_since >= 0 && number >= d->leak_since
                      ? 0.1 * (double)(number - d->leak_since + 1)
                      : 0.0;
    return 0.02 + 0.01 * noise(d) + (leak < 4.0 ? leak : 4.0);
}

static double broken(struct device *d, struct sensor *s, double value, long number, uint8_t *status)
{
    switch (s->fault) {
    case STUCK:
        return s->shown;
    case SPIKE:
        return number % SPIKE_EACH ? value : value + s->by;
    case BIAS:
        return value + s->by;
    case DROPOUT:
        return NAN;
    case SCALE: /* another unit than the one agreed on */
        return value * s->by;
    case SATURATE:
        return s->by;
    case NOISE:
        return value + s->by * noise(d);
    case CODE: /* the sensor knows that it is broken, and says so */
        *status = STATUS_FAULT;
        return s->by;
    default:
        return value;
    }
}

void sensors_read(struct device *d, struct sample *s, long number)
{
    int warming = city_ms(d) - d->clock.powered_ms < d->options.warm_ms;
    for (long port = 1; port <= d->options.ports; port++) {
        struct sensor *sensor = &d->sensor[port - 1];
        uint8_t status = warming ? STATUS_WARMING : STATUS_GOOD;
        double shown = broken(d, sensor, truth(d, port, number), number, &status);
        if (sensor->fault != DROPOUT)
            sensor->shown = shown;
        s->value[port - 1] = shown;
        s->status[port - 1] = status;
    }
}
