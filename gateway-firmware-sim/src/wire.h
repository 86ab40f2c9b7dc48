/* Sockets: connecting with a time limit. */
#ifndef WIRE_H
#define WIRE_H

#include "device.h"

int wire_open(struct device *d, int socket_type); /* a non-blocking socket, or -1 */

#endif
