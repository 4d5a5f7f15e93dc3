/* The outbox over a network that says busy when it is told to. */
#include "check.h"

#include "grapevine.h"
#include "node/outbox.h"

static gv_link busy_link;
static char sent[100]; /* the first byte of each frame, in order */

int net_send(struct net *net, gv_link link, const uint8_t *frame, size_t size)
{
    size_t length = strlen(sent);

    CHECK(net == NULL && size >= 1);
    if (link == busy_link)
        return GV_EBUSY;
    CHECK_INT(length + 1, <, sizeof sent);
    sent[length] = (char)frame[0];
    sent[length + 1] = '\0';
    return GV_OK;
}

static int send_text(struct outbox *outbox, gv_link link, const char *text)
{
    return outbox_send(outbox, NULL, link, (const uint8_t *)text,
                       strlen(text));
}

static void start(struct outbox *outbox, gv_link busy)
{
    outbox_init(outbox);
    busy_link = busy;
    sent[0] = '\0';
}

TEST(what_a_busy_link_does_not_take_goes_out_later_in_order)
{
    struct outbox outbox;

    start(&outbox, 2);
    CHECK_INT(send_text(&outbox, 2, "a"), ==, GV_OK);
    CHECK_INT(send_text(&outbox, 4, "x"), ==, GV_OK);
    busy_link = 0;
    CHECK_INT(send_text(&outbox, 2, "b"), ==, GV_OK);
    CHECK_TEXT(sent, "x");
    CHECK(!outbox_empty(&outbox));
    outbox_flush(&outbox, NULL);
    CHECK_TEXT(sent, "xab");
    CHECK(outbox_empty(&outbox));
}

TEST(a_link_that_stays_busy_does_not_hold_up_another)
{
    struct outbox outbox;

    start(&outbox, 2);
    CHECK_INT(send_text(&outbox, 2, "a"), ==, GV_OK);
    busy_link = 4;
    CHECK_INT(send_text(&outbox, 4, "x"), ==, GV_OK);
    outbox_flush(&outbox, NULL);
    CHECK_TEXT(sent, "a");
    outbox_drop(&outbox, 4);
    CHECK(outbox_empty(&outbox));
}

TEST(too_much_for_one_link_is_an_error_and_not_a_loss)
{
    static uint8_t frame[256 * 1024];
    struct outbox outbox;
    int count = 0;

    start(&outbox, 2);
    frame[0] = 'f';
    while (outbox_send(&outbox, NULL, 2, frame, sizeof frame) == GV_OK)
        count++;
    CHECK_INT(count, ==, OUTBOX_LINK_SIZE_MAX / (256 * 1024));
    busy_link = 0;
    outbox_flush(&outbox, NULL);
    CHECK_INT(strlen(sent), ==, count);
    outbox_close(&outbox);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
