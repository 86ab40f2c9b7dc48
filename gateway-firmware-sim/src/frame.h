/* The compact frame of FRAME.md: building one, nothing else. */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 65535, FRAME_MODULE_MAX = 512, DEVICE_ID_MAX = 48 };
enum { FLAG_SIMULATION = 1, FLAG_CLOCK_UNSET = 2, FLAG_FORWARDED = 4 };
enum { SCALED_I32 = 1, FLOAT32 = 2, FLOAT64 = 3, WAVEFORM_I16 = 4 };
enum { STATUS_GOOD = 0, STATUS_FAULT = 1, STATUS_WARMING = 2, STATUS_CALIBRATION = 3 };

/* A frame being built. `overflow` is set instead of writing past `limit`, and then stays set. */
struct frame {
    uint8_t bytes[FRAME_MAX];
    size_t length;
    size_t limit;
    int overflow;
};

struct frame_header {
    const char *device;
    uint32_t boot, sequence;
    int64_t time_base_ms;
    uint8_t flags;
};

void frame_begin(struct frame *f, const struct frame_header *h, size_t limit);
void frame_block(struct frame *f, uint16_t port, uint8_t encoding, uint8_t status, uint16_t count);
void frame_scale(struct frame *f, float scale);
void frame_offsets(struct frame *f, const int32_t *offset_ms, size_t n);
void frame_i32(struct frame *f, const int32_t *values, size_t n);
void frame_f32(struct frame *f, const float *values, size_t n);
void frame_f64(struct frame *f, const double *values, size_t n);
void frame_waveform(struct frame *f, int32_t start_ms, uint32_t period_us, float scale,
                    const int16_t *samples, size_t n);
int frame_end(struct frame *f); /* writes the checksum; 0, or -1 when it did not fit */

double scaled_value(int32_t i, float scale);
uint32_t crc32c(const uint8_t *bytes, size_t n);

#endif
