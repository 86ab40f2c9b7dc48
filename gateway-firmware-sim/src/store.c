/* ======================================================================================
 * The store-and-forward ring, and its file. The file is a log of entries, each with its own
 * CRC: "kept" with the message, "settled" with its number. A power cut leaves an unfinished
 * entry at the end at most, which is found and cut off; an entry spoilt in the middle is
 * skipped and the rest is read. What is settled is swept out by writing the log anew.
 * ====================================================================================== */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

/* ======================================== Ring ======================================== */

struct message *ring_at(struct ring *r, size_t i)
{
    return &r->slot[(r->first + i) % r->capacity];
}

void ring_drop_first(struct ring *r)
{
    free(ring_at(r, 0)->bytes);
    ring_at(r, 0)->bytes = NULL;
    r->first = (r->first + 1) % r->capacity;
    r->count--;
}

/* Take message i out; those before it move up by one, so that the order stays. */
void ring_settle(struct ring *r, size_t i)
{
    struct message gone = *ring_at(r, i);
    for (; i > 0; i--)
        *ring_at(r, i) = *ring_at(r, i - 1);
    *ring_at(r, 0) = gone;
    ring_drop_first(r);
}

void ring_free(struct ring *r)
{
    while (r->count)
        ring_drop_first(r);
}

/* The caller has made room. 0, or -1 without memory. */
int ring_add(struct ring *r, const uint8_t *bytes, size_t n, uint32_t boot, uint32_t sequence)
{
    uint8_t *own = malloc(n);
    if (!own)
        return -1;
    memcpy(own, bytes, n);
    *ring_at(r, r->count++) =
        (struct message){.bytes = own, .length = n, .boot = boot, .sequence = sequence};
    return 0;
}

/* ======================================= Entries ====================================== */

/* "CLR" kind | boot u32 | sequence u32 | length u16 | bytes | CRC-32C of all before it */
enum { HEAD = 14, TAIL = 4, ENTRY_MAX = HEAD + FRAME_MAX + TAIL, SWEEP_AT = 65536 };
enum { KEPT = 'K', SETTLED = 'S' };

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static size_t entry_write(uint8_t *at, uint8_t kind, const struct message *m)
{
    size_t n = kind == KEPT ? m->length : 0;
    memcpy(at, "CLR", 3);
    at[3] = kind;
    put_u32(at + 4, m->boot);
    put_u32(at + 8, m->sequence);
    at[12] = (uint8_t)n;
    at[13] = (uint8_t)(n >> 8);
    if (n)
        memcpy(at + HEAD, m->bytes, n);
    put_u32(at + HEAD + n, crc32c(at, HEAD + n));
    return HEAD + n + TAIL;
}

/* The size of a sound entry at `at`, 0 where there is none. */
static size_t entry_sound(const uint8_t *at, size_t room)
{
    if (room < HEAD + TAIL || memcmp(at, "CLR", 3) || (at[3] != KEPT && at[3] != SETTLED))
        return 0;
    size_t n = (size_t)at[12] | (size_t)at[13] << 8;
    if (room < HEAD + n + TAIL || get_u32(at + HEAD + n) != crc32c(at, HEAD + n))
        return 0;
    return HEAD + n + TAIL;
}

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

static int append(struct store *s, uint8_t kind, const struct message *m)
{
    static uint8_t entry[ENTRY_MAX]; /* one thread */
    size_t n = entry_write(entry, kind, m);
    if (write_all(s->fd, entry, n))
        return -1; /* half an entry may stand there now: the next reading skips it */
    s->size += n;
    return 0;
}

/* ======================================= Reading ====================================== */

static void entry_take(struct store *s, struct ring *r, const uint8_t *at, size_t n)
{
    uint32_t boot = get_u32(at + 4), sequence = get_u32(at + 8);
    for (size_t i = 0; i < r->count; i++)
        if (ring_at(r, i)->boot == boot && ring_at(r, i)->sequence == sequence) {
            if (at[3] == SETTLED)
                ring_settle(r, i);
            return; /* kept twice: a sweep was cut off */
        }
    if (at[3] == SETTLED)
        return;
    if (r->count == r->capacity) {
        ring_drop_first(r);
        s->dropped++;
    }
    if (ring_add(r, at + HEAD, n - HEAD - TAIL, boot, sequence))
        abort(); /* a device without memory at power-up cannot know what it holds */
}

static void entries_read(struct store *s, struct ring *r, const uint8_t *bytes, size_t size)
{
    size_t at = 0, gap = 0;
    while (at < size) {
        size_t n = entry_sound(bytes + at, size - at);
        if (!n) {
            at++;
            gap++;
            continue;
        }
        s->damaged += gap > 0;
        gap = 0;
        entry_take(s, r, bytes + at, n);
        at += n;
    }
    s->torn += gap > 0;
}

static uint8_t *file_read(const char *path, size_t *size)
{
    *size = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return errno == ENOENT ? calloc(1, 1) : NULL;
    uint8_t *bytes = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        bytes = end < 0 ? NULL : malloc((size_t)end + 1);
        if (bytes)
            *size = fread(bytes, 1, (size_t)end, file);
    }
    if (bytes && ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

/* ======================================= Writing ====================================== */

/* A rename is durable once its folder is. */
static int folder_sync(const char *path)
{
    char copy[512];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return -1;
    int fd = open(dirname(copy), O_RDONLY);
    int failed = fd < 0 || fsync(fd);
    if (fd >= 0)
        close(fd);
    return failed ? -1 : 0;
}

/* Write what waits into a new log and put it in the old one's place. */
static int sweep(struct store *s, struct ring *r)
{
    char aside[512];
    if (snprintf(aside, sizeof aside, "%s.new", s->path) >= (int)sizeof aside)
        return -1;
    struct store new = {.path = s->path, .torn = s->torn, .damaged = s->damaged,
                        .dropped = s->dropped};
    new.fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    int failed = new.fd < 0;
    for (size_t i = 0; i < r->count && !failed; i++)
        failed = append(&new, KEPT, ring_at(r, i));
    if (failed || fsync(new.fd) || rename(aside, s->path) || folder_sync(s->path)) {
        if (new.fd >= 0)
            close(new.fd);
        return -1;
    }
    if (s->fd >= 0)
        close(s->fd);
    *s = new;
    return 0;
}

int store_open(struct store *s, const char *path, struct ring *r, char *error, size_t room)
{
    *s = (struct store){.path = path, .fd = -1};
    size_t size;
    uint8_t *bytes = file_read(path, &size);
    if (bytes)
        entries_read(s, r, bytes, size);
    int failed = !bytes || sweep(s, r);
    free(bytes);
    if (failed)
        snprintf(error, room, "%s: cannot keep the ring: %s; give a file in a folder that can be "
                              "written", path, strerror(errno));
    return failed ? -1 : 0;
}

int store_keep(struct store *s, const struct message *m)
{
    if (!s->path)
        return 0;
    return append(s, KEPT, m) || fdatasync(s->fd) ? -1 : 0;
}

/* Not synced: a settlement that a power cut loses means one repeat, which the receiver knows. */
int store_settle(struct store *s, const struct message *m)
{
    if (!s->path)
        return 0;
    s->useless += HEAD + m->length + TAIL + HEAD + TAIL;
    return append(s, SETTLED, m);
}

int store_tidy(struct store *s, struct ring *r)
{
    if (!s->path || s->useless < SWEEP_AT || s->useless * 2 < s->size)
        return 0;
    return sweep(s, r);
}

void store_close(struct store *s)
{
    if (s->path && s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* What a ring's file holds, as JSON; the file stays as it is. */
int store_print(const char *path)
{
    static struct ring r;
    struct store s = {.path = path, .fd = -1};
    size_t size;
    r.capacity = RING_MAX;
    if (access(path, R_OK)) {
        fprintf(stderr, "lifeline-device: %s: %s; name the file of --ring-file\n", path, strerror(errno));
        return -1;
    }
    uint8_t *bytes = file_read(path, &size);
    if (!bytes) {
        fprintf(stderr, "lifeline-device: %s: %s\n", path, strerror(errno));
        return -1;
    }
    entries_read(&s, &r, bytes, size);
    free(bytes);
    printf("{\"torn\":%ld,\"damaged\":%ld,\"waiting\":[", s.torn, s.damaged);
    for (size_t i = 0; i < r.count; i++)
        printf("%s[%" PRIu32 ",%" PRIu32 "]", i ? "," : "", ring_at(&r, i)->boot, ring_at(&r, i)->sequence);
    printf("]}\n");
    ring_free(&r);
    return 0;
}
