// Tensors to and from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace muonlab::linalg {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Writes the tensors (any device, copied to the CPU) atomically, in order.
void save_tensors(const std::filesystem::path& path,
                  const NamedTensors& tensors,
                  const std::map<std::string, std::string>& metadata = {});

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;  ///< on the CPU
  std::map<std::string, std::string> metadata;
};
/// Throws Error(kIo) or Error(kCorruptData), naming file and offset.
[[nodiscard]] TensorFile load_tensors(const std::filesystem::path& path);

/// SHA-256 over names, dtypes, shapes and bytes, in the order given.
[[nodiscard]] std::string tensors_sha256(const NamedTensors& tensors);

}  // namespace muonlab::linalg
