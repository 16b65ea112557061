"""Two real llama.cpp servers, one for chat and one for embeddings, over a model made up on the spot.

The weights are random numbers, well under a megabyte, so nothing is downloaded and nothing it says has a
meaning. The HTTP server, its streaming, its token counts and its refusals are llama.cpp's own, and those are
what the router has to get along with.

    python llama_server.py

prints one line of JSON, `{"chat": URL, "embeddings": URL}`, once both answer, and serves until its standard
input ends. Whoever started it and died, however suddenly, therefore takes it along.
"""

import json
import os
import socket
import sys
import tempfile
import urllib.request

import gguf
import numpy as np
import xllamacpp

WIDTH = 48
HEADS = 4
LAYERS = 2
HIDDEN = 96
CONTEXT = 2048
# Requests that each server works on at the same time.
SLOTS = 4
# An answer ends here if the model has not ended it: random weights seldom choose the end token.
LONGEST_ANSWER = 96

# The ids of the special tokens are their places in `vocabulary`.
UNKNOWN, BEGIN, END = 0, 1, 2
WORDS = (
    "river stone lamp copper garden winter paper bridge morning thread harbour pepper window salt cloud "
    "amber field engine ladder mirror"
).split()

# The shape that the `llama` architecture expects, per layer.
LAYER_TENSORS = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, WIDTH),
    "attn_v": (WIDTH, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (HIDDEN, WIDTH),
    "ffn_up": (HIDDEN, WIDTH),
    "ffn_down": (WIDTH, HIDDEN),
}

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<{{ message['role'] }}> {{ message['content'] }}
{% endfor -%}
{%- if add_generation_prompt -%}<assistant> {% endif -%}"""


def vocabulary():
    """(text, score, type) of every token: specials, bytes, characters, and whole words after a space."""
    kinds = gguf.TokenType
    tokens = [
        (b"<unk>", 0.0, kinds.UNKNOWN),
        (b"<s>", 0.0, kinds.CONTROL),
        (b"</s>", 0.0, kinds.CONTROL),
    ]
    # Any text can be spelled in bytes, so no prompt meets an unknown token.
    tokens += [(b"<0x%02X>" % byte, 0.0, kinds.BYTE) for byte in range(256)]
    # Single characters, so that a grammar (a JSON schema) has something to choose from.
    tokens += [(chr(code).encode(), -1000.0, kinds.NORMAL) for code in range(0x21, 0x7F)]
    # SentencePiece writes a leading space as U+2581.
    tokens += [("\u2581".encode(), -1000.0, kinds.NORMAL)]
    tokens += [(("\u2581" + word).encode(), -float(rank), kinds.NORMAL) for rank, word in enumerate(WORDS)]
    return tokens


def write_model(path):
    """A two-layer Llama with random weights that speaks only in whole words."""
    random = np.random.default_rng(20260917)
    tokens = vocabulary()

    def noise(*shape):
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("made-up-llama")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _, _ in tokens])
    writer.add_token_scores([score for _, score, _ in tokens])
    writer.add_token_types([kind for _, _, kind in tokens])
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_chat_template(CHAT_TEMPLATE)

    writer.add_tensor("token_embd.weight", noise(len(tokens), WIDTH) * 10)
    output = noise(len(tokens), WIDTH) * 10
    # Bytes and specials score near nothing, so that an answer is made of words and is valid UTF-8.
    output[: len(tokens) - len(WORDS)] *= 0.01
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(WIDTH, np.float32))
        for name, shape in LAYER_TENSORS.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", noise(*shape))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(model, alias, embeddings):
    """Starts one server in the background of this process and returns it."""
    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.model_alias = {alias}
    settings.hostnames = ["127.0.0.1"]
    settings.port = free_port()
    settings.n_ctx = CONTEXT * SLOTS
    settings.n_parallel = SLOTS
    settings.n_predict = LONGEST_ANSWER
    settings.use_jinja = True
    settings.warmup = False
    settings.cpuparams.n_threads = 1
    if embeddings:
        settings.embedding = True
        settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(settings)


def main():
    with tempfile.TemporaryDirectory(prefix="made-up-llama-") as folder:
        model = os.path.join(folder, "model.gguf")
        write_model(model)
        servers = {
            "chat": serve(model, "made-up-chat", embeddings=False),
            "embeddings": serve(model, "made-up-embed", embeddings=True),
        }
        for server in servers.values():
            with urllib.request.urlopen(f"{server.listening_address}/health", timeout=30) as health:
                assert health.status == 200, health.status
        print(json.dumps({name: f"{server.listening_address}/v1" for name, server in servers.items()}), flush=True)
        sys.stdin.read()
    # The servers' own threads would keep the interpreter waiting at exit.
    os._exit(0)


if __name__ == "__main__":
    main()
