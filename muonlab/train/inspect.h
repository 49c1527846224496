// What a file of tensors holds, for people and for programs.
#pragma once

#include <filesystem>
#include <string>

#include "muonlab/formats/json.h"

namespace muonlab::train {

struct Inspection {
  std::string text;
  /// {"schema", "metadata", "tensors": [{"name", "dtype", "shape", "bytes",
  /// "rms", "largest", "finite", "spectrum": {"largest", "smallest",
  /// "stable_rank", "entropy"}}]}; a spectrum for floating-point tensors of two
  /// dimensions or more, flattened to (first, rest), where asked for.
  formats::Json json;
};

/// Reads and checks the whole file. Throws Error(kIo), Error(kCorruptData).
[[nodiscard]] Inspection inspect(const std::filesystem::path& path,
                                 bool spectra);

/// What a GGUF file says of itself: metadata (long values shortened), types of
/// tensors, tokenizer, and whether all tensors' data lie in the file, as far as
/// their types are known. {"schema", "format", "version", "whole", "missing",
/// "tokenizer", "metadata", "tensors"}. Throws what `read_gguf` throws.
[[nodiscard]] Inspection inspect_gguf(const std::filesystem::path& path);

}  // namespace muonlab::train
