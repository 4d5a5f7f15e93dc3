/* Site ids; what tells a file from its copy; renewal. */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "store/internal.h"

/* The number of @site, given one if it has none. */
int site_number(struct store *store, const struct site *site,
                uint32_t *number);
/* Raise a site's entry of the vector, in memory and in the file. */
int site_raise(struct store *store, uint32_t number, gv_version version);
int sites_load(struct store *store);
/* Unless they are known: after a rollback they may not have been readable, and
 * what is in memory is less than the file holds. */
int sites_again(struct store *store, struct gv_error *error);
/* Read gv_meta and the sites anew: what the file holds now. */
int meta_load(struct store *store);
/* Make our tables and a site id. */
int identity_create(struct store *store);
/* Compare the file with its marks and the state file; renew if it is a copy
 * or went back in time.  Inside a write transaction. */
int identity_check(struct store *store, struct gv_error *error);
/* Go on with a renewal once the tables are known: what the lost id published
 * since nobody knows when moves to the new one.  Inside the same
 * transaction. */
int identity_move(struct store *store, struct gv_error *error);
/* Look at what a peer holds of our own site.  GV_EFORK: another life of this
 * file published it; the open transaction is lost, and the next open
 * renews. */
int identity_heard(struct store *store, gv_version version,
                   struct gv_error *error);
int identity_heard_view(struct store *store, struct vv_view view,
                        struct gv_error *error);
/* Say in the state file that this site has issued versions up to @last; no
 * sync but after a renewal, or where it is made. */
void identity_note(struct store *store, gv_version last);
/* The file went back, or may have: sync what the state file says, which is now
 * all that tells. */
void identity_keep(struct store *store);

#endif
