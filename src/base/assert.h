/* Assertions that stay on in release: each states what only a bug can break,
 * never what a peer, a full disk or a lack of memory can. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#define GV_ASSERT(expression)                                                 \
    ((expression) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))

/* Print where and what to stderr, then abort(). */
_Noreturn void assert_failed(const char *expression, const char *file,
                             int line);

#endif
