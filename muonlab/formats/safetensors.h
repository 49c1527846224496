// The safetensors format: a JSON header and packed little-endian tensors
// (github.com/huggingface/safetensors). Plain bytes: no LibTorch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace muonlab::formats {

/// A tensor to write; `bytes` must live until the file is written.
struct SafetensorsEntry {
  std::string name;
  std::string
      dtype;  ///< "F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL"
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< C order, packed
};

/// Bytes of one element. Throws Error(kUnsupported) for an unknown dtype.
[[nodiscard]] std::size_t safetensors_element_size(const std::string& dtype);

/// Writes atomically, in the order given; data start at a multiple of 8.
/// Throws Error(kInvalidArgument) when bytes and shape disagree or a name
/// appears twice, Error(kIo) when the file cannot be written.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata);

/// A file read whole and checked: header, offsets without holes or overlap,
/// sizes against shapes. Every fault is an Error(kCorruptData) that names the
/// file and the byte offset.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  struct Tensor {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;  ///< valid while the file object lives
  };

  [[nodiscard]] const std::map<std::string, Tensor>& tensors() const {
    return tensors_;
  }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }

 private:
  std::string content_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace muonlab::formats
