/* Endpoints, when to dial, how long to wait. */
#ifndef CORE_PEER_H
#define CORE_PEER_H

#include "core/state.h"

/* So many dials in a row that reached nobody make a peer unlikely. */
#define PEER_FAILURES_MAX 3
/* What others tell of a peer nobody here ever reached is kept so long. */
#define PEER_HEARSAY_MS (2 * 3600 * 1000)
/* Learned peers are dialled one after another: 64 of them within 3 s, and no
 * list of names makes a flood of connections. */
#define PEER_STRANGER_MS 50

void peer_close(struct core *core);
void peer_tick(struct core *core);
gv_time_ms peer_deadline(const struct core *core);
struct peer *peer_find(const struct core *core, const char *endpoint);
/* The peer at @endpoint, new if need be.  NULL: no room or memory. */
struct peer *peer_learn(struct core *core, const char *endpoint);
/* It was learned, and has no link. */
void peer_forget(struct core *core, struct peer *peer);
/* If @peer is still known: who is there is not. */
void peer_doubt(struct core *core, struct peer *peer);
/* @site is at @peer, met there as @instance (0: it was only said). */
void peer_place(struct core *core, struct peer *peer, const struct site *site,
                uint64_t instance);
/* Its site is, or just was, linked. */
void peer_heard(struct core *core, struct peer *peer);
/* The HELLO of @link came, and it stays. */
void peer_greeted(struct core *core, struct link *link);
/* @link is out of the table; those whose site it had may need another. */
void peer_link_gone(struct core *core, const struct link *link,
                    enum bye_code code);
/* When it may be dialled; NEVER: it has a link. */
gv_time_ms peer_due(const struct core *core, const struct peer *peer);
void peer_dial(struct core *core, struct peer *peer);
/* Whether people were not told of @complaint about @peer just before; they
 * are now. */
bool peer_complain(struct peer *peer, int complaint);
/* What becomes of @peer after @link, which it had, ended with @code (0: no
 * BYE).  False: it is forgotten. */
bool peer_settle(struct core *core, struct peer *peer, const struct link *link,
                 enum bye_code code, const char *reason);

#endif
