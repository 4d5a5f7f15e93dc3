/* Message <-> frame.  wire/README.md has the grammar.
 *
 * A frame ends with the hash of all before it, and a frame that is not what
 * its sender hashed is refused whole.  TCP's sum of 16 bits lets some damage
 * through, and what is turned between frame_encode() and a socket or between a
 * socket and frame_decode(), in memory or by a bug, no transport sees; without
 * the hash such a value would be stored under its version on one node only,
 * for ever.  It is no defence against a member that means harm: the key is
 * public. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buffer.h"
#include "core/message.h"

#define FRAME_HASH_SIZE 8

/* Append @message as one frame, its hash included.
 * Errors: GV_ELIMIT (longer than MESSAGE_FRAME_SIZE_MAX), GV_ENOMEM. */
int frame_encode(const struct message *message, struct buffer *out);

/* Decode @frame; @message borrows from it.  Unknown fields at the end of a
 * message are ignored.  Reads each byte once for the hash, before any other
 * look, and once for the fields; allocates nothing.
 *
 * Errors: GV_EPROTO; @message is undefined. */
int frame_decode(const uint8_t *frame, size_t size, struct message *message);

/* Encode an interval from its header and the bytes of its fragments (a
 * stream, wire/stream.h); the result is what struct interval's bytes hold. */
int interval_encode(const struct site *site, gv_version from, gv_version to,
                    struct vv_view dependencies, const uint8_t *fragments,
                    size_t fragments_size, struct buffer *out);

/* Decode one; @fragments gets the stream's bytes.  Errors: GV_EPROTO. */
int interval_decode(const uint8_t *bytes, size_t size,
                    struct interval *interval, const uint8_t **fragments,
                    size_t *fragments_size);

#endif
