/* SPDX-License-Identifier: MIT */
/* Price: what the first write to a protected page costs here, tried on our own memory. */
#ifndef WATCH_PRICE_H
#define WATCH_PRICE_H

#include <stdint.h>

/*
 * Nanoseconds, of the asynchronous engine: the fault, and what it does to the caches of
 * addresses.  Takes some 20 ms.  Where it cannot be tried, PRICE_GUESS.
 */
#define PRICE_GUESS UINT64_C(2000)
uint64_t price_first_write(void);

#endif
