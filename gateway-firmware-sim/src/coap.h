/* One confirmable POST at a time (RFC 7252, NSTART = 1), for the module and for the modem. */
#ifndef COAP_H
#define COAP_H

#include "device.h"

enum { COAP_TOKEN = 4, COAP_DATAGRAM_MAX = FRAME_MODULE_MAX + 96, COAP_ANSWER_MAX = 512 };
enum outcome { NOTHING, DELIVERED, REFUSED, FAILED };

struct exchange {
    int fd, open, acked; /* acked: the empty ACK is here, the answer will come on its own */
    uint16_t id;
    uint8_t token[COAP_TOKEN];
    uint8_t datagram[COAP_DATAGRAM_MAX];
    size_t length;
    int retransmits;
    long wait_ms;
    int64_t due_ms;   /* when to send again or to give up */
    char why[ERROR_MAX]; /* of REFUSED and FAILED */
    uint8_t answer[COAP_ANSWER_MAX]; /* what came with the answer, cut to this */
    size_t answer_length;
};

void coap_begin(struct device *d, struct exchange *x); /* ids that the server does not remember */
void coap_post(struct device *d, struct exchange *x, const uint8_t *payload, size_t n);
enum outcome coap_turn(struct device *d, struct exchange *x); /* sends again what is due */
enum outcome coap_receive(struct device *d, struct exchange *x);

#endif
