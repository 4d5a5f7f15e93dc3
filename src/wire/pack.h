/* msgpack-c's packer over a struct buffer, for the encoders of this layer.
 * Its results need no look: the buffer keeps the first error. */
#ifndef WIRE_PACK_H
#define WIRE_PACK_H

#include "base/buffer.h"
#include "core/message.h"

#include <msgpack.h>

static inline int pack_append(void *buffer, const char *bytes, size_t size)
{
    return buffer_append(buffer, bytes, size);
}

static inline msgpack_packer pack_into(struct buffer *buffer)
{
    return (msgpack_packer){buffer, pack_append};
}

static inline void pack_blob(msgpack_packer *packer, const void *bytes,
                             size_t size)
{
    msgpack_pack_bin(packer, size);
    msgpack_pack_bin_body(packer, bytes, size);
}

static inline void pack_text(msgpack_packer *packer, const void *bytes,
                             size_t size)
{
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, bytes, size);
}

static inline void pack_site(msgpack_packer *packer, const struct site *site)
{
    pack_blob(packer, site->bytes, sizeof(site->bytes));
}

static inline void pack_vv(msgpack_packer *packer, struct vv_view view)
{
    pack_blob(packer, view.bytes, view.count * VV_ENTRY_SIZE);
}

#endif
