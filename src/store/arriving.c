/* A delta whose last byte has not come is kept over a crash, so that its
 * provider can go on with it.  gv_inbox has its bytes (inbox.c), and under
 * INBOX_ARRIVING_AT its head, numbers big-endian:
 *
 *     this site             16, since a copy of this file may not go on
 *     the provider          16
 *     its spool              8
 *     token                  8
 *     `at` of the first byte 8
 *     entries wanted         4, the vector when the first byte came
 *     these                  24 bytes each */
#include "store/apply.h"

#include "base/assert.h"
#include "store/borrowed.h"

#include <string.h>

#define ARRIVING_SIZE 60

int arriving_drop(struct store *store)
{
    GV_ASSERT(transaction_open(store));
    return sql_run(store->db, "DELETE FROM gv_inbox WHERE at=%d",
                   INBOX_ARRIVING_AT);
}

int arriving_put(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    struct buffer head;
    int rc = arriving_drop(store);

    GV_ASSERT(inbox->stored == 0 && inbox->token != 0);
    if (rc != GV_OK || inbox->spool == 0)
        return rc;
    buffer_init(&head, SIZE_MAX);
    buffer_append(&head, store_site(store)->bytes, sizeof(struct site));
    buffer_append(&head, inbox->site.bytes, sizeof(struct site));
    buffer_append_u64(&head, inbox->spool);
    buffer_append_u64(&head, inbox->token);
    buffer_append_u64(&head, (uint64_t)inbox->base);
    buffer_append_u32(&head, (uint32_t)inbox->wanted.count);
    GV_ASSERT(head.error != GV_OK || head.size == ARRIVING_SIZE);
    inbox_put_vector(&head, &inbox->wanted);
    rc = head.error;
    if (rc == GV_OK)
        rc = inbox_insert(store, INBOX_ARRIVING_AT, head.data, head.size);
    buffer_close(&head);
    return rc;
}

/* The head of what was arriving.  What it is of is not known to be whole:
 * a byte that is wrong is found when it is read. */
static int take_arriving(struct store *store, const uint8_t *bytes,
                         size_t size)
{
    struct inbox *inbox = &store->inbox;
    size_t wanted = size < ARRIVING_SIZE ? 0 : load_u32(bytes + 56);
    struct vv_view view;

    GV_ASSERT(inbox->token == 0 && inbox->memory.size == 0);
    if (size < ARRIVING_SIZE || wanted > VV_SITES_MAX ||
        size != ARRIVING_SIZE + wanted * VV_ENTRY_SIZE ||
        memcmp(bytes, store_site(store)->bytes, sizeof(struct site)) != 0)
        return GV_OK;
    view = (struct vv_view){bytes + ARRIVING_SIZE, wanted};
    memcpy(inbox->site.bytes, bytes + 16, sizeof inbox->site.bytes);
    inbox->spool = load_u64(bytes + 32);
    inbox->base = (int64_t)load_u64(bytes + 48);
    if (!vv_view_valid(view) || inbox->spool == 0 || inbox->base < 0)
        return GV_OK;
    inbox->token = load_u64(bytes + 40);
    return vv_raise_view(&inbox->wanted, view);
}

/* How many bytes stand from its base on without a hole. */
static int count_arrived(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    int64_t size = 0;
    int rc = sql_number(store->db, &size,
                        "SELECT CASE WHEN min(at)=%lld AND"
                        " max(at+length(bytes))-%lld=sum(length(bytes))"
                        " THEN sum(length(bytes)) ELSE 0 END"
                        " FROM gv_inbox WHERE at>=%lld",
                        (long long)inbox->base, (long long)inbox->base,
                        (long long)inbox->base);

    GV_ASSERT(inbox->stored == 0 && !inbox->accepted);
    if (rc == GV_OK && size > 0)
        inbox->stored = (uint64_t)size;
    return rc;
}

int arriving_read(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "SELECT bytes,sum FROM gv_inbox WHERE at=%d",
                         INBOX_ARRIVING_AT);

    GV_ASSERT(!inbox->accepted && inbox->token == 0);
    if (rc == GV_OK && (rc = sql_step(statement)) > 0)
        rc = inbox_is_sound(statement, 0)
                 ? take_arriving(store, sqlite3_column_blob(statement, 0),
                                 (size_t)sqlite3_column_bytes(statement, 0))
                 : GV_OK;
    sqlite3_finalize(statement);
    if (rc == GV_OK && inbox->token != 0 &&
        vv_covers(&store->vv, &inbox->wanted))
        rc = count_arrived(store);
    if (inbox->stored > 0)
        return rc;
    inbox_forget(inbox);
    return rc == GV_OK ? arriving_drop(store) : rc;
}
