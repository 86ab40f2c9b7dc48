/* Store and forward: messages that wait for their acknowledgement, in memory and in a file. */
#ifndef STORE_H
#define STORE_H

#include <stddef.h>
#include <stdint.h>

enum { RING_MAX = 4096 };

/* A message waiting for its acknowledgement. It keeps its boot and sequence for ever: sent again
 * after a restart it is the same message, and the receiver knows it. */
struct message {
    uint8_t *bytes;
    size_t length;
    uint32_t boot, sequence;
    uint16_t id;   /* MQTT packet id or CoAP message id; 0 = not sent since power came */
    int unsettled; /* sent on the connection of now, waiting for the answer */
};

/* The oldest is dropped, and counted, when there is no room. */
struct ring {
    struct message slot[RING_MAX];
    size_t first, count, capacity;
};

struct store {
    const char *path; /* NULL: nothing on disk */
    int fd;
    size_t size, useless; /* bytes in the file, and those of them that no longer matter */
    long torn, damaged;   /* found when it was opened: an unfinished end, bytes that are no entry */
    long dropped;         /* the file held more than the ring has room for */
};

struct message *ring_at(struct ring *r, size_t i);
int ring_add(struct ring *r, const uint8_t *bytes, size_t n, uint32_t boot, uint32_t sequence);
void ring_drop_first(struct ring *r);
void ring_settle(struct ring *r, size_t i);
void ring_free(struct ring *r);

int store_open(struct store *s, const char *path, struct ring *r, char *error, size_t room);
int store_keep(struct store *s, const struct message *m);   /* 0 once it is on disk */
int store_settle(struct store *s, const struct message *m); /* before it leaves the ring */
int store_tidy(struct store *s, struct ring *r);
void store_close(struct store *s);
int store_print(const char *path);

#endif
