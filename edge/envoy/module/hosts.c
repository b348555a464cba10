/* Lets a plain request over HTTP/1 name a host with an underscore, which Envoy's reader of addresses refuses.
 *
 *   GET http://my_host.corp.example/ HTTP/1.1   becomes   GET http://my.-.host.corp.example/ HTTP/1.1
 *
 * and "connect" (requests.c) writes the host as it was before anything else looks at it. A label that is a hyphen alone
 * is in no host name, so that what is written so stands for an underscore and nothing else.
 *
 * To know where the next request of a connection begins, its bodies are followed. Where a head says of its body what
 * Envoy may read in another way, and behind what is no request of HTTP/1, the connection is left alone to its end. A
 * head is handed on as it comes, but for the authority, of which nothing is handed on before all has come.
 */
#include <strings.h>

#include "envoy.h"

extern int ENVOY(network_filter_read_disable)(void *, bool);

enum { LONGEST_AUTHORITY = 4096, LONGEST_LINE = 64 };

struct hosts {
  enum { BEGIN, METHOD, SCHEME, AUTHORITY, FIRST_LINE, HEADER, BODY, SIZE, EXTENSION, CHUNK, AFTER_CHUNK, TRAILER,
         ALONE } at;
  char line[LONGEST_LINE]; /* the begin of the method, or of a line of the head */
  size_t length;           /* of the whole line */
  size_t known;            /* of the scheme: how much of it was there */
  bool is_odd, is_chunked, has_length;
  size_t rest;  /* of a body, or of a chunk */
  size_t flows; /* that have not ended: one at most, as long as the client's requests are handed on one by one */
  size_t users; /* the connection and its flows */
  void *held;   /* the network filter of a connection that reads no further before its flow has ended */
};

/* The connection that hands on what it reads: whose flow it is that begins now. */
static _Thread_local hosts *handing;

static void leave(hosts *self) {
  if (--self->users == 0) free(self);
}

hosts *new_hosts(void) {
  hosts *self = zeros(sizeof(hosts));
  self->users = 1;
  return self;
}

void end_hosts(hosts *self) {
  if (handing == self) handing = NULL;
  self->held = NULL;
  leave(self);
}

hosts *hosts_flow_begins(void) {
  if (handing) handing->flows++, handing->users++;
  return handing;
}

void hosts_flow_ends(hosts *self) {
  void *held = --self->flows ? NULL : self->held;
  if (held) {
    self->held = NULL;
    ENVOY(network_filter_read_disable)(held, false);
  }
  leave(self);
}

static void keep(hosts *self, char next) {
  if (self->length < LONGEST_LINE - 1) self->line[self->length] = next, self->line[self->length + 1] = 0;
  self->length++;
}

static bool begins_with(const hosts *self, bytes name) { return strncasecmp(self->line, name.at, name.size) == 0; }

static int digit(char next, int base) {
  if (next >= '0' && next <= '9') return next - '0';
  next |= 0x20;
  return base == 16 && next >= 'a' && next <= 'f' ? next - 'a' + 10 : -1;
}

/* Takes a digit of a length in; false when there is none, or too many. */
static bool count(hosts *self, char next, int base) {
  int value = digit(next, base);
  if (value < 0 || self->rest > SIZE_MAX / 32) return false;
  self->rest = self->rest * (size_t)base + (size_t)value;
  return true;
}

static const char *value(const hosts *self, size_t name) {
  const char *at = self->line + name;
  while (*at == ' ' || *at == '\t') at++;
  return at;
}

static void header_ends(hosts *self) {
  const bytes coding = TEXT("transfer-encoding:"), size = TEXT("content-length:"), upgrade = TEXT("upgrade:");
  if (self->line[0] == ' ' || self->line[0] == '\t' || begins_with(self, upgrade)) self->is_odd = true;
  if (begins_with(self, coding)) {
    self->is_odd |= self->is_chunked || strcasecmp(value(self, coding.size), "chunked") != 0;
    self->is_chunked = true;
  } else if (begins_with(self, size)) {
    self->is_odd |= self->has_length || self->length >= LONGEST_LINE;
    self->has_length = true;
    const char *at = value(self, size.size);
    if (!*at) self->is_odd = true;
    for (; *at; at++)
      if (!count(self, *at, 10)) self->is_odd = true;
  }
}

static void head_ends(hosts *self) {
  if (self->is_odd || (self->is_chunked && self->has_length)) self->at = ALONE;
  else if (self->is_chunked) self->at = SIZE;
  else self->at = self->rest ? BODY : BEGIN;
}

/* Takes a line of a head or of trailers in, byte for byte. */
static void in_line(hosts *self, char next) {
  if (next == '\r') return;
  if (next != '\n') {
    keep(self, next);
    return;
  }
  bool is_empty = self->length == 0;
  if (self->at == TRAILER) {
    if (is_empty) self->at = BEGIN;
  } else if (is_empty) {
    head_ends(self);
  } else {
    header_ends(self);
  }
  self->length = 0, self->line[0] = 0;
}

static void begin_request(hosts *self) {
  const hosts fresh = {.at = METHOD, .flows = self->flows, .users = self->users};
  *self = fresh;
}

static void in_method(hosts *self, char next) {
  if (next != ' ') {
    keep(self, next);
    if (next == '\n') self->at = ALONE;
    return;
  }
  bool is_alone = strcmp(self->line, "CONNECT") == 0 || strcmp(self->line, "PRI") == 0;
  self->at = is_alone ? ALONE : SCHEME;
  self->length = 0, self->line[0] = 0;
}

static void in_first_line(hosts *self, char next) {
  if (next == '\n') self->at = HEADER;
}

static void in_scheme(hosts *self, char next) {
  const bytes scheme = TEXT("http://");
  char small = next >= 'A' && next <= 'Z' ? (char)(next | 0x20) : next;
  if (small != scheme.at[self->known]) {
    self->at = FIRST_LINE;
    in_first_line(self, next);
  } else if (++self->known == scheme.size) {
    self->at = AUTHORITY;
  }
}

static void in_chunks(hosts *self, char next) {
  if (self->at == SIZE && count(self, next, 16)) return;
  if (self->at == SIZE && next != '\n') self->at = EXTENSION;
  if (next != '\n') return;
  if (self->at == AFTER_CHUNK) self->at = SIZE;
  else if (self->rest) self->at = CHUNK;
  else self->at = TRAILER, self->length = 0, self->line[0] = 0;
}

static bool is_end_of_authority(char next) {
  return next == '/' || next == '?' || next == '#' || next == ' ' || next == '\r' || next == '\n';
}

/* Writes an authority so that Envoy reads it. What stands before an @ is no host. */
static char *escaped(char *to, bytes from) {
  size_t host = from.size;
  while (host && from.at[host - 1] != '@') host--;
  for (size_t i = 0; i < from.size; i++) {
    if (i >= host && from.at[i] == '_') to = add(to, TEXT(".-."));
    else *to++ = from.at[i];
  }
  return to;
}

/* Hands an authority on if all of it is there. Returns where it ends, or NULL. */
static const char *in_authority(hosts *self, const char *at, const char *stop, char **to) {
  const char *end = at;
  while (end < stop && !is_end_of_authority(*end)) end++;
  if (end == stop && stop - at < LONGEST_AUTHORITY) return NULL;
  *to = escaped(*to, (bytes){at, (size_t)(end - at)});
  self->at = FIRST_LINE;
  return end;
}

/* Follows what lies between `at` and `stop`, up to the end of a request, and writes to `to` what Envoy gets of it.
 * Returns what is left. */
static const char *follow(hosts *self, const char *at, const char *stop, char **to) {
  bool has_ended = false;
  while (at < stop && !has_ended) {
    if (self->at == AUTHORITY) {
      const char *end = in_authority(self, at, stop, to);
      if (!end) return at;
      at = end;
      continue;
    }
    size_t here = self->at == ALONE ? (size_t)(stop - at) : 1;
    bool is_inside = self->at == BODY || self->at == CHUNK, was_begin = self->at == BEGIN;
    if (is_inside) here = (size_t)(stop - at) < self->rest ? (size_t)(stop - at) : self->rest;
    char next = *at;
    *to = add(*to, (bytes){at, here});
    at += here;
    if (was_begin && next != '\r' && next != '\n') begin_request(self);
    if (self->at == METHOD) in_method(self, next);
    else if (self->at == SCHEME) in_scheme(self, next);
    else if (self->at == FIRST_LINE) in_first_line(self, next);
    else if (self->at == HEADER || self->at == TRAILER) in_line(self, next);
    else if (self->at == SIZE || self->at == EXTENSION || self->at == AFTER_CHUNK) in_chunks(self, next);
    else if (is_inside && !(self->rest -= here)) self->at = self->at == BODY ? BEGIN : AFTER_CHUNK;
    has_ended = self->at == BEGIN && !was_begin;
  }
  return at;
}

/* Leaves the next request in Envoy's buffer until the flow of the one before has ended. */
static int hold(hosts *self, void *filter) {
  if (!self->held) ENVOY(network_filter_read_disable)(filter, true);
  self->held = filter;
  return STOP;
}

/* Hands one request on after the other. */
static int hand_on(hosts *self, void *filter, const char *whole, size_t size, char *made) {
  const char *at = whole, *stop = whole + size;
  while (at < stop) {
    char *to = made;
    const char *next = follow(self, at, stop, &to);
    size_t taken = (size_t)(next - at), written = (size_t)(to - made);
    if (taken == size && written == size && memcmp(whole, made, size) == 0) return CONTINUE;
    ENVOY(network_filter_drain_read_buffer)(filter, taken);
    if (written) ENVOY(network_filter_inject_read_data)(filter, (bytes){made, written}, false);
    at = next;
    if (self->at != BEGIN) break;
    if (at < stop && self->flows) return hold(self, filter);
  }
  return STOP;
}

int hosts_read(hosts *self, void *filter, size_t size, bool end) {
  handing = self;
  if (!self || self->at == ALONE || !size) return CONTINUE;
  if (self->at == BEGIN && self->flows) return hold(self, filter);
  if (end && self->at == AUTHORITY) self->at = ALONE; /* no more comes: Envoy says what is missing */
  if ((self->at == BODY || self->at == CHUNK) && size < self->rest) {
    self->rest -= size;
    return CONTINUE;
  }
  pieces all;
  make_room(&all, ENVOY(network_filter_get_read_buffer_chunks_size)(filter));
  if (all.count) ENVOY(network_filter_get_read_buffer_chunks)(filter, all.part);
  char *whole = memory(size), *made = memory(size * 3);
  copy(whole, &all);
  give_back(&all);
  int answer = hand_on(self, filter, whole, size, made);
  free(whole), free(made);
  return answer;
}
