/* What ends before its flows resets them: which sockets a dying Envoy resets, and which an Envoy that lives.
 *
 * The system would end the connections of a dead Envoy as if all had come, and so does an Envoy that is told to end. A
 * socket with SO_LINGER of 0 s is reset by whatever closes it. There are two kinds, by the `l_onoff` of the option:
 *
 *   RESET       by whatever closes it: its flow has not ended
 *   DEATH_ONLY  by the end of Envoy; an Envoy that lives closes such sockets at a good end, without a word or by
 *               `shutdown`, and then the option is taken back
 *
 * An Envoy that is told to end hands on ends that nobody sent, and TLS's last word; neither gets out by these sockets.
 *
 * The module learns from `causeway_last_accepted` the socket of a connection that has just begun (network.c).
 */
#define _GNU_SOURCE
#include "linger.h"
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SOCKETS = 1 << 20 };

static unsigned char kinds[SOCKETS]; /* by number */
static __thread int last_accepted = -1;
static volatile sig_atomic_t is_ending;
static void (*on_sigterm)(int);

static int set(int number, int level, int name, const void *value, socklen_t size) {
  return (int)syscall(SYS_setsockopt, number, level, name, value, size);
}

PRELOADED int setsockopt(int number, int level, int name, const void *value, socklen_t size) {
  int done = set(number, level, name, value, size);
  if (level == SOL_SOCKET && name == SO_LINGER && done == 0 && number < SOCKETS)
    kinds[number] = (unsigned char)((const struct linger *)value)->l_onoff;
  return done;
}

static int kind_of(int number) { return number >= 0 && number < SOCKETS ? kinds[number] : 0; }

static void take_back(int number) {
  const struct linger none = {.l_onoff = 0, .l_linger = 0};
  kinds[number] = 0;
  set(number, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void before_close(int number) {
  if (kind_of(number) == DEATH_ONLY && !is_ending) take_back(number);
  if (kind_of(number)) kinds[number] = 0; /* the number's next socket is another */
}

PRELOADED int shutdown(int number, int how) {
  if (kind_of(number) && how != SHUT_RD) {
    if (is_ending) return 0;
    take_back(number);
  }
  return (int)syscall(SYS_shutdown, number, how);
}

PRELOADED ssize_t writev(int number, const struct iovec *parts, int count) {
  if (is_ending && kind_of(number)) {
    errno = EPIPE;
    return -1;
  }
  return (ssize_t)syscall(SYS_writev, number, parts, count);
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
