/* HELLO, VV and ACK out; VV in. */
#ifndef CORE_TELL_H
#define CORE_TELL_H

#include "core/state.h"

/* Entries in one VV frame: 9,000 * 24 = 216,000 bytes leave room for what
 * else a frame of 256 KiB holds. */
#define TELL_ENTRIES_MAX 9000

void tell_hello(struct core *core, struct link *link);
/* The entries of our vector that are above those told on @link, for a message
 * that the caller sends; they count as told from now on. */
bool tell_changed(struct core *core, struct link *link, struct vv_view *view);
/* The vectors' part of the peer's first HELLO: take what is equal, send what
 * is not. */
void tell_meet(struct core *core, struct link *link,
               const struct message_hello *hello);
/* Start anew with a peer that did: it was told nothing. */
void tell_anew(struct core *core, struct link *link);
/* Tell all of our vector once more. */
void tell_whole(struct core *core, struct link *link);
void tell_soon(struct core *core, struct link *link);
/* When nothing has come for a while, or with the next heartbeat. */
void tell_later(struct core *core, struct link *link);
void tell_tick(struct core *core);
gv_time_ms tell_deadline(const struct core *core);
void tell_dealt(struct core *core, struct link *link, size_t news_size);
int tell_receive(struct core *core, struct link *link,
                 const struct message_vv *vv);
/* The peer holds @version of @site. */
void tell_believe(struct core *core, struct link *link,
                  const struct site *site, gv_version version);
void tell_believe_view(struct core *core, struct link *link,
                       struct vv_view view);
/* Look again whether the peer lacks something of ours. */
void tell_lag(struct core *core, struct link *link);
/* Our own vector rises: @site to @version. */
void tell_raise(struct core *core, const struct site *site,
                gv_version version);

#endif
