/* ======================================================================================
 * Opening a TCP or UDP socket by name, IPv4 or IPv6, within two seconds.
 * ====================================================================================== */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 2000 };

static int connect_within(int fd, const struct addrinfo *a)
{
    int why = 0;
    socklen_t size = sizeof why;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    if (poll(&wait, 1, CONNECT_TIMEOUT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) ? errno : why;
}

int wire_open(struct device *d, int socket_type)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = socket_type}, *found;
    int answer = getaddrinfo(d->options.host, d->options.port, &hints, &found);
    if (answer) {
        device_trouble(d, d->options.host, gai_strerror(answer));
        return -1;
    }
    int fd = -1, why = EADDRNOTAVAIL;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK))
            why = errno;
        else if ((why = connect_within(fd, a)) == 0)
            break;
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd < 0)
        device_trouble(d, "cannot connect", strerror(why));
    return fd;
}
