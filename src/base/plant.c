#include "base/plant.h"

#ifdef GV_PLANTS

#include <string.h>

/* A class in @needs is what makes the bug show; more than one, separated by
 * commas, where each of them does. */
static const struct plant plants[] = {
    {"answers-each-vector", "each vector heard is answered with a vector",
     NULL, 20},
    {"any-clock", "a version from far ahead is accepted", "clock", 60},
    {"busy-is-done", "a write lock that is busy is taken for work done",
     "slow-disk", 60},
    {"busy-forgotten", "what a slice has shown in part is told and served",
     "slices", 100},
    {"claim-first", "a vector's entry is committed before its rows", NULL,
     100},
    {"claim-in-part", "the first slice of a delta claims all of it", "slices",
     60},
    {"copy-unnoticed", "the file's inode and birth are not compared",
     "copied-file", 60},
    {"delete-keeps-life", "a delete does not raise the causal length", NULL,
     10},
    {"dial-gives-up", "who does not answer for long is never dialled again",
     "partition,power", 200},
    {"dots-kept", "a merge keeps the record that lost", NULL, 20},
    {"full-is-done", "a commit that found the disk full counts as made",
     "disk-full", 60},
    {"gap-not-seen",
     "an interval is applied where those before it are missing", NULL, 20},
    {"graves-kept-20-s", "tombstones older than 20 s are not sent", NULL, 60},
    {"graves-kept-a-day", "tombstones older than a day are not sent", "churn",
     200},
    {"half-delta", "a delta is applied before its last piece is there", "huge",
     200},
    {"hash-unchecked", "the hash of a frame is not checked", "damaged-frame",
     60},
    {"hollow-as-null", "a value that is lost here is told to be NULL",
     "schema-mix", 200},
    {"hot-row-dropped", "a row that is written too often is left out", "hot",
     200},
    {"index-not-kept", "no trigger fires on apply", "triggers", 60},
    {"kept-as-told", "what a column made of a value is not looked at",
     "schema-mix", 100},
    {"late-is-gone", "a peer that is lost after a long pause is not dialled",
     "pause", 100},
    {"meta-apart", "the fingerprint is committed after the rows it is of",
     "kill,power,disk-full", 200},
    {"news-cut", "a row that no longer fits into an interval is left out",
     "huge", 100},
    {"no-site-in-tie", "of two equal versions the site does not decide", NULL,
     100},
    {"null-is-absent", "a NULL that is written is taken for no write", NULL,
     10},
    {"old-key-missed", "when a key changes, the row under the old one stays",
     "program", 20},
    {"old-life-shows", "a row's new life keeps what the old one held", NULL,
     20},
    {"old-unnoticed", "a file that went back in time keeps its identity",
     "old-file", 100},
    {"overwrite-unnoticed",
     "a file that is copied over one in use is not looked at",
     "old-file,copied-file", 60},
    {"own-not-kept", "the counter of own versions is not stored", NULL, 10},
    {"parked-not-shown", "what waited for a column stays where it is",
     "schema-mix", 60},
    {"peers-unread", "what peers tell of other peers is not taken up",
     "strangers", 60},
    {"range-cut", "a delta claims more than the rows it was cut to", NULL, 20},
    {"ranges-halved", "half of the ranges are not compared", "corrupt-page",
     60},
    {"real-by-text", "reals are read as text of 16 digits", "numbers", 20},
    {"reset-is-refusal", "a connection that was reset is not made again",
     "reset,lost-end", 60},
    {"sent-is-held", "a delta whose end was lost counts as held",
     "lost-end,frames,partition", 100},
    {"sibling-dropped", "a value that arrives replaces what nobody has seen",
     "kinds", 60},
    {"slow-peer-dropped", "a peer that was too far behind is never dialled",
     "clog", 200},
    {"spool-unchecked", "the hashes of a spool's blocks are not compared",
     "power", 400},
    {"start-unsynced", "what a killed run left unsynced is told", "power",
     500},
    {"strays-stay", "what is listed of rows that are gone stays listed",
     "corrupt-page", 60},
    {"sum-counted-twice", "a counter's first write here adds the sum again",
     "kinds", 60},
    {"sync-fails-once", "a sync that failed is taken for done", "sync", 60},
    {"text-by-strlen", "texts end at the first NUL", "text", 20},
    {"tie-by-arrival", "the write that arrives last wins", NULL, 10},
    {"tie-keeps-local", "of two deletes of one life each site keeps its own",
     NULL, 60},
    {"told-unsynced", "news leave before the disk has what they tell", NULL,
     10},
    {"trigger-rewrites-merge", "triggers that rewrite fire on apply",
     "triggers", 100},
    {"unknown-column-skipped", "what no column shows is forgotten",
     "schema-mix", 60},
    {"unread-is-end", "a read that fails is taken for the last row",
     "io-error", 200},
    {"want-twice", "a question heard twice counts as answered once", "frames",
     100},
};

static const struct plant *chosen;

bool plant(const char *name)
{
    return chosen != NULL && strcmp(chosen->name, name) == 0;
}

bool plant_choose(const char *name)
{
    const size_t count = sizeof plants / sizeof plants[0];

    chosen = NULL;
    for (size_t i = 0; name != NULL && i < count && chosen == NULL; i++)
        if (strcmp(plants[i].name, name) == 0)
            chosen = &plants[i];
    return name == NULL || chosen != NULL;
}

const struct plant *plant_list(size_t *count)
{
    *count = sizeof plants / sizeof plants[0];
    return plants;
}

#endif
