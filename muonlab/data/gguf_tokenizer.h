// The tokenizer that a GGUF file of a model carries.
#pragma once

#include <filesystem>
#include <memory>

#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/formats/gguf.h"

namespace muonlab::data {

/// From the keys tokenizer.ggml.model ("gpt2"), .pre ("gpt-2" or "smollm"),
/// .tokens, .token_type and .merges. The token <|endoftext|> is the separator;
/// other control tokens keep their ids and are never the result of encoding.
/// Throws Error(kUnsupported) for another model, `pre` or type of token, and
/// kCorruptData where the keys do not fit together; both name file and key.
[[nodiscard]] std::shared_ptr<const BpeTokenizer> gguf_tokenizer(
    const formats::GgufFile& file);

/// `gguf_tokenizer` of a file. Throws what `read_gguf` throws, too.
[[nodiscard]] std::shared_ptr<const BpeTokenizer> load_gguf_tokenizer(
    const std::filesystem::path& path);

}  // namespace muonlab::data
