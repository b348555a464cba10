/* Keeps the number of a closed file taken until its thread's event loop has come round.
 *
 * When a tunnel's connection ends, Envoy closes the socket first and forgets what it watched there only at the end of
 * the loop's pass (`UpstreamReverseConnectionIOHandle::close`, Envoy 1.40). A connection that is accepted or dialled
 * in between gets the same number; libevent believes that the number is watched already, and nothing that arrives on
 * the new connection is ever read. With `close` and `epoll_wait` of this library, loaded before the system's, a number
 * stands for /dev/null until the pass is over; the socket itself is closed at once.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 4096 }; /* of one pass: what libevent takes from the system at a time */

static int nothing = -1; /* /dev/null */
static __thread struct {
  int numbers[MOST];
  unsigned count;
  int has_loop;
} waiting;

__attribute__((constructor)) static void begin(void) { nothing = open("/dev/null", O_RDWR | O_CLOEXEC); }

static int give_back(int number) { return (int)syscall(SYS_close, number); }

PRELOADED int close(int number) {
  before_close(number);
  int keeps = waiting.has_loop && waiting.count < MOST && nothing >= 0 && number != nothing;
  if (!keeps || fcntl(number, F_GETFD) < 0) return give_back(number);
  if (dup3(nothing, number, O_CLOEXEC) < 0) return give_back(number);
  waiting.numbers[waiting.count++] = number;
  return 0;
}

PRELOADED int epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds) {
  int error = errno;
  while (waiting.count) give_back(waiting.numbers[--waiting.count]);
  waiting.has_loop = 1;
  errno = error;
  return (int)syscall(SYS_epoll_pwait, epoll, events, most, milliseconds, NULL, (size_t)8);
}
