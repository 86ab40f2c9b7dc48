/* ======================================================================================
 * The golden vectors: each as its bytes (NAME.hex) and as what a receiver must make of them
 * (NAME.json). Bytes come from frame.c, meanings from the tables here.
 * ====================================================================================== */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

enum { VALUES_MAX = 8, BLOCKS_MAX = 4 };

struct block {
    uint16_t port;
    uint8_t encoding, status;
    uint16_t n;
    float scale;
    int32_t time_ms[VALUES_MAX]; /* offsets; of a waveform only the first */
    uint32_t period_us;
    double value[VALUES_MAX]; /* integers for encodings 1 and 4 */
};

/* Beside its blocks, a vector may hold `series` one-sample blocks on ports 1, 2, …, or a
 * `ramp` of that many waveform samples: too long for a table. */
struct vector {
    const char *name;
    struct frame_header header;
    size_t blocks;
    struct block block[BLOCKS_MAX];
    int series, ramp;
};

static const char GATEWAY[] = "410100-gas-gw-000001";
static const char MODULE[] = "410100-gas-nb-000123";
static const char LONGEST[] = "410100-gas-gw-0000000000000000000000000000000048";
static const int64_t BASE_MS = 1767225600000; /* 2026-01-01T00:00:00Z */

static const struct vector GOOD[] = {
    {"scaled", {GATEWAY, 7, 42, BASE_MS, 0}, 1,
     {{1, SCALED_I32, 0, 4, 0.01f, {0, 1000, 2000, 3000}, 0, {2, 125, -7, 2000000000}}}, 0, 0},
    {"scales-not-decimal", {GATEWAY, 7, 43, BASE_MS, 0}, 4,
     {{1, SCALED_I32, 0, 2, 0.3f, {0, 0}, 0, {10, -10}},
      {2, SCALED_I32, 0, 2, 10.0f, {0, 0}, 0, {3, -3}},
      {3, SCALED_I32, 0, 2, 1.0f, {0, 0}, 0, {3, -2147483648.0}},
      {4, SCALED_I32, 0, 2, 0.0001f, {0, 0}, 0, {12345, -1}}}, 0, 0},
    {"float32", {GATEWAY, 7, 44, BASE_MS, 0}, 1,
     {{2, FLOAT32, 0, 3, 0, {0, -500, 500}, 0, {0.1f, -3.25, 1e20f}}}, 0, 0},
    {"float64", {GATEWAY, 7, 45, BASE_MS, 0}, 1,
     {{3, FLOAT64, 0, 3, 0, {0, 1, 2}, 0, {0.1, -1e-300, 123456789.123456789}}}, 0, 0},
    {"waveform", {"410100-bridge-gw-000001", 3, 9, BASE_MS, 0}, 1,
     {{10, WAVEFORM_I16, 0, 6, 0.001f, {-250}, 10000, {0, 1, -1, 32767, -32768, 500}}}, 0, 0},
    {"mixed", {GATEWAY, 7, 46, BASE_MS, 0}, 4,
     {{1, SCALED_I32, 0, 1, 0.01f, {0}, 0, {99}},
      {2, FLOAT32, 0, 1, 0, {0}, 0, {20.5}},
      {3, FLOAT64, 0, 1, 0, {0}, 0, {101.325}},
      {10, WAVEFORM_I16, 0, 3, 0.5f, {0}, 2500, {-2, 0, 2}}}, 0, 0},
    {"simulation", {GATEWAY, 7, 47, BASE_MS, FLAG_SIMULATION}, 1,
     {{1, SCALED_I32, 0, 1, 0.01f, {0}, 0, {2}}}, 0, 0},
    {"clock-not-set", {MODULE, 1, 0, 0, FLAG_CLOCK_UNSET}, 1,
     {{1, SCALED_I32, 0, 2, 0.01f, {0, 60000}, 0, {2, 3}}}, 0, 0},
    {"night-batch", {MODULE, 12, 3, BASE_MS, FLAG_FORWARDED}, 1,
     {{1, SCALED_I32, 0, 4, 0.01f, {-2700000, -1800000, -900000, 0}, 0, {2, 2, 3, 110}}}, 0, 0},
    {"statuses", {GATEWAY, 7, 48, BASE_MS, 0}, 4,
     {{1, SCALED_I32, STATUS_FAULT, 1, 0.01f, {0}, 0, {-99900}},
      {2, FLOAT32, STATUS_WARMING, 1, 0, {0}, 0, {1.5}},
      {3, FLOAT64, STATUS_CALIBRATION, 1, 0, {0}, 0, {50}},
      {4, SCALED_I32, 200, 1, 0.01f, {0}, 0, {5}}}, 0, 0},
    {"alive-only", {MODULE, 12, 4, BASE_MS, 0}, 0, {{0}}, 0, 0},
    {"not-a-number", {GATEWAY, 7, 49, BASE_MS, 0}, 2,
     {{2, FLOAT32, 0, 3, 0, {0, 1, 2}, 0, {NAN, INFINITY, 1}},
      {3, FLOAT64, 0, 3, 0, {0, 1, 2}, 0, {1, NAN, -INFINITY}}}, 0, 0},
    {"largest-numbers", {LONGEST, UINT32_MAX, UINT32_MAX, INT64_C(4102444800000), 7}, 1,
     {{65535, SCALED_I32, 255, 2, 0.01f, {INT32_MIN, INT32_MAX}, 0, {-2147483648.0, 2147483647}}},
     0, 0},
    {"before-1970", {GATEWAY, 0, 0, -1000, 0}, 1,
     {{1, FLOAT64, 0, 1, 0, {500}, 0, {0}}}, 0, 0},
    {"most-blocks", {"g", 1, 1, BASE_MS, 0}, 0, {{0}}, 255, 0},
    {"longest-of-a-module", {MODULE, 1, 2, BASE_MS, 0}, 0, {{0}}, 0, 223},
};

/* ================================ Bytes of a vector =================================== */

static void block_write(struct frame *f, const struct block *b)
{
    int32_t integers[VALUES_MAX];
    int16_t samples[VALUES_MAX];
    float floats[VALUES_MAX];
    for (size_t i = 0; i < b->n; i++) {
        integers[i] = b->encoding == SCALED_I32 ? (int32_t)b->value[i] : 0;
        samples[i] = b->encoding == WAVEFORM_I16 ? (int16_t)b->value[i] : 0;
        floats[i] = b->encoding == FLOAT32 ? (float)b->value[i] : 0;
    }
    frame_block(f, b->port, b->encoding, b->status, b->n);
    if (b->encoding == WAVEFORM_I16) {
        frame_waveform(f, b->time_ms[0], b->period_us, b->scale, samples, b->n);
        return;
    }
    if (b->encoding == SCALED_I32)
        frame_scale(f, b->scale);
    frame_offsets(f, b->time_ms, b->n);
    if (b->encoding == SCALED_I32)
        frame_i32(f, integers, b->n);
    else if (b->encoding == FLOAT32)
        frame_f32(f, floats, b->n);
    else
        frame_f64(f, b->value, b->n);
}

static struct block series_block(int i)
{
    return (struct block){(uint16_t)(i + 1), FLOAT32, 0, 1, 0, {i}, 0, {i / 2.0}};
}

static void vector_write(struct frame *f, const struct vector *v)
{
    int16_t samples[FRAME_MODULE_MAX];
    frame_begin(f, &v->header, v->ramp ? FRAME_MODULE_MAX : FRAME_MAX);
    for (size_t i = 0; i < v->blocks; i++)
        block_write(f, &v->block[i]);
    for (int i = 0; i < v->series; i++) {
        struct block b = series_block(i);
        block_write(f, &b);
    }
    for (int i = 0; i < v->ramp; i++)
        samples[i] = (int16_t)(i - v->ramp / 2);
    if (v->ramp) {
        frame_block(f, 10, WAVEFORM_I16, 0, (uint16_t)v->ramp);
        frame_waveform(f, 0, 20000, 0.01f, samples, (size_t)v->ramp);
    }
}

/* =============================== Meaning of a vector ================================== */

/* JSON has no NaN (here null: missing) and no infinity (here a string). */
static void json_number(FILE *out, double x)
{
    if (isnan(x))
        fputs("null", out);
    else if (isinf(x))
        fputs(x > 0 ? "\"Infinity\"" : "\"-Infinity\"", out);
    else
        fprintf(out, "%.17g", x);
}

static void block_open(FILE *out, int first, uint16_t port, int encoding, int status)
{
    fprintf(out, "%s    {\"port\": %d, \"encoding\": %d, \"status\": %d", first ? "\n" : ",\n", port,
            encoding, status);
}

static void block_json(FILE *out, int first, const struct block *b, int64_t base_ms)
{
    block_open(out, first, b->port, b->encoding, b->status);
    if (b->encoding == WAVEFORM_I16) {
        fprintf(out, ", \"start_ms\": %" PRId64 ", \"period_us\": %" PRIu32,
                base_ms + b->time_ms[0], b->period_us);
    } else {
        fputs(", \"times_ms\": [", out);
        for (size_t i = 0; i < b->n; i++)
            fprintf(out, "%s%" PRId64, i ? ", " : "", base_ms + b->time_ms[i]);
        fputs("]", out);
    }
    fputs(", \"values\": [", out);
    for (size_t i = 0; i < b->n; i++) {
        int scaled = b->encoding == SCALED_I32 || b->encoding == WAVEFORM_I16;
        fputs(i ? ", " : "", out);
        json_number(out, scaled                   ? scaled_value((int32_t)b->value[i], b->scale)
                         : b->encoding == FLOAT32 ? (double)(float)b->value[i]
                                                  : b->value[i]);
    }
    fputs("]}", out);
}

static void ramp_json(FILE *out, int n, int64_t base_ms)
{
    block_open(out, 1, 10, WAVEFORM_I16, 0);
    fprintf(out, ", \"start_ms\": %" PRId64 ", \"period_us\": 20000, \"values\": [", base_ms);
    for (int i = 0; i < n; i++)
        fprintf(out, "%s%.17g", i ? ", " : "", scaled_value(i - n / 2, 0.01f));
    fputs("]}", out);
}

static void vector_json(FILE *out, const struct vector *v)
{
    const struct frame_header *h = &v->header;
    fprintf(out, "{\n  \"device\": \"%s\",\n  \"boot\": %" PRIu32 ",\n  \"sequence\": %" PRIu32
            ",\n  \"time_base_ms\": %" PRId64 ",\n  \"flags\": %d,\n  \"blocks\": [",
            h->device, h->boot, h->sequence, h->time_base_ms, h->flags);
    for (size_t i = 0; i < v->blocks; i++)
        block_json(out, i == 0, &v->block[i], h->time_base_ms);
    for (int i = 0; i < v->series; i++) {
        struct block b = series_block(i);
        block_json(out, i == 0, &b, h->time_base_ms);
    }
    if (v->ramp)
        ramp_json(out, v->ramp, h->time_base_ms);
    fputs("\n  ]\n}\n", out);
}

/* ============================ Vectors that must be refused ============================ */

/* The vector "scaled" with one thing wrong: a byte set to another value, the length changed,
 * or both, and the checksum made good again unless it is the thing. */
struct wrong {
    const char *name, *refused;
    size_t at;
    int value; /* -1 = leave */
    int longer;
    int bad_checksum;
};

static const struct wrong REFUSED[] = {
    {"refused-magic", "magic", 0, 'X', 0, 0},
    {"refused-version", "version", 2, 2, 0, 0},
    {"refused-flag", "flags", 3, 0x08, 0, 0},
    {"refused-algorithm", "signature", 4, 9, 0, 0},
    {"refused-device-empty", "device_id", 6, 0, 0, 0},
    {"refused-device-long", "device_id", 6, 49, 0, 0},
    {"refused-device-slash", "device_id", 30, '/', 0, 0},
    {"refused-block-missing", "lengths", 7, 2, 0, 0},
    {"refused-encoding", "encoding", 46, 5, 0, 0},
    {"refused-count-zero", "lengths", 48, 0, 0, 0},
    {"refused-count-more", "lengths", 48, 5, 0, 0},
    {"refused-byte-more", "lengths", 0, -1, 1, 0},
    {"refused-byte-less", "lengths", 0, -1, -1, 0},
    {"refused-checksum", "checksum", 60, 0x55, 0, 1},
    {"refused-short", "short", 0, -1, -70, 1},
};

static void wrong_write(struct frame *f, const struct wrong *w)
{
    vector_write(f, &GOOD[0]);
    size_t sound = f->length;
    uint32_t crc = crc32c(f->bytes, sound);
    f->length = (size_t)((long)sound + w->longer);
    if (w->longer > 0)
        f->bytes[sound] = 0;
    if (w->value >= 0)
        f->bytes[w->at] = (uint8_t)w->value;
    if (!w->bad_checksum)
        crc = crc32c(f->bytes, f->length);
    for (int i = 0; i < 4; i++)
        f->bytes[f->length++] = (uint8_t)(crc >> (8 * i));
}

/* ======================================= Files ======================================== */

static FILE *file_open(const char *folder, const char *name, const char *ending)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    FILE *file = fopen(path, "w");
    if (!file)
        fprintf(stderr, "lifeline-device: %s: %s\n", path, strerror(errno));
    return file;
}

static int hex_write(const char *folder, const char *name, const struct frame *f)
{
    FILE *out = file_open(folder, name, "hex");
    if (!out)
        return -1;
    for (size_t i = 0; i < f->length; i++)
        fprintf(out, "%02x%s", f->bytes[i], i % 32 == 31 || i + 1 == f->length ? "\n" : "");
    return fclose(out);
}

int write_vectors(const char *folder)
{
    static struct frame f; /* 64 KiB, kept off the stack */
    int failed = 0;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        vector_write(&f, &GOOD[i]);
        FILE *json = frame_end(&f) ? NULL : file_open(folder, GOOD[i].name, "json");
        if (json)
            vector_json(json, &GOOD[i]);
        failed |= !json || fclose(json) || hex_write(folder, GOOD[i].name, &f);
    }
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        wrong_write(&f, &REFUSED[i]);
        FILE *json = file_open(folder, REFUSED[i].name, "json");
        if (json)
            fprintf(json, "{\n  \"refused\": \"%s\"\n}\n", REFUSED[i].refused);
        failed |= !json || fclose(json) || hex_write(folder, REFUSED[i].name, &f);
    }
    return failed;
}
