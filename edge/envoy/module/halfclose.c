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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- The parts of Envoy's interface that are used (source/extensions/dynamic_modules/abi of Envoy 1.40) */

#define INTERFACE "v0.2.0"
enum { CONTINUE = 0, STOP = 1 };

/* Envoy's buffers, and what is handed to Envoy, have this same form. */
typedef struct {
  const char *at;
  size_t size;
} bytes;

#define ENVOY(name) envoy_dynamic_module_callback_##name
#define BRIDGE(name) envoy_dynamic_module_on_upstream_http_tcp_bridge_##name
#define FILTER(name) envoy_dynamic_module_on_network_filter_##name

extern void ENVOY(upstream_http_tcp_bridge_get_request_buffer)(void *, bytes *, size_t *);
extern size_t ENVOY(upstream_http_tcp_bridge_get_request_buffer_chunks_size)(void *);
extern void ENVOY(upstream_http_tcp_bridge_get_response_buffer)(void *, bytes *, size_t *);
extern size_t ENVOY(upstream_http_tcp_bridge_get_response_buffer_chunks_size)(void *);
extern void ENVOY(upstream_http_tcp_bridge_send_upstream_data)(void *, bytes, bool end);
extern void ENVOY(upstream_http_tcp_bridge_send_response_headers)(void *, uint32_t status, void *, size_t, bool end);
extern void ENVOY(upstream_http_tcp_bridge_send_response_data)(void *, bytes, bool end);
extern size_t ENVOY(network_filter_get_write_buffer_chunks_size)(void *);
extern bool ENVOY(network_filter_get_write_buffer_chunks)(void *, bytes *);
extern bool ENVOY(network_filter_drain_write_buffer)(void *, size_t);
extern bool ENVOY(network_filter_drain_read_buffer)(void *, size_t);
extern void ENVOY(network_filter_inject_write_data)(void *, bytes, bool end);

const char *envoy_dynamic_module_on_program_init(void) { return INTERFACE; }

static const bytes NOTHING = {"", 0};
static const bytes GREETING = {"\x01", 1};
enum { LENGTH = 4 };

/* A configuration has to be something; there is nothing to configure. */
static int configuration;

/* Without memory there is no honest way on; Envoy itself ends in the same case. */
static void *memory(size_t size) {
  void *found = malloc(size ? size : 1);
  if (!found) abort();
  return found;
}

/* The pieces that a buffer of Envoy's is made of; on the stack as long as there are few. */
enum { FEW = 64 };
typedef struct {
  bytes few[FEW], *part;
  size_t count, size;
} pieces;

static void make_room(pieces *all, size_t count) {
  all->count = count;
  all->size = 0;
  all->part = count <= FEW ? all->few : memory(count * sizeof *all->part);
}

static void add_up(pieces *all) {
  for (size_t i = 0; i < all->count; i++) all->size += all->part[i].size;
}

static void give_back(pieces *all) {
  if (all->part != all->few) free(all->part);
}

static char *copy(char *to, const pieces *from) {
  for (size_t i = 0; i < from->count; i++) {
    memcpy(to, from->part[i].at, from->part[i].size);
    to += from->part[i].size;
  }
  return to;
}

/* ---- 1. The bridge: between the client's stream and the internal connection */

typedef struct {
  bool answered;        /* the greeting came back, and the client has its 200 */
  bool ended;           /* the application's end was handed on */
  uint8_t head[LENGTH]; /* what has come of a frame's length */
  int known;
  uint32_t rest; /* what has not come yet of the frame */
} reader;

const void *BRIDGE(config_new)(void *config, bytes name, bytes text) {
  (void)config, (void)name, (void)text;
  return &configuration;
}
void BRIDGE(config_destroy)(const void *config) { (void)config; }
const void *BRIDGE(new)(const void *config, void *bridge) {
  (void)config, (void)bridge;
  return memset(memory(sizeof(reader)), 0, sizeof(reader));
}
void BRIDGE(destroy)(const void *self) { free((void *)self); }

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

/* Takes the frames off; what was in them is written to `to`. Returns where the next byte belongs. */
static char *unframe(reader *self, bytes from, char *to) {
  const char *at = from.at, *stop = from.at + from.size;
  while (at < stop && !self->ended) {
    if (self->rest) {
      size_t here = (size_t)(stop - at) < self->rest ? (size_t)(stop - at) : self->rest;
      memcpy(to, at, here);
      to += here;
      at += here;
      self->rest -= (uint32_t)here;
      continue;
    }
    self->head[self->known++] = (uint8_t)*at++;
    if (self->known == LENGTH) {
      memcpy(&self->rest, self->head, LENGTH);
      self->known = 0;
      self->ended = self->rest == 0;
    }
  }
  return to;
}

void BRIDGE(on_upstream_data)(void *bridge, const void *of_bridge, bool end) {
  (void)end; /* an end without its frame: the connection closes next, which Envoy makes a reset */
  reader *self = (reader *)of_bridge;
  pieces all;
  if (self->ended) return;
  make_room(&all, ENVOY(upstream_http_tcp_bridge_get_response_buffer_chunks_size)(bridge));
  if (all.count) ENVOY(upstream_http_tcp_bridge_get_response_buffer)(bridge, all.part, &all.count);
  add_up(&all);
  char *plain = memory(all.size), *to = plain;
  bool answers = false;
  for (size_t i = 0; i < all.count; i++) {
    bytes piece = all.part[i];
    if (!self->answered && piece.size) {
      answers = self->answered = true;
      piece.at += GREETING.size;
      piece.size -= GREETING.size;
    }
    to = unframe(self, piece, to);
  }
  give_back(&all);
  bytes found = {plain, (size_t)(to - plain)};
  bool ended = self->ended;
  /* The client's 200 does not end a stream, but it may lead to its end: `self` is not looked at again. */
  if (answers) ENVOY(upstream_http_tcp_bridge_send_response_headers)(bridge, 200, NULL, 0, false);
  if (found.size || ended) ENVOY(upstream_http_tcp_bridge_send_response_data)(bridge, found, ended);
  free(plain);
}

/* ---- 2. The end: a network filter of the internal listener, before tcp_proxy */

typedef struct {
  bool heard;     /* the bridge's greeting was taken off */
  bool greeted;   /* and answered: the bridge knows that the application is connected */
  bool injecting; /* what is being written is a frame already */
} writer;

const void *FILTER(config_new)(void *config, bytes name, bytes text) {
  (void)config, (void)name, (void)text;
  return &configuration;
}
void FILTER(config_destroy)(const void *config) { (void)config; }
const void *FILTER(new)(const void *config, void *filter) {
  (void)config, (void)filter;
  return memset(memory(sizeof(writer)), 0, sizeof(writer));
}
void FILTER(destroy)(const void *self) { free((void *)self); }
int FILTER(new_connection)(void *filter, const void *self) {
  (void)filter, (void)self;
  return CONTINUE;
}

/* Past this filter, towards the bridge; its own call of `write` on the way must not frame it again. */
static void inject(void *filter, writer *self, bytes ready) {
  self->injecting = true;
  ENVOY(network_filter_inject_write_data)(filter, ready, false);
  self->injecting = false;
}

/* The bridge's greeting is read, and answered, once tcp_proxy has its connection to the application. */
int FILTER(read)(void *filter, const void *of_filter, size_t size, bool end) {
  writer *self = (writer *)of_filter;
  if (self->heard || size < GREETING.size) return CONTINUE;
  self->heard = true;
  ENVOY(network_filter_drain_read_buffer)(filter, GREETING.size);
  if (!self->greeted) {
    self->greeted = true;
    inject(filter, self, GREETING);
  }
  return size == GREETING.size && !end ? STOP : CONTINUE;
}

/* What the application sends becomes a frame, its end the last frame; the connection's own end is not passed on. */
int FILTER(write)(void *filter, const void *of_filter, size_t size, bool end) {
  writer *self = (writer *)of_filter;
  if (self->injecting || (size == 0 && !end)) return CONTINUE;
  pieces all;
  make_room(&all, size ? ENVOY(network_filter_get_write_buffer_chunks_size)(filter) : 0);
  if (all.count) ENVOY(network_filter_get_write_buffer_chunks)(filter, all.part);
  char *frame = memory(GREETING.size + LENGTH + size + LENGTH), *to = frame;
  if (!self->greeted) {
    /* An application that speaks first may be heard before the bridge's greeting is read. */
    self->greeted = true;
    memcpy(to, GREETING.at, GREETING.size);
    to += GREETING.size;
  }
  if (size) {
    uint32_t length = (uint32_t)size;
    memcpy(to, &length, LENGTH);
    to = copy(to + LENGTH, &all);
    ENVOY(network_filter_drain_write_buffer)(filter, size);
  }
  if (end) {
    memset(to, 0, LENGTH);
    to += LENGTH;
  }
  give_back(&all);
  inject(filter, self, (bytes){frame, (size_t)(to - frame)});
  free(frame);
  return STOP;
}

/* What Envoy asks of every network filter, and nothing comes of here. */
void FILTER(event)(void *filter, const void *self, int event) { (void)filter, (void)self, (void)event; }
void FILTER(scheduled)(void *filter, const void *self, uint64_t event) { (void)filter, (void)self, (void)event; }
void FILTER(above_write_buffer_high_watermark)(void *filter, const void *self) { (void)filter, (void)self; }
void FILTER(below_write_buffer_low_watermark)(void *filter, const void *self) { (void)filter, (void)self; }
void FILTER(http_callout_done)(void *filter, const void *self, uint64_t callout, int result, void *headers,
                               size_t header_count, void *body, size_t chunks) {
  (void)filter, (void)self, (void)callout, (void)result, (void)headers, (void)header_count, (void)body, (void)chunks;
}
