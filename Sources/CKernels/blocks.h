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

typedef struct {
    uint16_t scale;      /* f16 */
    uint16_t points[32]; /* of 8 weights each; see iq2_xxs.c */
} CK_BLOCK(iq2_xxs, 66);

typedef struct {
    uint16_t scale;      /* f16 */
    uint16_t points[32]; /* of 8 weights each: 9 bits of index, 7 of signs */
    uint8_t scales[8];   /* of 32 weights each: four bits for 16 */
} CK_BLOCK(iq2_xs, 74);

typedef struct {
    uint16_t scale;     /* f16 */
    uint8_t low[32];    /* of the indices of points of 8 weights */
    uint8_t signs[32];  /* one bit a weight */
    uint8_t high[8];    /* two more bits of each index */
    uint8_t scales[8];  /* as in iq2_xs */
} CK_BLOCK(iq2_s, 82);

typedef struct {
    uint16_t scale;     /* f16 */
    uint8_t low[32];    /* of the indices of points of 8 weights */
    uint16_t high[8];   /* of 32 weights each: see iq1_s.c */
} CK_BLOCK(iq1_s, 50);

typedef struct {
    uint8_t low[32];    /* of the indices of points of 8 weights */
    uint8_t high[16];   /* of 16 weights each: see iq1_m.c */
    uint16_t scales[4]; /* of 64 weights each, and four bits of the block's */
} CK_BLOCK(iq1_m, 56);

typedef struct {
    uint8_t fives[48];  /* five weights each: see tq1_0.c */
    uint8_t fours[4];   /* four weights each */
    uint16_t scale;     /* f16 */
} CK_BLOCK(tq1_0, 54);

typedef struct {
    uint8_t pairs[64];  /* four weights of two bits each: see tq2_0.c */
    uint16_t scale;     /* f16 */
} CK_BLOCK(tq2_0, 66);

typedef struct {
    uint8_t exponent;   /* E8M0 */
    uint8_t low[16];    /* as in q4_0 */
} CK_BLOCK(mxfp4, 17);

typedef struct {
    uint8_t scales[4];  /* of 16 weights each, UE4M3 */
    uint8_t low[4][8];  /* of 16 weights each: weight i in the lower half of byte i, weight i + 8 in the upper */
} CK_BLOCK(nvfp4, 36);

typedef struct {
    uint16_t scale;     /* f16 */
    uint8_t bits[16];   /* bit i % 8 of byte i / 8 */
} CK_BLOCK(q1_0, 18);

typedef struct {
    uint16_t scale;     /* f16 */
    uint8_t pairs[16];  /* four weights each, the first in the lowest bits */
} CK_BLOCK(q2_0, 18);

#pragma pack(pop)
