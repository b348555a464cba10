/* Tells an answer that its application broke off from one that it ended by closing.
 *
 * An HTTP/1 answer without a length and without chunks ends with its connection, and Envoy takes any end of that for
 * the answer's, a reset too. So the connections to applications read and write by this transport socket, which notes a
 * reset, as Envoy's own does not; and the HTTP filter "answer" (requests.c) asks here when an answer ends. Between the
 * two nothing else is read: Envoy ends the answer as soon as the socket has said that the connection is gone.
 */
#include <stdio.h>

#include "envoy.h"

#define SOCKET(name) envoy_dynamic_module_on_transport_socket_##name

extern int ENVOY(transport_socket_io_read_to_read_buffer)(void *, size_t most, size_t *count);
extern int ENVOY(transport_socket_io_write_from_write_buffer)(void *, size_t *count);
extern size_t ENVOY(transport_socket_write_buffer_length)(void *);
extern void ENVOY(transport_socket_io_shutdown_write)(void *);
extern bool ENVOY(transport_socket_should_drain_read_buffer)(void *);
extern void ENVOY(transport_socket_set_is_readable)(void *);
extern void ENVOY(transport_socket_raise_event)(void *, int event);
extern bool ENVOY(transport_socket_get_remote_address)(void *, bytes *address, uint32_t *port);
extern bool ENVOY(http_filter_get_attribute_string)(void *, int attribute, bytes *value);

enum { DONE = 0, AGAIN = 1 };                /* of reading and writing */
enum { KEEP_OPEN = 0, CLOSE = 1 };           /* what follows it */
enum { CONNECTED = 2, MOST = 131072 };       /* an event; bytes of one read */
enum { UPSTREAM_ADDRESS = 41 };
typedef struct {
  int action;
  uint64_t count;
  bool end;
} result;
typedef struct {
  bool ended;
} socket_;

/* The application's address, as long as nothing was read from another connection since one to it was found reset; on
 * this thread. */
static _Thread_local char reset[64];

bool was_reset(void *filter) {
  bytes address = {NULL, 0};
  bool found = *reset && ENVOY(http_filter_get_attribute_string)(filter, UPSTREAM_ADDRESS, &address) &&
               same(address, (bytes){reset, strlen(reset)});
  if (found) *reset = 0;
  return found;
}

static void note_reset(void *envoy) {
  bytes address = {NULL, 0};
  uint32_t port = 0;
  if (!ENVOY(transport_socket_get_remote_address)(envoy, &address, &port)) return;
  const char *form = memchr(address.at, ':', address.size) ? "[%.*s]:%u" : "%.*s:%u";
  snprintf(reset, sizeof reset, form, (int)address.size, address.at, port);
}

const void *SOCKET(factory_config_new)(void *config, bytes name, bytes text, bool upstream) {
  (void)config, (void)name, (void)text, (void)upstream;
  return reset;
}
void SOCKET(factory_config_destroy)(const void *config) { (void)config; }

const void *SOCKET(new)(const void *config, void *envoy) {
  (void)config, (void)envoy;
  return zeros(sizeof(socket_));
}
void SOCKET(destroy)(const void *self) { free((void *)self); }

void SOCKET(on_connected)(void *envoy, const void *self) {
  (void)self;
  ENVOY(transport_socket_raise_event)(envoy, CONNECTED);
}

result SOCKET(do_read)(void *envoy, const void *self) {
  (void)self;
  result all = {KEEP_OPEN, 0, false};
  *reset = 0;
  for (;;) {
    size_t count = 0;
    int did = ENVOY(transport_socket_io_read_to_read_buffer)(envoy, MOST, &count);
    if (did == AGAIN) return all;
    if (did != DONE) {
      note_reset(envoy);
      all.action = CLOSE;
      return all;
    }
    if (!count) {
      all.end = true;
      return all;
    }
    all.count += count;
    if (ENVOY(transport_socket_should_drain_read_buffer)(envoy)) {
      ENVOY(transport_socket_set_is_readable)(envoy);
      return all;
    }
  }
}

result SOCKET(do_write)(void *envoy, const void *of_socket, bool end) {
  socket_ *self = (socket_ *)of_socket;
  result all = {KEEP_OPEN, 0, false};
  while (ENVOY(transport_socket_write_buffer_length)(envoy)) {
    size_t count = 0;
    int did = ENVOY(transport_socket_io_write_from_write_buffer)(envoy, &count);
    if (did != DONE) {
      if (did != AGAIN) all.action = CLOSE;
      return all;
    }
    all.count += count;
  }
  if (end && !self->ended) {
    self->ended = true;
    ENVOY(transport_socket_io_shutdown_write)(envoy);
  }
  return all;
}

bool SOCKET(can_flush_close)(void *envoy, const void *self) {
  (void)envoy, (void)self;
  return true;
}

/* ---- What Envoy asks of every transport socket, and nothing comes of here */

void SOCKET(set_callbacks)(void *envoy, const void *self) { (void)envoy, (void)self; }
void SOCKET(close)(void *envoy, const void *self, int event, bool reset_at_once) {
  (void)envoy, (void)self, (void)event, (void)reset_at_once;
}
void SOCKET(get_protocol)(void *envoy, const void *self, bytes *to) { (void)envoy, (void)self, (void)to; }
void SOCKET(get_failure_reason)(void *envoy, const void *self, bytes *to) { (void)envoy, (void)self, (void)to; }
bool SOCKET(start_secure_transport)(void *envoy, const void *self) {
  (void)envoy, (void)self;
  return false;
}
