/* Transactions of the replicas, and single messages between them. */
#ifndef TESTS_CONFORMANCE_SEND_H
#define TESTS_CONFORMANCE_SEND_H

#include "run.h"

/* Seal what waits in the journal.  False, with @error, if it cannot. */
bool send_seal(struct run *run, struct replica *replica,
               struct gv_error *error);
/* The same; fails the run if it cannot. */
void send_must_seal(struct run *run, struct replica *replica);
/* One slice of what is long, or nothing.  Returns whether there is more. */
bool send_work(struct run *run, struct replica *replica);
/* Let the store audit until it waits for something, @later ms after the last
 * time it did. */
void send_audit(struct run *run, struct replica *replica, gv_time_ms later);

/* Whether @replica's vector covers @publication. */
bool send_held(const struct replica *replica,
               const struct publication *publication);

/* Send @to the publication at @index, once; the result is that of
 * store_apply_interval(). */
int send_interval(struct run *run, struct replica *to, size_t index,
                  struct gv_error *error);

/* Send @to what it lacks of @list (indexes of publications), in that order and
 * each twice; what came early again, until nothing more is taken.  Returns how
 * many are left waiting, -1 after an error that is not coming early. */
int send_list(struct run *run, struct replica *to, const size_t *list,
              size_t count, struct gv_error *error);

/* Send @to, which WANTs it, @from's delta, twice. */
int send_delta(struct run *run, struct replica *from, struct replica *to,
               struct gv_error *error);

/* Send @to a delta once more: nothing may change. */
void send_again(struct run *run, const struct delta *delta,
                struct replica *to);

/* Whether the replica's log is that of these two. */
bool send_same_state(const struct replica *replica, uint64_t vv_hash,
                     struct hash128 fingerprint);

#endif
