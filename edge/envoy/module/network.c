/* What Envoy calls for a network filter, handed to the one that the configuration names. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "envoy.h"

extern bool ENVOY(network_filter_get_remote_address)(void *, bytes *address, uint32_t *port);

#ifdef __linux__
/* Of linger.c, where that was loaded. */
extern int causeway_last_accepted(void) __attribute__((weak));
#else
static int (*const causeway_last_accepted)(void) = NULL;
#endif

/* A filter's own object lies behind the name of its kind. */
typedef struct {
  const network_filter *kind;
  max_align_t self[];
} object;

const void *NETWORK(config_new)(void *config, bytes name, bytes text) {
  (void)config;
  const network_filter *kinds[] = {&CALLERS, &END, &FORWARD, &FRONT, &STREAMS};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (!same(name, (bytes){kinds[i]->name, strlen(kinds[i]->name)})) continue;
    if (kinds[i]->configure) kinds[i]->configure(text);
    return kinds[i];
  }
  return NULL;
}
void NETWORK(config_destroy)(const void *config) { (void)config; }
const void *NETWORK(new)(const void *config, void *filter) {
  (void)filter;
  const network_filter *kind = config;
  object *made = zeros(sizeof(object) + kind->size);
  made->kind = kind;
  return made;
}
void NETWORK(destroy)(const void *self) {
  object *of_filter = (object *)self;
  if (of_filter->kind->end) of_filter->kind->end(of_filter->self);
  free(of_filter);
}
int NETWORK(new_connection)(void *filter, const void *self) {
  object *of_filter = (object *)self;
  if (of_filter->kind->begin) of_filter->kind->begin(filter, of_filter->self);
  return CONTINUE;
}
int NETWORK(read)(void *filter, const void *self, size_t size, bool end) {
  object *of_filter = (object *)self;
  return of_filter->kind->read(filter, of_filter->self, size, end);
}
int NETWORK(write)(void *filter, const void *self, size_t size, bool end) {
  object *of_filter = (object *)self;
  return of_filter->kind->write(filter, of_filter->self, size, end);
}

/* What Envoy asks of every network filter, and nothing comes of here. */
void NETWORK(event)(void *filter, const void *self, int event) { (void)filter, (void)self, (void)event; }
void NETWORK(scheduled)(void *filter, const void *self, uint64_t event) { (void)filter, (void)self, (void)event; }
void NETWORK(above_write_buffer_high_watermark)(void *filter, const void *self) { (void)filter, (void)self; }
void NETWORK(below_write_buffer_low_watermark)(void *filter, const void *self) { (void)filter, (void)self; }
void NETWORK(http_callout_done)(void *filter, const void *self, uint64_t callout, int result, void *headers,
                                size_t header_count, void *body, size_t chunks) {
  (void)filter, (void)self, (void)callout, (void)result, (void)headers, (void)header_count, (void)body, (void)chunks;
}

/* ---- Sockets */

int accepted(void *filter) {
  struct sockaddr_storage peer = {0};
  socklen_t size = sizeof peer;
  bytes address = {NULL, 0};
  uint32_t port = 0;
  char text[INET6_ADDRSTRLEN] = "";
  if (!causeway_last_accepted || !ENVOY(network_filter_get_remote_address)(filter, &address, &port)) return -1;
  int socket = causeway_last_accepted();
  if (getpeername(socket, (struct sockaddr *)&peer, &size) != 0) return -1;
  const struct sockaddr_in *four = (const void *)&peer;
  const struct sockaddr_in6 *six = (const void *)&peer;
  bool is_six = peer.ss_family == AF_INET6;
  if (!is_six && peer.ss_family != AF_INET) return -1;
  inet_ntop(peer.ss_family, is_six ? (const void *)&six->sin6_addr : &four->sin_addr, text, sizeof text);
  bool is_it = ntohs(is_six ? six->sin6_port : four->sin_port) == port && same(address, (bytes){text, strlen(text)});
  return is_it ? socket : -1;
}

void ends_by(int socket, int kind) {
  const struct linger linger = {.l_onoff = kind, .l_linger = 0};
  if (socket >= 0) setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
