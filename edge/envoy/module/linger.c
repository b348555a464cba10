/* Lets a connection end by a reset unless its end was handed on.
 *
 * A connection that the configuration gives SO_LINGER of 0 s (edge.envoy.halfclose.resets_unless_ended) is reset by
 * whatever closes it: Envoy, which closes a forward as if all had come when the way to its gateway broke; or the system,
 * when Envoy died. With `shutdown` of this library, loaded before the system's, the option is taken back as soon as an
 * end is handed on: Envoy calls it when all that it had of the other side is with the system, which still delivers it.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int shutdown(int number, int how) {
  const struct linger none = {.l_onoff = 0, .l_linger = 0};
  if (how != SHUT_RD) setsockopt(number, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  return (int)syscall(SYS_shutdown, number, how);
}
