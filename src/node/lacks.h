/* Who lacks what of whom, in numbers and in words. */
#ifndef NODE_LACKS_H
#define NODE_LACKS_H

#include "core/vv.h"

#include <jansson.h>

/* Changes counted for one answer about one peer; more are "more". */
#define LACKS_COUNT_MAX 1000
/* Sites named one by one in it. */
#define LACKS_SITES_MAX 20

struct gv_node;
struct known_info;

/* What of this file's changes a vector does not cover. */
struct lack {
    uint64_t sites;
    uint64_t changes;     /* at least 1 where sites is; see @more */
    bool more;            /* they are more than were counted */
    gv_time_ms oldest_ms; /* the oldest one's age */
};
void lacks_of(struct gv_node *node, const struct vv *vv, struct lack *lack);

/* The same as {"sites", "changes", "more", "oldest_ms", "of": [{"site",
 * "name", "changes", "behind_ms"}, …]}. */
json_t *lacks_object(struct gv_node *node, const struct vv *vv);

/* What @vv has and this file lacks: {"sites", "behind_ms"}. */
json_t *lacks_here_object(struct gv_node *node, const struct vv *vv);

/* All sites that were heard of, with what they lack. */
json_t *lacks_known_array(struct gv_node *node);

/* One sentence or two on how things stand. */
json_t *lacks_summary(struct gv_node *node);

/* What is missing until this file and its peers hold the same, one sentence
 * each; none: nothing is.  @peers: so many are to be linked; 0: all that are
 * dialled, and at least one. */
json_t *lacks_sentences(struct gv_node *node, size_t peers);

#endif
