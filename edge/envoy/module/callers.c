/* Hangs up at once on an address that has as many connections open as it may have.
 *
 * The configuration's text is the number, one for the whole process. Of IPv6 the first 64 bits are an address, since a
 * network of that size is what one customer gets.
 */
#include <arpa/inet.h>
#include <pthread.h>

#include "envoy.h"

extern bool ENVOY(network_filter_get_remote_address)(void *, bytes *address, uint32_t *port);
extern void ENVOY(network_filter_close)(void *, int how);
enum { AT_ONCE = 1 };

typedef struct caller {
  unsigned char address[16];
  long open;
  struct caller *next;
} caller;

typedef struct {
  caller *counted; /* NULL: of an address that cannot be told, or that was hung up on */
} one;

enum { ROWS = 4096 };
static caller *rows[ROWS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long most;

static caller **row_of(const unsigned char *address) {
  uint32_t sum = 2166136261u; /* FNV */
  for (int i = 0; i < 16; i++) sum = (sum ^ address[i]) * 16777619u;
  return &rows[sum % ROWS];
}

static bool read_address(bytes text, unsigned char *address) {
  char whole[INET6_ADDRSTRLEN];
  memset(address, 0, 16);
  if (text.size >= sizeof whole) return false;
  *add(whole, text) = 0;
  if (inet_pton(AF_INET, whole, address) == 1) return true;
  if (inet_pton(AF_INET6, whole, address) != 1) return false;
  static const unsigned char MAPPED[12] = {[10] = 0xff, [11] = 0xff};
  if (memcmp(address, MAPPED, sizeof MAPPED) == 0) {
    memmove(address, address + 12, 4);
    memset(address + 4, 0, 12);
  } else {
    memset(address + 8, 0, 8);
  }
  return true;
}

static void configure(bytes text) {
  char whole[24] = "";
  if (text.size < sizeof whole) *add(whole, text) = 0;
  most = strtol(whole, NULL, 10);
}

static void begin(void *filter, void *self) {
  unsigned char address[16];
  bytes text = {NULL, 0};
  uint32_t port = 0;
  if (!ENVOY(network_filter_get_remote_address)(filter, &text, &port) || !read_address(text, address)) return;
  pthread_mutex_lock(&lock);
  caller **row = row_of(address), *found = *row;
  while (found && memcmp(found->address, address, sizeof address) != 0) found = found->next;
  bool too_many = found && found->open >= most;
  if (!found) {
    found = zeros(sizeof *found);
    memcpy(found->address, address, sizeof address);
    found->next = *row;
    *row = found;
  }
  if (!too_many) found->open++;
  pthread_mutex_unlock(&lock);
  if (too_many)
    ENVOY(network_filter_close)(filter, AT_ONCE);
  else
    ((one *)self)->counted = found;
}

static void end(void *self) {
  caller *counted = ((one *)self)->counted;
  if (!counted) return;
  pthread_mutex_lock(&lock);
  if (--counted->open == 0) {
    caller **at = row_of(counted->address);
    while (*at != counted) at = &(*at)->next;
    *at = counted->next;
    free(counted);
  }
  pthread_mutex_unlock(&lock);
}

static int pass(void *filter, void *self, size_t size, bool ended) {
  (void)filter, (void)self, (void)size, (void)ended;
  return CONTINUE;
}

const network_filter CALLERS = {"callers", sizeof(one), begin, end, pass, pass, configure};
