/// What llama.cpp's quantiser gives each matrix of small models, as a dry run of llama-cpp-python 0.3.36 prints it.
///
/// A line is a file type, the tensor type of all matrices that are not named, and those that are named: with layers
/// after an @, in these, otherwise in all of them.
enum GoldenMixes {
    /// 24 layers of 256 and 704, which is not whole blocks of 256, every query with a key of its own.
    static let mha = """
        F32 | F32
        F16 | F16
        Q4_0 | Q4_0; output Q6_K
        Q4_1 | Q4_1; output Q6_K
        Q8_0 | Q8_0
        Q5_0 | Q5_0; output Q6_K
        Q5_1 | Q5_1; output Q6_K
        Q2_K | Q2_K; output Q6_K; attn_v Q3_K; attn_output Q3_K; ffn_down Q4_0
        Q3_K_S | Q3_K; output Q6_K; ffn_down Q4_0
        Q3_K_M | Q3_K; output Q6_K; attn_v Q5_K@0-1 Q4_K@2-23; attn_output Q4_K; ffn_down Q5_1@0 Q5_0@1-23
        Q3_K_L | Q3_K; output Q6_K; attn_v Q5_K; attn_output Q5_K; ffn_down Q5_1
        Q4_K_S | Q4_K; output Q6_K; attn_v Q5_K@0-3; ffn_down Q5_1@0-2 Q5_0@3-23
        Q4_K_M | Q4_K; output Q6_K; attn_v Q6_K@0-2,5,8,11,14,17,20-23; \
            ffn_down Q8_0@0-2,5,8,11,14,17,20-23 Q5_0@3-4,6-7,9-10,12-13,15-16,18-19
        Q5_K_S | Q5_K; output Q6_K; ffn_down Q5_1
        Q5_K_M | Q5_K; output Q6_K; attn_v Q6_K@0-2,5,8,11,14,17,20-23; \
            ffn_down Q8_0@0-2,5,8,11,14,17,20-23 Q5_1@3-4,6-7,9-10,12-13,15-16,18-19
        Q6_K | Q6_K; ffn_down Q8_0
        IQ2_XXS | IQ2_XXS; token_embd Q2_K; output Q5_K; attn_v Q2_K; ffn_down Q4_0@0-2 IQ4_NL@3-23
        IQ2_XS | IQ2_XS; token_embd Q2_K; output Q5_K; attn_v Q2_K; ffn_down Q4_0@0-2 IQ4_NL@3-23
        Q2_K_S | Q2_K; output Q6_K; ffn_down Q5_0@0-2 Q4_0@3-23
        IQ3_XS | IQ3_XXS; token_embd IQ3_S; output Q6_K; attn_v IQ3_S; attn_output IQ3_S; \
            ffn_gate IQ3_S@0-2,21-23; ffn_up IQ3_S@0-2,21-23; ffn_down IQ4_NL
        IQ3_XXS | IQ3_S; output Q5_K; attn_q IQ2_S; attn_k IQ2_S; ffn_gate IQ3_XXS; ffn_up IQ3_XXS; \
            ffn_down Q5_0@0-2 Q4_0@3-23
        IQ1_S | IQ1_S; token_embd Q2_K; output Q5_K; attn_v Q2_K; attn_output IQ2_XXS; ffn_down Q4_0@0-2 IQ4_NL@3-23
        IQ4_NL | IQ4_NL; output Q6_K; ffn_down Q5_1@0-2
        IQ3_S | IQ3_S; output Q6_K; ffn_down IQ4_NL
        IQ3_M | IQ3_S; output Q6_K; attn_v Q4_K; attn_output Q4_K; ffn_down Q5_0@0-2 IQ4_NL@3-23
        IQ2_S | IQ2_XS; token_embd IQ3_S; output Q5_K; attn_v IQ3_S; attn_output IQ3_S; ffn_down IQ4_NL
        IQ2_M | IQ2_S; token_embd IQ3_S; output Q5_K; attn_v IQ3_S; attn_output IQ3_S; ffn_down IQ4_NL
        IQ4_XS | IQ4_XS; output Q6_K; ffn_down Q5_1@0-2 IQ4_NL@3-23
        IQ1_M | IQ1_M; token_embd Q2_K; output Q5_K; attn_v Q2_K; attn_output IQ2_XXS; ffn_down Q4_0@0-2 IQ4_NL@3-23
        BF16 | BF16
        TQ1_0 | TQ1_0; token_embd Q4_K; output Q6_K; ffn_down Q4_0
        TQ2_0 | TQ2_0; token_embd Q4_K; output Q6_K; ffn_down Q4_0
        MXFP4_MOE | Q8_0
        Q2_0 | Q2_0; token_embd Q4_K; output Q6_K
        """

    /// 32 layers of 256 and 512, four queries to a key.
    static let gqa = """
        F32 | F32
        F16 | F16
        Q4_0 | Q4_0; output Q6_K
        Q4_1 | Q4_1; output Q6_K
        Q8_0 | Q8_0
        Q5_0 | Q5_0; output Q6_K
        Q5_1 | Q5_1; output Q6_K
        Q2_K | Q2_K; output Q6_K; attn_v Q4_K; attn_output Q3_K; ffn_down Q3_K
        Q3_K_S | Q3_K; output Q6_K
        Q3_K_M | Q3_K; output Q6_K; attn_v Q5_K@0-1 Q4_K@2-31; attn_output Q4_K; ffn_down Q5_K@0-1 Q4_K@2-31
        Q3_K_L | Q3_K; output Q6_K; attn_v Q5_K; attn_output Q5_K; ffn_down Q5_K
        Q4_K_S | Q4_K; output Q6_K; attn_v Q5_K@0-3; ffn_down Q5_K@0-3
        Q4_K_M | Q4_K; output Q6_K; attn_v Q6_K@0-3,6,9,12,15,18,21,24,27-31; \
            ffn_down Q6_K@0-3,6,9,12,15,18,21,24,27-31
        Q5_K_S | Q5_K; output Q6_K
        Q5_K_M | Q5_K; output Q6_K; attn_v Q6_K@0-3,6,9,12,15,18,21,24,27-31; \
            ffn_down Q6_K@0-3,6,9,12,15,18,21,24,27-31
        Q6_K | Q6_K
        IQ2_XXS | IQ2_XXS; token_embd Q2_K; output Q5_K; attn_v Q4_K; ffn_down Q2_K@0-3
        IQ2_XS | IQ2_XS; token_embd Q2_K; output Q5_K; attn_v Q4_K; ffn_down Q2_K@0-3
        Q2_K_S | Q2_K; output Q6_K; attn_v Q4_K; ffn_down Q4_K@0-3
        IQ3_XS | IQ3_XXS; token_embd IQ3_S; output Q6_K; attn_v Q4_K; attn_output IQ3_S; \
            ffn_gate IQ3_S@0-3,28-31; ffn_up IQ3_S@0-3,28-31; ffn_down IQ3_S
        IQ3_XXS | IQ2_S; token_embd IQ3_S; output Q5_K; attn_v Q4_K; attn_output IQ3_S; ffn_gate IQ3_XXS; \
            ffn_up IQ3_XXS; ffn_down Q4_K@0-3 Q3_K@4-31
        IQ1_S | IQ1_S; token_embd Q2_K; output Q5_K; attn_v Q4_K; attn_output IQ2_XXS; ffn_down Q2_K@0-3
        IQ4_NL | IQ4_NL; output Q6_K; attn_v Q5_K; ffn_down Q5_K@0-3
        IQ3_S | IQ3_S; output Q6_K; attn_v Q4_K
        IQ3_M | IQ3_S; output Q6_K; attn_v Q4_K; attn_output Q4_K; ffn_down Q4_K@0-3
        IQ2_S | IQ2_XS; token_embd IQ3_S; output Q5_K; attn_v Q4_K; attn_output IQ3_S; ffn_down IQ3_S@0-3
        IQ2_M | IQ2_S; token_embd IQ3_S; output Q5_K; attn_v Q4_K; attn_output IQ3_S; ffn_down IQ3_S@0-3
        IQ4_XS | IQ4_XS; output Q6_K; attn_v Q5_K; ffn_down Q5_K@0-3
        IQ1_M | IQ1_M; token_embd Q2_K; output Q5_K; attn_v Q4_K; attn_output IQ2_XXS; ffn_down Q2_K@0-3
        BF16 | BF16
        TQ1_0 | TQ1_0; token_embd Q4_K; output Q6_K
        TQ2_0 | TQ2_0; token_embd Q4_K; output Q6_K
        MXFP4_MOE | Q8_0
        Q1_0 | Q1_0; output Q6_K
        Q2_0 | Q2_0; token_embd Q4_K; output Q6_K
        """

    /// 80 layers of 256 and 768, eight queries to a key.
    static let big = """
        Q2_K | Q2_K; output Q6_K; attn_v Q5_K; attn_output Q3_K; ffn_down Q3_K
        Q3_K_M | Q3_K; output Q6_K; attn_v Q5_K; attn_output Q4_K; ffn_down Q5_K@0-4 Q4_K@5-79
        IQ3_M | IQ3_S; output Q6_K; attn_v Q5_K; attn_output Q4_K; ffn_down Q4_K@0-9
        IQ2_M | IQ2_S; token_embd IQ3_S; output Q5_K; attn_v Q4_K; attn_output IQ3_S; ffn_down IQ3_S@0-9
        """

    /// 10 layers of 256 and 360, which is not whole blocks of 32, two queries to a key.
    static let ragged = """
        F16 | F16
        Q4_0 | Q4_0; output Q6_K; ffn_down F16
        Q2_K | Q2_K; output Q6_K; attn_v Q3_K; attn_output Q3_K; ffn_down F16
        Q6_K | Q6_K; ffn_down F16
        IQ4_XS | IQ4_XS; output Q6_K; ffn_down F16
        TQ1_0 | TQ1_0; token_embd Q4_K; output Q6_K; ffn_down F16
        MXFP4_MOE | Q8_0; ffn_down F16
        """
}
