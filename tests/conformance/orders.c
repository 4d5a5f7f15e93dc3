#include "orders.h"

#include <stdint.h>

static uint64_t factorial(size_t n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

unsigned orders_count(size_t items)
{
    uint64_t all = factorial(items);

    return all < ORDERS_MAX ? (unsigned)all : ORDERS_MAX;
}

/* The digits of the permutation's rank in the factorial number system choose
 * among what is left.  Where not all are tried, the ranks lie evenly, each
 * moved by another amount so that the ends of the orders vary as well. */
void orders_permute(size_t items, unsigned number, size_t *order)
{
    uint64_t all = factorial(items), step = all / orders_count(items);
    uint64_t rank = number * step + number * (uint64_t)7919 % step;
    size_t left[ORDERS_ITEMS_MAX];

    for (size_t i = 0; i < items; i++)
        left[i] = i;
    for (size_t i = 0; i < items; i++) {
        uint64_t weight = factorial(items - 1 - i);
        size_t digit = (size_t)(rank / weight);

        rank %= weight;
        order[i] = left[digit];
        for (size_t j = digit; j + 1 < items - i; j++)
            left[j] = left[j + 1];
    }
}
