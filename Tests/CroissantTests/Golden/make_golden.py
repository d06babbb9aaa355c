"""Makes the files of this folder, which ArchitectureTests reads: a tiny random model of each architecture, what changes
of metadata or tensors make of it, and the logits of each variant in float64.

    Benchmarks/Compare/setup.sh
    Benchmarks/Compare/.venv/bin/pip install gguf==0.19.0
    Benchmarks/Compare/.venv/bin/python Tests/CroissantTests/Golden/make_golden.py

The forward pass below is written from the papers that it cites, in double precision, over the dequantised weights.
llama.cpp, where it knows the variant, has to agree with it on the same weights as floats before anything is recorded;
how far its logits are from these on the file as it is, with its default settings, is recorded beside them.
"""

import ctypes
import json
import math
import pathlib
import tempfile

import gguf
import llama_cpp
import numpy as np

FOLDER = pathlib.Path(__file__).parent
TOKENS = 24  # fed to each variant
EMBEDDING, HIDDEN, LAYERS, VOCABULARY = 32, 64, 2, 64

# What the files do not say: which elements of a head RoPE pairs, and the parts that a block has beside Llama's.
ARCHITECTURES = {
    "llama": {"pairs": "adjacent", "bias": False, "norms": False},
    "qwen2": {"pairs": "halves", "bias": True, "norms": False},
    "qwen3": {"pairs": "halves", "bias": False, "norms": True},
}

# Each file: heads, key/value heads, elements of a head (None: embedding / heads), metadata, and further tensors.
FILES = {
    "llama": (4, 2, 16, {"rope.freq_base": 500000.0}, {"output.weight", "rope_freqs.weight"}),
    "qwen2": (4, 2, None, {"rope.freq_base": 1000000.0}, {"output.weight"}),
    "qwen3": (4, 1, 16, {"rope.freq_base": 1000000.0}, set()),
}

YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32}

# Each variant: the file, metadata beside its own, tensors that it does without, and whether llama.cpp computes it so.
VARIANTS = {
    "llama, factors of frequencies": ("llama", {}, [], True),
    "llama": ("llama", {}, ["rope_freqs.weight"], True),
    "llama, tied output": ("llama", {}, ["rope_freqs.weight", "output.weight"], True),
    "llama, linear scaling": (
        "llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, ["rope_freqs.weight"], True),
    "llama, YaRN": ("llama", YARN | {"rope.freq_base": 10000.0}, ["rope_freqs.weight"], True),
    "llama, sliding window": ("llama", {"attention.sliding_window": 5}, ["rope_freqs.weight"], False),
    "llama, half of each head turned": ("llama", {"rope.dimension_count": 8}, ["rope_freqs.weight"], False),
    "qwen2": ("qwen2", {}, [], True),
    "qwen2, YaRN with limits of its own": (
        "qwen2", YARN | {"rope.scaling.yarn_beta_fast": 4.0, "rope.scaling.yarn_beta_slow": 0.25,
                         "rope.freq_base": 10000.0}, ["output.weight"], True),
    "qwen3": ("qwen3", {}, [], True),
    "qwen3, YaRN": ("qwen3", YARN, [], True),
}


def vocabulary():
    """A byte-level vocabulary of few characters: tokens and merges."""
    tokens = [*"abcdefghijklmnopqrstuvwxyz", *"ĠĊ.,'!?-"]
    merges = []
    for pair in ("t h", "th e", "Ġ the", "i n", "in g", "e r", "o n", "Ġ l", "Ġl e", "l a", "e s", "a n", "an d",
                 "Ġ c", "r o", "o u", "q u", "qu e", "e n", "en t", "s t", "Ġ d", "Ġd e", "t i", "u r", "i s", "m e"):
        merges.append(pair)
        tokens.append(pair.replace(" ", ""))
    return tokens + ["<|begin|>", "<|endoftext|>", "<|im_end|>"], merges


def tensors(name, generator):
    """The weights of a file: matrices rounded to Q8_0, (rows, columns), and vectors."""
    heads, key_value_heads, size, _, extra = FILES[name]
    size = size or EMBEDDING // heads
    result = {}

    def matrix(key, rows, columns, scale=1.0):
        result[key] = generator.normal(0, scale / math.sqrt(columns), (rows, columns))

    def vector(key, values):
        result[key] = values

    def norm(length):
        return generator.uniform(0.5, 1.5, length)

    matrix("token_embd.weight", VOCABULARY, EMBEDDING, math.sqrt(EMBEDDING))
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        vector(block + "attn_norm.weight", norm(EMBEDDING))
        # Scores that differ by some units, so that a wrong position moves the result.
        for key, rows, scale in (("q", heads, 2), ("k", key_value_heads, 2), ("v", key_value_heads, 1)):
            matrix(f"{block}attn_{key}.weight", rows * size, EMBEDDING, scale)
            if ARCHITECTURES[name]["bias"]:
                vector(f"{block}attn_{key}.bias", generator.normal(0, 1, rows * size))
            if ARCHITECTURES[name]["norms"] and key != "v":
                vector(f"{block}attn_{key}_norm.weight", 1.5 * norm(size))
        matrix(block + "attn_output.weight", EMBEDDING, heads * size, 2)
        vector(block + "ffn_norm.weight", norm(EMBEDDING))
        matrix(block + "ffn_gate.weight", HIDDEN, EMBEDDING)
        matrix(block + "ffn_up.weight", HIDDEN, EMBEDDING)
        matrix(block + "ffn_down.weight", EMBEDDING, HIDDEN, 2)
    vector("output_norm.weight", norm(EMBEDDING))
    if "output.weight" in extra:
        matrix("output.weight", VOCABULARY, EMBEDDING, 3)
    if "rope_freqs.weight" in extra:
        vector("rope_freqs.weight", np.linspace(1, 8, size // 2) ** 1.5)
    return {key: values.astype(np.float32) for key, values in result.items()}


def metadata(name):
    """Keys below the architecture's name."""
    heads, key_value_heads, size, keys, _ = FILES[name]
    result = {
        "context_length": 128, "embedding_length": EMBEDDING, "block_count": LAYERS, "feed_forward_length": HIDDEN,
        "attention.head_count": heads, "attention.head_count_kv": key_value_heads,
        "attention.layer_norm_rms_epsilon": 1e-6, "vocab_size": VOCABULARY,
    }
    if size:
        result |= {"attention.key_length": size, "attention.value_length": size, "rope.dimension_count": size}
    return result | keys


def write(path, name, keys, weights, matrix_type):
    """A GGUF file of `weights`, matrices in `matrix_type`."""
    writer = gguf.GGUFWriter(path, name)
    writer.add_name(f"tiny random {name}")
    for key, value in keys.items():
        add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)]
        add(f"{name}.{key}", value)
    tokens, merges = vocabulary()
    assert len(tokens) == VOCABULARY
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe" if name == "llama" else "qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 3) + [3] * 3)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens) - 3)
    writer.add_eos_token_id(len(tokens) - 2)
    for key, values in weights.items():
        if values.ndim == 1 or matrix_type == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(key, values)
        else:
            writer.add_tensor(key, gguf.quants.quantize(values, matrix_type), raw_dtype=matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# ---- The forward pass in float64 --------------------------------------------------------------------------------------


def rms_norm(x, weight, epsilon):
    """arXiv 1910.07467, over the last axis."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def rope_angles(keys, size, factors):
    """The angle of each pair for every position, and the factor of turned pairs: arXiv 2104.09864, 2309.00071."""
    dimensions = keys.get("rope.dimension_count", size)
    base = float(np.float32(keys["rope.freq_base"]))
    scale = keys.get("rope.scaling.factor", 1.0)
    frequencies = base ** (-np.arange(0, dimensions, 2) / dimensions)
    magnitude = 1.0
    if keys.get("rope.scaling.type") == "yarn":
        context = keys["rope.scaling.original_context_length"]

        def correction(turns):
            return dimensions * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(base))

        low = max(math.floor(correction(keys.get("rope.scaling.yarn_beta_fast", 32.0))), 0)
        high = min(math.ceil(correction(keys.get("rope.scaling.yarn_beta_slow", 1.0))), dimensions - 1)
        ramp = np.clip((np.arange(dimensions // 2) - low) / (high - low or 0.001), 0, 1)
        assert 0 < ramp.sum() < len(ramp), "a variant that does not tell YaRN from linear scaling"
        frequencies = frequencies / scale * ramp + frequencies * (1 - ramp)
        magnitude = 0.1 * math.log(scale) + 1.0
    else:
        frequencies = frequencies / scale
    return np.outer(np.arange(TOKENS), frequencies / factors), magnitude


def rotate(x, pairs, angles, magnitude):
    """Turns pairs of x (tokens, heads, size); what is beyond the turned elements stays."""
    count = angles.shape[1]
    cosines, sines = magnitude * np.cos(angles)[:, None], magnitude * np.sin(angles)[:, None]
    first = np.arange(0, 2 * count, 2) if pairs == "adjacent" else np.arange(count)
    second = first + (1 if pairs == "adjacent" else count)
    result = x.copy()
    result[..., first] = x[..., first] * cosines - x[..., second] * sines
    result[..., second] = x[..., first] * sines + x[..., second] * cosines
    return result


def forward(name, keys, weights, ids):
    """Logits (tokens, vocabulary): arXiv 2302.13971 (Llama), 2310.06825 (windows), 2407.10671, 2505.09388 (Qwen)."""
    architecture = ARCHITECTURES[name]
    w = {key: values.astype(np.float64) for key, values in weights.items()}
    heads, key_value_heads = keys["attention.head_count"], keys["attention.head_count_kv"]
    size = keys.get("attention.key_length", EMBEDDING // heads)
    epsilon = float(np.float32(keys["attention.layer_norm_rms_epsilon"]))
    angles, magnitude = rope_angles(keys, size, w.get("rope_freqs.weight", 1.0))

    positions = np.arange(len(ids))
    distance = positions[:, None] - positions
    visible = (distance >= 0) & (distance < keys.get("attention.sliding_window", len(ids)))

    x = w["token_embd.weight"][ids]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        normalized = rms_norm(x, w[block + "attn_norm.weight"], epsilon)
        parts = {}
        for key, count in (("q", heads), ("k", key_value_heads), ("v", key_value_heads)):
            part = normalized @ w[f"{block}attn_{key}.weight"].T
            if architecture["bias"]:
                part = part + w[f"{block}attn_{key}.bias"]
            part = part.reshape(len(ids), count, size)
            if architecture["norms"] and key != "v":
                part = rms_norm(part, w[f"{block}attn_{key}_norm.weight"], epsilon)
            parts[key] = part if key == "v" else rotate(part, architecture["pairs"], angles, magnitude)
        keys_of_heads = np.repeat(parts["k"], heads // key_value_heads, axis=1)
        values_of_heads = np.repeat(parts["v"], heads // key_value_heads, axis=1)
        scores = np.einsum("qhs,khs->hqk", parts["q"], keys_of_heads) / math.sqrt(size)
        scores = np.where(visible, scores, -np.inf)
        probabilities = np.exp(scores - scores.max(axis=-1, keepdims=True))
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        attention = np.einsum("hqk,khs->qhs", probabilities, values_of_heads).reshape(len(ids), heads * size)
        x = x + attention @ w[block + "attn_output.weight"].T

        normalized = rms_norm(x, w[block + "ffn_norm.weight"], epsilon)
        gate = normalized @ w[block + "ffn_gate.weight"].T
        up = normalized @ w[block + "ffn_up.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[block + "ffn_down.weight"].T
    return rms_norm(x, w["output_norm.weight"], epsilon) @ w.get("output.weight", w["token_embd.weight"]).T


def divergence(reference, logits):
    """The mean over rows of the Kullback-Leibler divergence, reference || logits, in nats."""

    def log_softmax(rows):
        rows = rows.astype(np.float64)
        rows = rows - rows.max(axis=-1, keepdims=True)
        return rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True))

    p, q = log_softmax(reference), log_softmax(logits)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


# ---- llama.cpp --------------------------------------------------------------------------------------------------------

QUIET = llama_cpp.llama_log_callback(lambda level, text, data: None)


def llama(path, keys, ids, batch, floats=False):
    """Logits (tokens, vocabulary) in passes of `batch`; with `floats` nothing is rounded below float32."""
    llama_cpp.llama_log_set(QUIET, ctypes.c_void_p(0))
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    assert model, f"llama.cpp cannot load {path}"
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 128
    parameters.n_threads = parameters.n_threads_batch = 1
    # It has options for these two, but does not read them from files of these architectures.
    parameters.yarn_beta_fast = keys.get("rope.scaling.yarn_beta_fast", parameters.yarn_beta_fast)
    parameters.yarn_beta_slow = keys.get("rope.scaling.yarn_beta_slow", parameters.yarn_beta_slow)
    if floats:
        parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, parameters)
    rows = []
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        tokens = llama_cpp.llama_batch_init(len(part), 0, 1)
        tokens.n_tokens = len(part)
        for index, token in enumerate(part):
            tokens.token[index], tokens.pos[index], tokens.logits[index] = token, start + index, True
            tokens.n_seq_id[index], tokens.seq_id[index][0] = 1, 0
        assert llama_cpp.llama_decode(context, tokens) == 0
        for index in range(len(part)):
            row = llama_cpp.llama_get_logits_ith(context, index)
            rows.append(np.ctypeslib.as_array(row, shape=(VOCABULARY,)).copy())
        llama_cpp.llama_batch_free(tokens)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return np.array(rows)


def main():
    q8 = gguf.GGMLQuantizationType.Q8_0
    f32 = gguf.GGMLQuantizationType.F32
    models = {}
    for seed, name in enumerate(FILES):
        weights = tensors(name, np.random.default_rng(seed))
        write(FOLDER / f"{name}.gguf", name, metadata(name), weights, q8)
        models[name] = {
            key: values if values.ndim == 1 else gguf.quants.dequantize(gguf.quants.quantize(values, q8), q8)
            for key, values in weights.items()
        }
    document = []
    logits = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "variant.gguf"
        for index, (variant, (name, changes, removed, known)) in enumerate(VARIANTS.items()):
            keys = metadata(name) | changes
            weights = {key: values for key, values in models[name].items() if key not in removed}
            ids = np.random.default_rng(1000 + index).integers(0, VOCABULARY - 3, TOKENS).tolist()
            reference = forward(name, keys, weights, ids)
            logits[variant] = reference
            peer = None
            if known:
                write(path, name, keys, weights, f32)
                for batch in (TOKENS, 1):
                    agreement = divergence(reference, llama(path, keys, ids, batch, floats=True))
                    assert agreement < 1e-6, f"{variant}: llama.cpp is {agreement} away in passes of {batch}"
                write(path, name, keys, weights, q8)
                peer = {"batch": divergence(reference, llama(path, keys, ids, TOKENS)),
                        "single": divergence(reference, llama(path, keys, ids, 1))}
            document.append({
                "name": variant, "file": f"{name}.gguf", "ids": ids, "removed": removed, "llamaCpp": peer,
                "metadata": {f"{name}.{key}": value for key, value in changes.items()},
            })
            print(f"{variant:40} llama.cpp, mean divergence: {peer}")
    # A variant that gives the logits of another would show nothing.
    for index, (left, right) in enumerate([(a, b) for a in document for b in document if a is not b]):
        if left["file"] == right["file"]:
            name, ids = left["file"].removesuffix(".gguf"), left["ids"]
            keys = metadata(name) | VARIANTS[right["name"]][1]
            weights = {key: values for key, values in models[name].items() if key not in right["removed"]}
            assert divergence(logits[left["name"]], forward(name, keys, weights, ids)) > 1e-3, (left, right)
    (FOLDER / "variants.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    np.concatenate(list(logits.values())).astype("<f4").tofile(FOLDER / "logits.f32")


main()
