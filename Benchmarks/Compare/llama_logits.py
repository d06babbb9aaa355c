"""Tokens and logits of llama.cpp, through llama-cpp-python's low-level interface: what comparisons are made with."""

import ctypes

import llama_cpp
import numpy


class Peer:
    """A model in llama.cpp, with a context of one chunk."""

    def __init__(self, path: str, context: int, threads: int):
        llama_cpp.llama_backend_init()
        log = llama_cpp.llama_log_callback(lambda level, text, data: None)
        self._log = log  # must outlive the library's use of it
        llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
        self.model = llama_cpp.llama_model_load_from_file(
            path.encode(), llama_cpp.llama_model_default_params()
        )
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = context
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        if not self.context:
            raise SystemExit(f"llama.cpp has no context of {context} for {path}")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(self.vocabulary)
        self.length = context

    def tokenize(self, text: bytes) -> list[int]:
        """The tokens of a text, with BOS where the model wants it, and no special tokens found in the text."""
        capacity = len(text) + 16
        tokens = (llama_cpp.llama_token * capacity)()
        count = llama_cpp.llama_tokenize(
            self.vocabulary, text, len(text), tokens, capacity, True, False
        )
        return list(tokens[:count])

    def logits(self, chunk: list[int]) -> numpy.ndarray:
        """The logits (positions, vocabulary) of the scored positions of one chunk: those from its middle to the last
        but one. The chunk's first token gives way to BOS where the model wants one."""
        chunk = list(chunk)
        if llama_cpp.llama_vocab_get_add_bos(self.vocabulary):
            chunk[0] = llama_cpp.llama_vocab_bos(self.vocabulary)
        first = len(chunk) // 2
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(chunk), 0, 1)
        batch.n_tokens = len(chunk)
        for position, token in enumerate(chunk):
            batch.token[position] = token
            batch.pos[position] = position
            batch.n_seq_id[position] = 1
            batch.seq_id[position][0] = 0
            batch.logits[position] = position >= first
        status = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_batch_free(batch)
        if status:
            raise SystemExit("llama_decode failed")
        rows = [
            numpy.ctypeslib.as_array(
                llama_cpp.llama_get_logits_ith(self.context, position), (self.size,)
            ).copy()
            for position in range(first, len(chunk) - 1)
        ]
        return numpy.stack(rows)
