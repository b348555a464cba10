/* What numbers.c and linger.c have in common: they stand before the system's functions, by which Envoy calls them. */
#define PRELOADED __attribute__((visibility("default")))

__attribute__((visibility("hidden"))) void before_close(int number);
