/* Exchanges between the replicas of a run, and their crashes. */
#ifndef TESTS_CONFORMANCE_MESH_H
#define TESTS_CONFORMANCE_MESH_H

#include "run.h"

/* @to gets everything @from has, in the manner of the run. */
void mesh_exchange(struct run *run, struct replica *from, struct replica *to);

/* @to is sent some of the publications that @from holds: @part names sites,
 * each with the numbers of its publications (from 1) or with none for all, as
 * in "A" or "A 3 1 B".  With @early some must be left waiting at the end, else
 * none. */
void mesh_part(struct run *run, struct replica *from, struct replica *to,
               const char *part, bool early);

/* @to gets half of the bytes of @from's delta. */
void mesh_half(struct run *run, struct replica *from, struct replica *to);

/* Exchange among the replicas named in @letters until nothing changes, in the
 * order of the run; then they must be equal and have nothing left to send. */
void mesh_full(struct run *run, const char *letters);

/* How many orders a "full" among @count replicas is run in. */
unsigned mesh_orders(size_t count);

/* Every message once more.  Nothing may change. */
void mesh_late(struct run *run);

/* All processes of @replica die and the power fails; it starts again and gets
 * back from the others what it had of them. */
void mesh_crash(struct run *run, struct replica *replica, enum disk_loss loss);
/* The same for those that wrote since the last call, if the run is of that
 * kind. */
void mesh_crash_point(struct run *run);

#endif
