/* The same work as the tight loop, in C: what the engine is measured against from the other side.
 *
 * One pass over columns, one struct a channel, the slope by running sums. The limits come as
 * macros from workload.py. Compile without contraction of a*x + b into one rounding: the z-scores
 * of all programs are to be the same.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RAISED, ESCALATED, LOWERED, CLEARED, LATE_FINDING, CLOCK_EPOCH };
enum { LEVEL, EWMA, RATE, SLOPE, NO_RULE };
enum { JUDGED, SAME, LATE, CONFLICT, EPOCH };
enum { HORIZON = 64, EPOCH_RUN = 3, ACCEPTED = 3 };

typedef struct {
    int64_t t;
    double score;
    int32_t channel;
    int8_t type, rule, side, unused;
} told_t;

typedef struct {
    int64_t boot, previous_boot, sent_boot, top, judged_ns, rate_ns, origin_ns;
    uint64_t seen;
    double value, mean, variance, rate_value;
    double su, suu, sv, suv;
    int32_t late_run, count;
    uint8_t head, points;  /* of the ring */
    uint8_t high, low;     /* latch bits: 1 the first level, 2 the second */
    int8_t on[NO_RULE];    /* latch by rule: +1 the high side, -1 the low one */
} state_t;

typedef struct {
    double u[SLOPE_ROWS], v[SLOPE_ROWS];
} ring_t;

typedef struct {
    int64_t channels;
    state_t *state;
    ring_t *ring;
} program_t;

typedef struct {
    int64_t n;
    const int32_t *channel;
    const int64_t *judged_ns;
    const double *value;
    const uint8_t *qc_flag;
    const uint8_t *usable;
    const int64_t *boot;
    const int64_t *sequence;
} columns_t;

void *reference_new(int64_t channels, int slopes)
{
    program_t *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->channels = channels;
    p->state = calloc((size_t)channels, sizeof *p->state);
    p->ring = slopes ? calloc((size_t)channels, sizeof *p->ring) : NULL;
    if (!p->state || (slopes && !p->ring)) {
        free(p->state);
        free(p->ring);
        free(p);
        return NULL;
    }
    for (int64_t i = 0; i < channels; i++) {
        state_t *s = &p->state[i];
        s->boot = s->previous_boot = s->sent_boot = s->top = s->judged_ns = -1;
        s->rate_ns = -RATE_WINDOW_NS;
        s->value = NAN;
    }
    return p;
}

void reference_free(void *program)
{
    program_t *p = program;
    free(p->state);
    free(p->ring);
    free(p);
}

static int verdict(state_t *s, int64_t boot, int64_t sequence, int64_t t, double x)
{
    if (boot != s->boot && boot != s->previous_boot) {
        s->previous_boot = s->boot;
        s->boot = boot;
        s->top = -1;
        s->seen = 0;
    }
    int rising = 0;
    if (boot == s->boot) {
        int64_t ahead = sequence - s->top;
        if (ahead > 0) {
            s->seen = s->top < 0 || ahead >= HORIZON ? 1 : s->seen << ahead | 1;
            s->top = sequence;
            rising = boot == s->sent_boot;
        } else if (-ahead < HORIZON) {
            uint64_t bit = UINT64_C(1) << -ahead;
            if (s->seen & bit)
                return SAME;
            s->seen |= bit;
        }
    }
    s->late_run = t > s->judged_ns ? 0 : rising ? s->late_run + 1 : 1;
    s->sent_boot = boot;
    if (s->late_run == EPOCH_RUN) {
        s->late_run = 0;
        return EPOCH;
    }
    if (t > s->judged_ns)
        return JUDGED;
    if (t < s->judged_ns)
        return LATE;
    return x == s->value || (x != x && s->value != s->value) ? SAME : CONFLICT;
}

static told_t *tell(told_t *out, int type, int rule, int side, int32_t channel, int64_t t, double x)
{
    *out = (told_t){t, x, channel, (int8_t)type, (int8_t)rule, (int8_t)side, 0};
    return out + 1;
}

static told_t *changed(told_t *out, int before, int after, int rule, int side, int32_t channel,
                       int64_t t, double x)
{
    if (after > before)
        return tell(out, before ? ESCALATED : RAISED, rule, side, channel, t, x);
    return tell(out, after ? LOWERED : CLEARED, rule, side, channel, t, x);
}

/* The highest of two latch bits: 0, 1 or 2. */
static int height(int bits)
{
    return bits > 1 ? 2 : bits;
}

static told_t *levels(told_t *out, state_t *s, int32_t channel, int64_t t, double x)
{
    int high = (x >= HIGH_1 || ((s->high & 1) && x >= HIGH_1 - HYSTERESIS))
             | (x >= HIGH_2 || ((s->high & 2) && x >= HIGH_2 - HYSTERESIS)) << 1;
    int low = (x <= LOW_1 || ((s->low & 1) && x <= LOW_1 + HYSTERESIS))
            | (x <= LOW_2 || ((s->low & 2) && x <= LOW_2 + HYSTERESIS)) << 1;
    if (height(high) != height(s->high))
        out = changed(out, height(s->high), height(high), LEVEL, 1, channel, t, x);
    if (height(low) != height(s->low))
        out = changed(out, height(s->low), height(low), LEVEL, -1, channel, t, x);
    s->high = (uint8_t)high;
    s->low = (uint8_t)low;
    return out;
}

static told_t *edge(told_t *out, state_t *s, int rule, double limit, int32_t channel, int64_t t,
                    double score)
{
    int was = s->on[rule], now = score >= limit ? 1 : score <= -limit ? -1 : 0;
    if (now == was)
        return out;
    for (int side = 1; side >= -1; side -= 2)
        if ((now == side) != (was == side))
            out = changed(out, was == side, now == side, rule, side, channel, t, score);
    s->on[rule] = (int8_t)now;
    return out;
}

/* Take up a row that does not simply rise; *judged tells whether it is judged after all. */
static told_t *again(told_t *out, state_t *s, const columns_t *c, int64_t i, int good, int *judged)
{
    int64_t t = c->judged_ns[i];
    double x = c->value[i];
    int said = verdict(s, c->boot[i], c->sequence[i], t, x);
    *judged = said == JUDGED || said == EPOCH;
    if (said == EPOCH) {
        out = tell(out, CLOCK_EPOCH, NO_RULE, 1, c->channel[i], t, 0.0);
        s->rate_ns = -RATE_WINDOW_NS;
        s->points = 0;
    } else if (said == LATE && good) {
        if (x >= HIGH_1)
            out = tell(out, LATE_FINDING, LEVEL, 1, c->channel[i], t, x);
        if (x <= LOW_1)
            out = tell(out, LATE_FINDING, LEVEL, -1, c->channel[i], t, x);
    }
    return out;
}

/* Count times from the ring's first row, or from t where none is left, with fresh sums. */
static void move_origin(state_t *s, ring_t *r, int64_t t)
{
    int newest = (s->head + s->points - 1) & (SLOPE_ROWS - 1);
    if (!s->points || t - s->origin_ns - (int64_t)r->u[newest] >= SLOPE_WINDOW_NS) {
        s->points = 0;
        s->origin_ns = t;
    }
    double first = s->points ? r->u[s->head] : 0.0;
    s->origin_ns += (int64_t)first;
    s->su = s->suu = s->sv = s->suv = 0.0;
    for (int k = 0; k < s->points; k++) {
        int at = (s->head + k) & (SLOPE_ROWS - 1);
        double u = r->u[at] -= first, v = r->v[at];
        s->su += u;
        s->suu += u * u;
        s->sv += v;
        s->suv += u * v;
    }
}

static told_t *slope(told_t *out, state_t *s, ring_t *r, int32_t channel, int64_t t, double x)
{
    if (!s->points || (double)(t - s->origin_ns) > FAR_NS)
        move_origin(s, r, t);
    double u = (double)(t - s->origin_ns), oldest = u - SLOPE_WINDOW_NS;
    while (s->points && (r->u[s->head] <= oldest || s->points == SLOPE_ROWS)) {
        double p = r->u[s->head], v = r->v[s->head];
        s->su -= p;
        s->suu -= p * p;
        s->sv -= v;
        s->suv -= p * v;
        s->head = (s->head + 1) & (SLOPE_ROWS - 1);
        s->points--;
    }
    int at = (s->head + s->points) & (SLOPE_ROWS - 1);
    r->u[at] = u;
    r->v[at] = x;
    s->points++;
    s->su += u;
    s->suu += u * u;
    s->sv += x;
    s->suv += u * x;
    if (s->points < SLOPE_POINTS)
        return out;
    double n = s->points;
    double score = (n * s->suv - s->su * s->sv) / (n * s->suu - s->su * s->su) * PER_NS;
    if (s->on[SLOPE] || score >= SLOPE_LIMIT || score <= -SLOPE_LIMIT)
        out = edge(out, s, SLOPE, SLOPE_LIMIT, channel, t, score);
    return out;
}

static told_t *statistics(told_t *out, state_t *s, int32_t channel, int64_t t, double x)
{
    if (s->count) {
        double d = x - s->mean;
        if (s->count >= WARMUP) {
            double sigma = sqrt(s->variance);
            double z = sigma ? d / sigma : d ? copysign(INFINITY, d) : 0.0;
            if (s->on[EWMA] || z >= Z_LIMIT || z <= -Z_LIMIT)
                out = edge(out, s, EWMA, Z_LIMIT, channel, t, z);
        }
        s->mean = ALPHA * x + (1 - ALPHA) * s->mean;
        s->variance = ALPHA * ((1 - ALPHA) * (d * d)) + (1 - ALPHA) * s->variance;
    } else {
        s->mean = x;
    }
    s->count++;
    int64_t gap_ns = t - s->rate_ns;
    if (gap_ns < RATE_WINDOW_NS) {
        double rate = (x - s->rate_value) / (double)gap_ns * PER_NS;
        if (s->on[RATE] || rate >= RATE_LIMIT || rate <= -RATE_LIMIT)
            out = edge(out, s, RATE, RATE_LIMIT, channel, t, rate);
    }
    s->rate_ns = t;
    s->rate_value = x;
    return out;
}

/* Judge rows by the rules of T1, T2 or T3; return how many events stand in told, -1 for a channel
 * that is none. Room for 10 events a row is enough. */
static inline int64_t fold(program_t *p, const columns_t *c, told_t *told, const int workload)
{
    told_t *out = told;
    for (int64_t i = 0; i < c->n; i++) {
        int32_t channel = c->channel[i];
        if (channel < 0 || channel >= p->channels)
            return -1;
        int64_t t = c->judged_ns[i], sequence = c->sequence[i];
        double x = c->value[i];
        state_t *s = &p->state[channel];
        int good = c->usable[i] && c->qc_flag[i] <= ACCEPTED;
        if (c->boot[i] == s->boot && sequence > s->top && t > s->judged_ns) {
            int64_t ahead = sequence - s->top;
            s->seen = ahead >= HORIZON ? 1 : s->seen << ahead | 1;
            s->top = sequence;
            s->sent_boot = s->boot;
            s->late_run = 0;
        } else {
            int judged;
            out = again(out, s, c, i, good, &judged);
            if (!judged)
                continue;
        }
        s->judged_ns = t;
        s->value = x;
        if (!good || x != x)
            continue;
        if (s->high || s->low || x >= HIGH_1 || x <= LOW_1)
            out = levels(out, s, channel, t, x);
        if (workload == 1 || !isfinite(x))
            continue;
        out = statistics(out, s, channel, t, x);
        if (workload == 3)
            out = slope(out, s, &p->ring[channel], channel, t, x);
    }
    return out - told;
}

int64_t reference_t1(void *program, const columns_t *c, told_t *told)
{
    return fold(program, c, told, 1);
}

int64_t reference_t2(void *program, const columns_t *c, told_t *told)
{
    return fold(program, c, told, 2);
}

int64_t reference_t3(void *program, const columns_t *c, told_t *told)
{
    return fold(program, c, told, 3);
}
