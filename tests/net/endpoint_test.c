#include "check.h"
#include "net/endpoint.h"
#include "net/net.h"

static bool accepts(const char *text, bool listening)
{
    struct gv_error error = {0};
    bool off_loopback;
    int rc = net_check_endpoint(text, listening, &off_loopback, &error);

    if (rc == GV_OK)
        return true;
    CHECK_INT(rc, ==, GV_EINVAL);
    CHECK(strlen(error.what) > 0 && strlen(error.meaning) > 0 &&
          strlen(error.remedy) > 0);
    return false;
}

static bool is_off_loopback(const char *text, bool listening)
{
    bool off_loopback = false;

    CHECK_INT(net_check_endpoint(text, listening, &off_loopback, NULL), ==,
              GV_OK);
    return off_loopback;
}

TEST(good_endpoints_are_accepted)
{
    CHECK(accepts("tcp://127.0.0.1:7401", false));
    CHECK(accepts("tcp://127.0.0.1:65535", true));
    CHECK(accepts("tcp://[::1]:1", false));
    CHECK(accepts("tcp://[fe80::1%eth0]:7401", false));
    CHECK(accepts("tcp://some-host.example.org:7401", false));
    CHECK(accepts("tcp://*:7401", true));
    CHECK(accepts("tcp://127.0.0.1:*", true));
}

TEST(bad_endpoints_are_refused_with_three_sentences)
{
    static const char *const bad[] = {
        "",
        "127.0.0.1:7401",
        "udp://127.0.0.1:7401",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://:7401",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:100000000000",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:74 01",
        "tcp://127.0.0.1:7401/",
        "tcp://127.1:7401",
        "tcp://127.0.0.256:7401",
        "tcp://127.0.0.1:0;10.0.0.1:7401",
        "tcp://a b:7401",
        "tcp://::1:7401",
        "tcp://[::1:7401",
        "tcp://[::1]7401",
        "tcp://[::1];[::2]:7401",
        "tcp://[hello]:7401",
        "tcp://[::1%a;b]:7401",
    };
    char *long_one = malloc(1000);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (accepts(bad[i], false) || accepts(bad[i], true)) {
            fprintf(stderr, "accepted: '%s'\n", bad[i]);
            exit(1);
        }
    }
    CHECK(!accepts("tcp://*:7401", false));
    CHECK(!accepts("tcp://127.0.0.1:*", false));
    memset(long_one, 'a', 999);
    memcpy(long_one, "tcp://", 6);
    memcpy(long_one + 990, ":7401", 6);
    CHECK(!accepts(long_one, false));
    free(long_one);
}

TEST(loopback_is_told_from_the_rest_of_the_world)
{
    CHECK(!is_off_loopback("tcp://127.0.0.1:7401", false));
    CHECK(!is_off_loopback("tcp://127.8.9.10:7401", true));
    CHECK(!is_off_loopback("tcp://[::1]:7401", true));
    CHECK(!is_off_loopback("tcp://localhost:7401", true));
    CHECK(is_off_loopback("tcp://10.0.0.1:7401", false));
    CHECK(is_off_loopback("tcp://0.0.0.0:7401", true));
    CHECK(is_off_loopback("tcp://[::]:7401", true));
    CHECK(is_off_loopback("tcp://[fe80::1]:7401", false));
    CHECK(is_off_loopback("tcp://*:7401", true));
    CHECK(is_off_loopback("tcp://eth0:7401", true));
}

TEST(a_name_that_is_dialled_may_turn_out_to_be_loopback)
{
    CHECK(!is_off_loopback("tcp://some.host:7401", false));
}

static const char *dialled_form(const char *text, bool from_loopback)
{
    static char form[ENDPOINT_TEXT_SIZE];
    struct endpoint endpoint;

    CHECK_INT(endpoint_parse(&endpoint, text, false, NULL), ==, GV_OK);
    endpoint_format_dial(&endpoint, from_loopback, form);
    return form;
}

TEST(dialled_forms_carry_the_source_address)
{
    CHECK_TEXT(dialled_form("tcp://host:1", false), "tcp://host:1");
    CHECK_TEXT(dialled_form("tcp://host:1", true), "tcp://127.0.0.1:0;host:1");
    CHECK_TEXT(dialled_form("tcp://[::1]:1", false), "tcp://[::1]:1");
    CHECK_TEXT(dialled_form("tcp://[::1]:1", true), "tcp://[::1]:0;[::1]:1");
}

TEST(listening_on_localhost_needs_no_lookup)
{
    char form[ENDPOINT_TEXT_SIZE];
    struct endpoint endpoint;

    CHECK_INT(endpoint_parse(&endpoint, "tcp://localhost:7401", true, NULL),
              ==, GV_OK);
    endpoint_format_bind(&endpoint, form);
    CHECK_TEXT(form, "tcp://127.0.0.1:7401");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
