/* What `grapevine status --json` prints (DESIGN section 7). */
#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include "base/buffer.h"
#include "store/store.h"

#include <jansson.h>

struct gv_node;

/* The state of a file without a node.  NULL: @error. */
json_t *status_of_store(struct store *store, struct gv_error *error);

/* The state of a running node.  NULL: @error. */
json_t *status_of_node(struct gv_node *node, struct gv_error *error);

/* A name as JSON; what is not UTF-8 in it is replaced. */
json_t *status_text(const char *bytes);

/* What a live site calls itself, "" if it was not heard of in this run. */
const char *status_name_of(const struct gv_node *node,
                           const struct site *site);

/* {"site": "version", …}. */
json_t *status_of_vv(struct vv_view view);

/* What verify finds, as JSON: ok, rows, records, findings (the first
 * STATUS_FINDINGS_MAX) and finding_count.  NULL: @error. */
#define STATUS_FINDINGS_MAX 1000
json_t *status_of_verify(struct store *store, struct gv_error *error);

/* Publish at once what the audit finds: {"published"}.  NULL: @error. */
json_t *status_of_accept(struct store *store, struct gv_error *error);

/* {"code", "what", "meaning", "remedy"}, and back. */
json_t *status_of_error(const struct gv_error *error);
void status_read_error(const json_t *json, struct gv_error *error);

#endif
