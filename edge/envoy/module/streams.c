/* Takes streams out of Envoy's HTTP/2 codec that ended on both sides, where the codec would keep them.
 *
 *   TLS -> [front] or [streams] -> connection manager, whose first filter of the module has the stream
 *
 * As a server, the codec (oghttp2, Envoy 1.40) lets go of a stream when it writes a frame of it after both sides have
 * ended. A stream whose answer ended first has no such frame, and 4 kB of it stay until the connection ends, which may
 * be weeks. So the codec is given a RST_STREAM(NO_ERROR) as if the client had sent it, once Envoy itself has done with
 * the flow. It has no other effect then, and nothing of it gets onto the wire.
 *
 * What is written is looked at only while an answer's end is under way: the flow's first filter has seen it pass, and its
 * frame has not been written. The codec hands over whole frames, so that the look may begin with any of them.
 *
 * Which stream a flow has, Envoy does not tell. It makes a flow's filters when the stream's HEADERS have come whole, and
 * a network filter sees those just before, in the same order. Where a read brings more of new streams than of filters, some
 * were refused, and of that read none is known.
 *
 * Each object belongs to one connection of one worker: there is no state that two threads share.
 */
#include "envoy.h"

extern bool ENVOY(network_filter_append_read_buffer)(void *, bytes);

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, CONTINUATION = 9, END_STREAM = 1, END_HEADERS = 4, TYPE = 3, FLAGS = 4 };
enum { HEAD = 9, RST_SIZE = HEAD + 4, MANY = 64 };
static const bytes PREFACE = TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

typedef struct {
  uint32_t number;
  enum { OPEN, REQUEST_ENDED, ANSWER_ENDED, STAYS, GONE } state;
  bool is_done;   /* by Envoy: nothing of the flow is left but the codec's part */
  bool is_ending; /* its answer's end is under way */
} stream;

/* One direction of the connection, as far as it was read. */
typedef struct {
  uint8_t head[HEAD];
  size_t known, rest; /* of a frame's head; of what comes behind it */
  bool in_headers;    /* between HEADERS and their last CONTINUATION no other frame may come */
  uint8_t first;      /* the flags of those HEADERS */
} reader;

struct http2 {
  size_t users; /* the network filter and the flows */
  bool is_other;
  size_t preface;
  reader in;
  size_t ending; /* how many streams are */
  stream *all; /* by number, in ascending order */
  size_t count, room, gone;
  size_t batch, next; /* of `all`: the first of those that the last read began, the first that no filter took */
  uint32_t last, *ready; /* those that the codec may let go of */
  size_t ready_count, ready_room;
};

static __thread http2 *reading;

http2 *new_http2(void) {
  http2 *self = zeros(sizeof *self);
  self->users = 1;
  return self;
}

static void leave(http2 *self) {
  if (--self->users) return;
  free(self->all), free(self->ready), free(self);
}

void end_http2(http2 *self) {
  if (reading == self) reading = NULL;
  leave(self);
}

static void *with_room(void *all, size_t count, size_t *room, size_t size) {
  if (count < *room) return all;
  *room = *room ? *room * 2 : MANY;
  all = realloc(all, *room * size);
  if (!all) abort();
  return all;
}

static stream *find(const http2 *self, uint32_t number) {
  size_t from = 0, to = self->count;
  while (from < to) {
    size_t middle = from + (to - from) / 2;
    if (self->all[middle].number < number) from = middle + 1;
    else to = middle;
  }
  bool is_it = from < self->count && self->all[from].number == number && self->all[from].state != GONE;
  return is_it ? &self->all[from] : NULL;
}

static void is_ending(http2 *self, stream *which, bool now) {
  if (which->is_ending == now) return;
  which->is_ending = now;
  if (now) self->ending++;
  else self->ending--;
}

static void goes(http2 *self, stream *which) {
  is_ending(self, which, false);
  which->state = GONE;
  self->gone++;
}

static void look_at(http2 *self, const stream *which) {
  if (which->state != STAYS || !which->is_done) return;
  self->ready = with_room(self->ready, self->ready_count, &self->ready_room, sizeof *self->ready);
  self->ready[self->ready_count++] = which->number;
}

/* ---- The flows */

http2 *begin_flow(uint32_t *number) {
  http2 *self = reading;
  if (!self || self->next == self->count) return NULL;
  *number = self->all[self->next++].number;
  self->users++;
  return self;
}

void answer_ends_next(http2 *self, uint32_t number) {
  stream *found = find(self, number);
  if (found && (found->state == OPEN || found->state == REQUEST_ENDED)) is_ending(self, found, true);
}

/* A flow whose answer has no end, and will have none, was reset, and with it the codec's part. */
void end_flow(http2 *self, uint32_t number) {
  stream *found = find(self, number);
  if (found) {
    bool has_end = found->state == STAYS || found->is_ending;
    found->is_done = true;
    if (has_end) look_at(self, found);
    else goes(self, found);
  }
  leave(self);
}

/* ---- The frames */

/* A frame has come whole: no sooner does the codec act on one. */
static void frame(http2 *self, reader *from, bool comes_in) {
  const uint8_t *head = from->head;
  uint32_t number = (head[5] & 0x7fU) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
  uint8_t type = head[TYPE], flags = head[FLAGS];
  bool is_head = type == HEADERS || type == CONTINUATION;
  if (type == HEADERS) from->first = flags;
  if (is_head) {
    from->in_headers = !(flags & END_HEADERS);
    if (from->in_headers) return;
    flags = from->first;
  }
  if (comes_in && is_head && number > self->last) {
    self->last = number;
    self->all = with_room(self->all, self->count, &self->room, sizeof *self->all);
    self->all[self->count++] = (stream){.number = number, .state = OPEN};
  }
  bool ends = (type == DATA || is_head) && (flags & END_STREAM);
  stream *found = ends || type == RST_STREAM ? find(self, number) : NULL;
  if (!found) return;
  if (!comes_in) is_ending(self, found, false);
  if (type == RST_STREAM) goes(self, found);
  else if (comes_in) found->state = found->state == ANSWER_ENDED ? STAYS : REQUEST_ENDED;
  else if (found->state == REQUEST_ENDED) goes(self, found);
  else found->state = ANSWER_ENDED;
  look_at(self, found);
}

static void read_part(http2 *self, reader *from, bytes part, bool comes_in) {
  while (part.size) {
    bool in_head = !from->rest;
    size_t wanted = in_head ? HEAD - from->known : from->rest, here = wanted < part.size ? wanted : part.size;
    if (in_head) memcpy(from->head + from->known, part.at, here);
    if (in_head) from->known += here;
    else from->rest -= here;
    part.at += here, part.size -= here;
    if (from->known < HEAD && in_head) return;
    if (in_head) {
      from->known = 0;
      from->rest = (size_t)from->head[0] << 16 | (size_t)from->head[1] << 8 | from->head[2];
    }
    if (!from->rest) frame(self, from, comes_in);
  }
}

static bytes without_preface(http2 *self, bytes part) {
  size_t rest = PREFACE.size - self->preface, here = rest < part.size ? rest : part.size;
  self->is_other = memcmp(PREFACE.at + self->preface, part.at, here) != 0;
  self->preface += here;
  return (bytes){part.at + here, part.size - here};
}

/* What the last read began is known if each has a filter; and what is gone makes room. */
static void settle(http2 *self) {
  for (size_t i = self->batch; self->next < self->count && i < self->count; i++)
    if (self->all[i].state != GONE) goes(self, &self->all[i]);
  if (self->gone > MANY && self->gone > self->count / 2) {
    size_t left = 0;
    for (size_t i = 0; i < self->count; i++)
      if (self->all[i].state != GONE) self->all[left++] = self->all[i];
    self->count = left;
    self->gone = 0;
  }
  self->batch = self->next = self->count;
}

static void let_go(http2 *self, void *filter) {
  if (!self->ready_count || self->in.known || self->in.rest || self->in.in_headers) return;
  char *frames = zeros(self->ready_count * RST_SIZE), *to = frames;
  for (size_t i = 0; i < self->ready_count; i++) {
    stream *found = find(self, self->ready[i]);
    if (!found) continue;
    const uint32_t number = found->number;
    to[2] = RST_SIZE - HEAD;
    to[TYPE] = RST_STREAM;
    for (int at = 0; at < 4; at++) to[5 + at] = (char)(number >> (24 - 8 * at));
    to += RST_SIZE;
    goes(self, found);
  }
  self->ready_count = 0;
  ENVOY(network_filter_append_read_buffer)(filter, (bytes){frames, (size_t)(to - frames)});
  free(frames);
}

void http2_read(http2 *self, void *filter) {
  reading = self && !self->is_other ? self : NULL;
  if (!reading) return;
  settle(self);
  pieces all;
  make_room(&all, ENVOY(network_filter_get_read_buffer_chunks_size)(filter));
  if (all.count) ENVOY(network_filter_get_read_buffer_chunks)(filter, all.part);
  for (size_t i = 0; i < all.count && !self->is_other; i++)
    read_part(self, &self->in, self->preface < PREFACE.size ? without_preface(self, all.part[i]) : all.part[i], true);
  give_back(&all);
  if (self->is_other) reading = NULL;
  else let_go(self, filter);
}

void http2_written(http2 *self, void *filter) {
  if (!self->ending || self->is_other) return;
  reader out = {.known = 0};
  pieces all;
  make_room(&all, ENVOY(network_filter_get_write_buffer_chunks_size)(filter));
  if (all.count) ENVOY(network_filter_get_write_buffer_chunks)(filter, all.part);
  for (size_t i = 0; i < all.count; i++) read_part(self, &out, all.part[i], false);
  give_back(&all);
  self->is_other = out.known || out.rest || out.in_headers; /* not this codec's: nothing is known then */
}

/* ---- The filter, where the connection is HTTP/2 in any case */

typedef struct {
  http2 *connection;
} streams;

static void begin(void *filter, void *self) {
  (void)filter;
  ((streams *)self)->connection = new_http2();
}
static void end(void *self) { end_http2(((streams *)self)->connection); }
static int streams_read(void *filter, void *self, size_t size, bool ends) {
  (void)size, (void)ends;
  http2_read(((streams *)self)->connection, filter);
  return CONTINUE;
}
static int streams_write(void *filter, void *self, size_t size, bool ends) {
  (void)size, (void)ends;
  http2_written(((streams *)self)->connection, filter);
  return CONTINUE;
}

const network_filter STREAMS = {.name = "streams",
                                .size = sizeof(streams),
                                .begin = begin,
                                .end = end,
                                .read = streams_read,
                                .write = streams_write};
