/* ======================================================================================
 * The compact frame, written byte by byte so that no compiler's padding or byte order
 * shows on the wire. FRAME.md is the contract.
 * ====================================================================================== */
#include "frame.h"

#include <math.h>
#include <string.h>

/* ================================ Bytes, little-endian ================================ */

static void put(struct frame *f, uint64_t value, size_t n)
{
    if (f->overflow || f->length + n > f->limit) {
        f->overflow = 1;
        return;
    }
    for (size_t i = 0; i < n; i++)
        f->bytes[f->length++] = (uint8_t)(value >> (8 * i));
}

static void put_f32(struct frame *f, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(f, bits, 4);
}

static void put_f64(struct frame *f, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(f, bits, 8);
}

/* ============================== CRC-32C, a bit at a time ============================== */

/* A device sends a frame a second: a table would cost more flash than it saves time. */
uint32_t crc32c(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
    }
    return crc ^ 0xFFFFFFFFu;
}

/* ================================= Header and blocks ================================== */

enum { BLOCKS_AT = 7, TRAILER = 4 };

void frame_begin(struct frame *f, const struct frame_header *h, size_t limit)
{
    size_t device_length = strlen(h->device);
    f->length = 0;
    f->limit = (limit < FRAME_MAX ? limit : FRAME_MAX) - TRAILER;
    f->overflow = device_length < 1 || device_length > DEVICE_ID_MAX;
    put(f, 'C', 1);
    put(f, 'L', 1);
    put(f, 1, 1); /* version */
    put(f, h->flags, 1);
    put(f, 0, 1); /* signature algorithm: none */
    put(f, 0, 1); /* signature length */
    put(f, device_length, 1);
    put(f, 0, 1); /* blocks, counted by frame_block */
    put(f, h->boot, 4);
    put(f, h->sequence, 4);
    put(f, (uint64_t)h->time_base_ms, 8);
    for (size_t i = 0; i < device_length; i++)
        put(f, (uint8_t)h->device[i], 1);
}

void frame_block(struct frame *f, uint16_t port, uint8_t encoding, uint8_t status, uint16_t count)
{
    if (f->bytes[BLOCKS_AT] == 255)
        f->overflow = 1;
    if (!f->overflow)
        f->bytes[BLOCKS_AT]++;
    put(f, port, 2);
    put(f, encoding, 1);
    put(f, status, 1);
    put(f, count, 2);
}

void frame_scale(struct frame *f, float scale)
{
    put_f32(f, scale);
}

void frame_offsets(struct frame *f, const int32_t *offset_ms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(f, (uint32_t)offset_ms[i], 4);
}

void frame_i32(struct frame *f, const int32_t *values, size_t n)
{
    frame_offsets(f, values, n);
}

void frame_f32(struct frame *f, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_f32(f, values[i]);
}

void frame_f64(struct frame *f, const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_f64(f, values[i]);
}

void frame_waveform(struct frame *f, int32_t start_ms, uint32_t period_us, float scale,
                    const int16_t *samples, size_t n)
{
    put(f, (uint32_t)start_ms, 4);
    put(f, period_us, 4);
    put_f32(f, scale);
    for (size_t i = 0; i < n; i++)
        put(f, (uint16_t)samples[i], 2);
}

/* ====================================== Trailer ======================================= */

int frame_end(struct frame *f)
{
    if (f->overflow)
        return -1;
    uint32_t crc = crc32c(f->bytes, f->length);
    f->limit += TRAILER;
    put(f, crc, 4);
    return 0;
}

/* What a receiver makes of a scaled integer: exact decimals where the scale is 1/whole. */
double scaled_value(int32_t i, float scale)
{
    double inverse = 1.0 / (double)scale, whole = nearbyint(inverse);
    if (inverse >= 1.0 && fabs(inverse - whole) <= 1e-6 * whole)
        return i / whole;
    return i * (double)scale;
}
