/* What ends when Envoy dies ends by a reset, and which socket a connection has.
 *
 * The system would end the connections of a dead Envoy as if all had come. A socket with SO_LINGER of 0 s is reset by
 * whatever closes it; Envoy, though, closes sockets without a word at a good end, too. So the option is set with an
 * `l_onoff` of DEATH_ONLY (edge.envoy.halfclose.dialled), and `close` (numbers.c) takes it back. An Envoy that means a
 * reset sets 1 before, and that stays.
 *
 * The module learns from `causeway_last_accepted` the socket of a connection that has just begun (network.c).
 */
#define _GNU_SOURCE
#include "preload.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEATH_ONLY = 2, SOCKETS = 1 << 20 };

static unsigned char death_only[SOCKETS]; /* by number */
static __thread int last_accepted = -1;

static int set(int number, int level, int name, const void *value, socklen_t size) {
  return (int)syscall(SYS_setsockopt, number, level, name, value, size);
}

PRELOADED int setsockopt(int number, int level, int name, const void *value, socklen_t size) {
  int done = set(number, level, name, value, size);
  if (level == SOL_SOCKET && name == SO_LINGER && done == 0 && number < SOCKETS)
    death_only[number] = ((const struct linger *)value)->l_onoff == DEATH_ONLY;
  return done;
}

void before_close(int number) {
  const struct linger none = {.l_onoff = 0, .l_linger = 0};
  if (number < 0 || number >= SOCKETS || !death_only[number]) return;
  death_only[number] = 0;
  set(number, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

PRELOADED int accept4(int listener, struct sockaddr *from, socklen_t *size, int flags) {
  return last_accepted = (int)syscall(SYS_accept4, listener, from, size, flags);
}

PRELOADED int causeway_last_accepted(void) { return last_accepted; }
