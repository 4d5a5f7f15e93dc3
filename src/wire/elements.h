/* How many elements each message has, its kind included, and what stands
 * inside them: for those who write frames and those who read them. */
#ifndef WIRE_ELEMENTS_H
#define WIRE_ELEMENTS_H

/* The last elements of HELLO, NEWS, VV and WANT may be missing: the first
 * releases had less. */
#define HELLO_COUNT_MIN 14
#define HELLO_FEATURES_COUNT 15
#define HELLO_COUNT 16
#define NEWS_COUNT_MIN 2
#define NEWS_COUNT 3
#define VV_COUNT_MIN 9
#define VV_COUNT 11
#define WANT_COUNT_MIN 6
#define WANT_COUNT 7
#define DELTA_COUNT 7
#define ACK_COUNT 5
#define PEERS_COUNT 2
#define PRUNE_COUNT 3
#define BYE_COUNT 3
#define CHECK_COUNT 5
#define PROOF_COUNT 4
#define INTERVAL_COUNT 5
/* Of what stands inside them. */
#define WORD_COUNT 9
#define BEAT_COUNT 5
#define ADDRESS_COUNT 3

#endif
