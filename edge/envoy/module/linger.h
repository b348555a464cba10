/* The kinds of sockets that resets end, by their `l_onoff` (linger.c; edge.envoy.halfclose.dialled). */
#ifndef CAUSEWAY_LINGER_H
#define CAUSEWAY_LINGER_H

enum { NO_RESET = 0, RESET = 1, DEATH_ONLY = 2 };

#endif
