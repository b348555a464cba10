/* What ends when Envoy dies ends by a reset, and which socket a connection has.
 *
 * The system would end the connections of a dead Envoy as if all had come, and so does an Envoy that is told to end. A
 * socket with SO_LINGER of 0 s is reset by whatever closes it; Envoy, though, closes sockets without a word at a good
 * end, too. So the option is set with an `l_onoff` of DEATH_ONLY (edge.envoy.halfclose.dialled), and taken back when an
 * end is handed on (`shutdown`), and by `close` (numbers.c) as long as Envoy is to live. An Envoy that means a reset sets
 * 1 before, and that stays.
 *
 * The module learns from `causeway_last_accepted` the socket of a connection that has just begun (network.c).
 */
#define _GNU_SOURCE
#include "preload.h"

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEATH_ONLY = 2, SOCKETS = 1 << 20 };

static unsigned char death_only[SOCKETS]; /* by number */
static __thread int last_accepted = -1;
static volatile sig_atomic_t is_ending;
static void (*on_sigterm)(int);

static int set(int number, int level, int name, const void *value, socklen_t size) {
  return (int)syscall(SYS_setsockopt, number, level, name, value, size);
}

PRELOADED int setsockopt(int number, int level, int name, const void *value, socklen_t size) {
  int done = set(number, level, name, value, size);
  if (level == SOL_SOCKET && name == SO_LINGER && done == 0 && number < SOCKETS)
    death_only[number] = ((const struct linger *)value)->l_onoff == DEATH_ONLY;
  return done;
}

static void take_back(int number) {
  const struct linger none = {.l_onoff = 0, .l_linger = 0};
  if (number < 0 || number >= SOCKETS || !death_only[number]) return;
  death_only[number] = 0;
  set(number, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void before_close(int number) {
  if (!is_ending) take_back(number);
}

PRELOADED int shutdown(int number, int how) {
  if (how != SHUT_RD) take_back(number);
  return (int)syscall(SYS_shutdown, number, how);
}

static void ends(int signal) {
  is_ending = 1;
  on_sigterm(signal);
}

PRELOADED int sigaction(int signal, const struct sigaction *wanted, struct sigaction *before) {
  int (*next)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
  struct sigaction ours;
  if (signal == SIGTERM && wanted && !(wanted->sa_flags & SA_SIGINFO) && wanted->sa_handler != SIG_DFL &&
      wanted->sa_handler != SIG_IGN) {
    ours = *wanted;
    on_sigterm = wanted->sa_handler;
    ours.sa_handler = ends;
    wanted = &ours;
  }
  return next(signal, wanted, before);
}

PRELOADED int accept4(int listener, struct sockaddr *from, socklen_t *size, int flags) {
  return last_accepted = (int)syscall(SYS_accept4, listener, from, size, flags);
}

PRELOADED int causeway_last_accepted(void) { return last_accepted; }
