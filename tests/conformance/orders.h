/* Permutations by number. */
#ifndef TESTS_CONFORMANCE_ORDERS_H
#define TESTS_CONFORMANCE_ORDERS_H

#include <stddef.h>

/* Four sites exchange in twelve directions. */
#define ORDERS_ITEMS_MAX 12
#define ORDERS_MAX 24

/* How many orders of @items are tried: all, or ORDERS_MAX of them. */
unsigned orders_count(size_t items);

/* The @number-th of them, from 0, into @order[items]. */
void orders_permute(size_t items, unsigned number, size_t *order);

#endif
