/* The parts of Envoy's interface that the module uses (source/extensions/dynamic_modules/abi of Envoy 1.40). */
#ifndef CAUSEWAY_ENVOY_H
#define CAUSEWAY_ENVOY_H

#include "linger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE "v0.2.0"
#define ENVOY(name) envoy_dynamic_module_callback_##name
#define BRIDGE(name) envoy_dynamic_module_on_upstream_http_tcp_bridge_##name
#define NETWORK(name) envoy_dynamic_module_on_network_filter_##name
#define HTTP(name) envoy_dynamic_module_on_http_filter_##name

/* What a filter answers: go on; stop; stop, keep what came, and hold back the sender when it is much. */
enum { CONTINUE = 0, STOP = 1, STOP_AND_HOLD = 2 };

/* Envoy's buffers, and what is handed to Envoy, have this same form. */
typedef struct {
  const char *at;
  size_t size;
} bytes;

#define TEXT(literal) ((bytes){literal, sizeof literal - 1})

static inline bool same(bytes left, bytes right) {
  return left.size == right.size && memcmp(left.at, right.at, left.size) == 0;
}

/* Without memory there is no honest way on; Envoy itself ends in the same case. */
static inline void *memory(size_t size) {
  void *found = malloc(size ? size : 1);
  if (!found) abort();
  return found;
}

static inline void *zeros(size_t size) { return memset(memory(size), 0, size); }

/* The pieces that a buffer of Envoy's is made of; on the stack as long as there are few. */
enum { FEW = 64 };
typedef struct {
  bytes few[FEW], *part;
  size_t count, size;
} pieces;

static inline void make_room(pieces *all, size_t count) {
  all->count = count;
  all->size = 0;
  all->part = count <= FEW ? all->few : memory(count * sizeof *all->part);
}

static inline void add_up(pieces *all) {
  for (size_t i = 0; i < all->count; i++) all->size += all->part[i].size;
}

static inline void give_back(pieces *all) {
  if (all->part != all->few) free(all->part);
}

static inline char *copy(char *to, const pieces *from) {
  for (size_t i = 0; i < from->count; i++) {
    memcpy(to, from->part[i].at, from->part[i].size);
    to += from->part[i].size;
  }
  return to;
}

static inline char *add(char *to, bytes from) {
  memcpy(to, from.at, from.size);
  return to + from.size;
}

/* A network filter of the module: `read` and `write` as Envoy asks them, of the object that `make` made. */
typedef struct {
  const char *name;
  size_t size; /* of its object, which begins as zeros */
  void (*begin)(void *filter, void *self);
  void (*end)(void *self); /* if there is more to give back than the object */
  int (*read)(void *filter, void *self, size_t size, bool end);
  int (*write)(void *filter, void *self, size_t size, bool end);
  void (*configure)(bytes text); /* if the configuration has a text for it */
} network_filter;

extern const network_filter CALLERS, END, FORWARD, FRONT, STREAMS;

/* The socket of a connection that begins now, for `ends_by`; -1 where it cannot be told (linger.c). */
int accepted(void *network_filter);

/* Says by what this socket is reset: RESET or DEATH_ONLY. */
void ends_by(int socket, int kind);

/* A connection that may be HTTP/2, and its streams (streams.c). The first filter of a flow calls `begin_flow` when it is
 * made, and with what that returned, unless it is NULL, `answer_ends_next` when nothing but the codec is before its
 * answer's end, and `end_flow` when it goes. */
typedef struct http2 http2;
http2 *new_http2(void);
void end_http2(http2 *);
void http2_read(http2 *, void *network_filter); /* NULL: of a connection that is none, whose flows have no stream */
void http2_written(http2 *, void *network_filter);
http2 *begin_flow(uint32_t *number);
void answer_ends_next(http2 *, uint32_t number);
void end_flow(http2 *, uint32_t number);

/* Requests of a plain connection over HTTP/1, whose hosts may have underscores (hosts.c). The first filter of a flow calls
 * `hosts_flow_begins` when it is made, and with what that returned, unless it is NULL, `hosts_flow_ends` when it goes. */
typedef struct hosts hosts;
hosts *new_hosts(void);
void end_hosts(hosts *);
int hosts_read(hosts *, void *network_filter, size_t size, bool end); /* NULL: of a connection that is none */
hosts *hosts_flow_begins(void);
void hosts_flow_ends(hosts *);

/* Whether the connection to the application, which has just ended, was reset. */
bool was_reset(void *http_filter);

extern size_t ENVOY(network_filter_get_read_buffer_chunks_size)(void *);
extern bool ENVOY(network_filter_get_read_buffer_chunks)(void *, bytes *);
extern size_t ENVOY(network_filter_get_write_buffer_chunks_size)(void *);
extern bool ENVOY(network_filter_get_write_buffer_chunks)(void *, bytes *);
extern bool ENVOY(network_filter_drain_read_buffer)(void *, size_t);
extern bool ENVOY(network_filter_drain_write_buffer)(void *, size_t);
extern bool ENVOY(network_filter_prepend_write_buffer)(void *, bytes);
extern void ENVOY(network_filter_inject_read_data)(void *, bytes, bool end);
extern void ENVOY(network_filter_inject_write_data)(void *, bytes, bool end);

#endif
