#include "core/neighbours.h"

#include "check.h"

#include <string.h>

static char old[NEIGHBOUR_ENDPOINT_SIZE];

static struct neighbour heard(unsigned site, unsigned instance,
                              const char *endpoint, gv_time_ms now)
{
    struct neighbour item = {.instance = instance, .heard = now, .said = now};

    item.site.bytes[0] = (uint8_t)site;
    item.site.bytes[1] = (uint8_t)(site >> 8);
    snprintf(item.endpoint, sizeof item.endpoint, "%s", endpoint);
    return item;
}

static enum neighbour_news hear(struct neighbours *table, unsigned site,
                                unsigned instance, const char *endpoint,
                                gv_time_ms now)
{
    struct neighbour item = heard(site, instance, endpoint, now);

    return neighbours_hear(table, &item, old);
}

TEST(each_is_new_once)
{
    struct neighbours table = {0};

    CHECK_INT(hear(&table, 1, 1, "a", 0), ==, NEIGHBOUR_NEW);
    CHECK_INT(hear(&table, 1, 1, "a", 3000), ==, NEIGHBOUR_KNOWN);
    CHECK_INT(hear(&table, 2, 1, "b", 3000), ==, NEIGHBOUR_NEW);
    CHECK_INT(table.count, ==, 2);
}

TEST(a_restart_is_seen_at_once)
{
    struct neighbours table = {0};

    hear(&table, 1, 1, "a", 0);
    CHECK_INT(hear(&table, 1, 2, "b", 1), ==, NEIGHBOUR_RESTARTED);
    CHECK_TEXT(old, "a");
    CHECK_INT(hear(&table, 1, 3, "b", 2), ==, NEIGHBOUR_RESTARTED);
    CHECK_TEXT(old, "");
    CHECK_INT(table.count, ==, 1);
}

TEST(one_heard_by_two_ways_keeps_the_first_while_it_is_heard_there)
{
    struct neighbours table = {0};

    hear(&table, 1, 1, "a", 0);
    for (gv_time_ms now = 1; now < 30000; now += 3000) {
        CHECK_INT(hear(&table, 1, 1, "b", now), ==, NEIGHBOUR_KNOWN);
        CHECK_INT(hear(&table, 1, 1, "a", now), ==, NEIGHBOUR_KNOWN);
    }
    CHECK_TEXT(table.items[0].endpoint, "a");
}

TEST(a_changed_address_replaces_one_that_is_silent)
{
    struct neighbours table = {0};

    hear(&table, 1, 1, "a", 0);
    CHECK_INT(hear(&table, 1, 1, "b", NEIGHBOUR_STALE_MS), ==,
              NEIGHBOUR_KNOWN);
    CHECK_INT(hear(&table, 1, 1, "b", NEIGHBOUR_STALE_MS + 1), ==,
              NEIGHBOUR_MOVED);
    CHECK_TEXT(old, "a");
    CHECK_TEXT(table.items[0].endpoint, "b");
}

TEST(who_is_silent_is_gone_after_its_time)
{
    struct neighbours table = {0};
    struct neighbour gone;

    CHECK(neighbours_deadline(&table) == INT64_MAX);
    hear(&table, 1, 1, "a", 0);
    hear(&table, 2, 1, "b", 5000);
    CHECK_INT(neighbours_deadline(&table), ==, NEIGHBOUR_GONE_MS);
    CHECK(!neighbours_expire(&table, NEIGHBOUR_GONE_MS - 1, &gone));
    CHECK(neighbours_expire(&table, NEIGHBOUR_GONE_MS, &gone));
    CHECK_TEXT(gone.endpoint, "a");
    CHECK(!neighbours_expire(&table, NEIGHBOUR_GONE_MS, &gone));
    CHECK_INT(table.count, ==, 1);
}

TEST(a_flood_of_forged_ones_does_not_push_out_the_live_ones)
{
    struct neighbours table = {0};

    hear(&table, 1, 1, "real", 0);
    for (unsigned i = 2; i < 1000; i++)
        hear(&table, i, 1, "forged", 1);
    CHECK_INT(table.count, ==, NEIGHBOURS_MAX);
    CHECK(table.refused > 0);
    CHECK_INT(hear(&table, 1, 1, "real", 3000), ==, NEIGHBOUR_KNOWN);
    /* Those that are not said again make room. */
    CHECK_INT(hear(&table, 2000, 1, "new", NEIGHBOUR_STALE_MS + 2), ==,
              NEIGHBOUR_NEW);
    CHECK_TEXT(table.items[0].endpoint, "real");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
