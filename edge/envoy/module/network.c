/* What Envoy calls for a network filter, handed to the one that the configuration names. */
#include "envoy.h"

/* A filter's own object lies behind the name of its kind. */
typedef struct {
  const network_filter *kind;
  max_align_t self[];
} object;

const void *NETWORK(config_new)(void *config, bytes name, bytes text) {
  (void)config, (void)text;
  const network_filter *kinds[] = {&END, &FRONT};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (same(name, (bytes){kinds[i]->name, strlen(kinds[i]->name)})) return kinds[i];
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
void NETWORK(destroy)(const void *self) { free((void *)self); }
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
