/* HTTP filters of the connection manager: "connect", "upload" and "answer".
 *
 * "connect" turns what "front" made of an HTTP/1 CONNECT (front.c) back into a CONNECT, and of a host with an underscore
 * (hosts.c) back into the host. It stands first. A plain
 * request over HTTP/1 whose answer ends before it does is ended as well, as Envoy does by itself without half-close. And
 * where the application's bytes break off, the client's connection is made to end by a reset: Envoy would end it as if
 * all had come, and a client of HTTP/1.0 knows no other end.
 *
 * "upload" holds accounts to their bandwidth on the way to the application. Envoy's own buckets cannot do it: when the
 * answer and the request have both ended while a bucket still holds the request's last bytes, the client's stream is
 * gone, and Envoy 1.40 crashes at the next word about its buffer. Two rules keep that from happening here: the end of
 * an answer is held back while bytes of its request are, or may be in the codec (`answer_may_end`); and the sender of a
 * request whose answer has ended is not held back: what is much, and the last bytes, pass at once and are charged for.
 * "upload" stands before what may hold back answers. A third rule keeps bytes from passing twice: Envoy keeps what waits
 * here in one buffer with what its router keeps for another attempt. So nothing waits while there may be one (requests
 * that send a body have none, see edge.envoy.gateway), and what the router kept is dropped before anything does. And a
 * CONNECT's end waits here for the end of an answer that waits in Envoy's bucket.
 *
 * "answer" stands last, and so sees an answer first. One that its application broke off (answers.c) is broken off here
 * too, in whatever framing the client has it. "only_answer" is the same where the module has no other filter.
 *
 * The module's first filter of a flow tells when Envoy has done with it (streams.c).
 *
 * A flow names its bucket by the header x-causeway-upload: "number kibibytes-a-second owner". All flows of a bucket share
 * it, on all of Envoy's threads: one lock guards all buckets. A bucket may be overdrawn, since Envoy hands over pieces as
 * they came; whoever comes next waits until the debt is paid. Those that wait are let go one after the other, by a
 * thread that looks after them every few milliseconds as long as there are any.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "envoy.h"

extern bool ENVOY(http_get_header)(void *, int kind, bytes name, bytes *value, size_t index, size_t *count);
extern bool ENVOY(http_set_header)(void *, int kind, bytes name, bytes value);
extern void ENVOY(http_clear_route_cache)(void *);
extern size_t ENVOY(http_get_body_size)(void *, int which);
extern size_t ENVOY(http_get_body_chunks_size)(void *, int which);
extern bool ENVOY(http_get_body_chunks)(void *, int which, bytes *);
extern bool ENVOY(http_drain_body)(void *, int which, size_t);
extern void ENVOY(http_set_buffer_limit)(void *, uint64_t);
extern bool ENVOY(http_filter_get_attribute_string)(void *, int attribute, bytes *value);
extern bool ENVOY(http_set_socket_option_int)(void *, int64_t level, int64_t name, int state, int side, int64_t value);
extern bool ENVOY(http_set_socket_option_bytes)(void *, int64_t level, int64_t name, int state, int side, bytes value);
extern void ENVOY(http_filter_continue_decoding)(void *);
extern void ENVOY(http_filter_continue_encoding)(void *);
extern void ENVOY(http_filter_reset_stream)(void *, int reason, bytes details);
typedef struct {
  bytes name, value;
} field;
extern void ENVOY(http_send_response)(void *, uint32_t status, field *, size_t, bytes body, bytes details);
extern void *ENVOY(http_filter_scheduler_new)(void *);
extern void ENVOY(http_filter_scheduler_commit)(void *, uint64_t event);
extern void ENVOY(http_filter_scheduler_delete)(void *);

enum { REQUEST_HEADER = 0, RESPONSE_HEADER = 2, RECEIVED_BODY = 0, KEPT_BODY = 1, REQUEST_PROTOCOL = 10, LOCAL_RESET = 0 };
enum { RECEIVED_ANSWER = 2, KEPT_ANSWER = 3 };
enum { ALWAYS = 0, CLIENTS_SIDE = 1 }; /* of a socket's option */
enum { GO_ON = 1, END_GOES_ON, ANSWER_HAS_ENDED, ANSWER_BROKE_OFF }; /* events */
#ifdef TCP_CORK
enum { HOLD_BACK = TCP_CORK };
#else
enum { HOLD_BACK = TCP_NOPUSH };
#endif
static const bytes NONE = {NULL, 0};

/* ---- The buckets */

/* How many there may be: edge.envoy.bandwidth.SLOTS is no more. */
enum { BUCKETS = 4096, PAUSE_NANOSECONDS = 4000000 };
/* What a flow that waits may have beside the piece that made it wait, before its sender is held back. */
enum { HELD_BYTES = 32768 };
/* What may wait once the answer has ended; what is more passes, and is charged for. Its sender is not held back. */
enum { HELD_AFTER_ANSWER = 1048576, NO_LIMIT = 1 << 30 };
/* How many looks, in passes of the loop one after the other, find that Envoy's codec keeps nothing back. */
enum { LOOKS = 2 };
static const double SECONDS_OF_BURST = 0.05;

typedef struct flow flow;
typedef struct {
  double level, rate, since; /* bytes, bytes a second, the time of `level` in seconds */
  uint64_t owner;            /* whose debt it is, by a number */
  flow *first, *last;        /* those that wait */
} bucket;

struct flow {
  bool is_upload, is_answer;
  http2 *connection; /* of the first of a flow's filters, with the number of the flow's stream */
  uint32_t stream;
  hosts *hosts;          /* "connect" */
  bool by_http1;      /* "connect": a plain request over HTTP/1 */
  bool request_ended; /* "connect" */
  bool ends_by_reset; /* over HTTP/1: a CONNECT, or an answer, that has not come to its end */
  bucket *from;       /* "upload": its bucket, if it has one */
  bool is_connect, is_answered, has_waited; /* "upload" */
  void *scheduler;
  flow *next, *previous; /* in the bucket's queue */
  enum { FLOWS, WAITS, CALLED } state;
  size_t held;         /* what waits, not charged for */
  bool is_stopped;     /* the request, here */
  bool held_back;      /* whether its sender ever was */
  int looks;           /* that found nothing */
  bool answer_is_held; /* the end of the answer, that is */
  bool answer_ended;
  bool end_waits; /* the request's, until the answer's has passed */
  bool is_local;   /* the answer is of this Envoy */
  bool is_refused; /* "answer": a CONNECT, by the connector's server */
  bool *is_gone;  /* set when this object goes */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t somebody_waits = PTHREAD_COND_INITIALIZER;
static bucket buckets[BUCKETS];
static size_t waiting;
static bool looks_after;

static void fill(bucket *self) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  double now = (double)time.tv_sec + (double)time.tv_nsec / 1e9, most = self->rate * SECONDS_OF_BURST;
  self->level += self->rate * (now - self->since);
  if (self->level > most) self->level = most;
  self->since = now;
}

static void queue(flow *self) {
  bucket *from = self->from;
  self->state = WAITS;
  self->next = NULL;
  self->previous = from->last;
  *(from->last ? &from->last->next : &from->first) = self;
  from->last = self;
  if (waiting++ == 0) pthread_cond_signal(&somebody_waits);
}

static void leave_queue(flow *self, int state) {
  bucket *from = self->from;
  *(self->previous ? &self->previous->next : &from->first) = self->next;
  *(self->next ? &self->next->previous : &from->last) = self->previous;
  self->state = state;
  waiting--;
}

static void call_next(bucket *from) {
  fill(from);
  while (from->first && from->level > 0) {
    flow *next = from->first;
    from->level -= (double)next->held;
    next->held = 0;
    leave_queue(next, CALLED);
    ENVOY(http_filter_scheduler_commit)(next->scheduler, GO_ON);
  }
}

static void *look_after(void *nothing) {
  const struct timespec pause = {0, PAUSE_NANOSECONDS};
  pthread_mutex_lock(&lock);
  for (;;) {
    while (!waiting) pthread_cond_wait(&somebody_waits, &lock);
    pthread_mutex_unlock(&lock);
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < BUCKETS; i++)
      if (buckets[i].first) call_next(&buckets[i]);
  }
  return nothing;
}

static void begin_to_look_after(void) {
  pthread_t thread;
  pthread_mutex_lock(&lock);
  if (!looks_after) {
    if (pthread_create(&thread, NULL, look_after, NULL)) abort();
    pthread_detach(thread);
    looks_after = true;
  }
  pthread_mutex_unlock(&lock);
}

/* ---- Both filters, as Envoy calls them */

/* What "answer" leaves on the request for "upload". */
static const bytes ANSWERED = TEXT("x-causeway-answered");
/* What Envoy notes of an answer in the place of a server's refusal. */
static const bytes REFUSED = TEXT("refused_by_server");
static const char CONNECT[] = "connect", UPLOAD[] = "upload", ANSWER[] = "answer", ONLY_ANSWER[] = "only_answer";

const void *HTTP(config_new)(void *config, bytes name, bytes text) {
  (void)config, (void)text;
  if (same(name, TEXT("connect"))) return CONNECT;
  if (same(name, TEXT("answer"))) return ANSWER;
  if (same(name, TEXT("only_answer"))) return ONLY_ANSWER;
  if (!same(name, TEXT("upload"))) return NULL;
  begin_to_look_after();
  return UPLOAD;
}
void HTTP(config_destroy)(const void *config) { (void)config; }

const void *HTTP(new)(const void *config, void *filter) {
  (void)filter;
  flow *self = zeros(sizeof(flow));
  self->is_upload = config == UPLOAD;
  self->is_answer = config == ANSWER || config == ONLY_ANSWER;
  if (config == CONNECT || config == ONLY_ANSWER) self->connection = begin_flow(&self->stream);
  if (config == CONNECT) self->hosts = hosts_flow_begins();
  return self;
}

void HTTP(destroy)(const void *of_filter) {
  flow *self = (flow *)of_filter;
  pthread_mutex_lock(&lock);
  if (self->state == WAITS) leave_queue(self, FLOWS);
  pthread_mutex_unlock(&lock);
  if (self->scheduler) ENVOY(http_filter_scheduler_delete)(self->scheduler);
  if (self->is_gone) *self->is_gone = true;
  if (self->connection) end_flow(self->connection, self->stream);
  if (self->hosts) hosts_flow_ends(self->hosts);
  free(self);
}

static void later(void *filter, flow *self, uint64_t event) {
  if (!self->scheduler) self->scheduler = ENVOY(http_filter_scheduler_new)(filter);
  ENVOY(http_filter_scheduler_commit)(self->scheduler, event);
}

static bytes header(void *filter, bytes name) {
  bytes value = NONE;
  return ENVOY(http_get_header)(filter, REQUEST_HEADER, name, &value, 0, NULL) ? value : NONE;
}

static void set(void *filter, bytes name, bytes value) { ENVOY(http_set_header)(filter, REQUEST_HEADER, name, value); }

static bool is_http1(void *filter) {
  bytes protocol = NONE, wanted = TEXT("HTTP/1");
  return ENVOY(http_filter_get_attribute_string)(filter, REQUEST_PROTOCOL, &protocol) &&
         protocol.size > wanted.size && memcmp(protocol.at, wanted.at, wanted.size) == 0;
}

/* Writes the underscores of a host as they were (hosts.c). */
static void restore_host(void *filter) {
  bytes from = header(filter, TEXT(":authority")), mark = TEXT(".-.");
  char *made = memory(from.size), *to = made;
  size_t i = 0;
  while (i < from.size) {
    bool is_mark = from.size - i >= mark.size && memcmp(from.at + i, mark.at, mark.size) == 0;
    *to++ = is_mark ? '_' : from.at[i];
    i += is_mark ? mark.size : 1;
  }
  if ((size_t)(to - made) < from.size) {
    set(filter, TEXT(":authority"), (bytes){made, (size_t)(to - made)});
    ENVOY(http_clear_route_cache)(filter);
  }
  free(made);
}

static void connect_begins(void *filter, flow *self) {
  const bytes mark = TEXT("x-causeway-connect");
  bool http1 = is_http1(filter), marked = header(filter, mark).size > 0;
  if (marked) set(filter, mark, NONE);
  set(filter, ANSWERED, NONE);
  self->by_http1 = http1 && !marked;
  if (self->by_http1) restore_host(filter);
  /* One that "front" did not see, as it came behind another request, must not end well where it breaks off, either. */
  self->ends_by_reset = http1 && (marked || same(header(filter, TEXT(":method")), TEXT("CONNECT")));
  if (!http1 || !marked) return;
  set(filter, TEXT(":method"), TEXT("CONNECT"));
  set(filter, TEXT(":path"), NONE);
  set(filter, TEXT("transfer-encoding"), NONE);
  ENVOY(http_clear_route_cache)(filter);
}

/* Returns the number that the text begins with, and takes it off. */
static uint64_t number(bytes *text) {
  uint64_t found = 0;
  while (text->size && *text->at >= '0' && *text->at <= '9' && found < UINT32_MAX) {
    found = found * 10 + (uint64_t)(*text->at - '0');
    text->at++, text->size--;
  }
  return found;
}

static void upload_begins(void *filter, flow *self, bool end) {
  const bytes name = TEXT("x-causeway-upload");
  bytes text = header(filter, name);
  if (!text.size) return;
  uint64_t which = number(&text);
  if (text.size) text.at++, text.size--; /* the blank */
  uint64_t kibibytes = number(&text);
  if (text.size) text.at++, text.size--;
  uint64_t owner = number(&text);
  self->is_connect = same(header(filter, TEXT(":method")), TEXT("CONNECT"));
  if (end || self->is_connect) { /* else it chooses a route without another attempt */
    set(filter, name, NONE);
    ENVOY(http_clear_route_cache)(filter);
  }
  if (which >= BUCKETS || !kibibytes) return;
  self->from = &buckets[which];
  pthread_mutex_lock(&lock);
  fill(self->from);
  self->from->rate = (double)kibibytes * 1024;
  if (self->from->owner != owner) self->from->level = 0; /* another one's debt */
  self->from->owner = owner;
  pthread_mutex_unlock(&lock);
}

static const char *begins(void *filter, int which) {
  pieces all;
  make_room(&all, ENVOY(http_get_body_chunks_size)(filter, which));
  const char *found = all.count && ENVOY(http_get_body_chunks)(filter, which, all.part) ? all.part[0].at : NULL;
  give_back(&all);
  return found;
}

/* What the router kept of a CONNECT until its answer, and has passed; what an earlier filter kept is what passes now. Of
 * other requests a later filter may keep what has not passed, such as until the destination's name is resolved. */
static void drop_kept(void *filter) {
  size_t kept = ENVOY(http_get_body_size)(filter, KEPT_BODY);
  if (kept && begins(filter, KEPT_BODY) != begins(filter, RECEIVED_BODY)) ENVOY(http_drain_body)(filter, KEPT_BODY, kept);
}

/* Returns how much waited. A call that is under way finds nothing to do. */
static size_t let_go(flow *self) {
  size_t held = self->held;
  if (self->state == WAITS) leave_queue(self, FLOWS);
  self->state = FLOWS;
  self->held = 0;
  return held;
}

/* Whether a CONNECT's end has to wait: the answer's has come, and waits in Envoy's bucket. With both, the connection to
 * the application would close, and Envoy reset the flow, with what waits. */
static bool keeps_end(void *filter, flow *self) {
  self->end_waits = self->is_connect && !self->answer_ended && !self->answer_is_held && header(filter, ANSWERED).size;
  return self->end_waits;
}

int HTTP(request_headers)(void *filter, const void *of_filter, bool end) {
  flow *self = (flow *)of_filter;
  self->request_ended = end;
  if (self->is_upload) upload_begins(filter, self, end);
  else if (!self->is_answer) connect_begins(filter, self);
  return CONTINUE;
}

int HTTP(request_body)(void *filter, const void *of_filter, bool end) {
  flow *self = (flow *)of_filter;
  self->request_ended = end;
  if (!self->from) return CONTINUE;
  size_t size = ENVOY(http_get_body_size)(filter, RECEIVED_BODY);
  if (!self->scheduler) self->scheduler = ENVOY(http_filter_scheduler_new)(filter);
  pthread_mutex_lock(&lock);
  fill(self->from);
  self->looks = 0;
  bool passes = self->answer_ended && (end || self->held + size > HELD_AFTER_ANSWER);
  if (passes) {
    size += let_go(self);
  } else {
    bool may_be_retried = self->is_connect && !self->is_answered;
    passes = self->state == FLOWS && (size == 0 || may_be_retried || self->from->level > 0);
  }
  if (passes) {
    self->from->level -= (double)size;
  } else {
    self->held += size;
    if (self->state == FLOWS) queue(self);
  }
  pthread_mutex_unlock(&lock);
  self->is_stopped = !passes || (end && keeps_end(filter, self));
  if (passes) return self->is_stopped ? STOP_AND_HOLD : CONTINUE;
  if (self->is_connect && !self->has_waited) drop_kept(filter);
  self->has_waited = true;
  if (!self->answer_ended) {
    self->held_back = true;
    ENVOY(http_set_buffer_limit)(filter, HELD_BYTES);
  }
  return STOP_AND_HOLD;
}

int HTTP(request_trailers)(void *filter, const void *of_filter) {
  (void)filter;
  flow *self = (flow *)of_filter;
  self->request_ended = true;
  pthread_mutex_lock(&lock);
  if (self->from && self->answer_ended) self->from->level -= (double)let_go(self);
  bool holds = self->state != FLOWS;
  pthread_mutex_unlock(&lock);
  self->is_stopped = holds || (self->from && keeps_end(filter, self));
  return self->is_stopped ? STOP : CONTINUE;
}

/* Whether the end of the answer may pass. The codec keeps back what a sender who was held back has sent, and hands it
 * on in pieces. When the request's end comes while it does, and the answer's has passed, Envoy 1.40 takes the stream
 * for done, and what it kept is lost, or it crashes. So the answer's end waits until nothing comes any more; and the
 * sender is not held back afterwards. With the lock. */
static bool answer_may_end(flow *self) {
  if (self->state != FLOWS) return false;
  if (self->request_ended || !self->held_back || ++self->looks > LOOKS) return true;
  queue(self); /* to look again */
  return false;
}

static void answer_has_ended(void *filter, flow *self) {
  self->answer_ended = true;
  ENVOY(http_set_buffer_limit)(filter, NO_LIMIT);
}

static int answer_ends(void *filter, flow *self, int held) {
  if (self->is_answer) {
    set(filter, ANSWERED, TEXT("1"));
    if (!was_reset(filter) || self->is_local) return CONTINUE; /* which says that there was no answer */
    later(filter, self, ANSWER_BROKE_OFF);
    return held;
  }
  if (!self->is_upload) {
    self->ends_by_reset = false;
    if (self->by_http1 && !self->request_ended) later(filter, self, ANSWER_HAS_ENDED);
    return CONTINUE;
  }
  if (!self->from) return CONTINUE;
  pthread_mutex_lock(&lock);
  self->looks = 0;
  self->answer_is_held = self->end_waits || !answer_may_end(self);
  pthread_mutex_unlock(&lock);
  if (!self->answer_is_held) answer_has_ended(filter, self);
  if (self->end_waits) later(filter, self, END_GOES_ON);
  return self->answer_is_held ? held : CONTINUE;
}

/* The same, and tells the flow's stream that the end is on its way. */
static int end_passes(void *filter, flow *self, int held) {
  int does = answer_ends(filter, self, held);
  if (does == CONTINUE && self->connection) answer_ends_next(self->connection, self->stream);
  return does;
}

static char *add_body(void *filter, int which, char *to) {
  pieces all;
  make_room(&all, ENVOY(http_get_body_chunks_size)(filter, which));
  if (all.count && ENVOY(http_get_body_chunks)(filter, which, all.part)) to = copy(to, &all);
  give_back(&all);
  return to;
}

/* Answers in the server's place, by its words. The server resets a CONNECT that it has refused, and would take with it
 * what of its answer waits for the account's bandwidth; this answer passes no bucket, and does not hang on the server. */
static void refuse(void *filter) {
  const bytes names[] = {TEXT("content-type"), TEXT("x-causeway-reason"), TEXT("x-causeway-part")};
  field fields[sizeof names / sizeof *names];
  size_t count = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    bytes value = NONE;
    if (ENVOY(http_get_header)(filter, RESPONSE_HEADER, names[i], &value, 0, NULL))
      fields[count++] = (field){names[i], value};
  }
  bytes status = NONE;
  ENVOY(http_get_header)(filter, RESPONSE_HEADER, TEXT(":status"), &status, 0, NULL);
  size_t size = ENVOY(http_get_body_size)(filter, KEPT_ANSWER) + ENVOY(http_get_body_size)(filter, RECEIVED_ANSWER);
  char *body = memory(size), *to = add_body(filter, RECEIVED_ANSWER, add_body(filter, KEPT_ANSWER, body));
  bytes words = {body, (size_t)(to - body)};
  ENVOY(http_send_response)(filter, (uint32_t)number(&status), fields, count, words, REFUSED);
  free(body);
}

int HTTP(response_headers)(void *filter, const void *of_filter, bool end) {
  flow *self = (flow *)of_filter;
  self->is_answered = true;
  bytes status = NONE;
  ENVOY(http_get_header)(filter, RESPONSE_HEADER, TEXT(":status"), &status, 0, NULL);
  bool is_connect = same(header(filter, TEXT(":method")), TEXT("CONNECT"));
  self->is_refused = self->is_answer && is_connect && !self->is_local && !end && !same(status, TEXT("200"));
  if (self->is_refused) return STOP;
  if (!same(status, TEXT("200"))) {
    self->ends_by_reset = false; /* refused: an answer as any other */
  } else if (!self->is_upload && !self->is_answer && same(header(filter, TEXT(":method")), TEXT("CONNECT"))) {
    /* When a connection breaks, Envoy resets a CONNECT by CONNECT_ERROR, which tcp_proxy takes for a good end. */
    set(filter, TEXT(":method"), TEXT("CONNECTED"));
  }
  if (self->by_http1) self->ends_by_reset = true; /* until its end has come */
  return end ? end_passes(filter, self, STOP) : CONTINUE;
}
int HTTP(response_body)(void *filter, const void *of_filter, bool end) {
  flow *self = (flow *)of_filter;
  if (!self->is_refused) return end ? end_passes(filter, self, STOP_AND_HOLD) : CONTINUE;
  if (end) refuse(filter);
  return STOP_AND_HOLD;
}
int HTTP(response_trailers)(void *filter, const void *of_filter) {
  flow *self = (flow *)of_filter;
  if (!self->is_refused) return end_passes(filter, self, STOP);
  refuse(filter);
  return STOP;
}

/* "connect" sees what `refuse` answers in no other way. */
int HTTP(local_reply)(void *filter, const void *of_filter, uint32_t status, bytes details, bool reset_imminent) {
  (void)filter, (void)status, (void)reset_imminent;
  flow *self = (flow *)of_filter;
  self->is_local = true;
  if (self->connection) answer_ends_next(self->connection, self->stream); /* with no filter in between, or by a reset */
  if (same(details, REFUSED)) self->ends_by_reset = false;
  return 0;
}

/* What has waited passes, and at once behind it the end of the answer, which the application's connection must not
 * overtake: it closes now that both sides have ended. Either may end the flow, and then `self` is gone. */
static void go_on(void *filter, flow *self) {
  bool is_gone = false;
  self->is_gone = &is_gone;
  self->end_waits = false;
  if (self->is_stopped) {
    self->is_stopped = false;
    ENVOY(http_filter_continue_decoding)(filter);
  }
  if (is_gone) return;
  self->is_gone = NULL;
  if (!self->answer_is_held) return;
  pthread_mutex_lock(&lock);
  self->answer_is_held = !answer_may_end(self);
  pthread_mutex_unlock(&lock);
  if (self->answer_is_held) return;
  answer_has_ended(filter, self);
  ENVOY(http_filter_continue_encoding)(filter);
}

void HTTP(scheduled)(void *filter, const void *of_filter, uint64_t event) {
  flow *self = (flow *)of_filter;
  if (event == END_GOES_ON) {
    if (self->end_waits) go_on(filter, self);
    return;
  }
  if (event != GO_ON) {
    ENVOY(http_filter_reset_stream)(filter, LOCAL_RESET,
                                    event == ANSWER_HAS_ENDED ? TEXT("answer_ended") : TEXT("answer_broke_off"));
    return;
  }
  pthread_mutex_lock(&lock);
  bool called = self->state == CALLED;
  if (called) {
    self->from->level -= (double)self->held; /* what has come since the call */
    self->held = 0;
    self->state = FLOWS;
  }
  pthread_mutex_unlock(&lock);
  if (called && !(self->request_ended && keeps_end(filter, self))) go_on(filter, self);
}

/* Envoy closes the connection next, after a word of TLS that nothing was missing; that must not get out. */
void HTTP(stream_complete)(void *filter, const void *of_filter) {
  const struct linger at_once = {.l_onoff = RESET, .l_linger = 0};
  if (!((const flow *)of_filter)->ends_by_reset) return;
  ENVOY(http_set_socket_option_int)(filter, IPPROTO_TCP, HOLD_BACK, ALWAYS, CLIENTS_SIDE, 1);
  ENVOY(http_set_socket_option_bytes)(filter, SOL_SOCKET, SO_LINGER, ALWAYS, CLIENTS_SIDE,
                                      (bytes){(const char *)&at_once, sizeof at_once});
}

/* ---- What Envoy asks of every HTTP filter, and nothing comes of here */

typedef const void *unused;
void HTTP(config_scheduled)(void *config, unused self, uint64_t event) { (void)config, (void)self, (void)event; }
unused HTTP(per_route_config_new)(bytes name, bytes text) {
  (void)name, (void)text;
  return CONNECT;
}
void HTTP(per_route_config_destroy)(unused config) { (void)config; }
void HTTP(downstream_above_write_buffer_high_watermark)(void *filter, unused self) { (void)filter, (void)self; }
void HTTP(downstream_below_write_buffer_low_watermark)(void *filter, unused self) { (void)filter, (void)self; }

/* Requests of the module's own: it makes none. */
#define OWN_REQUESTS(of)                                                                                              \
  void HTTP(of##http_callout_done)(void *filter, unused self, uint64_t id, int result, void *headers, size_t count,    \
                                   void *body, size_t chunks) {                                                       \
    (void)filter, (void)self, (void)id, (void)result, (void)headers, (void)count, (void)body, (void)chunks;           \
  }                                                                                                                   \
  void HTTP(of##http_stream_headers)(void *filter, unused self, uint64_t id, void *headers, size_t count, bool end) {  \
    (void)filter, (void)self, (void)id, (void)headers, (void)count, (void)end;                                        \
  }                                                                                                                   \
  void HTTP(of##http_stream_data)(void *filter, unused self, uint64_t id, void *data, size_t count, bool end) {        \
    (void)filter, (void)self, (void)id, (void)data, (void)count, (void)end;                                           \
  }                                                                                                                   \
  void HTTP(of##http_stream_trailers)(void *filter, unused self, uint64_t id, void *trailers, size_t count) {          \
    (void)filter, (void)self, (void)id, (void)trailers, (void)count;                                                  \
  }                                                                                                                   \
  void HTTP(of##http_stream_complete)(void *filter, unused self, uint64_t id) { (void)filter, (void)self, (void)id; }  \
  void HTTP(of##http_stream_reset)(void *filter, unused self, uint64_t id, int reason) {                               \
    (void)filter, (void)self, (void)id, (void)reason;                                                                 \
  }
OWN_REQUESTS()
OWN_REQUESTS(config_)
