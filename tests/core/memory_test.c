/* No memory: what was there stays as it was. */
#include "check.h"
#include "core/vv.h"
#include "grapevine.h"

static bool failing;

void *__real_realloc(void *bytes, size_t size);
void *__wrap_realloc(void *bytes, size_t size);

void *__wrap_realloc(void *bytes, size_t size)
{
    return failing ? NULL : __real_realloc(bytes, size);
}

static void raise_many(struct vv *vv, uint8_t count)
{
    for (uint8_t i = 1; i <= count; i++) {
        struct site site = {{i}};

        CHECK_INT(vv_raise(vv, &site, i), ==, GV_OK);
    }
}

TEST(a_vector_that_cannot_grow_stays_as_it_was)
{
    struct site extra = {{0, 1}};
    uint8_t bytes[VV_ENTRY_SIZE];
    struct vv_entry entry = {extra, 3};
    struct vv vv;
    uint64_t hash;

    vv_init(&vv);
    raise_many(&vv, 8);
    CHECK_INT(vv.capacity, ==, 8);
    hash = vv.hash;
    vv_entry_store(&entry, bytes);
    failing = true;
    CHECK_INT(vv_raise(&vv, &extra, 3), ==, GV_ENOMEM);
    CHECK_INT(vv_raise_view(&vv, (struct vv_view){bytes, 1}), ==, GV_ENOMEM);
    failing = false;
    CHECK_INT(vv.count, ==, 8);
    CHECK(vv.hash == hash);
    CHECK_INT(vv_get(&vv, &extra), ==, 0);
    vv_close(&vv);
}

TEST(a_copy_that_finds_no_room_changes_nothing)
{
    struct site first = {{1}};
    struct vv small, large;
    uint64_t hash;

    vv_init(&small);
    vv_init(&large);
    raise_many(&small, 1);
    raise_many(&large, 20);
    hash = small.hash;
    failing = true;
    CHECK_INT(vv_copy(&small, &large), ==, GV_ENOMEM);
    failing = false;
    CHECK_INT(small.count, ==, 1);
    CHECK(small.hash == hash);
    CHECK_INT(vv_get(&small, &first), ==, 1);
    vv_close(&small);
    vv_close(&large);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
