/* Ends a forward's connection by a reset unless the application's end was handed on.
 *
 *   client -> [forward] -> tcp_proxy -> HTTP/2
 *
 * When the connection to its gateway breaks, Envoy's tcp_proxy ends the client's as if all had come.
 */
#include "envoy.h"

typedef struct {
  int socket;
} forward;

static void begin(void *filter, void *self) {
  ((forward *)self)->socket = accepted(filter);
  ends_by(((forward *)self)->socket, RESET);
}

static int pass(void *filter, void *self, size_t size, bool end) {
  (void)filter, (void)self, (void)size, (void)end;
  return CONTINUE;
}

static int forward_write(void *filter, void *self, size_t size, bool end) {
  (void)filter, (void)size;
  if (end) ends_by(((forward *)self)->socket, DEATH_ONLY);
  return CONTINUE;
}

const network_filter FORWARD = {
    .name = "forward", .size = sizeof(forward), .begin = begin, .read = pass, .write = forward_write};
