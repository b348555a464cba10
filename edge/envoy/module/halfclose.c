/* Ends CONNECT at a TCP connection byte for byte, whichever side ends first: a dynamic module of Envoy 1.40.
 *
 * What Envoy itself has for this (connect_config) resets the HTTP/2 stream when the application ends before the
 * client, and both ends of a tunnel drop what they still hold of a reset stream. The module has two parts, on both
 * sides of a connection inside Envoy:
 *
 *   connection manager -> [bridge] == internal connection == [end] -> tcp_proxy -> application
 *
 * "bridge" takes the place of connect_config (upstream_config of the cluster that leads to the internal listener);
 * "end" is a network filter before tcp_proxy. tcp_proxy hands on each side's end and each reset by itself, but Envoy
 * lets a bridge see an end of the application's only after the client has ended. So what comes from the application
 * is framed between the two:
 *
 *   bridge -> end    GREETING, then the client's bytes as they are; their end is the connection's half-close
 *   end -> bridge    GREETING once the application is connected, then frames: 4 bytes of length, so many bytes;
 *                    a length of 0 is the application's end
 *
 * tcp_proxy does not read before the application is connected, so the bridge's greeting is answered at that moment
 * and not before: only then the client gets its 200. A connection that goes away without the last frame was a
 * failure or a reset, and Envoy makes that a 503 or a reset of the client's stream.
 *
 * Each object belongs to one connection of one worker: there is no state that two threads share. After a call that
 * hands an end on, the object may be gone; such a call comes last in its function.
 */
#include "envoy.h"

extern void ENVOY(upstream_http_tcp_bridge_get_request_buffer)(void *, bytes *, size_t *);
extern size_t ENVOY(upstream_http_tcp_bridge_get_request_buffer_chunks_size)(void *);
extern void ENVOY(upstream_http_tcp_bridge_get_response_buffer)(void *, bytes *, size_t *);
extern size_t ENVOY(upstream_http_tcp_bridge_get_response_buffer_chunks_size)(void *);
extern void ENVOY(upstream_http_tcp_bridge_send_upstream_data)(void *, bytes, bool end);
extern void ENVOY(upstream_http_tcp_bridge_send_response_headers)(void *, uint32_t status, void *, size_t, bool end);
extern void ENVOY(upstream_http_tcp_bridge_send_response_data)(void *, bytes, bool end);

const char *envoy_dynamic_module_on_program_init(void) { return INTERFACE; }

static const bytes NOTHING = {"", 0};
static const bytes GREETING = {"\x01", 1};
enum { LENGTH = 4, HEAD = 5 };

/* A configuration has to be something; there is nothing to configure. */
static int configuration;

/* ---- 1. The bridge: between the client's stream and the internal connection */

typedef struct {
  bool answered;        /* the greeting came back, and the client has its 200 */
  bool ended;           /* the application's end was handed on */
  uint8_t head[LENGTH]; /* what has come of a frame's length */
  int known;
  uint32_t rest; /* what has not come yet of the frame */
  bool *is_gone; /* set when it goes, by whoever has to know */
} reader;

const void *BRIDGE(config_new)(void *config, bytes name, bytes text) {
  (void)config, (void)name, (void)text;
  return &configuration;
}
void BRIDGE(config_destroy)(const void *config) { (void)config; }
const void *BRIDGE(new)(const void *config, void *bridge) {
  (void)config, (void)bridge;
  return zeros(sizeof(reader));
}
void BRIDGE(destroy)(const void *of_bridge) {
  reader *self = (reader *)of_bridge;
  if (self->is_gone) *self->is_gone = true;
  free(self);
}

void BRIDGE(encode_headers)(void *bridge, const void *self, bool end) {
  (void)self;
  ENVOY(upstream_http_tcp_bridge_send_upstream_data)(bridge, GREETING, end);
}

void BRIDGE(encode_data)(void *bridge, const void *self, bool end) {
  (void)self;
  pieces all;
  make_room(&all, ENVOY(upstream_http_tcp_bridge_get_request_buffer_chunks_size)(bridge));
  if (all.count) ENVOY(upstream_http_tcp_bridge_get_request_buffer)(bridge, all.part, &all.count);
  add_up(&all);
  if (all.count == 1) {
    ENVOY(upstream_http_tcp_bridge_send_upstream_data)(bridge, all.part[0], end);
  } else if (all.count || end) {
    char *joined = memory(all.size);
    copy(joined, &all);
    ENVOY(upstream_http_tcp_bridge_send_upstream_data)(bridge, (bytes){joined, all.size}, end);
    free(joined);
  }
  give_back(&all);
}

void BRIDGE(encode_trailers)(void *bridge, const void *self) {
  (void)self;
  ENVOY(upstream_http_tcp_bridge_send_upstream_data)(bridge, NOTHING, true);
}

/* Takes frames off what has come. Returns the next bytes that were in one, and moves `from` behind them. */
static bytes unframe(reader *self, bytes *from) {
  while (from->size && !self->ended) {
    if (self->rest) {
      bytes found = {from->at, from->size < self->rest ? from->size : self->rest};
      self->rest -= (uint32_t)found.size;
      *from = (bytes){from->at + found.size, from->size - found.size};
      return found;
    }
    self->head[self->known++] = (uint8_t)*from->at;
    *from = (bytes){from->at + 1, from->size - 1};
    if (self->known == LENGTH) {
      memcpy(&self->rest, self->head, LENGTH);
      self->known = 0;
      self->ended = self->rest == 0;
    }
  }
  return NOTHING;
}

/* What is handed on may end the client's stream, and the bridge with it: `is_gone` tells. */
void BRIDGE(on_upstream_data)(void *bridge, const void *of_bridge, bool end) {
  (void)end; /* an end without its frame: the connection closes next, which Envoy makes a reset */
  reader *self = (reader *)of_bridge;
  bool is_gone = false;
  pieces all;
  if (self->ended) return;
  self->is_gone = &is_gone;
  make_room(&all, ENVOY(upstream_http_tcp_bridge_get_response_buffer_chunks_size)(bridge));
  if (all.count) ENVOY(upstream_http_tcp_bridge_get_response_buffer)(bridge, all.part, &all.count);
  for (size_t i = 0; i < all.count && !is_gone; i++) {
    bytes from = all.part[i], found;
    if (!self->answered && from.size) {
      self->answered = true;
      from = (bytes){from.at + GREETING.size, from.size - GREETING.size};
      ENVOY(upstream_http_tcp_bridge_send_response_headers)(bridge, 200, NULL, 0, false);
    }
    while (!is_gone && (found = unframe(self, &from)).size)
      ENVOY(upstream_http_tcp_bridge_send_response_data)(bridge, found, false);
  }
  give_back(&all);
  if (is_gone) return;
  self->is_gone = NULL;
  if (self->ended) ENVOY(upstream_http_tcp_bridge_send_response_data)(bridge, NOTHING, true);
}

/* ---- 2. The end: a network filter of the internal listener, before tcp_proxy */

typedef struct {
  bool heard;     /* the bridge's greeting was taken off */
  bool greeted;   /* and answered: the bridge knows that the application is connected */
  bool injecting; /* what is being written is a frame already */
} writer;

/* Past this filter, towards the bridge; its own call of `write` on the way must not frame it again. */
static void inject(void *filter, writer *self, bytes ready) {
  self->injecting = true;
  ENVOY(network_filter_inject_write_data)(filter, ready, false);
  self->injecting = false;
}

/* The bridge's greeting is read, and answered, once tcp_proxy has its connection to the application. */
static int end_read(void *filter, void *of_filter, size_t size, bool end) {
  writer *self = of_filter;
  if (self->heard || size < GREETING.size) return CONTINUE;
  self->heard = true;
  ENVOY(network_filter_drain_read_buffer)(filter, GREETING.size);
  if (!self->greeted) {
    self->greeted = true;
    inject(filter, self, GREETING);
  }
  return size == GREETING.size && !end ? STOP : CONTINUE;
}

/* What is written before the bytes of a frame of this length. */
static bytes frame_head(writer *self, char to[HEAD], size_t size) {
  char *at = to;
  uint32_t length = (uint32_t)size;
  if (!self->greeted) at = add(at, GREETING); /* an application that speaks first may be heard before the bridge */
  self->greeted = true;
  at = add(at, (bytes){(const char *)&length, LENGTH});
  return (bytes){to, (size_t)(at - to)};
}

/* What the application sends becomes a frame, its end the last frame; the connection's own end is not passed on. */
static int end_write(void *filter, void *of_filter, size_t size, bool end) {
  writer *self = of_filter;
  char head[HEAD];
  if (self->injecting || (size == 0 && !end)) return CONTINUE;
  if (size) ENVOY(network_filter_prepend_write_buffer)(filter, frame_head(self, head, size));
  if (!end) return CONTINUE;
  pieces all;
  make_room(&all, size ? ENVOY(network_filter_get_write_buffer_chunks_size)(filter) : 0);
  if (all.count) ENVOY(network_filter_get_write_buffer_chunks)(filter, all.part);
  add_up(&all);
  char *last = memory(all.size + HEAD), *to = copy(last, &all);
  to = add(to, frame_head(self, head, 0));
  ENVOY(network_filter_drain_write_buffer)(filter, all.size);
  give_back(&all);
  inject(filter, self, (bytes){last, (size_t)(to - last)});
  free(last);
  return STOP;
}

const network_filter END = {.name = "end", .size = sizeof(writer), .read = end_read, .write = end_write};
