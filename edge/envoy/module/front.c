/* Lets each side of an HTTP/1 CONNECT end alone, which Envoy's connection manager does not.
 *
 *   client -> TLS -> [front] -> connection manager with the HTTP filter "connect" (requests.c)
 *
 * Over HTTP/1 the end of a CONNECT's bytes is the end of the connection, and to Envoy that is the client's death: it
 * resets the flow, and what is under way is lost. So the connection manager is given the same flow in the one form in
 * which HTTP/1 has an end of its own, a request and an answer in chunks:
 *
 *   CONNECT host:port HTTP/1.1        becomes   POST / HTTP/1.1, host: host:port, x-causeway-connect: 1, chunked
 *   the client's bytes, its end       become    chunks, the last chunk
 *   HTTP/1.1 200, chunks, the last    become    HTTP/1.1 200, the application's bytes, its end
 *
 * "connect" turns the request back into a CONNECT before anything else looks at it. Any other answer than 200, and a
 * connection that does not begin with CONNECT, pass as they are, but for underscores in hosts (hosts.c). A head is handed on as it comes, so that Envoy's own
 * limits of time and size hold for it.
 */
#include <stdio.h>
#include <strings.h>

#include "envoy.h"

extern void ENVOY(network_filter_enable_half_close)(void *, bool);
extern void ENVOY(network_filter_close)(void *, int how);
enum { WHEN_WRITTEN = 0 };

/* What tells that a line is replaced, and what the head and a chunk get in addition, at most. */
enum { LONGEST_NAME = 20, LONGEST_ADDITION = 128, LONGEST_SIZE = 24 };

typedef struct {
  /* Of a CONNECT's head: its method, its target, the rest of that line, the begin of a line, the rest of it */
  enum { METHOD, TARGET, VERSION, LINE, REST, TUNNEL, PLAIN } request;
  bool left_out; /* of the head: this line */
  enum { ANSWER, BODY, REFUSED } answer;
  enum { SIZE, EXTENSION, DATA, AFTER_DATA, TRAILER_BEGIN, TRAILER } at;
  size_t rest;          /* of a chunk: its size as far as it was read, then what has not come yet */
  bool client_ended;    /* the last chunk was handed on */
  bool answer_ended;    /* the application's end was handed on */
  bool injecting;       /* what is being written was taken out of its chunks already */
  int socket;           /* the client's */
  http2 *plain;         /* of a connection that is handed on as it is */
  hosts *hosts;         /* of the same */
} front;

static const bytes LAST_CHUNK = TEXT("0\r\n\r\n");

static void begin(void *filter, void *self) {
  ((front *)self)->socket = accepted(filter);
  ENVOY(network_filter_enable_half_close)(filter, true);
}

/* All that lies in a buffer, in one piece and with a 0 behind it. */
static char *taken(void *filter, size_t size, bool reading) {
  pieces all;
  make_room(&all, reading ? ENVOY(network_filter_get_read_buffer_chunks_size)(filter)
                          : ENVOY(network_filter_get_write_buffer_chunks_size)(filter));
  if (all.count && reading) ENVOY(network_filter_get_read_buffer_chunks)(filter, all.part);
  if (all.count && !reading) ENVOY(network_filter_get_write_buffer_chunks)(filter, all.part);
  char *whole = memory(size + 1);
  *copy(whole, &all) = 0;
  give_back(&all);
  return whole;
}

/* ---- The client's side */

/* Returns where the line that begins here ends, behind its line feed; NULL if that has not come. */
static const char *next_line(const char *at, const char *stop) {
  const char *feed = memchr(at, '\n', (size_t)(stop - at));
  return feed ? feed + 1 : NULL;
}

static bool is_empty(const char *line, const char *next) {
  return next - line == 1 || (next - line == 2 && *line == '\r');
}

/* Returns where the head ends, behind its empty line; NULL if that has not come. */
static const char *end_of_head(const char *at, const char *stop) {
  for (const char *next; (next = next_line(at, stop)); at = next)
    if (is_empty(at, next)) return next;
  return NULL;
}

static bool named(const char *line, bytes name) { return strncasecmp(line, name.at, name.size) == 0; }

/* What says how long a request is, or whose it is, is said anew. */
static bool is_replaced(const char *line) {
  const bytes names[] = {TEXT("host:"),    TEXT("transfer-encoding:"), TEXT("content-length:"),
                         TEXT("expect:"),  TEXT("connection:"),        TEXT("upgrade:"),
                         TEXT("trailer:"), TEXT("x-causeway-connect:")};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (named(line, names[i])) return true;
  return false;
}

static char *add_chunk(char *to, bytes data) {
  if (!data.size) return to;
  to += sprintf(to, "%zx\r\n", data.size);
  return add(add(to, data), TEXT("\r\n"));
}

/* Writes what the connection manager gets of the head, as far as that can be told. Returns where it ends; `from` is
 * moved to what is left: the begin of a line, or what comes behind the head. */
static char *add_head(front *self, char *to, const char **from, const char *stop) {
  while (*from < stop && self->request != TUNNEL) {
    const char *at = *from, *next = next_line(at, stop);
    if (self->request == TARGET) {
      if (*at == ' ' || *at == '\r' || *at == '\n') {
        to = add(to, TEXT("\r\nx-causeway-connect: 1\r\ntransfer-encoding: chunked\r\n"));
        self->request = VERSION;
        self->left_out = true; /* what goes on this line */
      } else {
        *to++ = *at;
        *from = at + 1;
      }
    } else if (self->request == LINE) {
      if (!next && stop - at < LONGEST_NAME) break;
      if (next && is_empty(at, next)) {
        to = add(to, TEXT("\r\n"));
        *from = next;
        self->request = TUNNEL;
      } else {
        if (*at != ' ' && *at != '\t') self->left_out = is_replaced(at);
        self->request = REST;
      }
    } else {
      const char *till = next ? next : stop;
      if (self->request == REST && !self->left_out) to = add(to, (bytes){at, (size_t)(till - at)});
      *from = till;
      if (next) self->request = LINE;
    }
  }
  return to;
}

/* Hands the connection to Envoy as it is, with the end that Envoy knows. An answer may have no other end than the
 * connection's; that of an Envoy that ends is none. */
static int leave(void *filter, front *self, size_t size, bool end) {
  self->request = PLAIN;
  self->plain = new_http2();
  self->hosts = new_hosts();
  http2_read(self->plain, filter);
  ends_by(self->socket, DEATH_ONLY);
  ENVOY(network_filter_enable_half_close)(filter, false);
  if (!end) return hosts_read(self->hosts, filter, size, end);
  ENVOY(network_filter_close)(filter, WHEN_WRITTEN);
  return STOP;
}

static int front_read(void *filter, void *of_filter, size_t size, bool end) {
  front *self = of_filter;
  http2_read(self->plain, filter);
  if (self->request == PLAIN) return hosts_read(self->hosts, filter, size, end);
  hosts_read(NULL, filter, size, end);
  char *all = taken(filter, size, true), *made = memory(size + LONGEST_ADDITION + LONGEST_SIZE + LAST_CHUNK.size);
  char *to = made;
  const char *stop = all + size, *from = all;
  if (self->request == METHOD) {
    const bytes method = TEXT("CONNECT ");
    while (from < stop && (*from == '\r' || *from == '\n')) from++; /* as Envoy does */
    size_t here = (size_t)(stop - from), known = here < method.size ? here : method.size;
    if (memcmp(from, method.at, known) != 0 || (end && known < method.size)) {
      free(made), free(all);
      return leave(filter, self, size, end);
    }
    if (known == method.size) {
      from += known;
      to = add(to, TEXT("POST / HTTP/1.1\r\nhost: "));
      self->request = TARGET;
    }
  }
  if (self->request != METHOD && self->request != TUNNEL) to = add_head(self, to, &from, stop);
  if (self->request == TUNNEL) {
    to = add_chunk(to, (bytes){from, (size_t)(stop - from)});
    from = stop;
    if (end && !self->client_ended) {
      self->client_ended = true;
      to = add(to, LAST_CHUNK);
    }
  }
  ENVOY(network_filter_drain_read_buffer)(filter, (size_t)(from - all));
  free(all);
  bool broken = end && self->request != TUNNEL;
  if (to > made) ENVOY(network_filter_inject_read_data)(filter, (bytes){made, (size_t)(to - made)}, false);
  free(made);
  if (broken) ENVOY(network_filter_close)(filter, WHEN_WRITTEN);
  return STOP;
}

/* ---- The application's side */

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  digit |= 0x20;
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Takes the chunks off; what was in them is written to `to`. Returns where the next byte belongs. */
static char *out_of_chunks(front *self, const char *at, const char *stop, char *to) {
  while (at < stop && !self->answer_ended) {
    if (self->at == DATA) {
      size_t here = (size_t)(stop - at) < self->rest ? (size_t)(stop - at) : self->rest;
      to = add(to, (bytes){at, here});
      at += here;
      self->rest -= here;
      if (!self->rest) self->at = AFTER_DATA;
      continue;
    }
    char next = *at++;
    if (self->at == SIZE && hex(next) >= 0) self->rest = self->rest * 16 + (size_t)hex(next);
    else if (self->at == SIZE && next != '\n') self->at = EXTENSION;
    else if (self->at == TRAILER_BEGIN && next != '\r' && next != '\n') self->at = TRAILER;
    else if (next == '\n') {
      if (self->at == TRAILER_BEGIN) self->answer_ended = true;
      else if (self->at == TRAILER) self->at = TRAILER_BEGIN;
      else if (self->at == AFTER_DATA) self->at = SIZE;
      else self->at = self->rest ? DATA : TRAILER_BEGIN;
    }
  }
  return to;
}

static int front_write(void *filter, void *of_filter, size_t size, bool end) {
  (void)end;
  front *self = of_filter;
  if (self->request == PLAIN) http2_written(self->plain, filter);
  if (self->injecting || !size || self->request != TUNNEL || self->answer == REFUSED) return CONTINUE;
  char *all = taken(filter, size, false), *made = memory(size), *to = made;
  const char *at = all, *stop = all + size;
  if (self->answer == ANSWER) {
    /* Envoy writes a head at once. */
    const char *after = end_of_head(all, stop);
    if (!after || size < 12 || memcmp(all, "HTTP/1.1 200", 12) != 0) {
      if (size < 12 || memcmp(all, "HTTP/1.1 1", 10) != 0) self->answer = REFUSED;
      free(all), free(made);
      return CONTINUE;
    }
    for (const char *next; at < after; at = next) {
      next = next_line(at, after);
      if (!named(at, TEXT("transfer-encoding:"))) to = add(to, (bytes){at, (size_t)(next - at)});
    }
    self->answer = BODY;
    ends_by(self->socket, RESET);
  }
  bool had_ended = self->answer_ended;
  to = out_of_chunks(self, at, stop, to);
  bool ends = self->answer_ended && !had_ended;
  if (ends) ends_by(self->socket, DEATH_ONLY);
  ENVOY(network_filter_drain_write_buffer)(filter, size);
  free(all);
  self->injecting = true;
  if (to > made || ends) ENVOY(network_filter_inject_write_data)(filter, (bytes){made, (size_t)(to - made)}, ends);
  self->injecting = false;
  free(made);
  return STOP;
}

static void end_front(void *self) {
  if (((front *)self)->plain) end_http2(((front *)self)->plain);
  if (((front *)self)->hosts) end_hosts(((front *)self)->hosts);
}

const network_filter FRONT = {.name = "front",
                              .size = sizeof(front),
                              .begin = begin,
                              .end = end_front,
                              .read = front_read,
                              .write = front_write};
