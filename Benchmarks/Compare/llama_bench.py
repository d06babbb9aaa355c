"""Times llama.cpp, through llama-cpp-python's low-level interface, on one file: what `croissant-gguf bench` does.

Prints one JSON object: tokens a second of every counted run, the peak memory of the process in bytes, and what the
library was built for.
"""

import argparse
import ctypes
import json
import random
import time

import llama_cpp


def peak_memory() -> int:
    """The most memory that this process ever had, shared file pages included, as the kernel counts it."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Runner:
    """A model and a context of llama.cpp."""

    def __init__(self, path: str, threads: int, context: int, batch: int):
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
        parameters.n_ctx = context
        parameters.n_batch = batch
        parameters.n_ubatch = batch
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(vocabulary)
        self.batch = batch

    def rewind(self, position: int) -> None:
        """Forgets all positions from `position` on."""
        memory = llama_cpp.llama_get_memory(self.context)
        llama_cpp.llama_memory_seq_rm(memory, 0, position, -1)

    def feed(self, tokens: list[int]) -> None:
        """Feeds tokens in passes of at most the batch size, with the logits of the last one."""
        for start in range(0, len(tokens), self.batch):
            part = tokens[start : start + self.batch]
            array = (llama_cpp.llama_token * len(part))(*part)
            if llama_cpp.llama_decode(
                self.context, llama_cpp.llama_batch_get_one(array, len(part))
            ):
                raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(self.context)


def main() -> None:
    """Measures prompt processing and generation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=128)
    parser.add_argument("-d", type=int, default=0)
    parser.add_argument("-c", type=int, default=0, help="context length; what the tests need when 0")
    parser.add_argument("-r", type=int, default=3)
    options = parser.parse_args()
    context = options.c or max(options.p, options.n) + options.d
    runner = Runner(options.model, options.threads, context, 512)
    random.seed(1)
    tokens = [random.randrange(runner.size) for _ in range(max(options.p, options.n, options.d))]
    if options.d:
        runner.feed(tokens[: options.d])
    result = {"pp": [], "tg": []}
    for repetition in range(options.r + 1):
        if options.p:
            runner.rewind(options.d)
            begin = time.perf_counter()
            runner.feed(tokens[: options.p])
            seconds = time.perf_counter() - begin
            # The first run touches memory and wakes threads: it is not counted.
            if repetition:
                result["pp"].append(options.p / seconds)
        if options.n:
            runner.rewind(options.d)
            begin = time.perf_counter()
            for token in tokens[: options.n]:
                runner.feed([token])
            seconds = time.perf_counter() - begin
            if repetition:
                result["tg"].append(options.n / seconds)
    result["peak_memory"] = peak_memory()
    result["build"] = llama_cpp.llama_print_system_info().decode().strip(" |")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
