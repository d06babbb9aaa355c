/* The bytes of a block of every quantised type, as they lie in a file (little-endian).
 * Blocks may lie at any address: `packed` tells the compiler. */
#pragma once

#include <stdint.h>

#define CK_BLOCK(name, bytes) \
    ck_block_##name;          \
    _Static_assert(sizeof(ck_block_##name) == bytes, "a block of " #name " has " #bytes " bytes")

#pragma pack(push, 1)

typedef struct {
    uint16_t scale;   /* f16 */
    uint8_t low[16];  /* weight i in the lower half of byte i, weight i + 16 in the upper */
} CK_BLOCK(q4_0, 18);

typedef struct {
    uint16_t scale;   /* f16 */
    uint16_t minimum; /* f16 */
    uint8_t low[16];  /* as in q4_0 */
} CK_BLOCK(q4_1, 20);

typedef struct {
    uint16_t scale;   /* f16 */
    uint32_t fifth;   /* bit i is the fifth bit of weight i */
    uint8_t low[16];  /* the lower four bits, as in q4_0 */
} CK_BLOCK(q5_0, 22);

typedef struct {
    uint16_t scale;   /* f16 */
    uint16_t minimum; /* f16 */
    uint32_t fifth;   /* as in q5_0 */
    uint8_t low[16];  /* as in q5_0 */
} CK_BLOCK(q5_1, 24);

typedef struct {
    uint16_t scale;     /* f16 */
    int8_t weights[32];
} CK_BLOCK(q8_0, 34);

typedef struct {
    uint8_t packed[16]; /* scales in the lower halves, minimums in the upper */
    uint8_t low[64];    /* two bits each: see q2_k.c */
    uint16_t scale;     /* f16 */
    uint16_t minimum;   /* f16 */
} CK_BLOCK(q2_k, 84);

typedef struct {
    uint8_t third[32];  /* the third bits */
    uint8_t low[64];    /* the lower two, as in q2_k */
    uint8_t packed[12]; /* scales: see q3_k.c */
    uint16_t scale;     /* f16 */
} CK_BLOCK(q3_k, 110);

typedef struct {
    uint16_t scale;     /* f16 */
    uint16_t minimum;   /* f16 */
    uint8_t packed[12]; /* scales and minimums: see six_bits.h */
    uint8_t low[128];   /* four bits each: see q4_k.c */
} CK_BLOCK(q4_k, 144);

typedef struct {
    uint16_t scale;     /* f16 */
    uint16_t minimum;   /* f16 */
    uint8_t packed[12]; /* as in q4_k */
    uint8_t fifth[32];  /* the fifth bits */
    uint8_t low[128];   /* the lower four, as in q4_k */
} CK_BLOCK(q5_k, 176);

typedef struct {
    uint8_t low[128];   /* the lower four bits: see q6_k.c */
    uint8_t high[64];   /* the upper two */
    int8_t scales[16];  /* of 16 weights each */
    uint16_t scale;     /* f16 */
} CK_BLOCK(q6_k, 210);

typedef struct {
    uint16_t scale;      /* f16 */
    uint8_t points[64];  /* of four weights each: see iq3_xxs.c */
    uint8_t words[32];   /* signs and scales */
} CK_BLOCK(iq3_xxs, 98);

typedef struct {
    uint16_t scale;    /* f16 */
    uint8_t low[64];   /* the lower eight bits of points: see iq3_s.c */
    uint8_t ninth[8];  /* the ninth bits */
    uint8_t signs[32];
    uint8_t scales[4]; /* of 32 weights each */
} CK_BLOCK(iq3_s, 110);

typedef struct {
    uint16_t scale;   /* f16 */
    uint8_t low[16];  /* as in q4_0 */
} CK_BLOCK(iq4_nl, 18);

typedef struct {
    uint16_t scale;        /* f16 */
    uint16_t scales_high;  /* of 32 weights each: see iq4_xs.c */
    uint8_t scales_low[4];
    uint8_t low[128];      /* 32 weights in 16 bytes, as in q4_0 */
} CK_BLOCK(iq4_xs, 136);

#pragma pack(pop)
